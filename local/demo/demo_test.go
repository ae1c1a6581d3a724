package main

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"

	"stedi-lakehouse/internal/report"
)

func TestLedgerLine(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"greatest reason first": {
			`{"job":"j","table":"t","read":10,"accepted":4,"excluded":{"duplicate":1,"no_consent":3,"before_consent":0},"quarantined":{"malformed":2}}`,
			"read 10 = 4 accepted + 3 no_consent + 1 duplicate + 2 malformed",
		},
		"changed": {
			`{"table":"t","read":2,"accepted":2,"excluded":{},"quarantined":{},"inserted":1,"updated":1,"removed":0,"mode":"incremental","drift":{}}`,
			"read 2 = 2 accepted",
		},
		"nothing new":           {`{"table":"t","read":0,"accepted":0,"excluded":{},"quarantined":{},"removed":0,"mode":"unchanged","drift":{}}`, "nothing new"},
		"nothing read, changed": {`{"table":"t","read":0,"accepted":0,"removed":1200,"mode":"incremental"}`, "read 0 = 0 accepted; removed 1,200"},
		"drift": {
			`{"table":"t","read":5,"accepted":5,"removed":12,"mode":"incremental","drift":{"colour":1,"battery":3,"gone":0}}`,
			"read 5 = 5 accepted; removed 12; drift: 3 rows with unknown key battery, 1 row with unknown key colour",
		},
		"suspended and ignored": {
			`{"table":"t","read":1,"accepted":1,"mode":"full","suspended":1,"ignored":{"hidden":{"objects":1,"example":"a/landing/_S"},"unknown_name":{"objects":2,"example":"a/landing/b.csv"}}}`,
			"read 1 = 1 accepted; 1 person suspended; 3 objects ignored",
		},
		"nobody suspended": {`{"table":"t","read":1,"accepted":1,"mode":"full","suspended":0,"ignored":{}}`, "read 1 = 1 accepted"},
		"not said":         {`{"table":"t","read":1,"accepted":1,"mode":"full","suspended":null}`, "read 1 = 1 accepted"},
	} {
		entry := parseLedger(test.line)
		if entry == nil {
			t.Errorf("%s: the ledger line was not read", name)
			continue
		}
		if got := entry.funnel(); got != test.want {
			t.Errorf("%s: funnel = %q, want %q", name, got, test.want)
		}
	}
	for _, line := range []string{"", "starting", `{"read": 1}`} {
		if parseLedger(line) != nil {
			t.Errorf("%q was read as a ledger line", line)
		}
	}
}

func TestProgress(t *testing.T) {
	began, ended := time.Now().Add(-90*time.Second), time.Now().Add(-80*time.Second)
	runs := map[string]gluetypes.JobRun{
		"first":  {JobRunState: gluetypes.JobRunStateSucceeded, StartedOn: &began, CompletedOn: &ended},
		"second": {JobRunState: gluetypes.JobRunStateRunning, StartedOn: &ended},
	}
	ledger := func(gluetypes.JobRun) (*ledgerEntry, error) {
		return parseLedger(`{"table": "t", "engine": "duckdb", "read": 2, "accepted": 2}`), nil
	}
	for name, test := range map[string]struct {
		terminal bool
		want     string // of what is printed by two looks at the runs; spaces are joined
	}{
		"in a CI each job is told once, when it has ended": {false, "✓ 1/3 first SUCCEEDED 10.0 s on duckdb t: read 2 = 2 accepted"},
		"in a terminal the job at work is the last line":   {true, "✓ 1/3 first SUCCEEDED 10.0 s on duckdb t: read 2 = 2 accepted ~ 2/3 second RUNNING 80 s ~ 2/3 second RUNNING 80 s"},
	} {
		view := &progress{ledger: ledger, jobs: []string{"first", "second", "third"}, shown: map[string]bool{}, terminal: test.terminal}
		printed := capture(t, func() error { return errors.Join(view.show(runs), view.show(runs)) })
		got := regexp.MustCompile("["+string(spinner)+"]").ReplaceAllString(strings.ReplaceAll(printed, clearLine, " "), "~")
		if got = strings.Join(strings.Fields(got), " "); got != test.want {
			t.Errorf("%s: printed %q, want %q", name, got, test.want)
		}
	}
	failed := errors.New("no")
	if printed := capture(t, func() error {
		if err := during("waiting", func() error { return failed }); !errors.Is(err, failed) {
			t.Errorf("during returned %v", err)
		}
		return nil
	}); printed != "" {
		t.Errorf("long work printed %q where nobody watches", printed)
	}
}

// capture returns what a function prints to standard output.
func capture(t *testing.T, work func() error) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = write
	err = work()
	os.Stdout = stdout
	if err := errors.Join(err, write.Close()); err != nil {
		t.Fatal(err)
	}
	printed, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	return string(printed)
}

