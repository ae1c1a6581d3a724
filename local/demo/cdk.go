package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"stedi-lakehouse/internal/lake"
)

const (
	stage       = lake.Local
	account     = "000000000000"
	region      = "us-east-1"
	assembly    = "cdk.out"      // file of the workspace: what synth made
	outputsFile = "outputs.json" // file of the workspace: what deploy gave out
)

// surroundings are the shell's variables without those that would lead an AWS client, or the emulator itself, elsewhere.
func surroundings() []string {
	return slices.DeleteFunc(os.Environ(), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return strings.HasPrefix(name, "AWS_") || slices.Contains([]string{"SERVICES", "USE_SSL", "PERSIST_STATE", "NO_PROXY", "no_proxy"}, name)
	})
}

// noProxy keeps a proxy of the shell's out of what stays on this machine.
func noProxy() []string {
	hosts := strings.TrimSuffix("127.0.0.1,localhost,"+cmp.Or(os.Getenv("NO_PROXY"), os.Getenv("no_proxy")), ",")
	return []string{"NO_PROXY=" + hosts, "no_proxy=" + hosts}
}

// awsEnvironment is what points an AWS client, the CDK CLI included, to the embedded AWS and to nothing else.
func awsEnvironment(endpoint string) []string {
	// The CLI takes virtual-host addresses for S3 unless its endpoint is an IP address.
	return append(noProxy(),
		"AWS_ENDPOINT_URL="+strings.Replace(endpoint, "127.0.0.1", "localhost", 1),
		"AWS_ENDPOINT_URL_S3="+endpoint,
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION="+region,
		"AWS_DEFAULT_REGION="+region,
		"AWS_EC2_METADATA_DISABLED=true",
		"CDK_DISABLE_CLI_TELEMETRY=true",
	)
}

// cdkCLI runs the CDK CLI against the embedded AWS.
type cdkCLI struct {
	endpoint string
	gate     string // empty: the stage's own
	work     workspace
}

// prepare bootstraps the account and synthesizes the stacks, both at the same time.
func (c cdkCLI) prepare(ctx context.Context) error {
	context := []string{"-c", "stage=" + stage}
	if c.gate != "" {
		context = append(context, "-c", "consentGate="+c.gate)
	}
	var group sync.WaitGroup
	var bootstrap, synth error
	group.Go(func() { bootstrap = c.runIn(ctx, string(c.work), "bootstrap", "aws://"+account+"/"+region) })
	group.Go(func() {
		synth = c.run(ctx, append([]string{"synth", "--quiet", "--output", c.work.file(assembly)}, context...)...)
	})
	group.Wait()
	if bootstrap != nil {
		return bootstrap
	}
	return synth
}

// deploy deploys every stack of the assembly made by prepare and returns the stacks' outputs.
func (c cdkCLI) deploy(ctx context.Context) (lake.Names, error) {
	err := c.run(ctx, "deploy", "--all", "--app", c.work.file(assembly), "--require-approval", "never", "--outputs-file", c.work.file(outputsFile), "--concurrency", "2")
	if err != nil {
		return lake.Names{}, err
	}
	return readOutputs(c.work.file(outputsFile))
}

func (c cdkCLI) destroy(ctx context.Context) error {
	return c.run(ctx, "destroy", "--all", "--force", "--app", c.work.file(assembly))
}

func (c cdkCLI) run(ctx context.Context, args ...string) error { return c.runIn(ctx, ".", args...) }

// runIn calls the CLI in a folder: in the project's it loads the app of cdk.json. What it prints is shown only when it fails.
func (c cdkCLI) runIn(ctx context.Context, folder string, args ...string) error {
	cli, err := filepath.Abs("node_modules/.bin/cdk")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, cli, append(args, "--no-notices", "--no-color")...)
	cmd.Dir = folder
	cmd.Env = append(surroundings(), awsEnvironment(c.endpoint)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cdk %s: %w\n%s", args[0], err, output.String())
	}
	return nil
}

func readOutputs(file string) (lake.Names, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return lake.Names{}, err
	}
	var stacks map[string]map[string]string
	if err := json.Unmarshal(content, &stacks); err != nil {
		return lake.Names{}, fmt.Errorf("%s: %w", file, err)
	}
	all := map[string]string{}
	for _, outputs := range stacks {
		maps.Copy(all, outputs)
	}
	names, err := lake.NamesFrom(all)
	if err != nil {
		return lake.Names{}, fmt.Errorf("%s: %w among %v", file, err, stacks)
	}
	return names, nil
}
