// Package lineage holds the SELECTs against the contracts: what they read must be declared, and no column may carry personal data
// further than its contract says. The SQL is read by sqlglot, a parser in Python, so `make setup` comes before.
// main.go asks it before it makes a stack.
package lineage

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"strings"

	"stedi-lakehouse/internal/contract"
)

//go:embed lineage.py
var script string

// Input is what the script reads.
type input struct {
	Tables  map[string]table  `json:"tables"`
	Jobs    []job             `json:"jobs"`
	Selects map[string]string `json:"selects"` // text by zone/name
}

type table struct {
	PersonalData bool              `json:"personal_data"`
	Columns      map[string]column `json:"columns"`
}

type column struct {
	Personal  bool `json:"personal"`
	Pseudonym bool `json:"pseudonym"`
	Required  bool `json:"required"`
}

type job struct {
	Table  string   `json:"table"`
	Zone   string   `json:"zone"`
	Kind   string   `json:"kind"`
	Source string   `json:"source"`
	Reads  []string `json:"reads"`
}

// Check follows the columns of every SELECT of a folder (<zone>/<name>.sql) with the Python of a path. The error has a line for
// every mistake: its file, what is wrong, and what to do.
func Check(python string, set contract.Set, selects fs.FS) error {
	in := input{Tables: map[string]table{}, Selects: map[string]string{}}
	for _, c := range set {
		in.Tables[c.Table] = table{PersonalData: c.PersonalData, Columns: map[string]column{}}
		for _, col := range c.Columns {
			in.Tables[c.Table].Columns[col.Name] = column{Personal: col.Personal, Pseudonym: col.Pseudonym, Required: col.Required}
		}
		if c.Job != nil {
			in.Jobs = append(in.Jobs, job{Table: c.Table, Zone: c.Zone, Kind: c.Job.Kind, Source: c.Source, Reads: append([]string{}, c.Job.Reads...)})
		}
	}
	files, err := fs.Glob(selects, "*/*.sql")
	if err != nil {
		return fmt.Errorf("listing the SELECTs: %w", err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(selects, file)
		if err != nil {
			return fmt.Errorf("reading a SELECT: %w", err)
		}
		in.Selects[strings.TrimSuffix(file, path.Ext(file))] = string(text)
	}
	return run(python, in)
}

func run(python string, in input) error {
	document, err := json.Marshal(in)
	if err != nil {
		return err
	}
	command := exec.Command(python, "-c", script)
	command.Stdin = bytes.NewReader(document)
	answer, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return fmt.Errorf("checking the SELECTs with %s: %w (does `make setup` need to run?)", python, err)
	}
	var mistakes []string
	if err := json.Unmarshal(answer, &mistakes); err != nil {
		return fmt.Errorf("checking the SELECTs: %w", err)
	}
	if len(mistakes) > 0 {
		return errors.New(strings.Join(mistakes, "\n"))
	}
	return nil
}
