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

// Landing is the landing table that the contract's job reads; empty when it reads tables only.
func (c Contract) Landing() string {
	if c.Job == nil || c.Job.Kind == Derived {
		return ""
	}
	return c.Source + "_" + Landing
}

// Keeps are the tables that the contract's job writes beside its target, where later runs and people look.
func (c Contract) Keeps() []string {
	if c.Job == nil {
		return nil
	}
	switch c.Job.Kind {
	case Customers:
		return []string{c.Source + "_" + Consent, c.Source + "_" + Suspension, c.Source + "_" + Quarantine, RunLedger}
	case Readings:
		return []string{c.Source + "_" + Index, c.Source + "_" + Quarantine, RunLedger}
	}
	return []string{RunLedger}
}

// makes tells whether the contract's job writes a table.
func (c Contract) makes(table string) bool {
	return c.Job != nil && (c.Table == table || slices.Contains(c.Keeps(), table))
}

// JobsInOrder are the contracts that have a job, each after those whose tables its job reads; where that leaves a choice, by the
// job's name. The error names the tables of a cycle; Load refuses those.
func (s Set) JobsInOrder() (Set, error) {
	var waiting, ordered Set
	for _, c := range s {
		if c.Job != nil {
			waiting = append(waiting, c)
		}
	}
	slices.SortFunc(waiting, func(a, b Contract) int { return strings.Compare(a.Job.Name, b.Job.Name) })
	maker := map[string]string{} // job by table
	for _, c := range waiting {
		for _, table := range append([]string{c.Table}, c.Keeps()...) {
			maker[table] = c.Job.Name
		}
	}
	done := map[string]bool{}
	for len(waiting) > 0 {
		next := slices.IndexFunc(waiting, func(c Contract) bool {
			return !slices.ContainsFunc(c.Job.Reads, func(table string) bool { return !done[maker[table]] })
		})
		if next < 0 {
			var tables []string
			for _, c := range waiting {
				tables = append(tables, fmt.Sprintf("%s reads %s", c.Table, strings.Join(c.Job.Reads, ", ")))
			}
			return nil, fmt.Errorf("jobs: no order in which each reads what another has made before: %s", strings.Join(tables, "; "))
		}
		done[waiting[next].Job.Name] = true
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
	tables := append(slices.Clone(c.Job.Reads), c.Keeps()...)
	if landing := c.Landing(); landing != "" {
		tables = append(tables, landing)
	}
	for _, name := range tables {
		table, err := s.Get(name)
		if err != nil {
			found.when(true, "%s.json: job: %w", c.Table, err)
			continue
		}
		found.when(table.Zone == Landing && name != c.Landing(),
			"%s.json: job.reads: %s is a landing table; only the job of its own source may read it", c.Table, name)
		found.when(table.Zone != Landing && !slices.ContainsFunc(s, func(other Contract) bool { return other.makes(name) }),
			"%s.json: job.reads: no job makes %s", c.Table, name)
	}
	for _, other := range s {
		found.when(other.Job != nil && other.Table > c.Table && other.Job.Name == c.Job.Name,
			"%s.json: job.name: %q is also the job of %s", c.Table, c.Job.Name, other.Table)
	}
	return found.errors
}
