package report

import (
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/dpu"
	"stedi-lakehouse/internal/lake"
)

func TestPageIsClosedToTheOutside(t *testing.T) {
	library := filepath.Join(t.TempDir(), "charts.js")
	if err := os.WriteFile(library, []byte("var echarts = {init: () => 'a < b && c'};"), 0o644); err != nil {
		t.Fatal(err)
	}
	saved, err := Read("testdata/succeeded.json")
	if err != nil {
		t.Fatal(err)
	}
	saved.Jobs[0].Message = `</script><script src="https://example.com/x.js">`
	path, err := Write(saved, filepath.Join(t.TempDir(), "new"), library)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	if again, err := Read(filepath.Join(filepath.Dir(path), "report.json")); err != nil || !reflect.DeepEqual(again, saved) {
		t.Errorf("report.json is not what was written: %v", err)
	}
	policy := html.UnescapeString(regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)[1])
	scripts := regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`).FindAllStringSubmatch(page, -1)
	if len(scripts) != 3 {
		t.Fatalf("%d scripts, want the report, the library and the page's own", len(scripts))
	}
	for _, script := range scripts[1:] {
		if script[1] != "" || !strings.Contains(policy, hash([]byte(script[2]))) {
			t.Errorf("the policy %s does not let a script of the page run", policy)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "http") {
		t.Errorf("the policy %s lets the page load something", policy)
	}
	if regexp.MustCompile(`(?:src|href)="?(?:https?:)?//`).MatchString(page) {
		t.Error("the page names something outside of it")
	}
}

func TestMissingLibrary(t *testing.T) {
	_, err := Write(Report{}, t.TempDir(), "nowhere/charts.js")
	if err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
}

func TestFunnel(t *testing.T) {
	var funnel Funnel
	for _, line := range []struct {
		outcome, reason string
		rows            int64
		example         string
	}{
		{"read", "all", 100, ""}, {"accepted", "all", 60, ""}, {"excluded", "duplicate", 5, ""}, {"excluded", "no_consent", 30, ""},
		{"quarantined", "malformed", 5, ""}, {"inserted", "all", 7, ""}, {"updated", "all", 2, ""}, {"removed", "all", 3, ""},
		{"drift", "colour", 4, ""}, {"excluded", "none", 0, ""}, {"suspended", "all", 0, ""},
		{"ignored", "hidden", 1, "a/landing/_SUCCESS"}, {"ignored", "unknown_name", 2, "a/landing/b.csv"}, {"ignored", "folder_marker", 0, ""},
	} {
		funnel.add(line.outcome, line.reason, line.rows, line.example)
	}
	want := Funnel{
		Read: 100, Accepted: 60, Inserted: 7, Updated: 2, Removed: 3,
		Excluded: []Count{{"no_consent", 30}, {"duplicate", 5}}, Quarantined: []Count{{"malformed", 5}}, Drift: []Count{{"colour", 4}},
		Suspended: aws.Int64(0), Ignored: []Ignored{{"unknown_name", 2, "a/landing/b.csv"}, {"hidden", 1, "a/landing/_SUCCESS"}},
	}
	if !reflect.DeepEqual(funnel, want) || !funnel.AddsUp() || funnel.Unchanged() {
		t.Errorf("funnel is %+v, want %+v, adding up", funnel, want)
	}
	funnel.add("excluded", "no_consent", 1, "")
	if funnel.AddsUp() {
		t.Error("101 of 100 rows add up")
	}
	if !(Funnel{}).Unchanged() || (Funnel{Removed: 1}).Unchanged() {
		t.Error("a run that only removes rows changes something, one without numbers nothing")
	}
}

