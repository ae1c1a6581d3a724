package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"stedi-lakehouse/internal/strictjson"
)

// approval is one file approvals/<name>.json: somebody takes the responsibility for unsafe findings of one change.
type approval struct {
	Findings   []string `json:"findings"`    // fingerprints, as the review prints them
	Stages     []string `json:"stages"`      // where the findings are accepted
	Reason     string   `json:"reason"`      // why it is safe, or worth it
	ApprovedBy string   `json:"approved_by"` // who decided
	file       string
}

// readApprovals reads the approvals of a version; there need not be any.
func readApprovals(project fs.FS) ([]approval, error) {
	files, err := fs.Glob(project, "approvals/*.json")
	if err != nil {
		return nil, err
	}
	var read []approval
	for _, file := range files {
		text, err := fs.ReadFile(project, file)
		if err != nil {
			return nil, err
		}
		one := approval{file: file}
		if err := strictjson.Unmarshal(text, &one); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(one.Findings) == 0 || strings.TrimSpace(one.Reason) == "" || strings.TrimSpace(one.ApprovedBy) == "" {
			return nil, fmt.Errorf("%s: findings, reason and approved_by must all be given", file)
		}
		read = append(read, one)
	}
	return read, nil
}

// approvedBy is the approval of a finding, if there is one. What stands in the same words among spent, the approvals from before the
// change, does not count: the same change made later needs another look.
func approvedBy(found finding, approvals, spent []approval) (approval, bool) {
	i := slices.IndexFunc(approvals, func(one approval) bool {
		return slices.Contains(one.Findings, found.fingerprint()) && len(minus(found.Stages, one.Stages)) == 0 &&
			!slices.ContainsFunc(spent, func(old approval) bool { return reflect.DeepEqual(old, one) })
	})
	if i < 0 {
		return approval{}, false
	}
	return approvals[i], true
}

// approvalDraft is an approval to be filled in, as JSON, for what is not approved yet.
func approvalDraft(findings []finding) string {
	draft := approval{Stages: []string{}, Reason: "...", ApprovedBy: "..."}
	for _, found := range findings {
		draft.Findings = append(draft.Findings, found.fingerprint())
		draft.Stages = append(draft.Stages, found.Stages...)
	}
	slices.Sort(draft.Stages)
	draft.Stages = slices.Compact(draft.Stages)
	text, err := json.MarshalIndent(draft, "", "  ")
	if err != nil {
		panic(err) // strings only
	}
	return string(text)
}
