// Package lineage holds the SELECTs against the contracts: what they read must be declared, a column must have the type that its
// contract says, and none may carry personal data further than that. The SQL is read by sqlglot, a parser in Python, so `make setup`
// comes before. main.go asks it before it makes a stack.
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

// input is what the script reads.
type input struct {
	contract.Implied
	Selects map[string]string `json:"selects"` // text by zone/name
}

// Check follows the columns of every SELECT of a folder (<zone>/<name>.sql) with the Python of a path. The error has a line for
// every mistake: its file, what is wrong, and what to do.
func Check(python string, set contract.Set, selects fs.FS) error {
	implied, err := set.Implied()
	if err != nil {
		return err
	}
	in := input{Implied: implied, Selects: map[string]string{}}
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
