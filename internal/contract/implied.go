package contract

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// JobsFile is where the jobs find what the contracts say and imply, in the folder glue-scripts. It is made of the contracts
// (`make contracts`), so that nobody derives it once more.
const JobsFile = "lakehouse/contracts.json"

// Implied is what the contracts say and imply, with nothing left to defaults or to other contracts.
type Implied struct {
	Tables []Table `json:"tables"` // by name
	Jobs   []Work  `json:"jobs"`   // in the order in which they run
}

// Table is one table.
type Table struct {
	Table        string        `json:"table"`
	Zone         string        `json:"zone"`
	Format       string        `json:"format"`
	Prefix       string        `json:"prefix"` // its place in the lake, with a slash at the end
	PersonalData bool          `json:"personal_data"`
	Key          []string      `json:"key"`
	Columns      []TableColumn `json:"columns"`
	Sort         []string      `json:"sort,omitempty"` // order of the rows in each file
	Checks       []Check       `json:"checks,omitempty"`
	Limits       *Limits       `json:"limits,omitempty"`  // landing tables only, as all below; those of times are in Times
	Times        []Time        `json:"times,omitempty"`   // what is plausible for the columns that hold times (R12)
	Address      string        `json:"address,omitempty"` // the column that names the person by an e-mail address
}

// TableColumn is a column with the key under which delivered files hold it.
type TableColumn struct {
	Column
	JSONKey string `json:"json_key"`
}

// Time is what is plausible for a column that holds a time, in ms.
type Time struct {
	Column   string `json:"column"`
	Earliest int    `json:"earliest"`
	Ahead    int    `json:"ahead"` // how much later than its file a value may be
	Given    bool   `json:"given"` // a value of 0 or less says that nothing was given
}

// Implied is what a loaded set says and implies.
func (s Set) Implied() (Implied, error) {
	jobs, err := s.JobsInOrder()
	if err != nil {
		return Implied{}, err
	}
	implied := Implied{Jobs: jobs}
	for _, c := range s {
		implied.Tables = append(implied.Tables, c.implied())
	}
	return implied, nil
}

func (c Contract) implied() Table {
	table := Table{
		Table: c.Table, Zone: c.Zone, Format: c.Format, Prefix: c.Prefix() + "/", PersonalData: c.PersonalData, Key: c.Key, Checks: c.Checks,
	}
	for _, column := range c.Columns {
		made := TableColumn{Column: column, JSONKey: column.JSONKey()}
		made.Field, made.Like = "", "" // followed
		table.Columns = append(table.Columns, made)
	}
	if c.Layout != nil {
		table.Sort = c.Layout.Sort
	}
	if c.Zone != Landing {
		return table
	}
	var limits Limits
	if c.Limits != nil {
		limits = *c.Limits
	}
	share := DefaultQuarantinedShare
	table.Limits = &Limits{QuarantinedShare: cmp.Or(limits.QuarantinedShare, &share), UnnamedShare: limits.UnnamedShare, Optional: limits.Optional}
	for _, column := range c.Columns {
		switch column.Kind {
		case Email:
			table.Address = column.Name
		case EventTime, ConsentTime:
			table.Times = append(table.Times, limits.of(column))
		}
	}
	return table
}

func (l Limits) of(column Column) Time {
	time := Time{Column: column.Name, Earliest: DefaultEarliestMS, Ahead: DefaultFutureMS, Given: column.Kind == ConsentTime}
	if earliest, given := l.EarliestMS[column.Name]; given {
		time.Earliest = earliest
	}
	if ahead, given := l.FutureMS[column.Name]; given {
		time.Ahead = ahead
	}
	return time
}

// JobsText is the content of JobsFile: JSON, with each object of it on a line of its own.
func (s Set) JobsText() ([]byte, error) {
	implied, err := s.Implied()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(implied)
	return append(bytes.TrimSpace(bytes.ReplaceAll(text, []byte(`{"`), []byte("\n{\""))), '\n'), err
}

// CheckJobsFile fails unless the JobsFile in a folder glue-scripts is what the contracts imply now.
func (s Set) CheckJobsFile(scripts fs.FS) error {
	want, err := s.JobsText()
	if err != nil {
		return err
	}
	found, err := fs.ReadFile(scripts, JobsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.Equal(found, want) {
		return fmt.Errorf("glue-scripts/%s, which the jobs go by, is not what data/contracts say: run `make contracts`", JobsFile)
	}
	return nil
}
