package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/dpu"
	"stedi-lakehouse/internal/lake"
)

// versionsShown is how many snapshots of a table a report holds at most.
const versionsShown = 10

// queriesAtOnce keeps within the queries that a new account may run at once in Athena.
const queriesAtOnce = 5

// Zones are those whose tables the report counts, in the order in which data moves; what does not move on is last.
var Zones = []string{contract.Landing, contract.Trusted, contract.Curated, contract.Quarantine}

// ErrNoExecution is returned for a lakehouse whose state machine has not run yet.
var ErrNoExecution = errors.New("the state machine has not run yet: there is nothing to report")

// Collect reads what is known of the last execution. What cannot be read is listed in Missing; only without the execution and its jobs'
// runs there is no report.
func Collect(ctx context.Context, from *lake.Lake, contracts contract.Set) (Report, error) {
	c := collector{Lake: from, contracts: contracts}
	if err := c.runs(ctx); err != nil {
		return Report{}, err
	}
	known := c.present(ctx)
	c.queries(ctx, known)
	c.report.Checks = c.checkStates(known)
	c.report.sort()
	return c.report, nil
}

// Watch looks at the last execution until it has ended, and shows after each look what is known by then: the execution, its jobs, and
// the funnels of those that have ended. It returns what it has shown last.
func Watch(ctx context.Context, from *lake.Lake, contracts contract.Set, pause time.Duration, show func(Report)) (Report, error) {
	c := collector{Lake: from, contracts: contracts}
	var funnels []Funnel
	var ended []string
	for {
		if err := c.runs(ctx); err != nil {
			return c.report, err
		}
		c.report.Funnels = funnels
		if now := c.report.ended(); !slices.Equal(now, ended) {
			if err := c.ledger(ctx); err != nil {
				c.missing(contract.RunLedger, err)
			} else {
				funnels, ended = c.report.Funnels, now
			}
		}
		show(c.report)
		if !c.report.Running() {
			return c.report, nil
		}
		select {
		case <-ctx.Done():
			return c.report, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// sort puts what came in any order into that of the pipeline: tables as the jobs write them, others by name.
func (r *Report) sort() {
	var order []string
	for _, job := range r.Jobs {
		order = append(order, job.Table)
	}
	source := map[string]int{} // where the source's first table is in that order
	for _, table := range r.Tables {
		if at := position(order, table.Name); source[table.Source] == 0 || at < source[table.Source] {
			source[table.Source] = at
		}
	}
	byTable := func(a, b string) int {
		return cmp.Or(cmp.Compare(position(order, a), position(order, b)), cmp.Compare(a, b))
	}
	slices.SortFunc(r.Tables, func(a, b Table) int {
		return cmp.Or(cmp.Compare(source[a.Source], source[b.Source]), cmp.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(r.Versions, func(a, b Version) int { return byTable(a.Table, b.Table) })
	slices.SortStableFunc(r.Checks, func(a, b Check) int { return byTable(a.Table, b.Table) })
	slices.SortFunc(r.Quarantine, func(a, b Quarantined) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.File, b.File), cmp.Compare(a.Reason, b.Reason))
	})
	slices.Sort(r.Missing)
}

// position is where a name is in a list, from 1; what is not there comes last.
func position(list []string, name string) int {
	if at := slices.Index(list, name); at >= 0 {
		return at + 1
	}
	return len(list) + 1
}

// collector fills a report; what goes wrong in one part is noted and leaves the others.
type collector struct {
	*lake.Lake
	contracts contract.Set
	order     []lake.Job // as they run
	mutex     sync.Mutex
	report    Report
	failing   map[Check]int64 // how often a check has failed, by table and name; what is not in it has not run
}

func (c *collector) missing(what string, err error) {
	why := err.Error()
	var query *lake.QueryError
	if errors.As(err, &query) { // whose reason may quote a value of a row
		why = "the query failed with " + query.Code() + "; Athena's query history has the whole message"
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.report.Missing = append(c.report.Missing, what+": "+why)
}

// runs begins the report anew, with the execution and its jobs.
func (c *collector) runs(ctx context.Context) error {
	c.report = Report{
		Lake: c.Database, Stage: c.Stage, Embedded: c.Stage == lake.Local, Generated: time.Now().UTC().Truncate(time.Second),
		Tables: []Table{}, Funnels: []Funnel{}, Quarantine: []Quarantined{}, Versions: []Version{}, Missing: []string{},
		Cost: Cost{PerDPUHour: dpu.Dollars},
	}
	if err := c.execution(ctx); err != nil {
		return err
	}
	return c.jobs(ctx)
}

func (c *collector) execution(ctx context.Context) error {
	list, err := c.SFN.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &c.StateMachineARN, MaxResults: 1})
	if err != nil {
		return err
	}
	if len(list.Executions) == 0 {
		return ErrNoExecution
	}
	last, err := c.SFN.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: list.Executions[0].ExecutionArn})
	if err != nil {
		return err
	}
	c.report.Execution = Execution{
		Name: aws.ToString(last.Name), Status: string(last.Status), Started: aws.ToTime(last.StartDate), Stopped: last.StopDate,
	}
	if !c.report.Running() && last.Status != sfntypes.ExecutionStatusSucceeded {
		c.report.Execution.Error = aws.ToString(last.Error)
		if cause := aws.ToString(last.Cause); !strings.HasPrefix(cause, "{") { // else it is the failed run, which the jobs tell about
			c.report.Execution.Cause = cause
		}
	}
	return nil
}

