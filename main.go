// The CDK app of the lakehouse: the chosen stage's settings become three CloudFormation stacks.
//
//	cdk synth -c stage=dev|prod|local [-c consentGate=as-of|ever]
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/lineage"
	"stedi-lakehouse/internal/zoneflow"
	"stedi-lakehouse/stacks"
)

const (
	scripts = "glue-scripts"
	python  = ".venv/bin/python" // made by `make setup`
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	context, ok := app.Node().GetAllContext(nil).(map[string]any)
	if !ok {
		return fmt.Errorf("reading the app's context: got %T, want an object", app.Node().GetAllContext(nil))
	}
	stage, err := config.Load(context)
	if err != nil {
		return err
	}
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		return err
	}
	if err := contracts.CheckJobsFile(os.DirFS(scripts)); err != nil {
		return err
	}
	jobs, err := contracts.JobsInOrder()
	if err != nil {
		return err
	}
	if err := stage.CheckRoom(len(jobs)); err != nil {
		return err
	}
	if err := lineage.Check(python, contracts, os.DirFS(filepath.Join(scripts, "sql"))); err != nil {
		return err
	}
	// What the stage leaves open the CLI has filled in from the user's credentials, if there are any.
	if stage.Account == "" {
		stage.Account = os.Getenv("CDK_DEFAULT_ACCOUNT")
	}
	if stage.Region == "" {
		stage.Region = os.Getenv("CDK_DEFAULT_REGION")
	}
	if err := stage.CheckRegion(); err != nil {
		return err
	}
	stacks.NewLakehouse(app, stacks.Props{Stage: stage, Contracts: contracts, Scripts: scripts})
	synthesized := app.Synth(nil)
	return checkZoneFlow(*synthesized.Directory(), stage, contracts)
}

// checkZoneFlow fails the synthesis, and with it every diff and deployment, when a policy gives a role more than it is for.
func checkZoneFlow(folder string, stage config.Stage, contracts contract.Set) error {
	synthesized, err := cloud.Load(folder)
	if err != nil {
		return err
	}
	return zoneflow.Check(synthesized, contracts, stacks.Grants(stage, contracts))
}
