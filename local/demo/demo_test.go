package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stedi-lakehouse/internal/report"
)

func TestLedgerLine(t *testing.T) {
	one, none := int64(1), int64(0)
	for name, test := range map[string]struct {
		entry report.Funnel
		want  string
	}{
		"reasons": {
			report.Funnel{Read: 10, Accepted: 4, Excluded: []report.Count{{Reason: "no_consent", Rows: 3}, {Reason: "duplicate", Rows: 1}}, Quarantined: []report.Count{{Reason: "malformed", Rows: 2}}},
			"read 10 = 4 accepted + 3 no_consent + 1 duplicate + 2 malformed",
		},
		"changed":               {report.Funnel{Read: 2, Accepted: 2, Inserted: 1, Updated: 1}, "read 2 = 2 accepted"},
		"nothing read, changed": {report.Funnel{Removed: 1200}, "read 0 = 0 accepted; removed 1,200"},
		"drift": {
			report.Funnel{Read: 5, Accepted: 5, Removed: 12, Drift: []report.Count{{Reason: "battery", Rows: 3}, {Reason: "colour", Rows: 1}}},
			"read 5 = 5 accepted; removed 12; drift: 3 rows with unknown key battery, 1 row with unknown key colour",
		},
		"suspended and ignored": {
			report.Funnel{Read: 1, Accepted: 1, Suspended: &one, Ignored: []report.Ignored{{Reason: "unknown_name", Objects: 2}, {Reason: "hidden", Objects: 1}}},
			"read 1 = 1 accepted; 1 person suspended; 3 objects ignored",
		},
		"nobody suspended": {report.Funnel{Read: 1, Accepted: 1, Suspended: &none}, "read 1 = 1 accepted"},
	} {
		if got := funnel(test.entry); got != test.want {
			t.Errorf("%s: funnel = %q, want %q", name, got, test.want)
		}
	}
}

