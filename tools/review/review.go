package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/contract"
)

// version is one version of the lakehouse.
type version struct {
	Stages    map[string]cloud.Assembly
	Contracts contract.Set
}

// stacks are those of every stage, by "stage/stack".
func (v version) stacks() map[string]cloud.Stack {
	all := map[string]cloud.Stack{}
	for stage, app := range v.Stages {
		for _, stack := range app {
			all[stage+"/"+stack.Name] = stack
		}
	}
	return all
}

// section is a part of the review, in the order in which a reviewer should read them.
type section int

const (
	onData section = iota
	onPermissions
	onNetwork
	onSchema
	onCode
	onNotes
)

// finding is one thing a reviewer must know. Findings that several stages share are one.
type finding struct {
	Section section
	Verb    verb   // of an unsafe one: how the first line counts it
	Where   string // the resource, policy or table
	Text    string
	Stages  []string // sorted; empty: it is not a matter of stages
}

// unsafe findings need an approval.
func (f finding) unsafe() bool { return f.Verb != "" }

// fingerprint names the finding in an approval. It is the same in every stage: the approval says for which ones it holds.
func (f finding) fingerprint() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(f.Verb), f.Where, f.Text}, "\x00")))
	return hex.EncodeToString(sum[:6])
}

// verb is what an unsafe finding does, as the first line says it, with one %s for "1 thing" or "2 things".
type verb string

const (
	deletes    verb = "deletes %s|resource that holds data|resources that hold data"
	replaces   verb = "replaces %s|resource that holds data|resources that hold data"
	mayReplace verb = "may replace %s|resource that holds data|resources that hold data"
	leaves     verb = "lets go of %s|resource that holds data|resources that hold data"
	thaws      verb = "changes %s|frozen table template|frozen table templates"
	unprotects verb = "lowers the protection of %s|resource|resources"
	widens     verb = "widens %s|permission|permissions"
	exposes    verb = "lets %s|new role read personal data|new roles read personal data"
	opens      verb = "opens the network in %s|place|places"
	breaks     verb = "breaks %s|contract|contracts"
)

// verbs in the order in which the first line says them.
var verbs = []verb{deletes, replaces, mayReplace, leaves, thaws, unprotects, widens, exposes, opens, breaks}

