// Mutations removes one control after another from the code and sees that something catches it:
//
//	go run ./tools/mutations [-only REGEXP] [-write]
//
// A mutation is laid over the source when Go compiles it; no file is changed. The tests of the mutated package come first, then those of
// the stacks, then the tools of tools/checks. Golden and frozen templates are left out: they see any change, so they prove nothing.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// mutation takes a control away.
type mutation struct {
	control string // what is lost
	file    string
	old     string // is in the file exactly once
	new     string
}

func main() {
	only := flag.String("only", "", "only the controls that match this regular expression")
	write := flag.Bool("write", false, "write the table into "+document)
	flag.Parse()
	if err := run(*only, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(only string, write bool) (err error) {
	chosen, err := choose(controls, only)
	if err != nil {
		return err
	}
	// Before any time is spent: does every mutation still fit the code?
	var misfits []error
	for _, mutation := range chosen {
		if _, err := mutation.apply(); err != nil {
			misfits = append(misfits, err)
		}
	}
	if len(misfits) > 0 {
		return errors.Join(misfits...)
	}
	folder, err := os.MkdirTemp("", "mutations-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := passesAsItIs(chosen); err != nil {
		return err
	}
	var rows strings.Builder
	rows.WriteString("| without | in | caught by |\n|---|---|---|\n")
	var survivors []error
	for i, mutation := range chosen {
		start := time.Now()
		by, err := mutation.try(filepath.Join(folder, strconv.Itoa(i)))
		switch {
		case err != nil:
			survivors = append(survivors, fmt.Errorf("mutation %q: %w", mutation.control, err))
			by = "ERROR"
		case by == "":
			survivors = append(survivors, fmt.Errorf("%q survives: nothing fails without it", mutation.control))
			by = "NOTHING"
		}
		fmt.Printf("%2d/%d  %-46s %-32s %s (%.0f s)\n", i+1, len(chosen), mutation.control, mutation.file, by, time.Since(start).Seconds())
		fmt.Fprintf(&rows, "| %s | `%s` | `%s` |\n", mutation.control, mutation.file, by)
	}
	if len(survivors) > 0 {
		return errors.Join(survivors...)
	}
	fmt.Printf("%d mutations, all caught\n", len(chosen))
	if write {
		return writeTable(rows.String())
	}
	return nil
}

func choose(all []mutation, only string) ([]mutation, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	var chosen []mutation
	for _, mutation := range all {
		if pattern.MatchString(mutation.control) {
			chosen = append(chosen, mutation)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-only %q matches no control", only)
	}
	return chosen, nil
}

// apply returns the mutated file.
func (m mutation) apply() (string, error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", fmt.Errorf("mutation %q: %w", m.control, err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("mutation %q: %s holds %q %d times, want once; the code has changed, so change tools/mutations/controls.go",
			m.control, m.file, m.old, n)
	}
	return strings.Replace(string(text), m.old, m.new, 1), nil
}

// packages are where a mutation should be caught by a test, in the order in which they are asked.
func (m mutation) packages() []string {
	own := "./" + filepath.Dir(m.file)
	if own == "./stacks" {
		return []string{own}
	}
	return []string{own, "./stacks"}
}

// anyChange are the tests that fail with any change of a template. The one of the mutations themselves does not concern the code.
const anyChange = "^(TestGolden|TestFrozenTables)$"

func testCommand(overlay, pkg string) *exec.Cmd {
	arguments := []string{"test", "-vet=off", "-failfast", "-skip", anyChange}
	if overlay != "" {
		arguments = append(arguments, "-overlay", overlay)
	}
	return exec.Command("go", append(arguments, pkg)...)
}

// passesAsItIs sees that the tests and checks pass without a mutation: else all would seem to be caught.
func passesAsItIs(chosen []mutation) error {
	seen := map[string]bool{}
	for _, mutation := range chosen {
		for _, pkg := range mutation.packages() {
			if seen[pkg] {
				continue
			}
			seen[pkg] = true
			if out, err := testCommand("", pkg).CombinedOutput(); err != nil {
				return fmt.Errorf("the tests of %s fail without any mutation: %w\n%s", pkg, err, out)
			}
		}
	}
	if out, err := exec.Command("go", "run", "./tools/checks").CombinedOutput(); err != nil {
		return fmt.Errorf("the checks fail without any mutation: %w\n%s", err, out)
	}
	return nil
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// try says which test or tool catches the mutation; empty: none does. Its files go into the folder.
func (m mutation) try(folder string) (string, error) {
	overlay, err := m.overlay(folder)
	if err != nil {
		return "", err
	}
	for _, pkg := range m.packages() {
		out, err := testCommand(overlay, pkg).CombinedOutput()
		if strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]") {
			return "", fmt.Errorf("the mutated code does not compile:\n%s", out)
		}
		if err == nil {
			continue
		}
		if names := failedTest.FindStringSubmatch(string(out)); names != nil {
			return strings.TrimPrefix(pkg, "./") + " " + names[1], nil
		}
		return "", fmt.Errorf("no test has failed, and yet go test %s ends with %w:\n%s", pkg, err, out)
	}
	out, err := exec.Command("go", "run", "-overlay", overlay, "./tools/checks").CombinedOutput()
	if err == nil {
		return "", nil
	}
	return caughtByCheck(string(out))
}

var checkFinding = regexp.MustCompile(`(?m)^(cdk-nag|checkov|cfn-guard|parliament|asl-validator|cfn-lint) (\S+) \(`)

// caughtByCheck finds in what the checks have written which one has found something.
func caughtByCheck(out string) (string, error) {
	switch finding := checkFinding.FindStringSubmatch(out); {
	case finding != nil:
		return finding[1] + " " + finding[2], nil
	case strings.Contains(out, "zone flow: "):
		return "zone flow at synth", nil
	}
	return "", fmt.Errorf("the checks fail, but not by what they have found:\n%s", out)
}

// overlay writes the mutated file and the list that tells Go to compile it in place of the original.
func (m mutation) overlay(folder string) (string, error) {
	text, err := m.apply()
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	mutated := filepath.Join(folder, filepath.Base(m.file))
	if err := os.WriteFile(mutated, []byte(text), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}

const document = "docs/security-checks.md"

// writeTable puts the table between its marks in the documentation.
func writeTable(rows string) error {
	const begin, end = "<!-- mutations: written by go run ./tools/mutations -write -->\n", "<!-- end of mutations -->"
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s: want the marks %q and %q", document, begin, end)
	}
	return os.WriteFile(document, []byte(before+begin+rows+end+after), 0o644)
}
