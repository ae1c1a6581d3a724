package stacks

import (
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/zoneflow"
)

// emptier is the role of the function with which the CDK empties buckets before it deletes them.
const emptier = "CustomS3AutoDeleteObjectsCustomResourceProviderRole*"

// Grants are what every role of the lakehouse is meant to do with the tables. Whoever else gets a right fails the synthesis.
func Grants(stage config.Stage, contracts contract.Set) []zoneflow.Grant {
	var grants []zoneflow.Grant
	for _, flow := range flows {
		grant := zoneflow.Grant{
			Holder: "job " + flow.job,
			Rights: map[string][]zoneflow.Right{},
			Object: intakeKey(contracts, flow.job),
		}
		for _, name := range flow.reads {
			grant.Rights[name] = zoneflow.Reader
		}
		for _, name := range append([]string{flow.writes}, flow.keeps...) {
			grant.Rights[name] = zoneflow.Writer
		}
		grants = append(grants, grant)
	}
	if stage.DataRemoval == config.Delete {
		grant := zoneflow.Grant{Holder: emptier, Rights: map[string][]zoneflow.Right{}, Upkeep: true}
		for _, table := range contracts {
			grant.Rights[table.Table] = zoneflow.Remover
		}
		grants = append(grants, grant)
	}
	return grants
}
