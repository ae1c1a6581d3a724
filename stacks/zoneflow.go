package stacks

import (
	"slices"

	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/zoneflow"
)

// emptier is the role of the function with which the CDK empties buckets before it deletes them.
const emptier = "CustomS3AutoDeleteObjectsCustomResourceProviderRole*"

// chain is the role of the state machine, which looks whether there is anybody to erase.
const chain = "ChainStateMachineRole*"

// Grants are what every role of the lakehouse is meant to do with the tables. Whoever else gets a right fails the synthesis.
func Grants(stage config.Stage, contracts contract.Set) []zoneflow.Grant {
	var grants []zoneflow.Grant
	for _, flow := range flows(contracts) {
		grant := zoneflow.Grant{Holder: "job " + flow.Name, Rights: map[string][]zoneflow.Right{zoneflow.Object(flow.Intake): zoneflow.Keeper}}
		for _, object := range flow.Consults() {
			grant.Rights[zoneflow.Object(object)] = []zoneflow.Right{zoneflow.Read, zoneflow.List}
		}
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
	if stage.Erasure != nil {
		grants = append(grants, eraser(contracts), zoneflow.Grant{Holder: chain, Rights: map[string][]zoneflow.Right{
			contract.ErasureRequests:                 {zoneflow.List},
			zoneflow.Object(contract.ErasurePending): {zoneflow.List},
		}})
	}
	research, customers := readable(contracts)
	grants = append(grants, readers("ResearchRole*", research), readers("CustomersRole*", customers))
	if stage.DataRemoval == config.Delete {
		grant := zoneflow.Grant{Holder: emptier, Rights: map[string][]zoneflow.Right{}, Upkeep: true}
		for _, table := range contracts {
			grant.Rights[table.Table] = zoneflow.Remover
		}
		for _, object := range contract.ErasureState {
			grant.Rights[zoneflow.Object(object)] = zoneflow.Remover
		}
		grants = append(grants, grant)
	}
	return grants
}

// eraser is what the job that erases people is meant to do: look everywhere, take people out of what was delivered, of the requests and
// of every Iceberg table, and keep its own state.
func eraser(contracts contract.Set) zoneflow.Grant {
	grant := zoneflow.Grant{Holder: "job " + contract.ErasePeople, Rights: map[string][]zoneflow.Right{}, Upkeep: true}
	for _, table := range contracts {
		grant.Rights[table.Table] = zoneflow.Searcher
	}
	for _, table := range contracts.Erasable() {
		grant.Rights[table.Table] = zoneflow.Eraser
		if table.Format == contract.Iceberg {
			grant.Rights[table.Table] = append(slices.Clone(zoneflow.Eraser), zoneflow.See, zoneflow.Change)
		}
	}
	for _, object := range contract.ErasureState {
		grant.Rights[zoneflow.Object(object)] = zoneflow.Eraser
	}
	return grant
}

func readers(role string, tables contract.Set) zoneflow.Grant {
	grant := zoneflow.Grant{Holder: role, Rights: map[string][]zoneflow.Right{}}
	for _, table := range tables {
		grant.Rights[table.Table] = zoneflow.Reader
	}
	return grant
}
