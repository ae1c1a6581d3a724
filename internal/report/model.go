// Package report shows one run of the pipeline: collected from a lakehouse through Athena, Step Functions and Glue into a Report, which
// is written as report.json and, for people, as report.html, one page that holds all it needs. It holds counts, names of tables and
// files, reasons and checks, and never a value of a row.
// tools/report and the demo make it.
package report

import (
	"strings"
	"time"

	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"stedi-lakehouse/internal/contract"
)

// States of a job and of a check beside Glue's own states of a run.
const (
	NotStarted = "NOT_STARTED" // the execution ended, or is, before this job
	Passed     = "passed"      // what the run wrote held it
	Failed     = "failed"      // and nothing was published
	NotRun     = "not run"     // nothing was written, so nothing was checked; or another check had failed before
)

// States of a version of a table.
const (
	Current = "current" // what readers see
	Earlier = "earlier" // what readers saw
	Draft   = "draft"   // on a branch of a run that did not publish it, or a step towards a version
)

// Report is what is known of one execution of the state machine.
type Report struct {
	Lake      string    `json:"lake"` // name of the database
	Stage     string    `json:"stage"`
	Embedded  bool      `json:"embedded"` // ran in the embedded AWS: times, and so costs, are this machine's
	Generated time.Time `json:"generated"`
	Execution Execution `json:"execution"`
	Jobs      []Job     `json:"jobs"` // in the order in which they run
	Cost      Cost      `json:"cost"`
	// Tables are those of the zones that data moves through, and of the quarantine.
	Tables     []Table       `json:"tables"`
	Funnels    []Funnel      `json:"funnels"` // one for each job that recorded its numbers
	Quarantine []Quarantined `json:"quarantine"`
	Versions   []Version     `json:"versions"` // newest first, at most versionsShown a table
	Checks     []Check       `json:"checks"`
	// Missing says what could not be read and why; a part that is missing is never shown as empty or as well.
	Missing []string `json:"missing"`
}

// Execution is the execution of the state machine.
type Execution struct {
	Name    string     `json:"name"`
	Status  string     `json:"status"` // RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED
	Started time.Time  `json:"started"`
	Stopped *time.Time `json:"stopped,omitempty"`
	Error   string     `json:"error,omitempty"`
	Cause   string     `json:"cause,omitempty"`
}

// Running tells whether the execution is still at work.
func (r Report) Running() bool { return r.Execution.Status == string(sfntypes.ExecutionStatusRunning) }

// Job is the last run of a job within the execution.
type Job struct {
	Name     string     `json:"name"`
	Table    string     `json:"table,omitempty"` // that it makes; empty for maintenance
	State    string     `json:"state"`           // Glue's JobRunState, or NotStarted
	RunID    string     `json:"run_id,omitempty"`
	Attempts int        `json:"attempts"` // runs within the execution
	Started  *time.Time `json:"started,omitempty"`
	Seconds  float64    `json:"seconds"` // of all attempts; of one at work: so far
	Offset   float64    `json:"offset"`  // seconds from the start of the execution to that of the first attempt
	DPUs     float64    `json:"dpus"`
	USD      float64    `json:"usd"` // of all attempts
	Message  string     `json:"message,omitempty"`
}

// Ended tells whether the job's last run is over.
func (j Job) Ended() bool {
	switch gluetypes.JobRunState(j.State) {
	case NotStarted, gluetypes.JobRunStateStarting, gluetypes.JobRunStateRunning, gluetypes.JobRunStateStopping, gluetypes.JobRunStateWaiting:
		return false
	}
	return true
}

// ended are the runs that are over and may have recorded their numbers.
func (r Report) ended() []string {
	var runs []string
	for _, job := range r.Jobs {
		if job.Table != "" && job.Ended() {
			runs = append(runs, job.RunID)
		}
	}
	return runs
}

// Cost is an estimate of what the jobs' runs cost.
type Cost struct {
	USD        float64 `json:"usd"`
	PerDPUHour float64 `json:"per_dpu_hour"`
	Flex       bool    `json:"flex"` // some run was Flex, which costs less than this estimate
}

// Table is a table and how many rows it holds now.
type Table struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Zone   string `json:"zone"`
	Rows   *int64 `json:"rows"` // nil: could not be counted
}

// Count is a number of rows with a reason.
type Count struct {
	Reason string `json:"reason"`
	Rows   int64  `json:"rows"`
}

// Ignored are objects below a source's landing prefix that no job reads (R15).
type Ignored struct {
	Reason  string `json:"reason"`
	Objects int64  `json:"objects"`
	Example string `json:"example,omitempty"` // one of their keys
}

// Funnel is the ledger's entry of one run for its table (R7).
type Funnel struct {
	Table       string  `json:"table"`
	Job         string  `json:"job"`
	RunID       string  `json:"run_id"`
	Engine      string  `json:"engine,omitempty"` // duckdb or spark; empty: the ledger does not say
	Read        int64   `json:"read"`
	Accepted    int64   `json:"accepted"`
	Excluded    []Count `json:"excluded"`    // greatest first
	Quarantined []Count `json:"quarantined"` // greatest first
	Inserted    int64   `json:"inserted"`
	Updated     int64   `json:"updated"`
	Removed     int64   `json:"removed"`
	Drift       []Count `json:"drift"` // by the key that no contract knows
	// Suspended is how many people are suspended after the run (R13); nil: not said, as by every job but the customers'.
	Suspended *int64    `json:"suspended,omitempty"`
	Ignored   []Ignored `json:"ignored"` // most objects first
}

// AddsUp tells whether every row read has become something (R7).
func (f Funnel) AddsUp() bool { return f.Read == f.Accepted+sum(f.Excluded)+sum(f.Quarantined) }

// Unchanged tells whether the run found nothing to do.
func (f Funnel) Unchanged() bool { return f.Read+f.Inserted+f.Updated+f.Removed == 0 }

func sum(counts []Count) int64 {
	var total int64
	for _, count := range counts {
		total += count.Rows
	}
	return total
}

// Quarantined are rows of one file that a quarantine table holds now, for one reason.
type Quarantined struct {
	Table  string `json:"table"`
	File   string `json:"file"`
	Reason string `json:"reason"`
	Rows   int64  `json:"rows"`
	New    int64  `json:"new"` // of these, put aside in this execution
}

// Version is a snapshot of an Iceberg table.
type Version struct {
	Table     string `json:"table"`
	Snapshot  string `json:"snapshot"`
	Committed string `json:"committed"` // UTC, e.g. 2026-11-25 21:16:16.063
	Operation string `json:"operation"`
	Rows      *int64 `json:"rows"` // after it
	Added     int64  `json:"added"`
	Deleted   int64  `json:"deleted"`
	State     string `json:"state"` // Current, Earlier or Draft
}

// Check is a data check of a contract.
type Check struct {
	Table string `json:"table"`
	Name  string `json:"name"`  // e.g. not_null(email)
	State string `json:"state"` // Passed, Failed or NotRun
}

// checks are the checks of a contract, under the names that the jobs give them.
func checks(of contract.Contract) []string {
	var names []string
	for _, column := range of.Columns {
		if column.Required {
			names = append(names, "not_null("+column.Name+")")
		}
	}
	for _, check := range of.Checks {
		names = append(names, check.Check+"("+check.Column+")")
	}
	return append(names, "unique("+strings.Join(of.Key, ", ")+")")
}
