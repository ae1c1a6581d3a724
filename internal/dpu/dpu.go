// Package dpu says how Glue counts the workers of a job, in data processing units (DPU), and what they cost: for the dashboard, the
// report of a run and the review of a change.
package dpu

// Dollars is the list price of a DPU-hour of Glue 6.0 in us-east-1 (docs/cost.md says of when and where). Flex costs less.
const Dollars = 0.308

var ofWorker = map[string]float64{
	"G.025X": 0.25, "Standard": 1, "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16,
}

// withMoreMemory are the workers whose DPUs have more memory and cost more.
var withMoreMemory = map[string]float64{"R.1X": 1, "R.2X": 2, "R.4X": 4, "R.8X": 8}

// OfWorker is how many DPUs a worker of the type is, as Glue bills it, and whether Dollars is what one of them costs.
func OfWorker(workerType string) (dpus float64, priced bool) {
	if dpus, priced = ofWorker[workerType]; priced {
		return dpus, true
	}
	return withMoreMemory[workerType], false
}
