package stacks

import (
	"github.com/aws/constructs-go/constructs/v10"

	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
)

// Props of the whole lakehouse.
type Props struct {
	Stage     config.Stage
	Contracts contract.Set
	Scripts   string // folder glue-scripts
}

// Lakehouse is the three stacks.
type Lakehouse struct {
	Catalog  Catalog
	Network  Network
	Pipeline Pipeline
}

// NewLakehouse makes the three stacks in the order in which they are deployed.
func NewLakehouse(scope constructs.Construct, props Props) Lakehouse {
	catalog := NewCatalog(scope, CatalogProps{Stage: props.Stage, Contracts: props.Contracts})
	network := NewNetwork(scope, NetworkProps{Stage: props.Stage, Catalog: catalog})
	pipeline := NewPipeline(scope, PipelineProps{
		Stage:     props.Stage,
		Contracts: props.Contracts,
		Catalog:   catalog,
		Network:   network,
		Scripts:   props.Scripts,
	})
	return Lakehouse{Catalog: catalog, Network: network, Pipeline: pipeline}
}
