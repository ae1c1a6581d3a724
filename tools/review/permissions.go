package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"stedi-lakehouse/internal/contract"
)

// policy is one policy document of a template: whose it is, and its statements.
type policy struct {
	Owner      string // logical id of the resource that carries it
	Place      string // for people: "pipeline `Role` S3Access"
	Statements []statement
}

// statement is a statement of a policy with its values as people would write them.
type statement struct {
	Sid        string
	Deny       bool
	Elements   map[string][]string // Action, NotAction, Resource, NotResource, Principal, NotPrincipal; sorted
	Conditions map[string][]string // values by "operator key"; sorted
}

// created is what exists only since this change: logical ids, names and prefixes of tables. A permission for it alone gives nobody
// access to anything that was there before.
type created struct {
	ids      []string
	names    []string
	prefixes []string
}

func newNames(changes []stackChange, base, head contract.Set) created {
	var made created
	known := map[string]bool{}
	for _, change := range changes {
		for _, resource := range change.before {
			for _, name := range resource.names() {
				known[name] = true
			}
		}
	}
	for _, change := range changes {
		for id, resource := range change.after {
			if change.before[id].Type != "" {
				continue
			}
			made.ids = append(made.ids, id)
			for _, name := range resource.names() {
				if !known[name] && !strings.ContainsAny(name, "*?") {
					made.names = append(made.names, name)
				}
			}
		}
	}
	for _, table := range head {
		if _, err := base.Get(table.Table); err != nil {
			made.prefixes = append(made.prefixes, table.Prefix()+"/")
		}
	}
	return made
}

// holds tells whether a resource of a statement, or a value of a condition, names only what is new.
func (c created) holds(name string) bool {
	return slices.ContainsFunc(c.ids, func(id string) bool {
		return slices.ContainsFunc([]string{"}", ".", "Arn}"}, func(end string) bool { return strings.Contains(name, "${"+id+end) })
	}) ||
		slices.ContainsFunc(c.names, func(known string) bool {
			return strings.HasSuffix(name, "/"+known) || strings.HasSuffix(name, ":"+known)
		}) ||
		slices.ContainsFunc(c.prefixes, func(prefix string) bool { return strings.Contains("/"+name, "/"+prefix) })
}

// permissionFindings compare every policy of a stack statement by statement.
func permissionFindings(change stackChange, created created, known contract.Set) []finding {
	before, after := policies(change, change.before), policies(change, change.after)
	had, has := holders(before, change.before), holders(after, change.after)
	var found []finding
	endpoints := false
	for _, place := range union(before, after) {
		old, made := before[place], after[place]
		if change.after[made.Owner].Type == endpoint || change.before[old.Owner].Type == endpoint {
			endpoints = true // networkFindings
			continue
		}
		if len(old.Statements) == 0 && change.isNewPrincipal(made.Owner) {
			found = append(found, newPrincipal(made, known, before)...)
			continue
		}
		if len(made.Statements) == 0 && change.isGone(old.Owner) {
			continue
		}
		// What only moved to another policy of the same role is no change.
		made.Statements = had.without(made.Statements, change.after, made.Owner)
		old.Statements = has.without(old.Statements, change.before, old.Owner)
		found = append(found, compareStatements(onPermissions, widens, old, made, created)...)
	}
	found = append(found, otherGrants(change)...)
	if change.difference.Broadened && len(found) == 0 && !endpoints {
		found = append(found, finding{Section: onPermissions, Verb: widens, Where: change.part, Text: "the CDK sees wider permissions that this review cannot name; read the full difference"})
	}
	return found
}

// isNewPrincipal tells whether a policy comes with what it belongs to: a new role, or a new policy of new roles only.
func (c stackChange) isNewPrincipal(owner string) bool {
	if c.before[owner].Type != "" {
		return false
	}
	return !slices.ContainsFunc(attachedTo(c.after[owner]), func(id string) bool { return id == "" || c.before[id].Type != "" })
}

