// Package findings judges what the security checks find in the synthesized templates: every finding is mended, or it is suppressed here
// with a reason. A suppression that suppresses nothing is a mistake too. The tools run in tools/checks, cdk-nag in the tests of stacks.
package findings

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The tools whose findings are judged.
const (
	Nag        = "cdk-nag"
	Checkov    = "checkov"
	Guard      = "cfn-guard"
	Parliament = "parliament"
	States     = "asl-validator"
	Lint       = "cfn-lint"
)

// Finding is what a tool has found in a template.
type Finding struct {
	Tool     string
	Rule     string // e.g. CKV_AWS_195, or AwsSolutions-IAM5[Resource::*]
	Where    string // <stack without the lake's name>/<logical id or construct path>
	Message  string
	Variants string // in which variants of the stages it was found
}

// Suppression says why a finding is not a mistake. Rule and Where are regular expressions of the whole rule and place.
type Suppression struct {
	Tool   string
	Rule   string
	Where  string
	Reason string
}

func (s Suppression) covers(finding Finding) bool {
	return s.Tool == finding.Tool && whole(s.Rule).MatchString(finding.Rule) && whole(s.Where).MatchString(finding.Where)
}

func whole(pattern string) *regexp.Regexp {
	return regexp.MustCompile("^(?:" + pattern + ")$")
}

// Judge returns an error that names every finding of the given tools without a suppression, and every suppression of theirs without a
// finding.
func Judge(tools []string, found []Finding) error {
	return judge(Suppressions, tools, found)
}

func judge(suppressions []Suppression, tools []string, found []Finding) error {
	var mistakes []error
	used := make([]bool, len(suppressions))
	for _, finding := range found {
		explained := false
		for i, suppression := range suppressions {
			if suppression.covers(finding) {
				used[i], explained = true, true
			}
		}
		if !explained {
			mistakes = append(mistakes, fmt.Errorf("%s %s (%s): %s: %s", finding.Tool, finding.Rule, finding.Variants, finding.Where, strings.TrimSpace(finding.Message)))
		}
	}
	for i, suppression := range suppressions {
		if !used[i] && slices.Contains(tools, suppression.Tool) {
			mistakes = append(mistakes, fmt.Errorf("%s %s: nothing is found at %s any more; remove the suppression from internal/findings",
				suppression.Tool, suppression.Rule, suppression.Where))
		}
	}
	if len(mistakes) == 0 {
		return nil
	}
	return fmt.Errorf("%w\nMend it, or give a reason in internal/findings/suppressions.go", errors.Join(mistakes...))
}

// Merge joins findings that differ in their variant only.
func Merge(found []Finding) []Finding {
	var merged []Finding
	for _, finding := range found {
		i := slices.IndexFunc(merged, func(other Finding) bool {
			return other.Tool == finding.Tool && other.Rule == finding.Rule && other.Where == finding.Where
		})
		switch {
		case i < 0:
			merged = append(merged, finding)
		case !regexp.MustCompile(`\b` + regexp.QuoteMeta(finding.Variants) + `\b`).MatchString(merged[i].Variants):
			merged[i].Variants += " " + finding.Variants
		}
	}
	return merged
}
