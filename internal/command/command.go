// Package command is the frame of a program for people: it ends when somebody interrupts it, and says in one line what went wrong.
// For tools/query, tools/report and tools/erase.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Run runs a program by its name, and exits with status 1 when it fails; with 2 when it fails with usage, as after a wrong call.
func Run(name string, usage error, program func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := program(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	if errors.Is(err, usage) {
		os.Exit(2)
	}
	os.Exit(1)
}