// attachedTo are the resources that a policy is for, by logical id; "" stands for one of another stack.
func attachedTo(policy resource) []string {
	var ids []string
	for _, property := range []string{"Roles", "Users", "Groups", "Bucket", "Topics", "Queues"} {
		for _, attached := range list(policy.Properties[property]) {
			reference, _ := attached.(map[string]any)
			id, _ := reference["Ref"].(string)
			ids = append(ids, id)
		}
	}
	return ids
}

// holding is the statements of every role, or of every resource with a policy, by logical id.
type holding map[string][]statement

func holders(policies map[string]policy, resources map[string]resource) holding {
	all := holding{}
	for _, policy := range policies {
		for _, id := range holdersOf(resources, policy.Owner) {
			all[id] = append(all[id], policy.Statements...)
		}
	}
	return all
}

// holdersOf are those for whom a policy is: its own resource unless it is attached to others.
func holdersOf(resources map[string]resource, owner string) []string {
	if attached := attachedTo(resources[owner]); len(attached) > 0 {
		return attached
	}
	return []string{owner}
}

// without leaves out the statements that all holders of a policy have here.
func (h holding) without(statements []statement, resources map[string]resource, owner string) []statement {
	return slices.DeleteFunc(slices.Clone(statements), func(s statement) bool {
		return !slices.ContainsFunc(holdersOf(resources, owner), func(id string) bool {
			return !slices.ContainsFunc(h[id], func(other statement) bool { return sameStatement(s, other) })
		})
	})
}

// isGone tells whether a policy went with all it was for.
func (c stackChange) isGone(owner string) bool {
	return c.after[owner].Type == "" && !slices.ContainsFunc(attachedTo(c.before[owner]), func(id string) bool { return id == "" || c.after[id].Type != "" })
}

// newPrincipal judges the policy of a role that is new. What people would have to look at twice is unsafe: wildcards that no role
// had, somebody else than an AWS service who may use the role, personal data.
func newPrincipal(made policy, tables contract.Set, before map[string]policy) []finding {
	var found []finding
	for _, s := range made.Statements {
		one := finding{Section: onPermissions, Where: made.Place + s.name() + " (new)", Text: s.String()}
		if !s.Deny {
			switch {
			case s.trustsOthers():
				one.Verb, one.Text = widens, one.Text+": trusts somebody who is not an AWS service"
			case s.hasWildcard() && !knownStatement(s, before):
				one.Verb, one.Text = widens, one.Text+": has a wildcard that no policy had"
			default:
				if read := s.personalTables(tables); len(read) > 0 {
					one.Verb, one.Text = exposes, one.Text+": personal data of "+strings.Join(read, ", ")
				}
			}
		}
		found = append(found, one)
	}
	return found
}

func (s statement) trustsOthers() bool {
	return slices.ContainsFunc(s.Elements["Principal"], func(who string) bool { return !strings.HasPrefix(who, "Service: ") }) || len(s.Elements["NotPrincipal"]) > 0
}

func (s statement) hasWildcard() bool {
	return slices.ContainsFunc(s.Elements["Action"], func(action string) bool { return strings.Contains(action, "*") }) ||
		slices.Contains(s.Elements["Resource"], "*") || len(s.Elements["NotAction"]) > 0 || len(s.Elements["NotResource"]) > 0
}

func knownStatement(s statement, before map[string]policy) bool {
	for _, policy := range before {
		if slices.ContainsFunc(policy.Statements, func(old statement) bool { return sameStatement(old, s) }) {
			return true
		}
	}
	return false
}

// personalTables are the tables with personal data, known before the change, whose objects the statement lets somebody touch.
func (s statement) personalTables(tables contract.Set) []string {
	var names []string
	for _, table := range tables {
		if table.PersonalData && slices.ContainsFunc(s.Elements["Resource"], func(resource string) bool {
			return strings.Contains(resource, "/"+table.Prefix()+"/")
		}) {
			names = append(names, "`"+table.Table+"`")
		}
	}
	return names
}

