package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"

	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/report"
)

var ended = []gluetypes.JobRunState{
	gluetypes.JobRunStateSucceeded, gluetypes.JobRunStateFailed, gluetypes.JobRunStateTimeout, gluetypes.JobRunStateStopped,
	gluetypes.JobRunStateError, gluetypes.JobRunStateExpired,
}

// certificates is where the job puts those of a request, one a run.
func certificates(id string) string { return contract.ErasureCertificates + id + "/" }

// prove has the job look through everything for the person of a request, and fetches what it says of it.
func (c client) prove(ctx context.Context, id, folder string) error {
	known, err := c.stateOf(ctx, id)
	if err != nil {
		return err
	}
	switch known {
	case unknown:
		return fmt.Errorf("there is no request %s, and no certificate of one; requests that cannot be read are in erasure_quarantine", id)
	case asked:
		return fmt.Errorf("request %s is put, and nobody is erased for it yet: the next run of the pipeline does it", id)
	case proven:
		if err := c.nameAgain(ctx, id); err != nil {
			return err
		}
	}
	run, err := c.start(ctx, map[string]string{"--step": "prove", "--request": id})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.ask, "erase_people looks through everything (run %s)\n", run)
	state, message, err := c.wait(ctx, run)
	if err != nil {
		return err
	}
	text, err := c.certificate(ctx, id, run)
	if errors.Is(err, errNone) {
		return fmt.Errorf("run %s is %s and has left no certificate: %s", run, state, message)
	}
	if err != nil {
		return err
	}
	certificate, err := report.ReadCertificate(text)
	if err != nil {
		return err
	}
	path, err := report.WriteCertificate(certificate, folder)
	if err != nil {
		return err
	}
	c.summarize(certificate, path)
	if !certificate.IsErased() || state != gluetypes.JobRunStateSucceeded {
		return fmt.Errorf("request %s is %s; the run is %s", id, certificate.Verdict, strings.ToLower(string(state)))
	}
	return nil
}

// nameAgain asks whom to look for: once proven, nobody knows any more whom a request was about. The job deletes the object.
func (c client) nameAgain(ctx context.Context, id string) error {
	fmt.Fprintf(c.ask, "Request %s was proven, so it is not known any more whom it is about.\n", id)
	one, err := c.who(id)
	if err != nil {
		return err
	}
	line, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return c.put(ctx, contract.ErasureProofs+id+".json", append(line, '\n'), false)
}

func (c client) wait(ctx context.Context, run string) (gluetypes.JobRunState, string, error) {
	for {
		state, message, err := c.look(ctx, run)
		if err != nil || slices.Contains(ended, state) {
			return state, message, err
		}
		select {
		case <-ctx.Done():
			return state, message, fmt.Errorf("%w; run %s goes on", ctx.Err(), run)
		case <-time.After(c.pause):
		}
	}
}

// certificate is that of a run.
func (c client) certificate(ctx context.Context, id, run string) ([]byte, error) {
	return c.get(ctx, certificates(id)+run+".json")
}

func (c client) summarize(of report.Certificate, path string) {
	looked := of.Total()
	fmt.Fprintf(c.out, "request %s: %s\n", of.Request, of.Verdict)
	fmt.Fprintf(c.out, "  looked at %s, %s bytes\n", report.Plural(looked.Versions(), "version"), report.Thousands(looked.Size()))
	fmt.Fprintf(c.out, "  found before removal %s, left %d, unreadable %d\n", report.Plural(of.FoundBefore(), "trace"), len(of.Left), len(of.Unreadable))
	fmt.Fprintf(c.out, "  digest %s\n%s\n", of.Digest, path)
}
