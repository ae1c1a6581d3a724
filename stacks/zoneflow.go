package stacks

import (
	"stedi-lakehouse/constructs/reader"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/zoneflow"
)

// emptier is the role of the function with which the CDK empties buckets before it deletes them.
const emptier = "CustomS3AutoDeleteObjectsCustomResourceProviderRole*"

// Grants are what every role of the lakehouse is meant to do with the tables, and with what readers make of them. Whoever else gets a right fails the synthesis.
func Grants(stage config.Stage, contracts contract.Set) []zoneflow.Grant {
	var grants []zoneflow.Grant
	for _, flow := range flows(contracts) {
		grant := zoneflow.Grant{Holder: "job " + flow.Name, Rights: map[string][]zoneflow.Right{}, Object: flow.Intake}
		for _, table := range flow.reads {
			grant.Rights[table.Table] = zoneflow.Reader
		}
		for _, table := range flow.writes {
			grant.Rights[table.Table] = zoneflow.Writer
		}
		grants = append(grants, grant)
	}
	upkeep := zoneflow.Grant{Holder: "job " + maintenance, Rights: map[string][]zoneflow.Right{}, Upkeep: true}
	for _, table := range contracts {
		if table.Format == contract.Iceberg {
			upkeep.Rights[table.Table] = zoneflow.Writer
		}
	}
	grants = append(grants, upkeep)
	research, customers := readable(contracts)
	researchGroup, customersGroup := readersOf(stage)
	grants = append(grants, readers("ResearchRole*", researchGroup, research), readers("CustomersRole*", customersGroup, customers))
	if stage.DataRemoval == config.Delete {
		grant := zoneflow.Grant{Holder: emptier, Rights: map[string][]zoneflow.Right{}, Upkeep: true}
		for _, table := range contracts {
			grant.Rights[table.Table] = zoneflow.Remover
		}
		for _, workgroup := range []string{stage.LakeName, researchGroup, customersGroup} {
			grant.Rights[zoneflow.ResultsOf(workgroup)] = zoneflow.Remover
		}
		grants = append(grants, grant)
	}
	return grants
}

// readers are what a role of analysts is meant to do: read its tables, keep results, and make tables of its own of both.
func readers(role, workgroup string, tables contract.Set) zoneflow.Grant {
	grant := zoneflow.Grant{Holder: role, Rights: map[string][]zoneflow.Right{
		zoneflow.ResultsOf(workgroup):                        zoneflow.Asker,
		zoneflow.TablesIn(reader.ScratchDatabase(workgroup)): zoneflow.Maker,
	}}
	for _, table := range tables {
		grant.Rights[table.Table] = zoneflow.Reader
	}
	return grant
}