// otherGrants are permissions that are not written as a statement.
func otherGrants(change stackChange) []finding {
	var found []finding
	say := func(id, format string, args ...any) {
		found = append(found, finding{Section: onPermissions, Verb: widens, Where: change.where(id, change.after[id].Type), Text: fmt.Sprintf(format, args...)})
	}
	for _, id := range union(change.before, change.after) {
		before, after := change.before[id], change.after[id]
		if strings.HasPrefix(after.Type, "AWS::IAM::") {
			for _, property := range []string{"ManagedPolicyArns", "Roles", "Users", "Groups"} {
				if before.Type == "" && property != "ManagedPolicyArns" {
					continue // a new policy is compared as one
				}
				for _, added := range minus(texts(after.Properties[property]), texts(before.Properties[property])) {
					if before.Type == "" && strings.HasSuffix(added, ":policy/service-role/AWSLambdaBasicExecutionRole") {
						continue // writing its own logs
					}
					say(id, "`%s`: + `%s`", property, added)
				}
			}
			if before.Properties["PermissionsBoundary"] != nil && render(before.Properties["PermissionsBoundary"]) != render(after.Properties["PermissionsBoundary"]) {
				say(id, "its permissions boundary is taken away or changed")
			}
		}
		for _, property := range []string{"Role", "RoleArn", "ExecutionRole", "ServiceRole"} {
			if was := before.Properties[property]; was != nil && render(was) != render(after.Properties[property]) && after.Type != "" {
				say(id, "works with another role: `%s` becomes `%s`", render(was), render(after.Properties[property]))
			}
		}
		if (after.Type == "AWS::Lambda::Permission" || strings.HasPrefix(after.Type, "AWS::LakeFormation::")) && render(before.Properties) != render(after.Properties) {
			say(id, "%s", render(after.Properties))
		}
	}
	return found
}

// compareStatements pairs the statements of two versions of a policy: same Sid, else the same actions or the same resources.
func compareStatements(section section, widening verb, old, made policy, created created) []finding {
	before, after := slices.Clone(old.Statements), slices.Clone(made.Statements)
	pair := func(same func(a, b statement) bool, compare func(a, b statement)) {
		for i := 0; i < len(before); i++ {
			j := slices.IndexFunc(after, func(s statement) bool { return before[i].Deny == s.Deny && same(before[i], s) })
			if j >= 0 {
				compare(before[i], after[j])
				before, after = slices.Delete(before, i, i+1), slices.Delete(after, j, j+1)
				i--
			}
		}
	}
	place := made.Place
	if place == "" {
		place = old.Place
	}
	var found []finding
	say := func(s statement, wider bool, text string) {
		one := finding{Section: section, Where: place + s.name(), Text: text}
		if wider {
			one.Verb = widening
		}
		found = append(found, one)
	}
	differences := func(a, b statement) {
		changes := statementDifferences(a, b, created)
		for _, wider := range []bool{true, false} {
			if text := tell(changes, wider); text != "" {
				say(b, wider, text)
			}
		}
	}
	pair(sameStatement, func(statement, statement) {})
	pair(func(a, b statement) bool { return a.Sid != "" && a.Sid == b.Sid }, differences)
	pair(func(a, b statement) bool {
		return a.Sid == "" && b.Sid == "" && (slices.Equal(a.Elements["Action"], b.Elements["Action"]) || slices.Equal(a.Elements["Resource"], b.Elements["Resource"]))
	}, differences)
	for _, s := range before {
		say(s, s.Deny, "− "+s.String())
	}
	for _, s := range after {
		onlyNew := len(s.Elements["Resource"]) > 0 && !slices.ContainsFunc(s.Elements["Resource"], func(name string) bool { return !created.holds(name) })
		say(s, !s.Deny && !onlyNew, "+ "+s.String())
	}
	return found
}

type statementDifference struct {
	wider   bool
	element string // "Action", "Condition `StringLike s3:prefix`"
	change  string // "+ `s3:GetObject`"
}

