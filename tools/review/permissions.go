package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/zoneflow"
)

// statement is a statement of a policy as the CDK's engine reads it, with its values as people would write them.
type statement struct {
	Owner      string // logical id of the resource that carries it
	Type       string // of that resource
	Place      string // the owner, and the name of an inline policy: "Role` `S3Access"
	Sid        string
	Deny       bool
	Action     targets
	Resource   targets             // of a policy about its own resource, that one: ${Role.Arn}
	Principal  targets             // of a role's policy AWS:${Role}
	Conditions map[string][]string // values by "operator key"; sorted
}

// targets are the values of Action or, if Not is set, of NotAction. They are sorted.
type targets struct {
	Not    bool
	Values []string
}

// isIdentity tells policies of roles, users and groups from those of resources, and from who may use a role.
func (s statement) isIdentity() bool {
	return strings.HasPrefix(s.Type, "AWS::IAM::") && !s.isTrust()
}

func (s statement) isTrust() bool {
	return s.Type == "AWS::IAM::Role" && slices.Equal(s.Resource.Values, []string{"${" + s.Owner + ".Arn}"})
}

// names are what exists in one version only: logical ids, names and prefixes of tables. A permission for what is new alone gives
// nobody access to anything that was there before.
type names struct {
	ids      []string
	names    []string
	prefixes []string
}

// namesOnlyIn a version, and not in another one.
func namesOnlyIn(version, other cloud.Assembly, tables, others contract.Set) names {
	var made names
	known := map[string]bool{}
	was := byName(other)
	for _, stack := range other {
		for _, resource := range stack.Resources {
			for _, name := range physicalNames(resource) {
				known[name] = true
			}
		}
	}
	for _, stack := range version {
		for id, resource := range stack.Resources {
			if was[stack.Name].Resources[id].Type != "" {
				continue
			}
			made.ids = append(made.ids, id)
			for _, name := range physicalNames(resource) {
				if !known[name] && !strings.ContainsAny(name, "*?") {
					made.names = append(made.names, name)
				}
			}
		}
	}
	for _, table := range tables {
		if _, err := others.Get(table.Table); err != nil {
			made.prefixes = append(made.prefixes, table.Prefix()+"/")
		}
	}
	return made
}

// physicalNames are those that a resource carries, its own and those of its input (TableInput.Name).
func physicalNames(resource cloud.Resource) []string {
	var found []string
	for key, value := range resource.Properties {
		fields := map[string]any{key: value}
		if input, ok := value.(map[string]any); ok && strings.HasSuffix(key, "Input") {
			fields = input
		}
		for key, value := range fields {
			if name, ok := value.(string); ok && strings.HasSuffix(key, "Name") && key != "DatabaseName" {
				found = append(found, name)
			}
		}
	}
	return found
}

// holds tells whether a resource of a statement, or a value of a condition, names only what is in the one version.
func (n names) holds(name string) bool {
	return slices.ContainsFunc(n.ids, func(id string) bool {
		return slices.ContainsFunc([]string{"}", ".", "Arn}"}, func(end string) bool { return strings.Contains(name, "${"+id+end) })
	}) ||
		slices.ContainsFunc(n.names, func(known string) bool {
			return strings.HasSuffix(name, "/"+known) || strings.HasSuffix(name, ":"+known)
		}) ||
		slices.ContainsFunc(n.prefixes, func(prefix string) bool { return strings.Contains("/"+name, "/"+prefix) })
}

// holdAll tells whether targets are nothing but that.
func (n names) holdAll(t targets) bool {
	return !t.Not && len(t.Values) > 0 && !slices.ContainsFunc(t.Values, func(name string) bool { return !n.holds(name) })
}

// own tells whether a statement came, or went, with what it is for: a role, or the resource that its policy guards.
func (n names) own(s statement) bool {
	switch {
	case !slices.Contains(n.ids, s.Owner):
		return false
	case s.isIdentity():
		return n.holdAll(s.Principal)
	}
	return s.Type == endpoint || n.holdAll(s.Resource)
}

