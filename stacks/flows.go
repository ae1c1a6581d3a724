package stacks

import (
	"fmt"

	"stedi-lakehouse/internal/contract"
)

// flow is one job with the contracts of the tables that it writes, its target first, and of those that it reads.
type flow struct {
	contract.Work
	writes []contract.Contract
	reads  []contract.Contract
}

// flows are the jobs in the order in which they run, as the contracts say. It panics on contracts that contract.Load refuses.
func flows(set contract.Set) []flow {
	ordered, err := set.JobsInOrder()
	if err != nil {
		panic(err.Error())
	}
	var flows []flow
	for _, job := range ordered {
		flow := flow{Work: job}
		for _, name := range job.Writes() {
			flow.writes = append(flow.writes, table(set, job.Name, name))
		}
		reads := job.Reads
		if job.Landing != "" {
			reads = append([]string{job.Landing}, reads...)
		}
		for _, name := range reads {
			flow.reads = append(flow.reads, table(set, job.Name, name))
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
