package report

import (
	"math"

	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// perDPUHour is the list price in US dollars of a DPU-hour of Glue 6.0 (docs/report.md says of when and where). Flex costs less.
const perDPUHour = 0.308

// billedAtLeast is the shortest time, in seconds, that Glue bills a run.
const billedAtLeast = 60

// dpusPerWorker are the DPUs of a worker by its type, as Glue bills them.
var dpusPerWorker = map[gluetypes.WorkerType]float64{
	gluetypes.WorkerTypeG025x: 0.25, gluetypes.WorkerTypeStandard: 1, gluetypes.WorkerTypeG1x: 1, gluetypes.WorkerTypeG2x: 2,
	gluetypes.WorkerTypeG4x: 4, gluetypes.WorkerTypeG8x: 8,
}

// dpus is how many DPUs the workers of a run are.
func dpus(run gluetypes.JobRun) float64 {
	if run.NumberOfWorkers == nil {
		return 0
	}
	return dpusPerWorker[run.WorkerType] * float64(*run.NumberOfWorkers)
}

// usd estimates what a run costs. Glue itself counts the DPU-seconds of Flex and auto-scaled runs; for others they are the workers' for
// the time of the run.
func usd(run gluetypes.JobRun, seconds float64) float64 {
	used := dpus(run) * math.Max(seconds, billedAtLeast)
	if run.DPUSeconds != nil && *run.DPUSeconds > 0 {
		used = *run.DPUSeconds
	}
	return used / 3600 * perDPUHour
}
