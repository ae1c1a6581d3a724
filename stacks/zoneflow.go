package stacks

import (
	"slices"

	"stedi-lakehouse/constructs/reader"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/zoneflow"
)

// emptier is the role of the function with which the CDK empties buckets before it deletes them.
const emptier = "CustomS3AutoDeleteObjectsCustomResourceProviderRole*"

// chain is the role of the state machine, which looks whether there is anybody to erase.
const chain = "ChainStateMachineRole*"

// Grants are what every role of the lakehouse is meant to do with the tables, with what readers make of them, and with what the erasure
// keeps beside them. Whoever else gets a right fails the synthesis.
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
		grants = append(grants, eraser(stage, contracts), zoneflow.Grant{Holder: chain, Rights: map[string][]zoneflow.Right{
			contract.ErasureRequests:                 {zoneflow.List},
			zoneflow.Object(contract.ErasurePending): {zoneflow.List},
		}})
	}
	research, customers := readable(contracts)
	researchGroup, customersGroup := readersOf(stage)
	grants = append(grants, readers("ResearchRole*", researchGroup, research), readers("CustomersRole*", customersGroup, customers))
	if stage.DataRemoval == config.Delete {
		grant := zoneflow.Grant{Holder: emptier, Rights: map[string][]zoneflow.Right{}, Upkeep: true}
		for _, table := range contracts {
			grant.Rights[table.Table] = zoneflow.Remover
		}
		for _, object := range contract.ErasureState {
			grant.Rights[zoneflow.Object(object)] = zoneflow.Remover
		}
		for _, workgroup := range workgroups(stage) {
			grant.Rights[zoneflow.ResultsOf(workgroup)] = zoneflow.Remover
		}
		grants = append(grants, grant)
	}
	return grants
}

// eraser is what the job that erases people is meant to do: look everywhere, take people out of what was delivered, of the requests and
// of every Iceberg table, delete results, and keep its own state.
func eraser(stage config.Stage, contracts contract.Set) zoneflow.Grant {
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
	for _, workgroup := range workgroups(stage) {
		grant.Rights[zoneflow.ResultsOf(workgroup)] = zoneflow.Purger
	}
	for _, object := range contract.ErasureState {
		grant.Rights[zoneflow.Object(object)] = zoneflow.Eraser
	}
	return grant
}

// workgroups of a stage: that of administrators, and those of the two roles of analysts.
func workgroups(stage config.Stage) []string {
	research, customers := readersOf(stage)
	return []string{stage.LakeName, research, customers}
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
