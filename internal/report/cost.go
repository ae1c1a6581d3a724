package report

import (
	"math"

	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"

	"stedi-lakehouse/internal/dpu"
)

// billedAtLeast is the shortest time, in seconds, that Glue bills a run.
const billedAtLeast = 60

// dpus is how many DPUs the workers of a run are.
func dpus(run gluetypes.JobRun) float64 {
	if run.NumberOfWorkers == nil {
		return 0
	}
	each, _ := dpu.OfWorker(string(run.WorkerType))
	return each * float64(*run.NumberOfWorkers)
}

// usd estimates what a run costs. Glue itself counts the DPU-seconds of Flex and auto-scaled runs; for others they are the workers' for
// the time of the run.
func usd(run gluetypes.JobRun, seconds float64) float64 {
	used := dpus(run) * math.Max(seconds, billedAtLeast)
	if run.DPUSeconds != nil && *run.DPUSeconds > 0 {
		used = *run.DPUSeconds
	}
	return used / 3600 * dpu.Dollars
}