// tell joins the differences that are wider, or those that are not: "Action: + `s3:GetObject`, + `s3:PutObject`; Resource: − `*`".
func tell(changes []statementDifference, wider bool) string {
	var parts []string
	last := ""
	for _, one := range changes {
		switch {
		case one.wider != wider:
		case one.element == last:
			parts[len(parts)-1] += ", " + one.change
		default:
			parts = append(parts, one.element+": "+one.change)
			last = one.element
		}
	}
	return strings.Join(parts, "; ")
}

// statementDifferences says element by element what an allowed, or a denied, set gained and lost.
func statementDifferences(a, b statement, created created) []statementDifference {
	var found []statementDifference
	for _, element := range []string{"Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal"} {
		if kind, not := strings.CutPrefix(element, "Not"); (len(a.Elements["Not"+kind]) == 0) != (len(b.Elements["Not"+kind]) == 0) {
			if not { // a list of what is meant became one of what is not, or the other way round: nobody can tell which says more
				found = append(found, statementDifference{true, kind, fmt.Sprintf("`%s` becomes `%s`", a.elements(kind), b.elements(kind))})
			}
			continue
		}
		// More in an element gives more rights, except in Not... and in a Deny; in both it gives more again.
		grows := strings.HasPrefix(element, "Not") == b.Deny
		for _, added := range minus(b.Elements[element], a.Elements[element]) {
			covered := element != "Principal" && coveredBy(added, a.Elements[element])
			fresh := element == "Resource" && created.holds(added)
			found = append(found, statementDifference{grows && !covered && !fresh, element, "+ `" + added + "`"})
		}
		for _, removed := range minus(a.Elements[element], b.Elements[element]) {
			// A right that went from one name to a pattern that covers it shows as the pattern's addition.
			covered := element != "Principal" && coveredBy(removed, b.Elements[element])
			found = append(found, statementDifference{!grows && !covered, element, "− `" + removed + "`"})
		}
	}
	for _, condition := range union(a.Conditions, b.Conditions) {
		was, is := a.Conditions[condition], b.Conditions[condition]
		element := "Condition `" + condition + "`"
		if slices.Equal(was, is) {
			continue
		}
		switch {
		case was == nil: // asks for more
			found = append(found, statementDifference{b.Deny, element, "+ `" + strings.Join(is, ", ") + "`"})
		case is == nil:
			found = append(found, statementDifference{!b.Deny, element, "− `" + strings.Join(was, ", ") + "`, and with it the condition"})
		case listsWhatIsAllowed.MatchString(condition):
			for _, added := range minus(is, was) {
				found = append(found, statementDifference{!b.Deny && !created.holds(added) && !coveredBy(added, was), element, "+ `" + added + "`"})
			}
			for _, removed := range minus(was, is) {
				found = append(found, statementDifference{b.Deny && !coveredBy(removed, is), element, "− `" + removed + "`"})
			}
		default: // which way it goes is for people to judge
			found = append(found, statementDifference{true, element, fmt.Sprintf("`%s` becomes `%s`", strings.Join(was, ", "), strings.Join(is, ", "))})
		}
	}
	return found
}

// listsWhatIsAllowed are the operators for which one more value lets more requests match.
var listsWhatIsAllowed = regexp.MustCompile(`^(ForAnyValue:|ForAllValues:)?(StringEquals|StringLike|ArnEquals|ArnLike|IpAddress)(IgnoreCase)?(IfExists)? `)

// minus is what a has and b has not.
func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(value string) bool { return slices.Contains(b, value) })
}

// coveredBy tells whether one of the patterns, with * and ?, matches all that name matches.
func coveredBy(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if pattern == name || !strings.ContainsAny(pattern, "*?") {
			return false
		}
		quoted := strings.NewReplacer(`\*`, ".*", `\?`, "[^*]").Replace(regexp.QuoteMeta(pattern))
		matched, err := regexp.MatchString("^"+quoted+"$", name)
		return err == nil && matched
	})
}

