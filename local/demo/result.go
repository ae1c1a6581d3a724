package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// zones of the grid, in the order data moves through them. What the jobs keep for themselves (consent, excluded, ledger) is not shown.
var zones = []string{"landing", "quarantine", "trusted", "curated"}

// landingQueries are what an analyst asks first, on data that is not loaded anywhere yet.
var landingQueries = []struct{ title, sql string }{
	{
		"who shares with research",
		"select count(*) as customers, count(sharewithresearchasofdate) as share_with_research, count(distinct serialnumber) as devices from customer_landing",
	},
	{
		"readings by whether their person shares with research",
		`select case when c.email is null then 'unknown person' when c.sharewithresearchasofdate is null then 'no' else 'yes' end as shares, ` +
			`count(*) as readings, count(distinct a."user") as people ` +
			`from accelerometer_landing a left join customer_landing c on c.email = a."user" group by 1 order by 1`,
	},
}

// show prints the rows of each table by zone, the funnels of the jobs and the answers of two Athena queries. It fails when the
// data folder says what the counts must be (expected.json of the generator) and they are not.
func (c *clients) show(ctx context.Context, outputs stackOutputs, data, gate string) error {
	tables, err := c.glue.GetTables(ctx, &glue.GetTablesInput{DatabaseName: &outputs.Database})
	if err != nil {
		return err
	}
	counts := map[string]int64{}
	for _, table := range tables.TableList {
		if !inGrid(*table.Name) {
			continue
		}
		if counts[*table.Name], err = c.rows(ctx, outputs, table); err != nil {
			return fmt.Errorf("count the rows of %s: %w", *table.Name, err)
		}
	}
	fmt.Println()
	printTable(grid(counts))
	for _, query := range landingQueries {
		rows, err := c.query(ctx, outputs, query.sql)
		if err != nil {
			return err
		}
		fmt.Printf("\nAthena: %s\n", query.title)
		printTable(rows)
	}
	fmt.Println()
	return compare(data, gate, counts)
}

// rows counts a landing table with Athena; an Iceberg table's current snapshot knows its rows.
func (c *clients) rows(ctx context.Context, outputs stackOutputs, table gluetypes.Table) (int64, error) {
	location, isIceberg := table.Parameters["metadata_location"]
	if !isIceberg {
		answer, err := c.query(ctx, outputs, "select count(*) as n from "+*table.Name)
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(answer[1][0], 10, 64)
	}
	return c.snapshotRows(ctx, location)
}

// snapshotRows reads the number of rows of the current snapshot from an Iceberg metadata file; the jobs write no delete files, so
// total-records is what a reader sees.
func (c *clients) snapshotRows(ctx context.Context, location string) (int64, error) {
	where, err := url.Parse(location)
	if err != nil {
		return 0, err
	}
	object, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &where.Host, Key: aws.String(strings.TrimPrefix(where.Path, "/"))})
	if err != nil {
		return 0, err
	}
	defer object.Body.Close()
	content, err := io.ReadAll(object.Body)
	if err != nil {
		return 0, err
	}
	return currentRows(content)
}

func currentRows(metadata []byte) (int64, error) {
	var table struct {
		Current   *int64 `json:"current-snapshot-id"`
		Snapshots []struct {
			ID      int64             `json:"snapshot-id"`
			Summary map[string]string `json:"summary"`
		} `json:"snapshots"`
	}
	if err := json.Unmarshal(metadata, &table); err != nil {
		return 0, err
	}
	for _, snapshot := range table.Snapshots {
		if table.Current != nil && snapshot.ID == *table.Current {
			return strconv.ParseInt(snapshot.Summary["total-records"], 10, 64)
		}
	}
	return 0, nil // nothing was ever written
}

// query runs a statement in the lake's workgroup and returns the header and the rows.
func (c *clients) query(ctx context.Context, outputs stackOutputs, sql string) ([][]string, error) {
	start, err := c.athena.StartQueryExecution(ctx, &athena.StartQueryExecutionInput{
		QueryString:           &sql,
		WorkGroup:             &outputs.Workgroup,
		QueryExecutionContext: &athenatypes.QueryExecutionContext{Database: &outputs.Database},
	})
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", sql, err)
	}
	for {
		state, err := c.athena.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: start.QueryExecutionId})
		if err != nil {
			return nil, err
		}
		switch status := state.QueryExecution.Status; status.State {
		case athenatypes.QueryExecutionStateSucceeded:
			return c.queryRows(ctx, start.QueryExecutionId)
		case athenatypes.QueryExecutionStateFailed, athenatypes.QueryExecutionStateCancelled:
			return nil, fmt.Errorf("query %q is %s: %s", sql, status.State, aws.ToString(status.StateChangeReason))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *clients) queryRows(ctx context.Context, id *string) ([][]string, error) {
	result, err := c.athena.GetQueryResults(ctx, &athena.GetQueryResultsInput{QueryExecutionId: id})
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, row := range result.ResultSet.Rows {
		var cells []string
		for _, datum := range row.Data {
			cells = append(cells, aws.ToString(datum.VarCharValue))
		}
		rows = append(rows, cells)
	}
	return rows, nil
}

func inGrid(table string) bool {
	return slices.ContainsFunc(zones, func(zone string) bool { return strings.HasSuffix(table, "_"+zone) })
}

// grid is the rows of the tables: sources down, zones across.
func grid(counts map[string]int64) [][]string {
	rows := [][]string{append([]string{"rows"}, zones...)}
	for _, source := range []string{"customer", "accelerometer", "step_trainer", "machine_learning"} {
		row := []string{source}
		for _, zone := range zones {
			cell := ""
			if n, ok := counts[source+"_"+zone]; ok {
				cell = thousands(n)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

func printTable(rows [][]string) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(out, "  "+strings.Join(row, "\t")+"\t")
	}
	out.Flush()
}

// thousands writes 81273 as 81,273.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// compare holds the counts against the folder's expected.json, if it has one.
func compare(data, gate string, counts map[string]int64) error {
	content, err := os.ReadFile(filepath.Join(data, "expected.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var expected map[string]map[string]int64
	if err := json.Unmarshal(content, &expected); err != nil {
		return fmt.Errorf("%s/expected.json: %w", data, err)
	}
	if gate == "" {
		gate = "as-of"
	}
	var wrong []error
	for table, want := range expected[gate] {
		if got := counts[table]; got != want {
			wrong = append(wrong, fmt.Errorf("%s has %d rows, the data's expected.json says %d", table, got, want))
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	step("every count is what the generator planted")
	return nil
}
