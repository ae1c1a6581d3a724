package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/contract"
)

// TestAgainstCommit reviews a clone with an edited cdk.json against its commit, through git and the CDK CLI.
func TestAgainstCommit(t *testing.T) {
	clone := filepath.Join(t.TempDir(), "clone")
	ctx := context.Background()
	if _, err := command(ctx, cdktest.Root(), nil, "git", "clone", "--quiet", "--shared", ".", clone); err != nil {
		t.Fatal(err)
	}
	if err := share(cdktest.Root(), clone); err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(clone, "cdk.json"))
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(settings), `"noncurrentObjects": 14`, `"noncurrentObjects": 3`, 1)
	if edited == string(settings) {
		t.Fatal("cdk.json no longer holds what this test edits")
	}
	if err := os.WriteFile(filepath.Join(clone, "cdk.json"), []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	report, unsafe, err := run(ctx, clone, []string{"-base", "HEAD", "-stage", "prod"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(report, "UNSAFE: lowers the protection of 3 resources\n") || !unsafe {
		t.Errorf("unsafe %t, want true and three buckets that keep versions for a shorter time\n%s", unsafe, report)
	}
}

// TestExit wants the exit status that continuous integration goes by.
func TestExit(t *testing.T) {
	program := filepath.Join(t.TempDir(), "review")
	if _, err := command(context.Background(), ".", nil, "go", "build", "-o", program, "."); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"-deployed"}, {"-base", "HEAD", "-deployed", "-stage", "dev"}, {"-base", "no-such-commit"}} {
		_, err := command(context.Background(), cdktest.Root(), nil, program, args...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitError {
			t.Errorf("review %q: %v, want exit status %d", args, err, exitError)
		}
	}
}

// TestMake asks what make would run: a default stage of another target once made `make diff` review that stage only.
func TestMake(t *testing.T) {
	for call, wanted := range map[string]string{
		"diff":                        `-base "origin/main"`,
		"diff STAGE=prod":             `-base "origin/main" -stage "prod"`,
		"diff DEPLOYED=1 STAGE=dev":   `-deployed -stage "dev"`,
		"destroy-plan":                "-c stage=dev ",
		"destroy-plan STAGE=prod":     "-c stage=prod ",
		"report":                      `-stage "local"`,
		"query STAGE=dev SQL=select1": `-stage "dev"`,
	} {
		dry := exec.Command("make", append([]string{"--dry-run"}, strings.Fields(call)...)...)
		dry.Dir, dry.Env = cdktest.Root(), []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
		out, err := dry.Output()
		if err != nil {
			t.Fatalf("make %s: %v", call, err)
		}
		said := strings.Join(strings.Fields(string(out)), " ") + " "
		if !strings.Contains(said, wanted) || strings.Contains(said, "-stage") != strings.Contains(wanted, "-stage") {
			t.Errorf("make %s runs\n%s\nwant %s and no other stage", call, out, wanted)
		}
	}
}

// TestContracts reads the tables that every source has as well, and those of a version in which each had a file of its own.
func TestContracts(t *testing.T) {
	set, err := readContracts(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := contract.Load(data.Contracts)
	if err != nil || len(set) != len(loaded) {
		t.Errorf("%d contracts, want the %d that the app loads (error %v)", len(set), len(loaded), err)
	}
	landing, err := fs.ReadFile(data.Contracts, "contracts/customer_landing.json")
	if err != nil {
		t.Fatal(err)
	}
	old, err := readContracts(fstest.MapFS{"contracts/customer_landing.json": {Data: landing}})
	if err != nil || len(old) != 1 {
		t.Errorf("an older version has %d contracts (error %v), want 1", len(old), err)
	}
}
