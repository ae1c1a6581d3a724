// Package dpu says how Glue counts the workers of a job, and what they cost.
package dpu

// Dollars is the list price of a DPU-hour of Glue 6.0 in us-east-1 (docs/cost.md says of when and where). Flex costs less.
const Dollars = 0.308

var ofWorker = map[string]float64{
	"G.025X": 0.25, "Standard": 1, "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16,
	// Memory-optimized workers count DPUs with more memory, which cost more: at this price they are too cheap.
	"R.1X": 1, "R.2X": 2, "R.4X": 4, "R.8X": 8,
}

// OfWorker is how many DPUs a worker of the type is, as Glue bills it; false for a type that is not known.
func OfWorker(workerType string) (float64, bool) {
	dpus, known := ofWorker[workerType]
	return dpus, known
}
