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

// report writes the page about the run, unless there was none.
func (c *clients) report(ctx context.Context, work workspace) error {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		return err
	}
	collected, err := report.Collect(ctx, c.lake, contracts)
	if errors.Is(err, report.ErrNoExecution) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("report of the run: %w", err)
	}
	page, err := report.Write(collected, string(work), report.Library)
	if err != nil {
		return fmt.Errorf("report of the run: %w", err)
	}
	step("report of the run: %s", page)
	return nil
}
