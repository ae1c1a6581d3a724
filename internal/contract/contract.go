// Package contract reads the table contracts: one JSON file a table under data/contracts, the only place where a schema is
// written. Infrastructure, jobs, tests and documentation all follow these files. Beside the columns a contract may say how much
// bad data a landing table takes (limits), what must be true of the rows of an Iceberg table before they are published (checks),
// in which order its files hold them (layout), and which job makes it of what (job).
// Stacks, checks and reports get the set that Load has read and checked.
package contract

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The zones of the lakehouse: those that data moves through, in that order, with what is kept beside them.
const (
	Landing    = "landing"    // as delivered
	Quarantine = "quarantine" // delivered rows that cannot be used (R8)
	Consent    = "consent"    // what people said about sharing, whether they agreed or not
	Suspension = "suspension" // what people may have said, and nobody can read (R13)
	Index      = "index"      // which landing files hold readings of whom
	Trusted    = "trusted"    // consented, valid
	Curated    = "curated"    // joined, ready for use
	Ledger     = "ledger"     // what the runs did
	Requests   = "requests"   // who asked to be forgotten (R17)
)

var zones = []string{Landing, Quarantine, Consent, Suspension, Index, Trusted, Curated, Ledger, Requests}

// The formats of a table.
const (
	JSON    = "json"    // newline-delimited files; landing tables, requests, and ledgers of a few lines
	Iceberg = "iceberg" // Apache Iceberg; every zone but landing and requests
)

// formats are the formats allowed in a zone.
func formats(zone string) []string {
	switch zone {
	case Landing, Requests:
		return []string{JSON}
	case Ledger:
		return []string{JSON, Iceberg}
	}
	return []string{Iceberg}
}

// columnTypes are the types that mean the same in Glue, Athena, Spark and Iceberg.
var columnTypes = []string{"string", "int", "bigint", "double", "boolean"}

// Contract is what one table promises.
type Contract struct {
	Table        string   `json:"table"`         // <source>_<zone>
	Description  string   `json:"description"`   // one sentence for people who query the table
	Source       string   `json:"source"`        // where the data comes from, e.g. "step_trainer"
	Zone         string   `json:"zone"`          // one of the zones above
	Format       string   `json:"format"`        // JSON or Iceberg
	PersonalData bool     `json:"personal_data"` // false declares the table free of personal data
	Key          []string `json:"key"`           // the columns that identify a row
	Columns      []Column `json:"columns"`
	Limits       *Limits  `json:"limits,omitempty"` // landing tables only; absent: the defaults of Limits
	Checks       []Check  `json:"checks,omitempty"` // Iceberg tables only
	Layout       *Layout  `json:"layout,omitempty"` // Iceberg tables only; absent: rows lie in files as they come
	Job          *Job     `json:"job,omitempty"`    // how the table is made; absent: delivered, or written beside another one
}

// Column is one column of a table.
type Column struct {
	Name        string `json:"name"`
	Type        string `json:"type"`                  // string, int, bigint, double or boolean
	Field       string `json:"field,omitempty"`       // JSON key in the delivered file; empty: the column's name
	Kind        string `json:"kind,omitempty"`        // landing tables and requests: what the value is, see the kinds below; empty: nothing that has rules of its own
	Required    bool   `json:"required,omitempty"`    // a row without a value is not valid
	Personal    bool   `json:"personal,omitempty"`    // tells who somebody is, or leads to it
	Pseudonym   bool   `json:"pseudonym,omitempty"`   // stands for personal data: a SHA-256 of it, and nothing else
	Since       int    `json:"since,omitempty"`       // contract version that added the column; absent: 1
	Like        string `json:"like,omitempty"`        // <table>.<column> that has the description of this one too
	Description string `json:"description,omitempty"` // once loaded, that of Like
}

// The kinds of a landing column whose values have rules of their own.
const (
	Email       = "email"        // names a person; normalised where it is read (R11)
	EventTime   = "event_time"   // ms since epoch at which something happened; plausible within Limits (R12)
	ConsentTime = "consent_time" // ms since epoch from which somebody shares, or 0 and less for not at all; plausible likewise
)

// kindTypes are the types that a column of a kind has.
var kindTypes = map[string]string{Email: "string", EventTime: "bigint", ConsentTime: "bigint"}