// policies are the policy documents of a stack by place.
func policies(change stackChange, resources map[string]resource) map[string]policy {
	found := map[string]policy{}
	for id, resource := range resources {
		var visit func(place string, node any)
		visit = func(place string, node any) {
			switch node := node.(type) {
			case map[string]any:
				if statements, ok := readStatements(node["Statement"]); ok {
					found[place] = policy{Owner: id, Place: place, Statements: statements}
					return
				}
				for key, value := range node {
					name := place
					switch key {
					case "AssumeRolePolicyDocument":
						name += ", who may use it"
					case "PolicyDocument", "Policies", "Properties":
					default:
						name += " " + key
					}
					visit(name, value)
				}
			case []any:
				for i, value := range node {
					name := fmt.Sprintf("%s %d", place, i+1)
					if fields, ok := value.(map[string]any); ok {
						if given, ok := fields["PolicyName"].(string); ok {
							name = place + " `" + given + "`"
						}
					}
					visit(name, value)
				}
			}
		}
		visit(change.part+" `"+id+"`", resource.Properties)
	}
	return found
}

func readStatements(value any) ([]statement, bool) {
	var read []statement
	for _, entry := range list(value) {
		fields, ok := entry.(map[string]any)
		if !ok || fields["Effect"] == nil {
			return nil, false
		}
		s := statement{Deny: fields["Effect"] == "Deny", Elements: map[string][]string{}, Conditions: map[string][]string{}}
		s.Sid, _ = fields["Sid"].(string)
		for _, element := range []string{"Action", "NotAction", "Resource", "NotResource"} {
			s.Elements[element] = texts(fields[element])
		}
		for _, element := range []string{"Principal", "NotPrincipal"} {
			s.Elements[element] = principals(fields[element])
		}
		for operator, keys := range object(fields, "Condition") {
			keys, _ := keys.(map[string]any)
			for key, values := range keys {
				s.Conditions[operator+" "+key] = texts(values)
			}
		}
		read = append(read, s)
	}
	return read, len(read) > 0
}

// texts are the rendered values of an element, sorted, each once.
func texts(value any) []string {
	var rendered []string
	for _, one := range list(value) {
		rendered = append(rendered, render(one))
	}
	slices.Sort(rendered)
	return slices.Compact(rendered)
}

func principals(value any) []string {
	kinds, ok := value.(map[string]any)
	if !ok {
		return texts(value)
	}
	var found []string
	for kind, names := range kinds {
		for _, name := range texts(names) {
			found = append(found, kind+": "+name)
		}
	}
	slices.Sort(found)
	return found
}

func sameStatement(a, b statement) bool {
	return a.Deny == b.Deny && maps.EqualFunc(a.Elements, b.Elements, slices.Equal[[]string]) && maps.EqualFunc(a.Conditions, b.Conditions, slices.Equal[[]string])
}

// elements are an element and its opposite for people, for instance "Action: s3:GetObject".
func (s statement) elements(kind string) string {
	var parts []string
	for _, element := range []string{kind, "Not" + kind} {
		if values := s.Elements[element]; len(values) > 0 {
			parts = append(parts, element+": "+strings.Join(values, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// name is the statement's Sid as part of a place.
func (s statement) name() string {
	if s.Sid == "" {
		return ""
	}
	return " `" + s.Sid + "`"
}

// String is the whole statement on one line of Markdown.
func (s statement) String() string {
	parts := []string{"allows"}
	if s.Deny {
		parts[0] = "denies"
	}
	for _, element := range []string{"Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal"} {
		if values := s.Elements[element]; len(values) > 0 {
			label := map[string]string{"Action": "", "NotAction": "all but ", "Resource": "on ", "NotResource": "on all but ", "Principal": "to ", "NotPrincipal": "to all but "}[element]
			parts = append(parts, label+"`"+strings.Join(values, "`, `")+"`")
		}
	}
	for _, condition := range slices.Sorted(maps.Keys(s.Conditions)) {
		parts = append(parts, fmt.Sprintf("if `%s: %s`", condition, strings.Join(s.Conditions[condition], ", ")))
	}
	return strings.Join(parts, " ")
}
