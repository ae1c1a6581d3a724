package main

import (
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// progress shows job runs: when a job has ended a line and what became of the rows it read, and in a terminal a last line that counts
// the seconds of the job at work.
type progress struct {
	ledger   func(run gluetypes.JobRun) (*ledgerEntry, error)
	jobs     []string
	shown    map[string]bool
	terminal bool
}

func newProgress(jobs []string, ledger func(run gluetypes.JobRun) (*ledgerEntry, error)) *progress {
	info, err := os.Stdout.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("CI") == ""
	return &progress{ledger: ledger, jobs: jobs, shown: map[string]bool{}, terminal: terminal}
}

func (p *progress) show(runs map[string]gluetypes.JobRun) error {
	p.clear()
	for i, job := range p.jobs {
		run, begun := runs[job]
		if !begun || p.shown[job] {
			continue
		}
		if run.CompletedOn == nil {
			p.live(fmt.Sprintf("  … %d/%d %-34s %-9s %4.0f s", i+1, len(p.jobs), job, run.JobRunState, time.Since(aws.ToTime(run.StartedOn)).Seconds()))
			return nil
		}
		mark := "✓"
		if run.JobRunState != gluetypes.JobRunStateSucceeded {
			mark = "✗"
		}
		seconds := run.CompletedOn.Sub(aws.ToTime(run.StartedOn)).Seconds()
		fmt.Printf("  %s %d/%d %-34s %-9s %6.1f s\n", mark, i+1, len(p.jobs), job, run.JobRunState, seconds)
		p.shown[job] = true
		entry, err := p.ledger(run)
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
		fmt.Print("\r\033[2K")
	}
}