// jobs reads the runs that began within the execution: one job has one run at a time.
func (c *collector) jobs(ctx context.Context) error {
	if c.order == nil {
		var err error
		if c.order, err = c.JobOrder(ctx); err != nil {
			return err
		}
	}
	makes := map[string]string{} // table by job
	for _, table := range c.contracts {
		if table.Job != nil {
			makes[table.Job.Name] = table.Table
		}
	}
	began := c.report.Execution.Started.Add(-time.Second) // the services' clocks are not one
	for _, of := range c.order {
		job := Job{Name: of.Name, Table: makes[of.Name], State: NotStarted}
		runs, err := c.Glue.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: &of.Name})
		if err != nil {
			return fmt.Errorf("runs of %s: %w", of.Name, err)
		}
		for _, run := range slices.Backward(runs.JobRuns) { // newest first
			started := aws.ToTime(run.StartedOn)
			if started.Before(began) || (c.report.Execution.Stopped != nil && started.After(*c.report.Execution.Stopped)) {
				continue
			}
			c.add(&job, run)
		}
		if of.Only && job.Attempts == 0 {
			continue // there was nothing for it, or not yet
		}
		c.report.Jobs = append(c.report.Jobs, job)
		c.report.Cost.USD += job.USD
	}
	return nil
}

func (c *collector) add(job *Job, run gluetypes.JobRun) {
	if job.Attempts == 0 {
		job.Started = run.StartedOn
		job.Offset = max(0, run.StartedOn.Sub(c.report.Execution.Started).Seconds())
	}
	seconds := time.Since(aws.ToTime(run.StartedOn)).Seconds()
	if run.CompletedOn != nil {
		seconds = run.CompletedOn.Sub(aws.ToTime(run.StartedOn)).Seconds()
	}
	job.Attempts++
	job.State = string(run.JobRunState)
	job.RunID = aws.ToString(run.Id)
	job.Seconds += seconds
	job.DPUs = dpus(run)
	job.USD += usd(run, seconds)
	job.Message = aws.ToString(run.ErrorMessage)
	c.report.Cost.Flex = c.report.Cost.Flex || run.ExecutionClass == gluetypes.ExecutionClassFlex
}

// present are the contracts whose tables are in the catalog; others are noted.
func (c *collector) present(ctx context.Context) contract.Set {
	tables, err := c.Tables(ctx)
	if err != nil {
		c.missing("tables of the catalog", err)
		return nil
	}
	var known contract.Set
	for _, table := range c.contracts {
		if slices.Contains(tables, table.Table) {
			known = append(known, table)
		} else {
			c.missing(table.Table, errors.New("the catalog has no such table"))
		}
	}
	return known
}

