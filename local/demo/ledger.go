package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// ledgerEntry is the line that a job prints about its table: what became of every row it read (rule R7).
type ledgerEntry struct {
	Table       string         `json:"table"`
	Read        int            `json:"read"`
	Accepted    int            `json:"accepted"`
	Excluded    map[string]int `json:"excluded"`
	Quarantined map[string]int `json:"quarantined"`
}

// funnel writes the entry as "read 81,273 = 32,025 accepted + 49,248 no_consent", greatest reason first.
func (e ledgerEntry) funnel() string {
	var out strings.Builder
	fmt.Fprintf(&out, "read %s = %s accepted", thousands(int64(e.Read)), thousands(int64(e.Accepted)))
	for _, reasons := range []map[string]int{e.Excluded, e.Quarantined} {
		byCount := func(a, b string) int { return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b)) }
		for _, reason := range slices.SortedFunc(maps.Keys(reasons), byCount) {
			if reasons[reason] > 0 {
				fmt.Fprintf(&out, " + %s %s", thousands(int64(reasons[reason])), reason)
			}
		}
	}
	return out.String()
}

// ledger reads the entry of a finished run from its log; nil when the run printed none. Glue puts what a job prints into a stream
// named after the run.
func (c *clients) ledger(ctx context.Context, run gluetypes.JobRun) (*ledgerEntry, error) {
	events, err := c.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: aws.String(*run.LogGroupName + "/output"), LogStreamName: run.Id, StartFromHead: aws.Bool(false),
	})
	if err != nil {
		return nil, fmt.Errorf("log of run %s: %w", *run.Id, err)
	}
	for _, event := range slices.Backward(events.Events) {
		if entry := parseLedger(aws.ToString(event.Message)); entry != nil {
			return entry, nil
		}
	}
	return nil, nil
}

func parseLedger(line string) *ledgerEntry {
	var entry ledgerEntry
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Table == "" {
		return nil
	}
	return &entry
}