// permissionFindings compare the statements that came with those that went: the same Sid, else the same actions or resources.
func permissionFindings(change stackChange, created, gone names) []finding {
	var found []finding
	say := func(s statement, wider bool, text string) {
		one := finding{Section: onPermissions, Verb: widens, Where: s.where(change.part), Text: text}
		if s.Type == endpoint {
			one.Section, one.Verb = onNetwork, opens
		}
		if !wider {
			one.Verb = ""
		}
		found = append(found, one)
	}
	before, after := slices.Clone(change.difference.Removed), slices.Clone(change.difference.Added)
	pair := func(same func(was, is statement) bool, compare func(was, is statement)) {
		before = slices.DeleteFunc(before, func(was statement) bool {
			i := slices.IndexFunc(after, func(is statement) bool { return was.Deny == is.Deny && same(was, is) })
			if i >= 0 {
				compare(was, after[i])
				after = slices.Delete(after, i, i+1)
			}
			return i >= 0
		})
	}
	// What has another Sid is the same, and so is what only moved to another policy of its role.
	pair(func(was, is statement) bool {
		return sameStatement(was, is) && was.Principal.equal(is.Principal) && (was.Owner == is.Owner || is.Type != endpoint)
	}, func(statement, statement) {})
	pair(func(was, is statement) bool {
		same := was.Sid != "" || was.Action.equal(is.Action) || was.Resource.equal(is.Resource)
		return same && was.Sid == is.Sid && was.Place == is.Place && (!is.isIdentity() || was.Principal.equal(is.Principal))
	}, func(was, is statement) {
		changes := statementDifferences(was, is, created)
		for _, wider := range []bool{true, false} {
			if text := tell(changes, wider); text != "" {
				say(is, wider, text)
			}
		}
	})
	for _, s := range before {
		if withoutPolicy := s.Type == endpoint && change.after[s.Owner].Get("PolicyDocument") == nil; !withoutPolicy && !gone.own(s) {
			say(s, s.Deny, "− "+s.String())
		}
	}
	for _, s := range after {
		if created.own(s) {
			wider, why := s.alarms(change.difference.Known)
			say(s, wider, s.String()+why)
			found[len(found)-1].Where += " (new)"
			continue
		}
		say(s, !s.Deny && !created.holdAll(s.Resource), "+ "+s.String())
	}
	return append(found, otherGrants(change)...)
}

// alarms are what people have to look at twice in a policy that comes with its role or its resource: wildcards that no policy had,
// somebody else than an AWS service.
func (s statement) alarms(known []statement) (bool, string) {
	switch {
	case s.Deny || s.Type == endpoint:
		return false, ""
	case !s.isIdentity() && (s.Principal.Not || slices.ContainsFunc(s.Principal.Values, func(who string) bool { return !strings.HasPrefix(who, "Service:") })):
		return true, ": trusts somebody who is not an AWS service"
	case s.hasWildcard() && !slices.ContainsFunc(known, func(old statement) bool { return sameStatement(old, s) }):
		return true, ": has a wildcard that no policy had"
	}
	return false, ""
}

func (s statement) hasWildcard() bool {
	return s.Action.Not || s.Resource.Not || slices.Contains(s.Resource.Values, "*") ||
		slices.ContainsFunc(s.Action.Values, func(action string) bool { return strings.Contains(action, "*") })
}

// onRows are the rights on the rows of a table, those that it had included.
var onRows = []zoneflow.Right{zoneflow.Read, zoneflow.ReadVersions, zoneflow.Write, zoneflow.Delete, zoneflow.DeleteVersions}

// tableFindings tell what roles, and whoever else a policy names, may newly do with tables that were there before.
func tableFindings(base, head cloud.Assembly, created names, known contract.Set) ([]finding, error) {
	gains, err := zoneflow.Gains(base, head)
	if err != nil {
		return nil, err
	}
	type source struct { // who gains something, and by which statement
		where, holder string
		verb          verb
	}
	gained := map[source]map[string][]string{} // tables by right
	for _, gain := range gains {
		s := statement{Place: gain.Policy.Resource, Sid: gain.Sid}
		if gain.Policy.Name != "" {
			s.Place += "` `" + gain.Policy.Name
		}
		if strings.HasPrefix(s.Sid, "no. ") {
			s.Sid = "" // package cloud calls it so
		}
		from := source{s.where(part(gain.Policy.Stack)), gain.Holder, widens}
		if stack, role, ok := strings.Cut(strings.TrimSuffix(gain.Holder, ".Arn}"), "."); ok && stack == "${"+gain.Policy.Stack {
			from.holder = role
		}
		right := string(gain.Right)
		table, err := known.Get(gain.Table)
		// What is no table are the results of a workgroup, which hold what somebody saw, and the state of the erasure.
		personal := slices.Contains(onRows, gain.Right) && (err != nil || table.PersonalData)
		if personal && err == nil {
			right += " personal data of"
		}
		if slices.Contains(created.ids, from.holder) {
			from.verb = map[bool]verb{true: exposes}[personal]
		}
		if gained[from] == nil {
			gained[from] = map[string][]string{}
		}
		gained[from][right] = append(gained[from][right], "`"+gain.Table+"`")
	}
	var found []finding
	for from, rights := range gained {
		var parts []string
		for _, right := range slices.Sorted(maps.Keys(rights)) {
			parts = append(parts, right+" "+strings.Join(rights[right], ", "))
		}
		found = append(found, finding{Section: onPermissions, Verb: from.verb, Where: from.where, Text: fmt.Sprintf("`%s` may now %s", from.holder, strings.Join(parts, "; "))})
	}
	slices.SortFunc(found, func(a, b finding) int {
		return cmp.Or(strings.Compare(a.Where, b.Where), strings.Compare(a.Text, b.Text))
	})
	return found, nil
}

