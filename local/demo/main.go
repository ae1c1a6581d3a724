// Command demo runs the whole lakehouse on this machine: it starts the embedded AWS, deploys the stacks of stage local with the
// CDK CLI, uploads landing data, runs the state machine, writes a report of the run and shows what each table holds.
//
//	demo up [-data folder] [-gate as-of|ever] [-keep]   deploy, run, show; destroy unless -keep
//	demo down [-keep]                                   destroy what a kept demo deployed and stop its embedded AWS unless -keep
//	demo kill                                           stop a kept embedded AWS without destroying anything in it
//
// It is run from the project's top folder, by the Makefile, which installs what it needs. Exit status: 0 when all went well, 1 when not,
// 2 for a wrong call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/lake"
	"stedi-lakehouse/internal/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

var errUsage = errors.New("usage: demo up [-data folder] [-gate as-of|ever] [-keep] | demo down [-keep] | demo kill; each with [-work folder]")

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("demo "+args[0], flag.ContinueOnError)
	work := flags.String("work", ".stedi/demo", "folder for everything the demo writes")
	keep := flags.Bool("keep", false, "leave the embedded AWS running")
	switch args[0] {
	case "up":
		folder := flags.String("data", "data/sample", "folder with <source>/landing/, uploaded with its subfolders")
		gate := flags.String("gate", "", "consent gate, as-of or ever (default: the stage's)")
		if flags.Parse(args[1:]) != nil || flags.NArg() > 0 {
			return errUsage
		}
		return up(ctx, workspace(*work), *folder, *gate, *keep)
	case "down", "kill":
		if flags.Parse(args[1:]) != nil || flags.NArg() > 0 {
			return errUsage
		}
		if args[0] == "kill" {
			return stopKept(workspace(*work))
		}
		return down(ctx, workspace(*work), *keep)
	}
	return errUsage
}

// workspace is the folder that holds everything a demo writes.
type workspace string

func (w workspace) file(name string) string { return filepath.Join(string(w), name) }

// up deploys and runs everything. Without keep it also destroys it all again and checks that nothing remained.
func up(ctx context.Context, work workspace, folder, gate string, keep bool) (err error) {
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		return err
	}
	landing, leftOut, err := findLanding(folder, landingSources(contracts))
	if err != nil {
		return err
	}
	if gate != "" && gate != "as-of" && gate != "ever" {
		return fmt.Errorf("gate %q: allowed are as-of and ever", gate)
	}
	started := time.Now()
	aws, err := startEmulator(ctx, work)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil || !keep {
			err = errors.Join(err, aws.stop(), forget(work))
		}
	}()
	step("embedded AWS on %s", aws.Endpoint)

	cdk := cdkCLI{endpoint: aws.Endpoint, gate: gate, work: work}
	if err := during("preparing the account, synthesizing the stacks", func() error { return cdk.prepare(ctx) }); err != nil {
		return err
	}
	var names lake.Names
	if err := during("deploying the stacks", func() (err error) { names, err = cdk.deploy(ctx); return err }); err != nil {
		return err
	}
	step("three stacks deployed")
	clients := newClients(aws.Endpoint)
	clients.lake = lake.Connect(lake.Embedded(aws.Endpoint), stage, names)

	if err := clients.upload(ctx, names.LakeBucket, landing); err != nil {
		return err
	}
	if len(leftOut) > 0 {
		step("%s of %s left out, such as %s: not below <source>/landing/ of a known source", report.Plural(int64(len(leftOut)), "file"), folder, leftOut[0])
	}
	err = clients.runPipeline(ctx, contracts)
	if err != nil {
		err = fmt.Errorf("%w\nlogs of the job runs: %s", err, work.file(runLogs))
	}
	// A run that failed or was interrupted is reported too.
	reported, failed := clients.report(context.WithoutCancel(ctx), work, contracts)
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	if err := clients.show(ctx, folder, gate, reported); err != nil {
		return err
	}
	if keep {
		step("done in %s; the embedded AWS goes on", since(started))
		return aws.keep(work)
	}
	if err := destroy(ctx, clients, cdk); err != nil {
		return err
	}
	step("done in %s", since(started))
	return nil
}

// landingSources are the sources that deliver files.
func landingSources(contracts contract.Set) []string {
	var sources []string
	for _, table := range contracts {
		if table.Zone == contract.Landing {
			sources = append(sources, table.Source)
		}
	}
	return sources
}

// down destroys the stacks of a kept demo as up does without -keep, and stops its embedded AWS unless keep.
func down(ctx context.Context, work workspace, keep bool) error {
	aws, err := kept(work)
	if err != nil {
		return err
	}
	if _, err := os.Stat(work.file(envFile)); err != nil {
		return errors.New("the demo is still at work, or was broken off: end it with `make clean`")
	}
	err = destroy(ctx, newClients(aws.Endpoint), cdkCLI{endpoint: aws.Endpoint, work: work})
	if keep {
		return err
	}
	return errors.Join(err, stopKept(work))
}

// destroy empties the buckets, destroys the stacks and checks that nothing of them is left.
func destroy(ctx context.Context, clients *clients, cdk cdkCLI) error {
	if err := clients.emptyBuckets(ctx); err != nil {
		return err
	}
	if err := during("destroying the stacks", func() error { return cdk.destroy(ctx) }); err != nil {
		return err
	}
	if err := clients.nothingRemains(ctx); err != nil {
		return err
	}
	step("stacks destroyed, nothing remains")
	return nil
}

// step tells the user that a stage of the work is done.
func step(format string, args ...any) { fmt.Printf("✓ "+format+"\n", args...) }

func since(t time.Time) string { return time.Since(t).Round(100 * time.Millisecond).String() }
