package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/report"
)

// reportLimit is how long collecting a report may take.
const reportLimit = time.Minute

// report writes the page about the run, and gives what it shows; an empty report when there was no run.
func (c *clients) report(ctx context.Context, work workspace) (report.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		return report.Report{}, err
	}
	collected, err := report.Collect(ctx, c.lake, contracts)
	if errors.Is(err, report.ErrNoExecution) {
		return report.Report{}, nil
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("report of the run: %w", err)
	}
	page, err := report.Write(collected, string(work), report.Library)
	if err != nil {
		return report.Report{}, fmt.Errorf("report of the run: %w", err)
	}
	step("report of the run: %s", page)
	return collected, nil
}
