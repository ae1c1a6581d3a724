package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"stedi-lakehouse/internal/report"
)

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

// show prints the rows of each table by zone, what was left aside, and the answers of two Athena queries. It fails when the report lacks
// something, and when the data folder says what the counts must be (expected.json of the generator) and they are not.
func (c *clients) show(ctx context.Context, folder, gate string, reported report.Report) error {
	fmt.Println()
	printTable(grid(reported))
	for _, line := range leftAside(reported) {
		fmt.Println("  " + line)
	}
	for _, query := range landingQueries {
		result, err := c.lake.Query(ctx, query.sql)
		if err != nil {
			return fmt.Errorf("query %q: %w", query.sql, err)
		}
		fmt.Printf("\nAthena: %s\n", query.title)
		printTable(result.Text())
	}
	fmt.Println()
	if len(reported.Missing) > 0 {
		return fmt.Errorf("the report lacks something: %s", strings.Join(reported.Missing, "; "))
	}
	return compare(folder, gate, reported.Tables)
}

// grid is the rows of the tables: sources down, zones across.
func grid(reported report.Report) [][]string {
	rows := [][]string{append([]string{"rows"}, report.Zones...)}
	for _, source := range reported.Sources() {
		row := []string{source.Source}
		for _, cell := range source.Cells {
			text := ""
			if cell.Table != nil && cell.Table.Rows != nil {
				text = report.Thousands(*cell.Table.Rows)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return rows
}

// leftAside tells who is suspended (R13), and what lies where data is delivered and is read by no job (R15).
func leftAside(reported report.Report) []string {
	var lines []string
	if people := reported.SuspendedPeople(); people != "" {
		lines = append(lines, "suspended: "+people)
	}
	for _, funnel := range reported.Funnels {
		for _, ignored := range funnel.Ignored {
			objects := report.Plural(ignored.Objects, "object")
			lines = append(lines, fmt.Sprintf("ignored for %s: %s, %s, such as %s", funnel.Table, objects, ignored.Reason, ignored.Example))
		}
	}
	return lines
}

func printTable(rows [][]string) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(out, "  "+strings.Join(row, "\t")+"\t")
	}
	out.Flush()
}

// compare holds the counts against the folder's expected.json, if it has one.
func compare(folder, gate string, tables []report.Table) error {
	content, err := os.ReadFile(filepath.Join(folder, "expected.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var expected map[string]map[string]int64
	if err := json.Unmarshal(content, &expected); err != nil {
		return fmt.Errorf("%s/expected.json: %w", folder, err)
	}
	if gate == "" {
		gate = "as-of"
	}
	if len(expected[gate]) == 0 {
		return fmt.Errorf("%s/expected.json: no counts for gate %s", folder, gate)
	}
	counts := map[string]int64{}
	for _, table := range tables {
		if table.Rows != nil {
			counts[table.Name] = *table.Rows
		}
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
