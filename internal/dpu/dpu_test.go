package dpu_test

import (
	"testing"

	"stedi-lakehouse/internal/dpu"
)

func TestOfWorker(t *testing.T) {
	for workerType, want := range map[string]struct {
		dpus   float64
		priced bool
	}{"G.025X": {0.25, true}, "G.2X": {2, true}, "G.16X": {16, true}, "R.2X": {2, false}, "Z.1X": {0, false}} {
		if dpus, priced := dpu.OfWorker(workerType); dpus != want.dpus || priced != want.priced {
			t.Errorf("a worker %s is %v DPUs, priced %t; want %v and %t", workerType, dpus, priced, want.dpus, want.priced)
		}
	}
}
