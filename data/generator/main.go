// Command generator writes synthetic STEDI landing data of any size, and the row counts that the lakehouse must make of it.
//
//	go run ./data/generator -people 1000 -out data/generated
//
// It writes <out>/{customer,accelerometer,step_trainer}/landing/*.json (newline-delimited; with several files the last
// one of a source is a .json.gz), expected.json with the rows of all eight tables per consent gate, and
// expected_reasons.json with the accepted and excluded rows of the five target tables. Nobody in it exists.
//
// With -deliveries N the data comes in N folders <out>/01, <out>/02, ..., to be laid one over the other: each holds what is new
// or changed since the one before, and what the tables must hold once everything up to it has been delivered.
//
// The same flags give the same rows on every machine, and the same bytes with the same Go release (compressed bytes may
// change with Go's compressor).
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "generator:", err)
		os.Exit(1)
	}
}

// run parses the flags, generates and prints what was written.
func run(args []string, stdout io.Writer) error {
	opts, err := parse(args, stdout)
	if err != nil {
		return err
	}
	totals, err := generate(opts)
	if err != nil {
		return err
	}
	summary := totals[len(totals)-1]
	_, err = fmt.Fprintf(stdout, "%d people in %s: %d customer, %d accelerometer and %d step trainer rows\n",
		opts.people, opts.out, summary.rows(customerLanding), summary.rows(accelerometerLanding), summary.rows(stepTrainerLanding))
	return err
}

// Bounds of the flags. All files stay open while the people stream by; and beyond maxTicks, the readings would reach
// into the future.
const (
	minReadings = 3
	maxFiles    = 200
	maxTicks    = 300_000_000
)

// options are the validated flags.
type options struct {
	shape
	people   int    // people with a customer record
	readings int    // times per person at which devices read, on average
	seed     uint64 // another seed is another population
	out      string // folder to write
	force    bool   // replace what an earlier run wrote there
	unicode  bool   // e-mails are spelled in more ways than case and spaces
}

func parse(args []string, usage io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("generator", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main reports errors
	flags.IntVar(&o.people, "people", 1000, "people with a customer record")
	flags.IntVar(&o.readings, "readings", 30, "times per person at which the devices read, on average")
	flags.IntVar(&o.files, "files", 3, "files per source and delivery; with several, the last one is a .json.gz")
	flags.IntVar(&o.deliveries, "deliveries", 1, "deliveries in which the data comes; with several, each in a folder 01, 02, ...")
	flags.Uint64Var(&o.seed, "seed", 1, "another seed is another population")
	flags.BoolVar(&o.unicode, "unicode", false, "e-mails with letters beyond ASCII; spelled also with other white space, invisible characters and decomposed letters (R11)")
	flags.StringVar(&o.out, "out", "", "folder to write (required)")
	flags.BoolVar(&o.force, "force", false, "replace what an earlier run wrote to the folder")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(usage)
		flags.Usage()
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("%w (see -help)", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: everything is given by flags, see -help", flags.Arg(0))
	}
	return o, o.validate()
}

func (o options) validate() error {
	switch {
	case o.out == "":
		return errors.New("-out is missing: name the folder to write")
	case o.people < 1:
		return fmt.Errorf("-people is %d: at least 1 is needed", o.people)
	case o.readings < minReadings:
		return fmt.Errorf("-readings is %d: at least %d are needed", o.readings, minReadings)
	case o.files < 1 || o.files > maxFiles:
		return fmt.Errorf("-files is %d: 1 to %d are possible", o.files, maxFiles)
	case o.deliveries < 1:
		return fmt.Errorf("-deliveries is %d: at least 1 is needed", o.deliveries)
	case o.deliveries > 1 && o.deliveries > maxFiles/(o.files+2):
		return fmt.Errorf("-deliveries %d with -files %d is too much: each delivery has 2 files more, and %d of a source are possible",
			o.deliveries, o.files, maxFiles)
	case o.people > maxTicks/o.readings:
		return fmt.Errorf("-people %d times -readings %d is more than %d: choose smaller ones", o.people, o.readings, maxTicks)
	}
	return nil
}