func TestLinesOfTheLedger(t *testing.T) {
	columns := []string{"run_id", "job", "table_name", "outcome", "reason", "rows", "engine"}
	c := collector{report: Report{Jobs: []Job{{Name: "first", RunID: "1"}, {Name: "second", RunID: "2"}, {Name: "third", State: NotStarted}}}}
	err := c.lines([][]string{
		columns,
		{"2", "second", "b_trusted", "check", "not_null(email)", "2", "duckdb"}, // it failed: nothing became of the rows that it read
		{"1", "first", "a_trusted", "read", "all", "3", "duckdb"},
		{"1", "first", "a_index", "check", "unique(file)", "0", "duckdb"}, // a table beside the one that the run is about
		{"1", "first", "a_trusted", "accepted", "all", "3", "duckdb"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.report.Funnels; len(got) != 1 || got[0].Table != "a_trusted" || got[0].Read != 3 || !got[0].AddsUp() || got[0].Engine != "duckdb" {
		t.Errorf("funnels are %+v", got)
	}
	want := map[Check]int64{{Table: "b_trusted", Name: "not_null(email)"}: 2, {Table: "a_index", Name: "unique(file)"}: 0}
	if !reflect.DeepEqual(c.failing, want) {
		t.Errorf("checks are %v, want %v", c.failing, want)
	}
	if err := c.lines([][]string{columns, {"1", "first", "a_trusted", "read", "all", "many", "duckdb"}}); err == nil {
		t.Error("rows that are no number are no error")
	}
}

func TestSuspendedPeople(t *testing.T) {
	for want, suspended := range map[string]*int64{"": nil, "nobody": aws.Int64(0), "1 person": aws.Int64(1), "1,200 people": aws.Int64(1200)} {
		report := Report{Funnels: []Funnel{{Table: "a_trusted"}, {Table: "customer_trusted", Suspended: suspended}}}
		if got := report.SuspendedPeople(); got != want {
			t.Errorf("SuspendedPeople is %q, want %q", got, want)
		}
	}
}

func TestEngine(t *testing.T) {
	report := Report{Funnels: []Funnel{{RunID: "1", Engine: "duckdb"}, {RunID: "2"}, {RunID: "3", Engine: "spark"}}}
	for run, want := range map[string]string{"1": "duckdb", "2": "", "3": "spark", "4": "", "": ""} {
		if got := report.Engine(Job{RunID: run}); got != want {
			t.Errorf("the engine of run %q is %q, want %q", run, got, want)
		}
	}
}

func TestCost(t *testing.T) {
	for name, test := range map[string]struct {
		run     gluetypes.JobRun
		seconds float64
		want    float64
	}{
		"an hour":            {gluetypes.JobRun{WorkerType: "G.1X", NumberOfWorkers: aws.Int32(5)}, 3600, 5 * dpu.Dollars},
		"a minute or more":   {gluetypes.JobRun{WorkerType: "G.2X", NumberOfWorkers: aws.Int32(2)}, 4, 4 * dpu.Dollars / 60},
		"counted by Glue":    {gluetypes.JobRun{WorkerType: "G.1X", NumberOfWorkers: aws.Int32(5), DPUSeconds: aws.Float64(1800)}, 3600, dpu.Dollars / 2},
		"of unknown workers": {gluetypes.JobRun{}, 3600, 0},
	} {
		if got := usd(test.run, test.seconds); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestStatesOfChecks(t *testing.T) {
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	c := collector{
		report: Report{Funnels: []Funnel{{Table: "customer_trusted", Read: 3, Inserted: 3}, {Table: "accelerometer_trusted", Read: 3}}},
		failing: map[Check]int64{
			{Table: "customer_trusted", Name: "not_null(email)"}: 0, {Table: "customer_trusted", Name: "unique(email)"}: 0,
			{Table: "customer_curated", Name: "not_null(email)"}: 2, {Table: "customer_curated", Name: "not_null(lastupdatedate)"}: 0,
		},
	}
	states := map[string]string{}
	for _, check := range c.checkStates(contracts) {
		states[check.Table+" "+check.Name] = check.State
	}
	for check, want := range map[string]string{
		"customer_trusted not_null(email)":                   Passed,
		"customer_trusted unique(email)":                     Passed,
		"customer_curated not_null(email)":                   Failed,
		"customer_curated not_null(lastupdatedate)":          Passed,
		"customer_curated unique(email)":                     NotRun, // for another check had failed
		"accelerometer_trusted not_null(user)":               NotRun, // nothing was written
		"machine_learning_curated relationships(subject_id)": NotRun,
	} {
		if states[check] != want {
			t.Errorf("%s is %q, want %q; there are %v", check, states[check], want, states)
		}
	}
	if c.report.Missing != nil {
		t.Errorf("missing is %q", c.report.Missing)
	}
	c.failing = nil // a job of a release before has written
	c.checkStates(contracts)
	if want := []string{"checks of customer_trusted: the ledger says nothing of them"}; !reflect.DeepEqual(c.report.Missing, want) {
		t.Errorf("missing is %q, want %q", c.report.Missing, want)
	}
}

func TestReasonsOfAthenaAreNotRepeated(t *testing.T) {
	var c collector
	c.missing("rows of a", fmt.Errorf("count: %w", &lake.QueryError{State: "FAILED", Reason: "HIVE_BAD_DATA: Malformed value 'jane@example.com'"}))
	c.missing("rows of b", &lake.QueryError{State: "CANCELLED", Reason: "jane@example.com"})
	c.missing("rows of c", errors.New("no network"))
	want := []string{
		"rows of a: the query failed with HIVE_BAD_DATA; Athena's query history has the whole message",
		"rows of b: the query failed with CANCELLED; Athena's query history has the whole message",
		"rows of c: no network",
	}
	if !reflect.DeepEqual(c.report.Missing, want) {
		t.Errorf("missing is %q, want %q", c.report.Missing, want)
	}
}

func TestTotalsSayWhatWasNotCounted(t *testing.T) {
	got := total(Report{
		Tables: []Table{
			{Zone: contract.Landing, Rows: aws.Int64(5)}, {Zone: contract.Landing, Rows: aws.Int64(6)}, {Zone: contract.Landing},
			{Zone: contract.Trusted, Rows: aws.Int64(3)}, {Zone: contract.Curated, Rows: aws.Int64(2)},
		},
		Funnels: []Funnel{{Excluded: []Count{{"duplicate", 1}, {"no_consent", 2}}}, {Excluded: []Count{{"duplicate", 4}}}},
	})
	want := totals{Landing: zoneTotal{11, 2, 1}, Curated: zoneTotal{2, 1, 0}, Excluded: 7}
	if got != want {
		t.Errorf("totals are %+v, want %+v", got, want)
	}
}

func TestOrderOfThePipeline(t *testing.T) {
	report := Report{
		Jobs:     []Job{{Table: "b_trusted"}, {Table: "a_trusted"}, {Table: "c_curated"}, {}},
		Tables:   []Table{{Name: "a_landing", Source: "a"}, {Name: "a_trusted", Source: "a"}, {Name: "c_curated", Source: "c"}, {Name: "b_landing", Source: "b"}, {Name: "b_trusted", Source: "b"}},
		Versions: []Version{{Table: "a_trusted"}, {Table: "b_trusted", Snapshot: "new"}, {Table: "b_trusted", Snapshot: "old"}},
	}
	report.sort()
	var tables []string
	for _, table := range report.Tables {
		tables = append(tables, table.Name)
	}
	if want := []string{"b_landing", "b_trusted", "a_landing", "a_trusted", "c_curated"}; !reflect.DeepEqual(tables, want) {
		t.Errorf("tables are in the order %q, want %q", tables, want)
	}
	if report.Versions[0].Snapshot != "new" || report.Versions[2].Table != "a_trusted" {
		t.Errorf("versions are in the order %+v", report.Versions)
	}
}

func TestFigures(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 956: "956", 1000: "1,000", 1234567: "1,234,567", -100: "-100", -1000: "-1,000"} {
		if got := Thousands(n); got != want {
			t.Errorf("Thousands(%d) = %s, want %s", n, got, want)
		}
	}
	for seconds, want := range map[float64]string{9.44: "9.4 s", 65: "1:05 min", 119.7: "2:00 min", 7380: "2:03 h"} {
		if got := duration(seconds); got != want {
			t.Errorf("duration(%v) = %s, want %s", seconds, got, want)
		}
	}
}
