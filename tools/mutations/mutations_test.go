package main

import (
	"os"
	"strings"
	"testing"
)

// Whether each mutation is caught takes minutes to see (make mutations); that each still fits the code is seen here.
func TestControlsFitTheCode(t *testing.T) {
	t.Chdir("../..")
	seen := map[string]bool{}
	for _, mutation := range controls {
		mutated, err := mutation.apply()
		if err != nil {
			t.Error(err)
		}
		if original, _ := os.ReadFile(mutation.file); mutated == string(original) {
			t.Errorf("mutation %q changes nothing", mutation.control)
		}
		if seen[mutation.control] {
			t.Errorf("two mutations are called %q", mutation.control)
		}
		seen[mutation.control] = true
	}
	if len(controls) < 25 {
		t.Errorf("%d mutations, want 25 or more", len(controls))
	}
}

func TestMisfits(t *testing.T) {
	t.Chdir("../..")
	for name, test := range map[string]struct {
		mutation mutation
		want     string
	}{
		"not found":   {mutation{"c", "main.go", "no such text", "x"}, `mutation "c": main.go holds "no such text" 0 times, want once`},
		"found often": {mutation{"c", "main.go", "err", "x"}, "times, want once"},
		"no file":     {mutation{"c", "none.go", "x", "y"}, `mutation "c": open none.go`},
	} {
		if _, err := test.mutation.apply(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want it to contain %q", name, err, test.want)
		}
	}
	if _, err := choose(controls, "no such control"); err == nil {
		t.Error("no error when nothing is chosen")
	}
}

// The runner itself, on a package whose tests take no time.
func TestTry(t *testing.T) {
	t.Chdir("../..")
	const file = "internal/cloud/overlap.go"
	caught, err := mutation{"any wildcard", file, `a[i] == '*' || b[j] == '*'`, `false`}.try(t.TempDir())
	if err != nil || caught != "internal/cloud TestOverlap" {
		t.Errorf("caught by %q (error %v), want the test of wildcards", caught, err)
	}
	if _, err := (mutation{"does not compile", file, "package cloud", "package"}).try(t.TempDir()); err == nil || !strings.Contains(err.Error(), "does not compile") {
		t.Errorf("error of code that does not compile is %v", err)
	}
}

func TestCaughtByCheck(t *testing.T) {
	t.Chdir("../..")
	for out, want := range map[string]string{
		"checkov        12 templates, 1 findings\ncheckov CKV_AWS_158 (prod-new): pipeline/Log: message": "checkov CKV_AWS_158",
		"prod-new: zone flow: the policies do not give":                                                  "zone flow at synth",
	} {
		if got, err := caughtByCheck(out); err != nil || got != want {
			t.Errorf("caught by %q (error %v), want %q", got, err, want)
		}
	}
	if _, err := caughtByCheck("cfn-guard: no such file; make setup installs it"); err == nil {
		t.Error("no error when a tool did not run")
	}
}
