package config

// Variant is a stage with one of the ways to get a network, or with every switch that makes it stricter: what the checks judge, beyond
// the stages as they are in cdk.json.
type Variant struct {
	Stage Stage
	Title string // e.g. prod-existing or prod-strict
}

// Variants are the stages dev and prod, each with every network mode, and each as strict as it can be: in its own network with private
// endpoints, with roles that trust this account only, and with an encrypted catalog where the data is retained. Ids of a network that
// is already there are made up.
func Variants(context map[string]any) ([]Variant, error) {
	var variants []Variant
	for _, name := range []string{"dev", Production} {
		given := map[string]any{}
		for key, value := range context {
			given[key] = value
		}
		given[StageKey] = name
		stage, err := Load(given)
		if err != nil {
			return nil, err
		}
		for _, network := range []Network{stage.Network, {
			Mode: ExistingNetwork, VPCID: "vpc-0a1b2c3d", SubnetID: "subnet-0a1b2c3d", AvailabilityZone: "eu-central-1a",
			RouteTableIDs: []string{"rtb-0a1b2c3d"},
		}, {Mode: NoNetwork}} {
			variant := stage
			variant.Network = network
			variants = append(variants, Variant{Stage: variant, Title: name + "-" + network.Mode})
		}
		strict := stage
		strict.Network.PrivateEndpoints = true
		strict.Jobs.TrustThisAccountOnly = true
		strict.CatalogEncryption = stage.DataRemoval == Retain
		variants = append(variants, Variant{Stage: strict, Title: name + "-strict"})
	}
	return variants, nil
}
