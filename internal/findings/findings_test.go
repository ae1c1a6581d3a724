package findings

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the list of suppressions into docs/security-checks.md")

func TestJudge(t *testing.T) {
	suppressions := []Suppression{
		{Checkov, `CKV_1`, `catalog/Lake.*`, "reason"},
		{Nag, `IAM5\[Resource::.*/\*\]`, `pipeline/.*`, "reason"},
	}
	finding := func(tool, rule, where string) Finding {
		return Finding{Tool: tool, Rule: rule, Where: where, Message: "message", Variants: "prod-new"}
	}
	for name, test := range map[string]struct {
		tools []string
		found []Finding
		want  string // in the error; empty: no error
	}{
		"explained":             {[]string{Checkov}, []Finding{finding(Checkov, "CKV_1", "catalog/Lake5F1B88EA")}, ""},
		"no suppression":        {[]string{Checkov}, []Finding{finding(Checkov, "CKV_2", "catalog/Lake5F1B88EA")}, "checkov CKV_2 (prod-new): catalog/Lake5F1B88EA: message"},
		"other tool":            {[]string{Guard}, []Finding{finding(Guard, "CKV_1", "catalog/Lake5F1B88EA")}, "cfn-guard CKV_1"},
		"other place":           {[]string{Checkov}, []Finding{finding(Checkov, "CKV_1", "pipeline/Lake")}, "checkov CKV_1 (prod-new): pipeline/Lake"},
		"only part of the rule": {[]string{Checkov}, []Finding{finding(Checkov, "CKV_11", "catalog/Lake")}, "checkov CKV_11"},
		"wildcard in a finding": {[]string{Nag}, []Finding{finding(Nag, "IAM5[Resource::*]", "pipeline/Role")}, "IAM5[Resource::*]"},
		"not used":              {[]string{Checkov}, nil, "checkov CKV_1: nothing is found at catalog/Lake.* any more"},
		"tool did not run":      {[]string{Guard}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := judge(suppressions, test.tools, test.found)
			if test.want == "" && err != nil {
				t.Errorf("error is %v, want none", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error is %v\nwant it to contain %q", err, test.want)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	one := Finding{Tool: Nag, Rule: "R", Where: "catalog/Lake", Variants: "dev-new"}
	again, other, elsewhere := one, one, one
	other.Variants, elsewhere.Where = "prod-new", "catalog/Results"
	merged := Merge([]Finding{one, again, other, elsewhere})
	if len(merged) != 2 || merged[0].Variants != "dev-new prod-new" || merged[1].Where != "catalog/Results" {
		t.Errorf("merged to %+v, want two findings, the first in dev-new and prod-new", merged)
	}
}

func TestSuppressionsHaveReasons(t *testing.T) {
	for _, suppression := range Suppressions {
		if len(strings.Fields(suppression.Reason)) < 4 {
			t.Errorf("%s %s: reason is %q, want a sentence", suppression.Tool, suppression.Rule, suppression.Reason)
		}
		if suppression.Rule == ".*" || suppression.Where == ".*" {
			t.Errorf("%s: rule %q at %q would hide everything", suppression.Tool, suppression.Rule, suppression.Where)
		}
	}
}

// The list in the documentation is the one in the code.
func TestDocumentation(t *testing.T) {
	const begin, end = "<!-- suppressions: written by go test ./internal/findings -update -->\n", "<!-- end of suppressions -->"
	path := filepath.Join("..", "..", "docs", "security-checks.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	listed, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s: want the marks %q and %q", path, begin, end)
	}
	want := table()
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if listed != want {
		t.Errorf("%s does not list the suppressions of the code; go test ./internal/findings -update writes them", path)
	}
}

func table() string {
	var lines strings.Builder
	lines.WriteString("| tool | rule | where | why it is not a mistake |\n|---|---|---|---|\n")
	for _, s := range Suppressions {
		code := func(pattern string) string { return "`" + strings.ReplaceAll(pattern, "|", `\|`) + "`" }
		fmt.Fprintf(&lines, "| %s | %s | %s | %s |\n", s.Tool, code(s.Rule), code(s.Where), s.Reason)
	}
	return lines.String()
}
