package stacks

import (
	"fmt"

	"stedi-lakehouse/internal/contract"
)

// flow is one job: the table it is for, the other tables it writes and the tables it reads.
type flow struct {
	job    string
	writes contract.Contract
	keeps  []contract.Contract
	reads  []contract.Contract
	intake string // key of the job's own object of the intake ledger
}

// flows are the jobs in the order in which they run, as the contracts say. It panics on contracts that contract.Load refuses.
func flows(set contract.Set) []flow {
	ordered, err := set.JobsInOrder()
	if err != nil {
		panic(err.Error())
	}
	var flows []flow
	for _, target := range ordered {
		flow := flow{job: target.Job.Name, writes: target}
		flow.intake = table(set, flow.job, contract.IntakeLedger).Prefix() + "/" + flow.job + ".json"
		for _, name := range target.Keeps() {
			flow.keeps = append(flow.keeps, table(set, flow.job, name))
		}
		reads := target.Job.Reads
		if landing := target.Landing(); landing != "" {
			reads = append([]string{landing}, reads...)
		}
		for _, name := range reads {
			flow.reads = append(flow.reads, table(set, flow.job, name))
		}
		flows = append(flows, flow)
	}
	return flows
}

func table(contracts contract.Set, job, name string) contract.Contract {
	found, err := contracts.Get(name)
	if err != nil {
		panic(fmt.Sprintf("job %s: %v", job, err))
	}
	return found
}
