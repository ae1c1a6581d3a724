package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"stedi-lakehouse/internal/report"
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

// progress shows job runs: when one has ended a line and what became of the rows it read, and in a terminal a last line that counts the
// seconds of the job at work.
type progress struct {
	shown    map[string]bool // by run
	terminal bool
}

func newProgress() *progress { return &progress{shown: map[string]bool{}, terminal: watched()} }

func (p *progress) show(reported report.Report) {
	p.live(clearLine)
	for i, job := range reported.Jobs {
		line := fmt.Sprintf("%d/%d %-34s", i+1, len(reported.Jobs), job.Name)
		switch {
		case p.shown[job.RunID]:
		case !job.Ended():
			state := "waiting to start"
			if job.State != report.NotStarted {
				state = fmt.Sprintf("%-9s %4.0f s", job.State, job.Seconds)
			}
			if reported.Running() {
				p.live(fmt.Sprintf("  %c %s %s", frame(), line, state))
			}
			return
		default:
			p.shown[job.RunID] = true
			printEnded(line, job, reported)
		}
	}
}

func printEnded(line string, job report.Job, reported report.Report) {
	mark, engine := "✓", ""
	if job.State != "SUCCEEDED" {
		mark = "✗"
	}
	entry, found := reported.Funnel(job)
	if entry.Engine != "" {
		engine = " on " + entry.Engine
	}
	fmt.Printf("  %s %s %-9s %6.1f s%s\n", mark, line, job.State, job.Seconds, engine)
	switch {
	case found:
		fmt.Printf("        %s: %s\n", entry.Table, funnel(entry))
	case job.Table != "" && mark == "✓" && len(reported.Missing) == 0: // such a run adds nothing to the ledger
		fmt.Printf("        %s: nothing new\n", job.Table)
	}
}

// funnel writes an entry as "read 81,273 = 32,025 accepted + 49,248 no_consent; removed 12; drift: 3 rows with unknown key battery;
// 2 people suspended; 4 objects ignored", greatest number first.
func funnel(entry report.Funnel) string {
	var out strings.Builder
	fmt.Fprintf(&out, "read %s = %s accepted", report.Thousands(entry.Read), report.Thousands(entry.Accepted))
	for _, count := range slices.Concat(entry.Excluded, entry.Quarantined) {
		fmt.Fprintf(&out, " + %s %s", report.Thousands(count.Rows), count.Reason)
	}
	if entry.Removed > 0 {
		fmt.Fprintf(&out, "; removed %s", report.Thousands(entry.Removed))
	}
	lead := "; drift: "
	for _, key := range entry.Drift {
		fmt.Fprintf(&out, "%s%s with unknown key %s", lead, report.Plural(key.Rows, "row"), key.Reason)
		lead = ", "
	}
	if entry.Suspended != nil && *entry.Suspended > 0 {
		fmt.Fprintf(&out, "; %s suspended", report.People(*entry.Suspended))
	}
	var ignored int64
	for _, one := range entry.Ignored {
		ignored += one.Objects
	}
	if ignored > 0 {
		fmt.Fprintf(&out, "; %s ignored", report.Plural(ignored, "object"))
	}
	return out.String()
}

func (p *progress) live(line string) {
	if p.terminal {
		fmt.Print(line)
	}
}
