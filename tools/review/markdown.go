package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// commentLimit is the number of bytes that the report keeps to: a comment on GitHub holds 65,536 characters.
const commentLimit = 60_000

// verdict is a review with what has been approved.
type verdict struct {
	review
	Compared  string // what with what
	Approvals map[string]approval
}

// newVerdict looks up the approvals of the unsafe findings; see approvedBy.
func newVerdict(made review, compared string, approvals, spent []approval) verdict {
	v := verdict{review: made, Compared: compared, Approvals: map[string]approval{}}
	for _, found := range made.Findings {
		if one, ok := approvedBy(found, approvals, spent); ok && found.unsafe() {
			v.Approvals[found.fingerprint()] = one
		}
	}
	return v
}

// open findings are unsafe, and nobody has approved them.
func (v verdict) open() []finding {
	return slices.DeleteFunc(slices.Clone(v.Findings), func(found finding) bool {
		_, approved := v.Approvals[found.fingerprint()]
		return !found.unsafe() || approved
	})
}

// headLine is the whole review in a line: "UNSAFE: replaces 1 resource that holds data" or "Safe: 2 resources change".
func (v verdict) headLine() string {
	if open := v.open(); len(open) > 0 {
		return "UNSAFE: " + counted(open)
	}
	if len(v.Approvals) > 0 {
		unsafe := slices.DeleteFunc(slices.Clone(v.Findings), func(found finding) bool { return !found.unsafe() })
		names := map[string]bool{}
		for _, one := range v.Approvals {
			names[one.ApprovedBy] = true
		}
		return fmt.Sprintf("Approved by %s: %s", strings.Join(slices.Sorted(maps.Keys(names)), ", "), counted(unsafe))
	}
	var parts []string
	if n := len(v.Changed.updated); n > 0 {
		parts = append(parts, count(n, "resource changes", "resources change"))
	}
	if n := len(v.Changed.added); n > 0 {
		parts = append(parts, count(n, "resource is added", "resources are added"))
	}
	if n := len(v.Changed.removed); n > 0 {
		parts = append(parts, count(n, "resource is removed", "resources are removed"))
	}
	if n := len(v.wheres(onSchema)); n > 0 {
		parts = append(parts, count(n, "contract changes", "contracts change"))
	}
	if n := len(v.wheres(onCode)); n > 0 {
		parts = append(parts, "code changes")
	}
	if len(v.wheres(onNotes)) > 0 {
		parts = append(parts, "a stage is new")
	}
	if len(parts) == 0 {
		return "Safe: nothing changes"
	}
	return "Safe: " + strings.Join(parts, ", ")
}

func (v verdict) wheres(section section) map[string]bool {
	places := map[string]bool{}
	for _, found := range v.Findings {
		if found.Section == section {
			places[found.Where] = true
		}
	}
	return places
}

// counted says what unsafe findings do, each place counted once.
func counted(findings []finding) string {
	var parts []string
	for _, verb := range verbs {
		places := map[string]bool{}
		for _, found := range findings {
			if found.Verb == verb {
				places[found.Where] = true
			}
		}
		if len(places) > 0 {
			parts = append(parts, verb.count(len(places)))
		}
	}
	return strings.Join(parts, "; ")
}

var headings = map[section]string{
	onData: "Data", onPermissions: "Permissions", onNetwork: "Network", onSchema: "Schema", onCode: "Code", onNotes: "Notes",
}

// markdown is the report, the head line first.
func (v verdict) markdown() string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	line("%s\n\n%s", v.headLine(), v.Compared)
	for _, section := range []section{onData, onPermissions, onNetwork, onSchema} {
		v.writeSection(&out, section)
	}
	v.writeCost(&out)
	for _, section := range []section{onCode, onNotes} {
		v.writeSection(&out, section)
	}
	if open := v.open(); len(open) > 0 {
		line("\n<details><summary>How to approve what is unsafe</summary>\n")
		line("Add a file `approvals/<name>.json` to this change, with who decided and why (docs/reviewing.md):\n\n```json\n%s\n```\n\n</details>", approvalDraft(open))
	}
	left := commentLimit - out.Len()
	for _, stack := range union(v.Rest, nil) {
		text := v.Rest[stack]
		if left -= len(text) + 120; left < 0 {
			line("\n%s: `make diff` shows the rest; it is too long for a comment.", stack)
			continue
		}
		// A fence longer than any that the text could hold.
		line("\n<details><summary>%s, as cdk diff shows it</summary>\n\n~~~~~~text\n%s\n~~~~~~\n\n</details>", stack, strings.Trim(text, "\n"))
	}
	return out.String()
}

// writeSection writes what is unsafe, and folds the rest.
func (v verdict) writeSection(out *strings.Builder, section section) {
	var unsafe, folded []string
	for _, found := range v.Findings {
		if found.Section != section {
			continue
		}
		line := fmt.Sprintf("%s: %s", found.Where, found.Text)
		if len(found.Stages) > 0 {
			line += " (" + strings.Join(found.Stages, ", ") + ")"
		}
		if !found.unsafe() {
			folded = append(folded, "- "+line)
			continue
		}
		if one, ok := v.Approvals[found.fingerprint()]; ok {
			line += fmt.Sprintf(" · approved by %s: %s (`%s`)", one.ApprovedBy, one.Reason, one.file)
		} else {
			line = "**unsafe** " + line
		}
		unsafe = append(unsafe, fmt.Sprintf("- %s · `%s`", line, found.fingerprint()))
	}
	if len(unsafe)+len(folded) == 0 {
		return
	}
	fmt.Fprintf(out, "\n## %s\n\n", headings[section])
	for _, line := range unsafe {
		fmt.Fprintln(out, line)
	}
	switch {
	case len(folded) > 4 || len(folded) > 0 && section == onPermissions:
		fmt.Fprintf(out, "\n<details><summary>%s that no approval is needed for</summary>\n\n%s\n\n</details>\n", count(len(folded), "change", "changes"), strings.Join(folded, "\n"))
	case len(folded) > 0:
		fmt.Fprintln(out, strings.Join(folded, "\n"))
	}
}

func (v verdict) writeCost(out *strings.Builder) {
	if len(v.Costs) == 0 {
		return
	}
	fmt.Fprint(out, "\n## Cost\n\n| stage | a month without a run | a run, at least | a run, at most |\n|---|---|---|---|\n")
	for _, cost := range v.Costs {
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", cost.Stage,
			dollars(cost.Before.Idle, cost.Then.Idle), dollars(cost.Before.Min, cost.Then.Min), dollars(cost.Before.Max, cost.Then.Max))
		if len(cost.Unknown) > 0 {
			fmt.Fprintf(out, "\nNot counted, for want of a price: worker type `%s`.\n", strings.Join(cost.Unknown, "`, `"))
		}
	}
	table, err := readPrices()
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	fmt.Fprintf(out, "\nList prices of %s, %s (`tools/review/prices.json`), without storage and requests. At least: every job takes the minute that Glue charges for; at most: all of them end at their timeout.\n",
		table.Region, table.Date)
}

func dollars(before, after float64) string {
	if before == after {
		return fmt.Sprintf("$%.2f", after)
	}
	return fmt.Sprintf("$%.2f → **$%.2f**", before, after)
}
