// Command erase asks the lakehouse to forget people, and shows the proof that nothing of them is left (R17): of stage local in the
// embedded AWS that `make demo KEEP=1` left running, of any other stage with the credentials of the environment.
//
//	erase [-stage NAME] [-request ID] [-file FILE]        put a request
//	erase [-stage NAME] -proof -request ID [-out folder]  have it proven, and fetch the certificate
//
// Whose request it is comes from the terminal, from FILE (one JSON object a line: id, email, serialNumber), or from the environment
// (ERASE_EMAIL, ERASE_SERIAL): never from the command line, which shells keep and other users of the machine see. It is never printed.
// It is run from the project's top folder. Exit status: 0 when the request was put, or proven; 1 when not; 2 for a wrong call.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"time"

	"stedi-lakehouse/internal/command"
	"stedi-lakehouse/internal/lake"
)

var errUsage = errors.New("usage: erase [-stage NAME] [-request ID] [-file FILE], or erase [-stage NAME] -proof -request ID " +
	"(make erase STAGE=NAME, make erasure-proof STAGE=NAME REQUEST=ID); addresses are asked for, and never given as an argument")

func main() {
	command.Run("erase", errUsage, func(ctx context.Context) error {
		return run(ctx, os.Args[1:], terminal{in: bufio.NewReader(os.Stdin), out: os.Stdout, ask: os.Stderr, env: os.Getenv})
	})
}

// terminal is who types, and what is shown to them.
type terminal struct {
	in  *bufio.Reader
	out io.Writer
	ask io.Writer // questions, which do not belong to the output
	env func(string) string
}

func run(ctx context.Context, args []string, at terminal) error {
	flags := flag.NewFlagSet("erase", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // it would quote what it does not know: somebody's address, perhaps
	stage := flags.String("stage", lake.Local, "stage of cdk.json")
	work := flags.String("work", ".stedi/demo", "folder of the kept demo")
	id := flags.String("request", "", "id of the request")
	file := flags.String("file", "", "file of requests, a JSON object a line")
	proves := flags.Bool("proof", false, "have a request proven")
	out := flags.String("out", "", "folder for the certificate (default: .stedi/erasure/<stage>)")
	if flags.Parse(args) != nil || flags.NArg() > 0 || *proves && (*id == "" || *file != "") || !*proves && *file != "" && *id != "" {
		return errUsage
	}
	if *id != "" && !ids.MatchString(*id) {
		return errID
	}
	found, err := lake.Open(ctx, "cdk.json", *stage, *work)
	if err != nil {
		return err
	}
	c := client{deployed{found}, at, *stage, time.Second}
	if err := c.erases(ctx); err != nil {
		return err
	}
	if !*proves {
		return c.request(ctx, *id, *file)
	}
	folder := *out
	if folder == "" {
		folder = filepath.Join(".stedi", "erasure", *stage)
	}
	return c.prove(ctx, *id, folder)
}
