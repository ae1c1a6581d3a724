package zoneflow_test

import (
	"fmt"
	"slices"
	"testing"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/zoneflow"
)

// app has these tables, a workgroup with a scratch database, and a role with a policy of one statement.
func app(action, resource string, tables ...string) cloud.Assembly {
	resources := map[string]cloud.Resource{
		"Role": {Type: "AWS::IAM::Role"},
		"Policy": {Type: "AWS::IAM::Policy", Properties: map[string]any{
			"Roles": []any{map[string]any{"Ref": "Role"}},
			"PolicyDocument": map[string]any{"Statement": []any{map[string]any{
				"Sid": "Access", "Effect": "Allow", "Action": action, "Resource": resource,
			}}},
		}},
	}
	for _, table := range tables {
		resources[table] = cloud.Resource{Type: "AWS::Glue::Table", Properties: map[string]any{
			"DatabaseName": "shop",
			"TableInput":   map[string]any{"Name": table, "StorageDescriptor": map[string]any{"Location": "s3://lake/" + table + "/"}},
		}}
	}
	resources["Queries"] = cloud.Resource{Type: "AWS::Athena::WorkGroup", Properties: map[string]any{
		"Name":                   "people",
		"WorkGroupConfiguration": map[string]any{"ResultConfiguration": map[string]any{"OutputLocation": "s3://results/people/"}},
	}}
	resources["Scratch"] = cloud.Resource{Type: "AWS::Glue::Database", Properties: map[string]any{
		"DatabaseInput": map[string]any{"Name": "shop_scratch", "LocationUri": "s3://results/people/scratch/"},
	}}
	return cloud.Assembly{{Name: "shop", Resources: resources}}
}

// What the erasure keeps beside the tables is nobody's to gain either: its secret makes pseudonyms what they stand for.
func TestGainsOfTheErasure(t *testing.T) {
	before := app("s3:GetObject", "arn:aws:s3:::lake/people/*", "erasure_ledger", "people")
	secret := []string{"object erasure/state/secret"}
	for resource, want := range map[string][]string{"state/secret": secret, "state/secre?": secret, "none": nil} {
		gains, err := zoneflow.Gains(before, app("s3:GetObject", "arn:aws:s3:::lake/erasure/"+resource, "erasure_ledger", "people"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, gain := range gains {
			got = append(got, gain.Table)
		}
		if !slices.Equal(got, want) {
			t.Errorf("with %s, gains are %+v, want %q", resource, gains, want)
		}
	}
}

func TestGains(t *testing.T) {
	const see = "see the catalog entry of "
	scratch := []string{"change the catalog entry of tables in shop_scratch", "drop the catalog entry of tables in shop_scratch", see + "tables in shop_scratch"}
	before := app("s3:GetObject", "arn:aws:s3:::lake/orders/*", "orders", "people")
	for name, test := range map[string]struct {
		after cloud.Assembly
		want  []string
	}{
		"the same":            {before, nil},
		"less":                {app("s3:GetObject", "arn:aws:s3:::lake/orders/2026/*", "orders", "people"), nil},
		"another table":       {app("s3:GetObject", "arn:aws:s3:::lake/people/*", "orders", "people"), []string{"read people"}},
		"every table":         {app("s3:GetObject", "arn:aws:s3:::lake/*", "orders", "people"), []string{"read people"}},
		"another right":       {app("s3:*Object", "arn:aws:s3:::lake/orders/*", "orders", "people"), []string{"delete orders", "write orders"}},
		"a table that is new": {app("s3:GetObject", "arn:aws:s3:::lake/*", "orders", "people", "things"), []string{"read people"}},
		"results":             {app("s3:PutObject", "arn:aws:s3:::results/*", "orders", "people"), []string{"write results of people"}},
		"a scratch table":     {app("glue:*Table", "arn:aws:glue:*:*:table/shop_scratch/one", "orders", "people"), scratch},
		"both databases":      {app("glue:GetTable", "arn:aws:glue:*:table/shop*", "orders", "people"), []string{see + "orders", see + "people", see + "tables in shop_scratch"}},
		"another database":    {app("glue:GetTable", "arn:aws:glue:eu-west-1:*:table/shop_/*", "orders", "people"), nil},
		"versions too": {
			app("s3:*", "arn:aws:s3:::lake/orders/*", "orders", "people"),
			[]string{"delete orders", "delete versions of orders", "read versions of orders", "write orders"},
		},
		"a table that is gone": {app("s3:GetObject", "arn:aws:s3:::lake/*", "orders"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			gains, err := zoneflow.Gains(before, test.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, gain := range gains {
				got = append(got, fmt.Sprintf("%s %s", gain.Right, gain.Table))
				if gain.Holder != "${shop.Role.Arn}" || gain.Policy.Resource != "Policy" || gain.Sid != "Access" {
					t.Errorf("gain %+v is not of Role, by statement Access of Policy", gain)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("gains are %q, want %q", got, test.want)
			}
		})
	}
}
