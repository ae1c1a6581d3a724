package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"

	"stedi-lakehouse/internal/report"
)

// ledgerEntry is the line that a job prints about its table: what became of every row it read (rule R7).
type ledgerEntry struct {
	Table       string         `json:"table"`
	Read        int            `json:"read"`
	Accepted    int            `json:"accepted"`
	Excluded    map[string]int `json:"excluded"`
	Quarantined map[string]int `json:"quarantined"`
	Inserted    int            `json:"inserted"`
	Updated     int            `json:"updated"`
	Removed     int            `json:"removed"`
	Engine      string         `json:"engine"`
	Mode        string         `json:"mode"`  // full, incremental, or unchanged: there was nothing new to read
	Drift       map[string]int `json:"drift"` // rows by a key that no contract knows
	// People who are suspended after the run (R13); nil: the job does not say.
	Suspended *int64 `json:"suspended"`
	// Objects that the job does not read (R15), by reason.
	Ignored map[string]struct {
		Objects int64 `json:"objects"`
	} `json:"ignored"`
}

// funnel writes the entry as "read 81,273 = 32,025 accepted + 49,248 no_consent; removed 12; drift: 3 rows with unknown key battery;
// 2 people suspended; 4 objects ignored", greatest number first.
func (e ledgerEntry) funnel() string {
	var out strings.Builder
	if e.Mode == "unchanged" {
		out.WriteString("nothing new")
	} else {
		fmt.Fprintf(&out, "read %s = %s accepted", report.Thousands(int64(e.Read)), report.Thousands(int64(e.Accepted)))
	}
	for _, reasons := range []map[string]int{e.Excluded, e.Quarantined} {
		for _, reason := range byCount(reasons) {
			fmt.Fprintf(&out, " + %s %s", report.Thousands(int64(reasons[reason])), reason)
		}
	}
	if e.Removed > 0 {
		fmt.Fprintf(&out, "; removed %s", report.Thousands(int64(e.Removed)))
	}
	lead := "; drift: "
	for _, key := range byCount(e.Drift) {
		fmt.Fprintf(&out, "%s%s with unknown key %s", lead, report.Plural(int64(e.Drift[key]), "row"), key)
		lead = ", "
	}
	if e.Suspended != nil && *e.Suspended > 0 {
		fmt.Fprintf(&out, "; %s suspended", report.People(*e.Suspended))
	}
	var ignored int64
	for _, one := range e.Ignored {
		ignored += one.Objects
	}
	if ignored > 0 {
		fmt.Fprintf(&out, "; %s ignored", report.Plural(ignored, "object"))
	}
	return out.String()
}

// byCount are the names that have a count above zero, greatest first.
func byCount(counts map[string]int) []string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return slices.DeleteFunc(names, func(name string) bool { return counts[name] <= 0 })
}

// ledger reads the entry of a finished run from its log; nil when the run printed none. Glue puts what a job prints into a stream
// named after the run.
func (c *clients) ledger(ctx context.Context, run gluetypes.JobRun) (*ledgerEntry, error) {
	events, err := c.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: aws.String(*run.LogGroupName + "/output"), LogStreamName: run.Id, StartFromHead: aws.Bool(false),
	})
	var missing *logstypes.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, nil // the run ended before it could say anything
	}
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