// queries asks Athena for everything that the tables know, some queries at a time.
func (c *collector) queries(ctx context.Context, contracts contract.Set) {
	var group sync.WaitGroup
	turns := make(chan struct{}, queriesAtOnce)
	ask := func(what string, query func(context.Context) error) {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if err := query(ctx); err != nil {
				c.missing(what, err)
			}
		})
	}
	ask(contract.RunLedger, c.ledger)
	for _, table := range contracts {
		if slices.Contains(Zones, table.Zone) {
			ask("rows of "+table.Table, func(ctx context.Context) error { return c.rows(ctx, table) })
		}
		if table.Zone == contract.Quarantine {
			ask("quarantine of "+table.Source, func(ctx context.Context) error { return c.quarantine(ctx, table.Table) })
		}
		if table.Format == contract.Iceberg && slices.Contains(Zones, table.Zone) {
			ask("versions of "+table.Table, func(ctx context.Context) error { return c.versions(ctx, table.Table) })
		}
	}
	group.Wait()
}

func (c *collector) rows(ctx context.Context, table contract.Contract) error {
	counted := Table{Name: table.Table, Source: table.Source, Zone: table.Zone}
	rows, err := c.Rows(ctx, table.Table)
	if err == nil {
		counted.Rows = &rows
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.report.Tables = append(c.report.Tables, counted)
	return err
}

// runIDs are the runs of the execution as a list in SQL.
func (c *collector) runIDs() string {
	quoted := []string{"''"} // an empty list is no SQL
	for _, job := range c.report.Jobs {
		if job.RunID != "" {
			quoted = append(quoted, "'"+strings.ReplaceAll(job.RunID, "'", "''")+"'")
		}
	}
	return strings.Join(quoted, ", ")
}

// ledger reads what became of the rows (R7), in the order of the jobs, and what checks found.
func (c *collector) ledger(ctx context.Context) error {
	// All columns: a lake whose jobs have not run since it was updated has no `example` or `engine` yet.
	answer, err := c.Query(ctx, "select * from run_ledger where run_id in ("+c.runIDs()+")")
	if err != nil {
		return err
	}
	return c.lines(answer.Text())
}

// lines takes the ledger's lines, below the names of its columns.
func (c *collector) lines(text [][]string) error {
	funnels, failing := map[string]*Funnel{}, map[Check]int64{}
	for _, cells := range text[1:] {
		entry := map[string]string{}
		for i, name := range text[0] {
			entry[name] = cells[i]
		}
		rows, err := strconv.ParseInt(entry["rows"], 10, 64)
		if err != nil {
			return err
		}
		if entry["outcome"] == "check" {
			failing[Check{Table: entry["table_name"], Name: entry["reason"]}] = rows
			continue
		}
		run := entry["run_id"]
		if funnels[run] == nil {
			funnels[run] = &Funnel{
				RunID: run, Job: entry["job"], Table: entry["table_name"], Engine: entry["engine"],
				Excluded: []Count{}, Quarantined: []Count{}, Drift: []Count{}, Ignored: []Ignored{},
			}
		}
		funnels[run].add(entry["outcome"], entry["reason"], rows, entry["example"])
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.failing, c.report.Funnels = failing, []Funnel{}
	for _, job := range c.report.Jobs {
		if funnel := funnels[job.RunID]; funnel != nil {
			c.report.Funnels = append(c.report.Funnels, *funnel)
		}
	}
	return nil
}

// add takes an entry of the ledger. Its key is run, table, outcome and reason: none comes twice.
func (f *Funnel) add(outcome, reason string, rows int64, example string) {
	single := map[string]*int64{"read": &f.Read, "accepted": &f.Accepted, "inserted": &f.Inserted, "updated": &f.Updated, "removed": &f.Removed}
	byReason := map[string]*[]Count{"excluded": &f.Excluded, "quarantined": &f.Quarantined, "drift": &f.Drift}
	if total, found := single[outcome]; found {
		*total += rows
	} else if counts, found := byReason[outcome]; found && rows > 0 {
		*counts = append(*counts, Count{reason, rows})
		slices.SortFunc(*counts, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Reason, b.Reason)) })
	} else if outcome == "suspended" {
		f.Suspended = &rows
	} else if outcome == "ignored" && rows > 0 {
		f.Ignored = append(f.Ignored, Ignored{reason, rows, example})
		slices.SortFunc(f.Ignored, func(a, b Ignored) int {
			return cmp.Or(cmp.Compare(b.Objects, a.Objects), cmp.Compare(a.Reason, b.Reason))
		})
	}
}

