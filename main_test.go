package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"stedi-lakehouse/internal/cdktest"
)

// synth runs the app as the CDK CLI does, with the given changes laid over its source; what it writes comes back.
func synth(t *testing.T, changes map[string]string) (string, error) {
	t.Helper()
	return synthWith(t, changes, cdktest.Context(t))
}

func synthWith(t *testing.T, changes map[string]string, settings map[string]any) (string, error) {
	t.Helper()
	overlay, err := json.Marshal(map[string]any{"Replace": changes})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	context, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "run", "-overlay", path, ".")
	command.Env = append(os.Environ(), "CDK_CONTEXT_JSON="+string(context), "CDK_OUTDIR="+t.TempDir(), "CDK_VALIDATION=false")
	out, err := command.CombinedOutput()
	return string(out), err
}

// A role that may do more than it is for fails the synthesis itself, so that nothing of it can be deployed.
func TestSynthesisFailsOnAWidenedPolicy(t *testing.T) {
	if out, err := synth(t, nil); err != nil {
		t.Fatalf("the app as it is does not synthesize: %v\n%s", err, out)
	}
	const file, old = "constructs/gluejob/policies.go", `read = append(read, lake+"/"+table.Prefix()+"/*")`
	original, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), old) != 1 {
		t.Fatalf("%s does not hold %q once; widen another statement here", file, old)
	}
	widened := filepath.Join(t.TempDir(), "policies.go")
	if err := os.WriteFile(widened, []byte(strings.Replace(string(text), old, `read = append(read, lake+"/"+table.Source+"/*")`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := synth(t, map[string]string{original: widened})
	if want := "job customer_trusted_to_curated may read customer_landing and must not: statement ReadSources"; err == nil || !strings.Contains(out, want) {
		t.Errorf("the synthesis ends with %v, want an error with %q; it wrote\n%s", err, want, out)
	}
}

func TestSynthesisFailsWithoutRoomForTheJobs(t *testing.T) {
	settings := cdktest.Context(t)
	stages, _ := settings["stages"].(map[string]any)
	dev, _ := stages["dev"].(map[string]any)
	jobs, _ := dev["jobs"].(map[string]any)
	jobs["workers"] = 299
	if out, err := synthWith(t, nil, settings); err == nil || !strings.Contains(out, "jobs.workers is 299, allowed: at most 63 in subnets of /23") {
		t.Errorf("error %v, output\n%s\nwant jobs.workers", err, out)
	}
}
