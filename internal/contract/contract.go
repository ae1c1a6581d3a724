// Package contract reads the table contracts: one JSON file a table under data/contracts, the only place where a schema is
// written. Infrastructure, jobs, tests and documentation all follow these files.
package contract

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The zones of the lakehouse, in the order in which data moves through them.
const (
	Landing = "landing" // as delivered
	Trusted = "trusted" // consented, valid
	Curated = "curated" // joined, ready for use
)

// The formats of a table.
const (
	JSON    = "json"    // newline-delimited files as delivered; landing tables only
	Iceberg = "iceberg" // Apache Iceberg; trusted and curated tables only
)

// columnTypes are the types that mean the same in Glue, Athena, Spark and Iceberg.
var columnTypes = []string{"string", "int", "bigint", "double", "boolean"}

// Contract is what one table promises.
type Contract struct {
	Table        string   `json:"table"`         // <source>_<zone>
	Description  string   `json:"description"`   // one sentence for people who query the table
	Source       string   `json:"source"`        // where the data comes from, e.g. "step_trainer"
	Zone         string   `json:"zone"`          // Landing, Trusted or Curated
	Format       string   `json:"format"`        // JSON or Iceberg
	PersonalData bool     `json:"personal_data"` // false declares the table free of personal data
	Key          []string `json:"key"`           // the columns that identify a row
	Columns      []Column `json:"columns"`
}

// Column is one column of a table.
type Column struct {
	Name        string `json:"name"`
	Type        string `json:"type"`               // string, int, bigint, double or boolean
	Field       string `json:"field,omitempty"`    // JSON key in the delivered file; empty: the column's name
	Required    bool   `json:"required,omitempty"` // a row without a value is not valid
	Personal    bool   `json:"personal,omitempty"` // tells who somebody is, or leads to it
	Since       int    `json:"since,omitempty"`    // contract version that added the column; absent: 1
	Description string `json:"description"`
}

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
