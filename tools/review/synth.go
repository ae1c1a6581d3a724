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

// synthesize makes the templates of a version in folder project, with the CDK CLI. Stages that it does not have are left out; none
// given means all. With environment nil the user's credentials count.
func synthesize(ctx context.Context, project, out string, stages, environment []string) (version, error) {
	made := version{Stages: map[string]map[string]template{}}
	known, err := stageNames(project)
	if err != nil {
		return version{}, err
	}
	for _, stage := range known {
		if len(stages) > 0 && !slices.Contains(stages, stage) {
			continue
		}
		assembly := filepath.Join(out, stage)
		cli := filepath.Join(project, "node_modules/.bin/cdk")
		if _, err := command(ctx, project, environment, cli, "synth", "--quiet", "--no-notices", "-c", "stage="+stage, "-o", assembly); err != nil {
			return version{}, fmt.Errorf("stage %s of %s: %w", stage, project, err)
		}
		if made.Stages[stage], err = readAssembly(assembly); err != nil {
			return version{}, err
		}
	}
	made.Contracts, err = readContracts(os.DirFS(filepath.Join(project, "data")))
	return made, err
}

func stageNames(project string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(project, "cdk.json"))
	if err != nil {
		return nil, err
	}
	var settings struct {
		Context struct {
			Stages map[string]any `json:"stages"`
		} `json:"context"`
	}
	if err := json.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(project, "cdk.json"), err)
	}
	return union(settings.Context.Stages, nil), nil
}

// readAssembly reads the templates that cdk synth wrote, by stack.
func readAssembly(folder string) (map[string]template, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.template.json"))
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Artifacts map[string]struct {
			Properties struct {
				TerminationProtection bool `json:"terminationProtection"`
			} `json:"properties"`
		} `json:"artifacts"`
	}
	text, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(folder, "manifest.json"), err)
	}
	made := map[string]template{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		stack := strings.TrimSuffix(filepath.Base(file), ".template.json")
		one, err := readTemplate(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		one.Protected = manifest.Artifacts[stack].Properties.TerminationProtection
		made[stack] = one
	}
	if len(made) == 0 {
		return nil, fmt.Errorf("%s: no *.template.json", folder)
	}
	return made, nil
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