// UnmarshalJSON fills in the default of since, so that a written 0 is still seen as the mistake it is.
func (c *Column) UnmarshalJSON(data []byte) error {
	type plain Column
	column := plain{Since: 1}
	if err := json.Unmarshal(data, &column); err != nil {
		return err
	}
	*c = Column(column)
	return nil
}

// What Limits are where a contract says nothing else.
const (
	DefaultQuarantinedShare = 0.01            // 1 % of the rows (R8)
	DefaultEarliestMS       = 946_684_800_000 // 2000-01-01T00:00:00Z (R12)
	DefaultFutureMS         = 24 * 60 * 60 * 1000
)

// Limits say from when on delivered rows are not usable.
type Limits struct {
	// FutureMS is how many ms a time may be later than its file was delivered, by column with a kind of time: devices' clocks are
	// not exact. A row with a later time is quarantined as future_time (R12). A column that is not named: DefaultFutureMS.
	FutureMS map[string]int `json:"future_ms,omitempty"`
	// EarliestMS is the first plausible moment of a time in ms since epoch, likewise by column. A row with an earlier time is
	// quarantined as implausible_time (R12). A column that is not named: DefaultEarliestMS.
	EarliestMS map[string]int `json:"earliest_ms,omitempty"`
	// Optional lets a run find no file at all of a source that has not delivered anything yet. Absent: such a run fails.
	Optional bool `json:"optional,omitempty"`
	// QuarantinedShare is which part, 0 to 1, of the rows read a run may quarantine; a run with more fails before it writes
	// anything. Absent: DefaultQuarantinedShare.
	QuarantinedShare *float64 `json:"quarantined_share,omitempty"`
	// UnnamedShare is the same for rows of which not even the address in a column of kind email can be read (R13). Absent:
	// QuarantinedShare alone counts.
	UnnamedShare *float64 `json:"unnamed_share,omitempty"`
}

// The kinds of checks, as dbt names its generic tests. Two of dbt's are not written as checks: not_null follows from a column
// that is required, unique from the key.
const (
	AcceptedRange  = "accepted_range"  // of a numeric column: min, max or both, each included
	AcceptedValues = "accepted_values" // of a string column: values
	Relationships  = "relationships"   // every value is found in to.field
)

// Check is what must be true of every row of a table. No check is about rows without a value in the column.
type Check struct {
	Check  string   `json:"check"` // AcceptedRange, AcceptedValues or Relationships
	Column string   `json:"column"`
	Min    *float64 `json:"min,omitempty"`
	Max    *float64 `json:"max,omitempty"`
	Values []string `json:"values,omitempty"`
	To     string   `json:"to,omitempty"`    // a table, or a SELECT that jobs share
	Field  string   `json:"field,omitempty"` // the column of To
}

// Layout is how the rows of a table lie in its files.
type Layout struct {
	Sort []string `json:"sort"` // columns by which each file is ordered, so that readers can skip what they do not look for
}

// JSONKey is the key under which the delivered files hold the column.
func (c Column) JSONKey() string {
	if c.Field != "" {
		return c.Field
	}
	return c.Name
}

// Prefix is the table's place in the lake, without a slash at either end: <source>/<zone>.
func (c Contract) Prefix() string {
	return c.Source + "/" + c.Zone
}

// TemplateColumns are the columns that the CloudFormation template of the table declares. For an Iceberg table these are the
// columns of version 1 for ever: CloudFormation breaks such a table when it updates it, so the jobs add later columns.
func (c Contract) TemplateColumns() []Column {
	if c.Format != Iceberg {
		return c.Columns
	}
	return slices.DeleteFunc(slices.Clone(c.Columns), func(column Column) bool { return column.Since > 1 })
}

// Set is all contracts, ordered by table name.
type Set []Contract

// Get returns the contract of a table; the error names the tables there are.
func (s Set) Get(table string) (Contract, error) {
	names := make([]string, 0, len(s))
	for _, contract := range s {
		if contract.Table == table {
			return contract, nil
		}
		names = append(names, contract.Table)
	}
	return Contract{}, fmt.Errorf("no contract for table %q; there are contracts for %q", table, names)
}
