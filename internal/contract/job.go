package contract

import (
	"fmt"
	"slices"
	"strings"
)

// The kinds of jobs: what a job does with the SELECTs of its table.
const (
	// Customers reads the landing table of its source and keeps, beside the target, what is known of everybody's consent. One
	// source is like that: the one that says who agreed.
	Customers = "customers"
	// Readings reads the landing table of its source and lets pass the readings of those who share with research (R3, R4).
	Readings = "readings"
	// Derived makes a table of other tables.
	Derived = "derived"
)

var kinds = []string{Customers, Readings, Derived}

// Tables that every job writes.
const (
	RunLedger    = "run_ledger"    // what became of the rows of every run
	IntakeLedger = "intake_ledger" // what the job's last finished run had read; each job keeps one object of it
)

// ErasureLedger knows who was erased: every job that reads a landing table reads it too. No job of a table writes it, but the one that
// erases people.
const ErasureLedger = "erasure_ledger"

// Objects beside the tables that the job that erases people keeps, and the jobs that read landing tables read.
const (
	ErasureSecret    = "erasure/state/secret"         // the key of the hashes in the erasure ledger
	ErasureRewritten = "erasure/state/rewritten.json" // landing objects that were put anew without the lines of the erased
)

// Job is how a table is made. A table with a job is the target of exactly this one.
type Job struct {
	Name string `json:"name"` // what people start, and what the logs and the ledger say; never to be changed
	Kind string `json:"kind"` // Customers, Readings or Derived
	// Reads are the Iceberg tables that the job's SELECTs read. The landing table of a source is not named.
	Reads []string `json:"reads,omitempty"`

	// Subject is, for Readings, the column that says whose reading it is, and Subjects the shared SELECT that knows what the
	// gate asks about them: people or devices.
	Subject  string `json:"subject,omitempty"`
	Subjects string `json:"subjects,omitempty"`

	// RowsOf is, for Derived, the table or shared SELECT each of whose rows the table's SELECT gives once, accepted or with a
	// reason (R7).
	RowsOf string `json:"rows_of,omitempty"`
}

// Work is a job with what follows from its kind: all that it reads and writes.
type Work struct {
	Job
	Source  string `json:"source"`
	Target  string `json:"target"`            // the table that it makes
	Landing string `json:"landing,omitempty"` // the landing table that it reads; absent: it reads tables only
	// Keeps are the tables beside the target that its later runs read again, in the order in which a run publishes them.
	Keeps      []string `json:"keeps,omitempty"`
	Quarantine string   `json:"quarantine,omitempty"` // the table of what it cannot use of Landing (R8)
	Intake     string   `json:"intake"`               // the object of the intake ledger that is its own
}

// Writes are all tables that the job writes, the target first.
func (w Work) Writes() []string {
	tables := append([]string{w.Target}, slices.Sorted(slices.Values(w.Keeps))...)
	if w.Quarantine != "" {
		tables = append(tables, w.Quarantine)
	}
	return append(tables, RunLedger)
}

// work is the job of a contract that has one.
func (c Contract) work() Work {
	work := Work{Job: *c.Job, Source: c.Source, Target: c.Table, Intake: "intake/" + Ledger + "/" + c.Job.Name + ".json"}
	if c.Job.Kind == Derived {
		return work
	}
	work.Reads = append(slices.Clone(work.Reads), ErasureLedger)
	work.Landing, work.Quarantine = c.Source+"_"+Landing, c.Source+"_"+Quarantine
	work.Keeps = []string{c.Source + "_" + Index}
	if c.Job.Kind == Customers {
		// A run that dies in between leaves more people suspended, never less.
		work.Keeps = []string{c.Source + "_" + Suspension, c.Source + "_" + Consent}
	}
	return work
}