func TestGrid(t *testing.T) {
	counts := map[string]int64{}
	for i, table := range []string{
		"customer_landing", "customer_quarantine", "customer_consent", "customer_trusted", "customer_curated", "accelerometer_excluded",
		"step_trainer_quarantine", "machine_learning_curated", "run_ledger", "intake_ledger",
	} {
		if inGrid(table) {
			counts[table] = int64(i) * 1000
		}
	}
	want := [][]string{
		{"rows", "landing", "quarantine", "trusted", "curated"},
		{"customer", "0", "1,000", "3,000", "4,000"},
		{"accelerometer", "", "", "", ""},
		{"step_trainer", "", "6,000", "", ""},
		{"machine_learning", "", "", "", "7,000"},
	}
	if got := grid([]string{"customer", "accelerometer", "step_trainer", "machine_learning"}, counts); len(counts) != 6 || !reflect.DeepEqual(got, want) {
		t.Errorf("grid of %v is %q\nwant %q", counts, got, want)
	}
}

func TestLeftAside(t *testing.T) {
	none := int64(0)
	reported := report.Report{Funnels: []report.Funnel{
		{Table: "customer_trusted", Suspended: &none, Ignored: []report.Ignored{{Reason: "unknown_name", Objects: 2, Example: "customer/landing/a.csv"}}},
		{Table: "accelerometer_trusted", Ignored: []report.Ignored{{Reason: "hidden", Objects: 1, Example: "accelerometer/landing/_SUCCESS"}}},
		{Table: "customer_curated"},
	}}
	want := []string{
		"suspended: nobody", "ignored for customer_trusted: 2 objects, unknown_name, such as customer/landing/a.csv",
		"ignored for accelerometer_trusted: 1 object, hidden, such as accelerometer/landing/_SUCCESS",
	}
	if got := leftAside(reported); !reflect.DeepEqual(got, want) {
		t.Errorf("left aside is %q, want %q", got, want)
	}
	if got := leftAside(report.Report{}); got != nil {
		t.Errorf("of a run that says nothing, %q is left aside", got)
	}
}

func TestFindLanding(t *testing.T) {
	data, sources := t.TempDir(), []string{"customer", "accelerometer"}
	if _, _, err := findLanding(data, sources); err == nil || !strings.Contains(err.Error(), data) {
		t.Errorf("an empty folder gave %v, want an error that names it", err)
	}
	if _, _, err := findLanding(filepath.Join(data, "nowhere"), sources); err == nil {
		t.Error("a folder that is not there gave no error")
	}
	uploaded := []string{
		"accelerometer/landing/.hidden", "accelerometer/landing/2026/11/d.ndjson", "customer/landing/_temporary/0/a.json",
		"customer/landing/a.json", "customer/landing/b.csv", "customer/landing/b.json.gz", "customer/landing/linked.json",
	}
	leftOut := []string{"customer/landing/folder", "customer/landing.json", "customer/trusted/c.json", "expected.json", "other/landing/a.json"}
	for _, name := range append(slices.Clone(uploaded), leftOut...) {
		path := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch name {
		case "customer/landing/linked.json":
			err = os.Symlink(filepath.Join(data, "customer/landing/a.json"), path)
		case "customer/landing/folder": // a link to a folder is not followed: it may lead back
			err = os.Symlink(data, path)
		default:
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "data")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{data, link} {
		files, others, err := findLanding(folder, sources)
		if got := slices.Sorted(maps.Keys(files)); err != nil || !slices.Equal(got, uploaded) {
			t.Errorf("findLanding(%s) gives %q, %v, want %q", folder, got, err, uploaded)
		}
		if !slices.Equal(others, leftOut) {
			t.Errorf("findLanding(%s) leaves out %q, want %q", folder, others, leftOut)
		}
	}
}

func TestCompare(t *testing.T) {
	data := t.TempDir()
	counts := map[string]int64{"customer_trusted": 2}
	if err := compare(data, "", counts); err != nil {
		t.Errorf("a folder without expected.json: %v", err)
	}
	content := `{"as-of": {"customer_trusted": 2}, "ever": {"customer_trusted": 3}}`
	if err := os.WriteFile(filepath.Join(data, "expected.json"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := compare(data, "", counts); err != nil {
		t.Errorf("right counts: %v", err)
	}
	if err := compare(data, "ever", counts); err == nil || !strings.Contains(err.Error(), "customer_trusted has 2 rows") {
		t.Errorf("wrong counts gave %v", err)
	}
}

func TestWrongCalls(t *testing.T) {
	for _, args := range [][]string{nil, {"sideways"}, {"up", "-nothing"}, {"down", "extra"}} {
		if err := run(t.Context(), args); !errors.Is(err, errUsage) {
			t.Errorf("run(%q) = %v, want the usage", args, err)
		}
	}
	if err := run(t.Context(), []string{"up", "-work", t.TempDir(), "-data", "../../data/contracts"}); err == nil || !strings.Contains(err.Error(), "no landing files") {
		t.Errorf("a folder without data gave %v", err)
	}
}
