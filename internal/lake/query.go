package lake

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
)

const (
	firstPoll   = 20 * time.Millisecond
	slowestPoll = time.Second
)

// Column is a column of a result: its name and Athena's type, e.g. bigint.
type Column struct{ Name, Type string }

// Result is the answer to a query. A nil cell is a null.
type Result struct {
	Columns []Column
	Rows    [][]*string
}

// Text are the rows below the columns' names; a null is empty.
func (r Result) Text() [][]string {
	rows := [][]string{make([]string, len(r.Columns))}
	for i, column := range r.Columns {
		rows[0][i] = column.Name
	}
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = aws.ToString(cell)
		}
		rows = append(rows, cells)
	}
	return rows
}

// QueryError is a query that Athena ended without an answer.
type QueryError struct {
	State  string // FAILED or CANCELLED
	Reason string // Athena's own words, which may quote a value of a row
}

func (e *QueryError) Error() string { return "the query is " + e.State + ": " + e.Reason }

var errorCode = regexp.MustCompile(`^[A-Z][A-Z0-9_]+`)

// Code is the reason without what could quote a value, e.g. HIVE_CURSOR_ERROR; the state when Athena gave no code.
func (e *QueryError) Code() string {
	if code := errorCode.FindString(e.Reason); code != "" {
		return code
	}
	return e.State
}

// Query runs a statement in the lake's workgroup and database, and waits for its whole result. A statement that Athena refuses or
// that fails is an error with Athena's reason, the latter a QueryError. When ctx ends, the query is stopped.
func (l *Lake) Query(ctx context.Context, sql string) (Result, error) {
	start, err := l.Athena.StartQueryExecution(ctx, &athena.StartQueryExecutionInput{
		QueryString:           &sql,
		WorkGroup:             &l.Workgroup,
		QueryExecutionContext: &athenatypes.QueryExecutionContext{Database: &l.Database},
	})
	if err != nil {
		return Result{}, err
	}
	if err := l.wait(ctx, start.QueryExecutionId); err != nil {
		return Result{}, err
	}
	return l.result(ctx, start.QueryExecutionId)
}

// Rows counts the rows of a table.
func (l *Lake) Rows(ctx context.Context, table string) (int64, error) {
	result, err := l.Query(ctx, fmt.Sprintf("select count(*) as n from %q", table))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(aws.ToString(result.Rows[0][0]), 10, 64)
}

func (l *Lake) wait(ctx context.Context, id *string) error {
	for pause := firstPoll; ; pause = min(2*pause, slowestPoll) {
		state, err := l.Athena.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: id})
		if err != nil {
			return err
		}
		switch status := state.QueryExecution.Status; status.State {
		case athenatypes.QueryExecutionStateSucceeded:
			return nil
		case athenatypes.QueryExecutionStateFailed, athenatypes.QueryExecutionStateCancelled:
			return &QueryError{State: string(status.State), Reason: aws.ToString(status.StateChangeReason)}
		}
		select {
		case <-ctx.Done():
			_, err := l.Athena.StopQueryExecution(context.WithoutCancel(ctx), &athena.StopQueryExecutionInput{QueryExecutionId: id})
			if err != nil {
				return fmt.Errorf("%w; the query could not be stopped: %w", ctx.Err(), err)
			}
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (l *Lake) result(ctx context.Context, id *string) (Result, error) {
	var result Result
	pages := athena.NewGetQueryResultsPaginator(l.Athena, &athena.GetQueryResultsInput{QueryExecutionId: id})
	for first := true; pages.HasMorePages(); first = false {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return Result{}, err
		}
		rows := page.ResultSet.Rows
		if first {
			for _, column := range page.ResultSet.ResultSetMetadata.ColumnInfo {
				result.Columns = append(result.Columns, Column{aws.ToString(column.Name), aws.ToString(column.Type)})
			}
			rows = withoutHeader(rows, result.Columns)
		}
		for _, row := range rows {
			cells := make([]*string, len(row.Data))
			for i, datum := range row.Data {
				cells[i] = datum.VarCharValue
			}
			result.Rows = append(result.Rows, cells)
		}
	}
	return result, nil
}

// withoutHeader drops the names of the columns, which come as the first row of a SELECT but not of SHOW or DESCRIBE.
func withoutHeader(rows []athenatypes.Row, columns []Column) []athenatypes.Row {
	if len(rows) == 0 || len(rows[0].Data) != len(columns) {
		return rows
	}
	for i, datum := range rows[0].Data {
		if aws.ToString(datum.VarCharValue) != columns[i].Name {
			return rows
		}
	}
	return rows[1:]
}
