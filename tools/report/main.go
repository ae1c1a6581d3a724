// Command report writes one page about the last run of the pipeline: of stage local in the embedded AWS that `make demo KEEP=1` left
// running, of any other stage with the credentials of the environment.
//
//	report [-stage NAME] [-out folder] [-work folder] [-library file]
//	report -from report.json -out folder                              the page of a report collected earlier
//
// It is run from the project's top folder and prints the path of the page. Exit status: 0 when the page was written, also about a run that
// failed; 1 when it was not; 2 for a wrong call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/command"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/lake"
	"stedi-lakehouse/internal/report"
)

var errUsage = errors.New("usage: report [-stage NAME] [-out folder] (make report STAGE=NAME)")

func main() {
	command.Run("report", errUsage, func(ctx context.Context) error {
		return run(ctx, os.Args[1:])
	})
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	stage := flags.String("stage", lake.Local, "stage of cdk.json")
	work := flags.String("work", ".stedi/demo", "folder of the kept demo")
	out := flags.String("out", "", "folder for report.html and report.json (default: the demo's, or .stedi/report/<stage>)")
	saved := flags.String("from", "", "a report.json to write the page of, instead of collecting one")
	library := flags.String("library", report.Library, "file of the chart library")
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return errUsage
	}
	collected, err := collect(ctx, *saved, *stage, *work)
	if err != nil {
		return err
	}
	folder := *out
	switch {
	case folder != "":
	case *stage == lake.Local:
		folder = *work
	default:
		folder = filepath.Join(".stedi/report", *stage)
	}
	path, err := report.Write(collected, folder, *library)
	if err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

func collect(ctx context.Context, saved, stage, work string) (report.Report, error) {
	if saved != "" {
		return report.Read(saved)
	}
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		return report.Report{}, err
	}
	from, err := lake.Open(ctx, "cdk.json", stage, work)
	if err != nil {
		return report.Report{}, err
	}
	return report.Collect(ctx, from, contracts)
}
