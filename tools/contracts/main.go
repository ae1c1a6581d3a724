// Command contracts writes for the jobs what the table contracts say and imply: the file that their package holds.
//
//	go run ./tools/contracts
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		return err
	}
	text, err := contracts.JobsText()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join("glue-scripts", contract.JobsFile), text, 0o644)
}