func (v verb) count(n int) string {
	parts := strings.Split(string(v), "|")
	return fmt.Sprintf(parts[0], count(n, parts[1], parts[2]))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// review is what is said of a change.
type review struct {
	Findings []finding
	Changed  change            // resources, each counted once whatever the number of stages
	Costs    []stageCost       // by stage, those that change
	Rest     map[string]string // what cdk diff says, by stage and stack
}

// change lists resources as "part/logical id".
type change struct{ added, removed, updated map[string]bool }

// stackChange is what changes of one stack in one stage.
type stackChange struct {
	part          string // the stack's name without the lake's: catalog
	base, head    cloud.Stack
	before, after map[string]cloud.Resource
	difference    difference
}

// part is a stack's name without the lake's.
func part(stack string) string { return stack[strings.LastIndex(stack, "-")+1:] }

// differ compares the stacks of two versions under the same names; see compare.
type differ func(base, head map[string]cloud.Stack) (map[string]difference, error)

// newReview compares two versions.
func newReview(base, head version, differ differ) (review, error) {
	made := review{
		Changed: change{added: map[string]bool{}, removed: map[string]bool{}, updated: map[string]bool{}},
		Rest:    map[string]string{},
	}
	made.Findings = schemaFindings(base.Contracts, head.Contracts)
	differences, err := differ(base.stacks(), head.stacks())
	if err != nil {
		return review{}, err
	}
	for _, stage := range union(base.Stages, head.Stages) {
		before, after := byName(base.Stages[stage]), byName(head.Stages[stage])
		if len(before) == 0 {
			made.add(stage, finding{Section: onNotes, Where: "stage", Text: fmt.Sprintf("`%s` is new: %s, compared with nothing", stage, count(len(after), "stack", "stacks"))})
			continue
		}
		var changes []stackChange
		for _, stack := range union(before, after) {
			difference := differences[stage+"/"+stack]
			changes = append(changes, stackChange{
				part(stack), before[stack], after[stack], before[stack].Resources, after[stack].Resources, difference,
			})
			if text := difference.Text; text != "" {
				made.Rest[stage+": "+stack] = text
			}
		}
		created := namesOnlyIn(head.Stages[stage], base.Stages[stage], head.Contracts, base.Contracts)
		gone := namesOnlyIn(base.Stages[stage], head.Stages[stage], base.Contracts, head.Contracts)
		for _, change := range changes {
			made.count(change)
			found := dataFindings(change)
			found = append(found, protectionFindings(change)...)
			found = append(found, permissionFindings(change, created, gone)...)
			found = append(found, networkFindings(change, created)...)
			found = append(found, codeFindings(change)...)
			made.add(stage, found...)
		}
		onTables, err := tableFindings(base.Stages[stage], head.Stages[stage], created, base.Contracts)
		if err != nil {
			return review{}, fmt.Errorf("stage %s: %w", stage, err)
		}
		made.add(stage, onTables...)
		if changed, ok := compareCost(stage, base.Stages[stage], head.Stages[stage]); ok {
			made.Costs = append(made.Costs, changed)
		}
	}
	slices.SortStableFunc(made.Findings, func(a, b finding) int { return int(a.Section) - int(b.Section) })
	return made, nil
}

// add joins each finding with the same one of another stage.
func (r *review) add(stage string, findings ...finding) {
	for _, found := range findings {
		same := slices.IndexFunc(r.Findings, func(known finding) bool {
			return known.Section == found.Section && known.Verb == found.Verb && known.Where == found.Where && known.Text == found.Text && len(known.Stages) > 0
		})
		if same < 0 {
			found.Stages = []string{stage}
			r.Findings = append(r.Findings, found)
		} else if !slices.Contains(r.Findings[same].Stages, stage) {
			r.Findings[same].Stages = append(r.Findings[same].Stages, stage)
		}
	}
}

func (r *review) count(change stackChange) {
	for _, resource := range change.difference.Resources {
		name := change.part + "/" + resource.ID
		switch {
		case resource.added():
			r.Changed.added[name] = true
		case resource.removed():
			r.Changed.removed[name] = true
		default:
			r.Changed.updated[name] = true
		}
	}
}

// where names a resource in a finding.
func (c stackChange) where(id, kind string) string {
	return fmt.Sprintf("%s `%s` (%s)", c.part, id, kind)
}

// codeFindings tell whose code changed, which the templates show only as another hash.
func codeFindings(change stackChange) []finding {
	var found []finding
	for _, id := range union(change.before, change.after) {
		before, after := change.before[id], change.after[id]
		if before.Type != after.Type || strings.HasPrefix(after.Type, "AWS::IAM::") {
			continue
		}
		name := id
		if given, ok := after.Get("Name").(string); ok {
			name = given
		}
		was, is := map[string]string{}, map[string]string{}
		findCode("", before.Properties, was)
		findCode("", after.Properties, is)
		for _, property := range union(was, is) {
			if was[property] == is[property] {
				continue
			}
			where := fmt.Sprintf("code of `%s`", name)
			switch {
			case strings.Contains(property, "--extra-py-files"):
				where = "package of the jobs"
			case strings.Contains(property, "--additional-python-modules"):
				where = "Python packages of the jobs"
			}
			found = append(found, finding{Section: onCode, Where: where, Text: "changed"})
		}
	}
	return found
}

// assetHash is the name that the CDK gives to uploaded code; it changes with every edit of a script.
var assetHash = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// findCode collects the hashes of code by the property that holds them.
func findCode(path string, node any, found map[string]string) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			findCode(strings.TrimPrefix(path+"."+key, "."), value, found)
		}
	case []any:
		for _, value := range node {
			findCode(path, value, found)
		}
	case string:
		for _, hash := range assetHash.FindAllString(node, -1) {
			found[path] += hash
		}
	}
}

func byName(app cloud.Assembly) map[string]cloud.Stack {
	stacks := map[string]cloud.Stack{}
	for _, stack := range app {
		stacks[stack.Name] = stack
	}
	return stacks
}

// union is the sorted keys of two maps.
func union[V any](a, b map[string]V) []string {
	keys := map[string]bool{}
	for key := range a {
		keys[key] = true
	}
	for key := range b {
		keys[key] = true
	}
	return slices.Sorted(maps.Keys(keys))
}
