package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/contract"
)

// checkout writes a commit's files into a folder, which shares the project's tools.
func checkout(ctx context.Context, root, commit, folder string) error {
	archive := filepath.Join(folder, "archive.tar")
	if _, err := command(ctx, root, nil, "git", "archive", "--format=tar", "--output="+archive, commit); err != nil {
		return err
	}
	if _, err := command(ctx, folder, nil, "tar", "-xf", archive); err != nil {
		return err
	}
	if err := os.Remove(archive); err != nil {
		return err
	}
	return share(root, folder)
}

// share lets a folder with a version of the project use the tools that are installed in another.
func share(root, folder string) error {
	for _, tools := range []string{"node_modules", ".venv"} {
		installed, err := filepath.Abs(filepath.Join(root, tools))
		if err != nil {
			return err
		}
		if err := os.Symlink(installed, filepath.Join(folder, tools)); err != nil {
			return err
		}
	}
	return nil
}

// mergeBase is the commit at which HEAD left the given one: what others did since then is no part of this change.
func mergeBase(ctx context.Context, root, ref string) (string, error) {
	commit, err := command(ctx, root, nil, "git", "merge-base", ref, "HEAD")
	if err != nil {
		return "", fmt.Errorf("BASE=%s: %w (fetch it, or name another commit)", ref, err)
	}
	return strings.TrimSpace(commit), nil
}

// withoutCredentials keeps the CDK CLI from looking for an account: what it finds would depend on who reviews.
var withoutCredentials = []string{
	"AWS_PROFILE=", "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=", "AWS_ROLE_ARN=", "AWS_WEB_IDENTITY_TOKEN_FILE=",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=", "AWS_CONTAINER_CREDENTIALS_FULL_URI=", "AWS_CONFIG_FILE=" + os.DevNull,
	"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
}

// withoutValidation keeps the CDK from checking every template against the schemas of CloudFormation, which takes most of a synthesis
// and only warns: cdk synth, cdk deploy and cfn-lint check what is deployed.
var withoutValidation = []string{"CDK_VALIDATION=false"}

// synthesize makes the templates of a version in folder project, with the CDK CLI and one build of the app. Stages that it does not
// have are left out; none given means all. With environment nil the user's credentials count.
func synthesize(ctx context.Context, project, out string, stages, environment []string) (version, error) {
	made := version{Stages: map[string]cloud.Assembly{}}
	settings, err := readSettings(project)
	if err != nil {
		return version{}, err
	}
	app, source := built(settings.App, out+".app")
	if source != "" {
		// Without what debuggers need the linker is a third faster.
		if _, err := command(ctx, project, nil, "go", "build", "-ldflags=-s -w", "-o", out+".app", source); err != nil {
			return version{}, err
		}
	}
	environment = slices.Concat(environment, withoutValidation)
	for _, stage := range union(settings.Context.Stages, nil) {
		if len(stages) > 0 && !slices.Contains(stages, stage) {
			continue
		}
		assembly := filepath.Join(out, stage)
		cli := filepath.Join(project, "node_modules/.bin/cdk")
		if _, err := command(ctx, project, environment, cli, "synth", "--quiet", "--no-notices", "--app", app, "-c", "stage="+stage, "-o", assembly); err != nil {
			return version{}, fmt.Errorf("stage %s of %s: %w", stage, project, err)
		}
		if made.Stages[stage], err = cloud.Load(assembly); err != nil {
			return version{}, err
		}
	}
	made.Contracts, err = readContracts(os.DirFS(filepath.Join(project, "data")))
	return made, err
}

// built is how an app is run once its source is in a binary, and that source; an app that is not run by `go run` stays as it is.
func built(app, binary string) (run, source string) {
	variables, source, compiled := strings.Cut(app, "go run ")
	if !compiled {
		return app, ""
	}
	return variables + "'" + binary + "'", source
}

// settings are what the review needs of a version's cdk.json.
type settings struct {
	App     string `json:"app"`
	Context struct {
		Stages map[string]any `json:"stages"`
	} `json:"context"`
}

func readSettings(project string) (settings, error) {
	var read settings
	file := filepath.Join(project, "cdk.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return settings{}, err
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return settings{}, fmt.Errorf("%s: %w", file, err)
	}
	return read, nil
}

// readContracts reads contracts that their own version has checked, by rules that may not be today's.
func readContracts(files fs.FS) (contract.Set, error) {
	paths, err := fs.Glob(files, "contracts/*.json")
	if err != nil {
		return nil, err
	}
	var set contract.Set
	add := func(name string, text []byte) error {
		var one contract.Contract
		if err := json.Unmarshal(text, &one); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		set = append(set, one)
		return nil
	}
	for _, path := range paths {
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, err
		}
		if err := add(path, text); err != nil {
			return nil, err
		}
	}
	followers, err := contract.Followers(files, set)
	if errors.Is(err, fs.ErrNotExist) {
		return set, nil // a version in which every table had a file of its own
	}
	if err != nil {
		return nil, err
	}
	for name, text := range followers {
		if err := add(name, text); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// command runs a program and returns what it printed; an error holds what it complained about.
func command(ctx context.Context, folder string, environment []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), environment...)
	var output, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return output.String(), nil
}