// quarantine counts by file and reason. It reads no other column: a line may hold personal data.
func (c *collector) quarantine(ctx context.Context, table string) error {
	answer, err := c.Query(ctx, fmt.Sprintf("select file, reason, count(*) as rows, count_if(run_id in (%s)) as recent from %s group by 1, 2", c.runIDs(), table))
	if err != nil {
		return err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, cells := range answer.Text()[1:] {
		rows, err := strconv.ParseInt(cells[2], 10, 64)
		if err != nil {
			return err
		}
		recent, err := strconv.ParseInt(cells[3], 10, 64)
		if err != nil {
			return err
		}
		c.report.Quarantine = append(c.report.Quarantine, Quarantined{Table: table, File: cells[0], Reason: cells[1], Rows: rows, New: recent})
	}
	return nil
}

// versions reads the newest snapshots from the table's metadata, with what they are to readers.
func (c *collector) versions(ctx context.Context, table string) error {
	answer, err := c.Query(ctx, fmt.Sprintf(`select s.snapshot_id, s.committed_at, s.operation,
		element_at(s.summary, 'total-records') as total, element_at(s.summary, 'added-records') as added,
		element_at(s.summary, 'deleted-records') as deleted, case when r.name is not null then 'current'
			when s.snapshot_id in (select snapshot_id from "%[1]s$history") then 'earlier' else 'draft' end as state
		from "%[1]s$snapshots" s left join "%[1]s$refs" r on r.snapshot_id = s.snapshot_id and r.name = 'main'
		order by s.committed_at desc limit %[2]d`, table, versionsShown))
	if err != nil {
		return err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, cells := range answer.Text()[1:] {
		version := Version{Table: table, Snapshot: cells[0], Committed: strings.TrimSuffix(cells[1], " UTC"), Operation: cells[2], State: cells[6]}
		for i, target := range []*int64{&version.Added, &version.Deleted} {
			if text := cells[4+i]; text != "" {
				if *target, err = strconv.ParseInt(text, 10, 64); err != nil {
					return err
				}
			}
		}
		if rows, err := strconv.ParseInt(cells[3], 10, 64); err == nil {
			version.Rows = &rows
		}
		c.report.Versions = append(c.report.Versions, version)
	}
	return nil
}

// checkStates tells of each check of a table that the execution's runs write whether it held.
func (c *collector) checkStates(contracts contract.Set) []Check {
	written := map[string]bool{}
	for _, funnel := range c.report.Funnels {
		written[funnel.Table] = funnel.Inserted+funnel.Updated+funnel.Removed > 0
	}
	states := []Check{}
	for _, table := range contracts {
		if table.Zone != contract.Trusted && table.Zone != contract.Curated {
			continue
		}
		told := false
		for _, name := range checks(table) {
			check := Check{Table: table.Table, Name: name}
			failed, ran := c.failing[check]
			switch {
			case !ran:
				check.State = NotRun
			case failed > 0:
				check.State = Failed
			default:
				check.State = Passed
			}
			told = told || ran
			states = append(states, check)
		}
		if written[table.Table] && !told { // by a job from before the ledger had checks
			c.missing("checks of "+table.Table, errors.New("the ledger says nothing of them"))
		}
	}
	return states
}
