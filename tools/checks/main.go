// Checks lets security tools judge the templates of the stages dev and prod, with every network mode and as strict as they can be, and
// cfn-lint those of the stage local too:
//
//	go run ./tools/checks [-only checkov,cfn-guard,parliament,asl-validator,cfn-lint]
//
// Nothing leaves the machine. What the tools find must be mended, or explained in internal/findings; else the command fails.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/findings"
	"stedi-lakehouse/internal/zoneflow"
	"stedi-lakehouse/stacks"
)

const local = "local" // the stage of the embedded AWS

func main() {
	only := flag.String("only", strings.Join(toolNames(), ","), "the tools to run, separated by commas")
	flag.Parse()
	if err := run(strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(tools []string) (err error) {
	if err := known(tools); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "checks-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	templates, err := synthesize(folder)
	if err != nil {
		return err
	}
	results := make(chan result)
	for _, tool := range tools {
		go func() {
			found, err := checks[tool](judged(tool, templates))
			results <- result{tool, found, err}
		}()
	}
	var all []findings.Finding
	var failures []error
	for range tools {
		done := <-results
		if done.err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", done.tool, done.err))
			continue
		}
		fmt.Printf("%-14s %d templates, %d findings\n", done.tool, len(judged(done.tool, templates)), len(done.found))
		all = append(all, done.found...)
	}
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	return findings.Judge(tools, findings.Merge(all))
}

// judged are the templates for a tool. Only cfn-lint asks whether the embedded AWS could deploy them: what is open or unlogged there
// harms nobody.
func judged(tool string, templates []template) []template {
	if tool == findings.Lint {
		return templates
	}
	return slices.DeleteFunc(slices.Clone(templates), func(t template) bool { return t.variant == local })
}

func known(tools []string) error {
	for _, tool := range tools {
		if checks[tool] == nil {
			return fmt.Errorf("tool %q is unknown; allowed: %s", tool, strings.Join(toolNames(), ", "))
		}
	}
	return nil
}

type result struct {
	tool  string
	found []findings.Finding
	err   error
}

// template is a template of one variant of a stage.
type template struct {
	variant string // e.g. prod-new
	stack   string // name of the stack without the lake's
	path    string // <folder>/<group>/<variant>/<stack>.json
	app     cloud.Assembly
	in      cloud.Stack
}

// synthesize writes the templates of all variants into a folder.
func synthesize(folder string) ([]template, error) {
	defer jsii.Close()
	context, err := projectContext()
	if err != nil {
		return nil, err
	}
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		return nil, err
	}
	variants, err := config.Variants(context)
	if err != nil {
		return nil, err
	}
	context[config.StageKey] = local
	embedded, err := config.Load(context)
	if err != nil {
		return nil, err
	}
	variants = append(variants, config.Variant{Stage: embedded, Title: local})
	var templates []template
	for _, variant := range variants {
		outdir := filepath.Join(folder, "assemblies", variant.Title)
		app := awscdk.NewApp(&awscdk.AppProps{Context: &context, Outdir: jsii.String(outdir)})
		stacks.NewLakehouse(app, stacks.Props{Stage: variant.Stage, Contracts: contracts, Scripts: "glue-scripts"})
		app.Synth(nil)
		synthesized, err := cloud.Load(outdir)
		if err != nil {
			return nil, err
		}
		if err := zoneflow.Check(synthesized, contracts, stacks.Grants(variant.Stage, contracts)); err != nil {
			return nil, fmt.Errorf("%s: %w", variant.Title, err)
		}
		for _, stack := range synthesized {
			made := template{
				variant: variant.Title, stack: strings.TrimPrefix(stack.Name, variant.Stage.LakeName+"-"), app: synthesized, in: stack,
			}
			group := "accounts"
			if variant.Title == local {
				group = "embedded" // checkov takes whatever lies in its folder
			}
			made.path = filepath.Join(folder, group, made.variant, made.stack+".json")
			if err := move(stack.Path, made.path); err != nil {
				return nil, err
			}
			templates = append(templates, made)
		}
	}
	return templates, nil
}

func move(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func projectContext() (map[string]any, error) {
	text, err := os.ReadFile("cdk.json")
	if err != nil {
		return nil, fmt.Errorf("%w; run this in the project's folder", err)
	}
	var file struct {
		Context map[string]any `json:"context"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("cdk.json: %w", err)
	}
	return file.Context, nil
}

func toolNames() []string {
	var names []string
	for name := range checks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
