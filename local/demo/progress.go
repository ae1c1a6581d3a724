package main

import (
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
)

const clearLine = "\r\033[2K"

var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

// frame is the spinner's picture of this moment.
func frame() rune { return spinner[time.Now().UnixMilli()/100%int64(len(spinner))] }

// watched tells whether somebody looks on: the output is a terminal, and not the log of a CI.
func watched() bool {
	info, err := os.Stdout.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb"
}

// during does work that takes a while; meanwhile a terminal has a last line with what it is and for how long it has gone on.
func during(what string, work func() error) error {
	if !watched() {
		return work()
	}
	done := make(chan error, 1)
	go func() { done <- work() }()
	started := time.Now()
	for {
		fmt.Printf("%s%c %s %4.0f s", clearLine, frame(), what, time.Since(started).Seconds())
		select {
		case err := <-done:
			fmt.Print(clearLine)
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// progress shows job runs: when a job has ended a line and what became of the rows it read, and in a terminal a last line that counts
// the seconds of the job at work.
type progress struct {
	ledger   func(run gluetypes.JobRun) (*ledgerEntry, error)
	jobs     []string
	shown    map[string]bool
	terminal bool
}

func newProgress(jobs []string, ledger func(run gluetypes.JobRun) (*ledgerEntry, error)) *progress {
	return &progress{ledger: ledger, jobs: jobs, shown: map[string]bool{}, terminal: watched()}
}

func (p *progress) show(runs map[string]gluetypes.JobRun) error {
	p.clear()
	for i, job := range p.jobs {
		run, begun := runs[job]
		if p.shown[job] {
			continue
		}
		if !begun {
			p.live(fmt.Sprintf("  %c %d/%d %-34s waiting to start", frame(), i+1, len(p.jobs), job))
			return nil
		}
		if run.CompletedOn == nil {
			elapsed := time.Since(aws.ToTime(run.StartedOn)).Seconds()
			p.live(fmt.Sprintf("  %c %d/%d %-34s %-9s %4.0f s", frame(), i+1, len(p.jobs), job, run.JobRunState, elapsed))
			return nil
		}
		mark := "✓"
		if run.JobRunState != gluetypes.JobRunStateSucceeded {
			mark = "✗"
		}
		seconds := run.CompletedOn.Sub(aws.ToTime(run.StartedOn)).Seconds()
		p.shown[job] = true
		entry, err := p.ledger(run)
		engine := ""
		if entry != nil && entry.Engine != "" {
			engine = " on " + entry.Engine
		}
		fmt.Printf("  %s %d/%d %-34s %-9s %6.1f s%s\n", mark, i+1, len(p.jobs), job, run.JobRunState, seconds, engine)
		if err != nil {
			return err
		}
		if entry != nil {
			fmt.Printf("        %s: %s\n", entry.Table, entry.funnel())
		}
	}
	return nil
}

func (p *progress) live(line string) {
	if p.terminal {
		fmt.Print(line)
	}
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Print(clearLine)
	}
}