// otherGrants are permissions that are not written as a statement, or that the engine does not read as such.
func otherGrants(change stackChange) []finding {
	var found []finding
	say := func(id, format string, args ...any) {
		found = append(found, finding{Section: onPermissions, Verb: widens, Where: change.where(id, change.after[id].Type), Text: fmt.Sprintf(format, args...)})
	}
	for _, added := range change.difference.Managed {
		if change.before[added.Owner].Type == "" && strings.HasSuffix(added.Policy, ":policy/service-role/AWSLambdaBasicExecutionRole") {
			continue // writing its own logs
		}
		say(added.Owner, "`ManagedPolicyArns`: + `%s`", added.Policy)
	}
	for _, id := range change.difference.Unread {
		say(id, "its permissions change in a way that this review cannot name; read the full difference")
	}
	for _, resource := range change.difference.Resources {
		isIAM := strings.HasPrefix(resource.NewType, "AWS::IAM::")
		if strings.HasPrefix(resource.NewType, "AWS::LakeFormation::") {
			say(resource.ID, "%s", resource.Made)
		}
		for _, property := range resource.Properties {
			switch property.Name {
			case "PermissionsBoundary":
				if isIAM && property.Old != "" {
					say(resource.ID, "its permissions boundary is taken away or changed")
				}
			case "Role", "RoleArn", "ExecutionRole", "ServiceRole":
				if property.Old != "" {
					say(resource.ID, "works with another role: `%s` becomes `%s`", property.Old, property.New)
				}
			case "Roles", "Users", "Groups": // whose a policy is its statements tell
				if isIAM && change.after[resource.ID].Get("PolicyDocument") == nil {
					say(resource.ID, "`%s`: `%s` becomes `%s`", property.Name, property.Old, property.New)
				}
			}
		}
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
func statementDifferences(a, b statement, created names) []statementDifference {
	var found []statementDifference
	// Both versions hold the same kinds of elements: who has a statement without principals, and on what, the engine fills in.
	for i, is := range b.elements() {
		was := a.elements()[i]
		if was.Not != is.Not { // a list of what is meant became one of what is not, or the other way round: nobody can tell which says more
			found = append(found, statementDifference{true, strings.TrimPrefix(is.label, "Not"), fmt.Sprintf("`%s` becomes `%s`", was, is)})
			continue
		}
		// More in an element gives more rights, except in Not... and in a Deny; in both it gives more again.
		grows := is.Not == b.Deny
		patterns := !strings.HasSuffix(is.label, "Principal")
		for _, added := range minus(is.Values, was.Values) {
			covered := patterns && coveredBy(added, was.Values)
			fresh := is.label == "Resource" && created.holds(added)
			found = append(found, statementDifference{grows && !covered && !fresh, is.label, "+ `" + added + "`"})
		}
		for _, removed := range minus(was.Values, is.Values) {
			// A right that went from one name to a pattern that covers it shows as the pattern's addition.
			covered := patterns && coveredBy(removed, is.Values)
			found = append(found, statementDifference{!grows && !covered, is.label, "− `" + removed + "`"})
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

func sameStatement(a, b statement) bool {
	return a.Deny == b.Deny && a.Action.equal(b.Action) && a.Resource.equal(b.Resource) && maps.EqualFunc(a.Conditions, b.Conditions, slices.Equal[[]string])
}

func (t targets) equal(other targets) bool {
	return t.Not == other.Not && slices.Equal(t.Values, other.Values)
}

// element is an element of a statement under its name, for instance NotAction.
type element struct {
	targets
	label string
}

func (e element) String() string { return e.label + ": " + strings.Join(e.Values, ", ") }

func (s statement) elements() []element {
	all := []element{{s.Action, "Action"}, {s.Resource, "Resource"}, {s.Principal, "Principal"}}
	for i, one := range all {
		if one.Not {
			all[i].label = "Not" + one.label
		}
	}
	return all
}

// where names a statement for people: "pipeline `Role` `S3Access` `ListObjectsInBucket`".
func (s statement) where(part string) string {
	place := part + " `" + s.Place + "`"
	if s.isTrust() {
		place += ", who may use it"
	}
	if s.Sid != "" {
		place += " `" + s.Sid + "`"
	}
	return place
}

// String is the whole statement on one line of Markdown.
func (s statement) String() string {
	parts := []string{"allows"}
	if s.Deny {
		parts[0] = "denies"
	}
	// Whose policy it is the place tells.
	s.Resource.Values = minus(s.Resource.Values, []string{"${" + s.Owner + ".Arn}"})
	s.Principal.Values = minus(s.Principal.Values, []string{"AWS:${" + s.Owner + "}"})
	words := map[string]string{"Action": "", "NotAction": "all but ", "Resource": "on ", "NotResource": "on all but ", "Principal": "to ", "NotPrincipal": "to all but "}
	for _, one := range s.elements() {
		if len(one.Values) > 0 {
			parts = append(parts, words[one.label]+"`"+strings.Join(one.Values, "`, `")+"`")
		}
	}
	for _, condition := range slices.Sorted(maps.Keys(s.Conditions)) {
		parts = append(parts, fmt.Sprintf("if `%s: %s`", condition, strings.Join(s.Conditions[condition], ", ")))
	}
	return strings.Join(parts, " ")
}
