// Command query asks the lakehouse with SQL through Athena and prints the answer: of stage local in the embedded AWS that
// `make demo KEEP=1` left running, of any other stage with the credentials of the environment.
//
//	query [-stage NAME] [-format table|csv|json] [-work folder] 'select ...'
//
// table: columns in line, "null" for a null. csv: as Athena writes it, a null is empty. json: one object a row and line, in the order of
// the columns, numbers and booleans as such. It is run from the project's top folder. Exit status: 0 when answered, 1 when not, 2 for a
// wrong call.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"stedi-lakehouse/internal/command"
	"stedi-lakehouse/internal/lake"
)

var errUsage = errors.New("usage: query [-stage NAME] [-format table|csv|json] 'select ...' (make query SQL='select ...')")

func main() {
	command.Run("query", errUsage, func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Stdout)
	})
}

var writers = map[string]func(io.Writer, lake.Result) error{"table": writeTable, "csv": writeCSV, "json": writeJSON}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("query", flag.ContinueOnError)
	stage := flags.String("stage", lake.Local, "stage of cdk.json")
	format := flags.String("format", "table", "table, csv or json")
	work := flags.String("work", ".stedi/demo", "folder of the kept demo")
	if flags.Parse(args) != nil || flags.NArg() != 1 || strings.TrimSpace(flags.Arg(0)) == "" {
		return errUsage
	}
	write, known := writers[*format]
	if !known {
		return fmt.Errorf("format %q: %w", *format, errUsage)
	}
	found, err := lake.Open(ctx, "cdk.json", *stage, *work)
	if err != nil {
		return err
	}
	result, err := found.Query(ctx, flags.Arg(0))
	if err != nil {
		return err
	}
	return write(out, result)
}

var numbers = []string{"tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"}

func writeTable(out io.Writer, result lake.Result) error {
	rows := result.Text()
	widths := make([]int, len(result.Columns))
	for r, row := range rows {
		for i := range row {
			if r > 0 && result.Rows[r-1][i] == nil {
				row[i] = "null"
			}
			// A line break inside a value would break the table.
			row[i] = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(row[i])
			widths[i] = max(widths[i], len([]rune(row[i])))
		}
	}
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range slices.Insert(rows, 1, rule) {
		for i, cell := range row {
			if slices.Contains(numbers, result.Columns[i].Type) {
				row[i] = strings.Repeat(" ", widths[i]-len([]rune(cell))) + cell
			}
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	noun := "rows"
	if len(result.Rows) == 1 {
		noun = "row"
	}
	_, err := fmt.Fprintf(out, "(%d %s)\n", len(result.Rows), noun)
	return err
}

func writeCSV(out io.Writer, result lake.Result) error {
	return csv.NewWriter(out).WriteAll(result.Text())
}

func writeJSON(out io.Writer, result lake.Result) error {
	for _, row := range result.Rows {
		fields := make([]string, len(row))
		for i, cell := range row {
			name, err := json.Marshal(result.Columns[i].Name)
			if err != nil {
				return err
			}
			value, err := jsonValue(cell, result.Columns[i].Type)
			if err != nil {
				return err
			}
			fields[i] = fmt.Sprintf("%s: %s", name, value)
		}
		if _, err := fmt.Fprintf(out, "{%s}\n", strings.Join(fields, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// jsonValue is the cell as a JSON number or boolean where its type is one (not NaN or Infinity, which JSON cannot say), else as a string.
func jsonValue(cell *string, athenaType string) ([]byte, error) {
	if cell == nil {
		return []byte("null"), nil
	}
	if (slices.Contains(numbers, athenaType) || athenaType == "boolean") && json.Valid([]byte(*cell)) {
		return []byte(*cell), nil
	}
	return json.Marshal(*cell)
}
