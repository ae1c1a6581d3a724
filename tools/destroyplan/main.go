// Destroyplan lists what a destroy of the synthesized stacks would delete, keep, or be blocked by. It reads the templates and needs no
// credentials:
//
//	cdk synth -c stage=prod -o FOLDER && go run ./tools/destroyplan FOLDER
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"stedi-lakehouse/internal/cloud"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: destroyplan FOLDER, the output folder of cdk synth; got %q", arguments)
	}
	app, err := cloud.Load(arguments[0])
	if err != nil {
		return err
	}
	write(out, plan(app))
	return nil
}

// write lists the resources of which there is something to say, then how many others there are.
func write(out io.Writer, lines []line) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STACK\tRESOURCE\tTYPE\tFATE\tWHY")
	others := map[string]map[fate]int{}
	total := map[fate]int{}
	var stacks []string
	for _, line := range lines {
		total[line.fate]++
		if !slices.Contains(stacks, line.stack) {
			stacks = append(stacks, line.stack)
			others[line.stack] = map[fate]int{}
		}
		if line.data || line.fate != deleted && line.fate != blocked || line.fate == deleted && line.why != "" {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", line.stack, line.resource, line.what, line.fate, line.why)
		} else {
			others[line.stack][line.fate]++
		}
	}
	for _, stack := range stacks {
		for _, fate := range []fate{deleted, blocked} {
			if n := others[stack][fate]; n > 0 {
				fmt.Fprintf(table, "%s\t%d others\t\t%s\t\n", stack, n, fate)
			}
		}
	}
	table.Flush()
	fmt.Fprintf(out, "\n%d deleted, %d deleted later, %d kept, %d blocked\n", total[deleted], total[later], total[kept], total[blocked])
}