// jobs are the jobs of all contracts, by name.
func (s Set) jobs() []Work {
	var found []Work
	for _, c := range s {
		if c.Job != nil {
			found = append(found, c.work())
		}
	}
	slices.SortFunc(found, func(a, b Work) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// JobsInOrder are the jobs, each after those whose tables it reads; where that leaves a choice, by name. The error names the
// tables of a cycle; Load refuses those.
func (s Set) JobsInOrder() ([]Work, error) {
	waiting := s.jobs()
	maker := map[string]string{} // job by table
	for _, job := range waiting {
		for _, table := range job.Writes() {
			maker[table] = job.Name
		}
	}
	var ordered []Work
	done := map[string]bool{"": true} // who makes the erasure ledger comes before all of them
	for len(waiting) > 0 {
		next := slices.IndexFunc(waiting, func(job Work) bool {
			return !slices.ContainsFunc(job.Reads, func(table string) bool { return !done[maker[table]] })
		})
		if next < 0 {
			var tables []string
			for _, job := range waiting {
				tables = append(tables, fmt.Sprintf("%s reads %s", job.Target, strings.Join(job.Reads, ", ")))
			}
			return nil, fmt.Errorf("jobs: no order in which each reads what another has made before: %s", strings.Join(tables, "; "))
		}
		done[waiting[next].Name] = true
		ordered = append(ordered, waiting[next])
		waiting = slices.Delete(waiting, next, next+1)
	}
	return ordered, nil
}

func (c Contract) checkJob(found *findings) {
	job := c.Job
	if job == nil {
		return
	}
	found.when(!names.MatchString(job.Name), "job.name is %q, want lower-case letters, digits and _", job.Name)
	found.when(c.Format != Iceberg, "job is allowed in format %s only", Iceberg)
	if !slices.Contains(kinds, job.Kind) {
		found.when(true, "job.kind is %q, allowed: %s", job.Kind, strings.Join(kinds, ", "))
		return // what else belongs to it is not known
	}
	found.when(job.Kind == Derived && c.Zone != Curated, "job.kind %s is allowed in zone %s only", Derived, Curated)
	found.when(job.Kind != Derived && c.Zone != Trusted, "job.kind %s is allowed in zone %s only", job.Kind, Trusted)
	found.when(job.Kind != Customers && len(job.Reads) == 0, "job.reads is empty, want the tables that its SELECTs read")
	found.when(job.Kind == Customers && len(job.Reads) > 0, "job.reads is not allowed for kind %s", Customers)
	for i, table := range job.Reads {
		found.when(slices.Contains(job.Reads[:i], table), "job.reads: table %q is given twice", table)
		found.when(table == c.Table, "job.reads: table %q is the job's own", table)
	}
	c.checkReadings(found)
	c.checkDerived(found)
}

func (c Contract) checkReadings(found *findings) {
	job := c.Job
	if job.Kind != Readings {
		found.when(job.Subject != "" || job.Subjects != "", "job.subject and job.subjects are allowed for kind %s only", Readings)
		return
	}
	column, declared := c.column(job.Subject)
	found.when(!declared, "job.subject: column %q is not declared", job.Subject)
	found.when(declared && !column.Personal, "job.subject: column %q names whose reading it is, so it must be personal", job.Subject)
	found.when(!names.MatchString(job.Subjects), "job.subjects is %q, want the name of a shared SELECT", job.Subjects)
}

func (c Contract) checkDerived(found *findings) {
	job := c.Job
	if job.Kind != Derived {
		found.when(job.RowsOf != "", "job.rows_of is allowed for kind %s only", Derived)
		return
	}
	found.when(!names.MatchString(job.RowsOf), "job.rows_of is %q, want the name of a table or of a shared SELECT", job.RowsOf)
}

// checkJobs looks up what a contract's job refers to in other contracts.
func (s Set) checkJobs(c Contract) []error {
	found := &findings{}
	if c.Job == nil {
		return nil
	}
	job := c.work()
	tables := append(slices.Clone(job.Reads), job.Writes()[1:]...)
	if job.Landing != "" {
		tables = append(tables, job.Landing)
	}
	for _, name := range tables {
		table, err := s.Get(name)
		if err != nil {
			found.when(true, "%s.json: job: %w", c.Table, err)
			continue
		}
		found.when(table.Zone == Landing && name != job.Landing,
			"%s.json: job.reads: %s is a landing table; only the job of its own source may read it", c.Table, name)
		found.when(table.Zone != Landing && name != ErasureLedger && !slices.ContainsFunc(s.jobs(), func(other Work) bool { return slices.Contains(other.Writes(), name) }),
			"%s.json: job.reads: no job makes %s", c.Table, name)
	}
	for _, other := range s {
		found.when(other.Job != nil && other.Table > c.Table && other.Job.Name == c.Job.Name,
			"%s.json: job.name: %q is also the job of %s", c.Table, c.Job.Name, other.Table)
	}
	return found.errors
}