func TestProgress(t *testing.T) {
	first, atWork := report.Job{Name: "first", Table: "t", State: "SUCCEEDED", RunID: "1", Seconds: 10}, report.Job{Name: "second", State: "RUNNING", RunID: "2", Seconds: 80}
	second, third := report.Job{Name: "second", State: "SUCCEEDED", RunID: "2", Seconds: 81}, report.Job{Name: "third", Table: "u", State: report.NotStarted}
	failing, fourth := report.Job{Name: "third", Table: "u", State: "FAILED", RunID: "3", Seconds: 1}, report.Job{Name: "fourth", Table: "v", State: report.NotStarted}
	looks := []report.Report{
		{Execution: report.Execution{Status: "RUNNING"}, Jobs: []report.Job{first, atWork, third, fourth}},
		{Execution: report.Execution{Status: "RUNNING"}, Jobs: []report.Job{first, second, third, fourth}},
		{Execution: report.Execution{Status: "FAILED"}, Jobs: []report.Job{first, second, failing, fourth}},
	}
	for i := range looks {
		looks[i].Funnels = []report.Funnel{{Table: "t", RunID: "1", Engine: "duckdb", Read: 2, Accepted: 2}}
	}
	one, two, three := "✓ 1/4 first SUCCEEDED 10.0 s on duckdb t: read 2 = 2 accepted", "✓ 2/4 second SUCCEEDED 81.0 s", "✗ 3/4 third FAILED 1.0 s"
	for name, test := range map[string]struct {
		terminal bool
		want     string // of what is printed by the looks; spaces are joined
	}{
		"in a CI each run is told once, when it has ended": {false, strings.Join([]string{one, two, three}, " ")},
		"in a terminal the job at work is the last line": {true, strings.Join([]string{
			one, "~ 2/4 second RUNNING 80 s", two, "~ 3/4 third waiting to start", three,
		}, " ")},
	} {
		view := &progress{shown: map[string]bool{}, terminal: test.terminal}
		printed := capture(t, func() error {
			for _, look := range looks {
				view.show(look)
			}
			return nil
		})
		if got := plain(printed); got != test.want {
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

// A run that finds nothing new adds nothing to the ledger; of a ledger that cannot be read nothing is known.
func TestNothingNew(t *testing.T) {
	quiet := report.Report{Jobs: []report.Job{{Name: "j", Table: "t", State: "SUCCEEDED", RunID: "1"}}}
	for want, missing := range map[string][]string{
		"✓ 1/1 j SUCCEEDED 0.0 s t: nothing new": nil,
		"✓ 1/1 j SUCCEEDED 0.0 s":                {"run_ledger: no network"},
	} {
		quiet.Missing = missing
		printed := capture(t, func() error { (&progress{shown: map[string]bool{}}).show(quiet); return nil })
		if got := plain(printed); got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	}
}

// plain is what was printed without the moment's picture of the spinner, and with one space between words.
func plain(printed string) string {
	printed = regexp.MustCompile("["+string(spinner)+"]").ReplaceAllString(strings.ReplaceAll(printed, clearLine, " "), "~")
	return strings.Join(strings.Fields(printed), " ")
}

func TestFailure(t *testing.T) {
	execution := report.Execution{Status: "FAILED", Error: "E", Cause: "why"}
	succeeded, never := report.Job{Name: "a", State: "SUCCEEDED"}, report.Job{Name: "c", State: report.NotStarted}
	failed := report.Job{Name: "b", State: "FAILED", Message: "b: 2 rows"}
	for want, ended := range map[string]report.Report{
		"the execution is FAILED: b is FAILED: b: 2 rows": {Execution: execution, Jobs: []report.Job{succeeded, failed, never}},
		"the execution is FAILED: E: why":                 {Execution: execution, Jobs: []report.Job{succeeded, never}},
	} {
		if err := failure(ended); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := failure(report.Report{Execution: report.Execution{Status: "SUCCEEDED"}}); err != nil {
		t.Errorf("a run that succeeded gives %v", err)
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
	rows := func(n int64) *int64 { return &n }
	reported := report.Report{Tables: []report.Table{
		{Name: "customer_landing", Source: "customer", Zone: "landing", Rows: rows(0)}, {Name: "customer_trusted", Source: "customer", Zone: "trusted", Rows: rows(3000)},
		{Name: "customer_quarantine", Source: "customer", Zone: "quarantine", Rows: rows(1000)}, {Name: "step_trainer_trusted", Source: "step_trainer", Zone: "trusted"},
		{Name: "machine_learning_curated", Source: "machine_learning", Zone: "curated", Rows: rows(7000)},
	}}
	want := [][]string{
		{"rows", "landing", "trusted", "curated", "quarantine"},
		{"customer", "0", "3,000", "", "1,000"},
		{"step_trainer", "", "", "", ""},
		{"machine_learning", "", "", "7,000", ""},
	}
	if got := grid(reported); !reflect.DeepEqual(got, want) {
		t.Errorf("grid is %q\nwant %q", got, want)
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
	two := int64(2)
	counts := []report.Table{{Name: "customer_trusted", Rows: &two}, {Name: "customer_curated"}}
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

// What CloudFormation and S3 say after a destroy.
func TestNothingRemains(t *testing.T) {
	var stack, event, bucket string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.FormValue("Action") {
		case "ListStacks":
			fmt.Fprintf(w, `<ListStacksResponse><ListStacksResult><StackSummaries>
				<member><StackName>CDKToolkit</StackName><StackId>toolkit</StackId><StackStatus>CREATE_COMPLETE</StackStatus></member>
				<member><StackName>stedi-local-catalog</StackName><StackId>catalog</StackId><StackStatus>%s</StackStatus></member>
				</StackSummaries></ListStacksResult></ListStacksResponse>`, stack)
		case "DescribeStackEvents":
			fmt.Fprintf(w, `<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents>
				<member><ResourceType>AWS::KMS::Key</ResourceType><PhysicalResourceId>of %s</PhysicalResourceId><ResourceStatus>%s</ResourceStatus></member>
				</StackEvents></DescribeStackEventsResult></DescribeStackEventsResponse>`, r.FormValue("StackName"), event)
		default:
			fmt.Fprintf(w, `<ListAllMyBucketsResult><Buckets><Bucket><Name>%s</Name></Bucket></Buckets></ListAllMyBucketsResult>`, bucket)
		}
	}))
	defer server.Close()
	for want, said := range map[string][3]string{
		"": {"DELETE_COMPLETE", "DELETE_COMPLETE", bootstrapBucket},
		"cdk destroy left behind: stack stedi-local-catalog, which is DELETE_FAILED": {"DELETE_FAILED", "DELETE_COMPLETE", bootstrapBucket},
		"cdk destroy left behind: AWS::KMS::Key of catalog":                          {"DELETE_COMPLETE", "DELETE_SKIPPED", bootstrapBucket},
		"cdk destroy left behind: bucket lake":                                       {"DELETE_COMPLETE", "DELETE_COMPLETE", "lake"},
	} {
		stack, event, bucket = said[0], said[1], said[2]
		got := ""
		if err := newClients(server.URL).nothingRemains(t.Context()); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("of %q: %q, want %q", said, got, want)
		}
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
