package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Policy is a policy document and whom it gives rights.
type Policy struct {
	Stack      string
	Resource   string // logical id of the resource that it stands in
	Type       string // of that resource
	Name       string // of an inline policy of a role; else empty
	Statements []Statement
}

// Statement is one statement of a policy, its values as Assembly.Text gives them.
type Statement struct {
	Sid          string // as written; a statement without one is called "no. 2"
	Effect       string
	Actions      []string
	NotActions   []string
	Resources    []string
	NotResources []string
	// Holders have the rights of the statement: roles, users and groups as ${stack.LogicalId.Arn}, services by their name, * for
	// everybody.
	Holders    []string
	Conditions map[string]map[string][]string // by operator and key
}

// Policies are all policies of the app that give rights by holder: inline and managed ones, and those of buckets, keys, topics, queues.
func (a Assembly) Policies() []Policy {
	var found []Policy
	for _, stack := range a {
		for _, id := range slices.Sorted(maps.Keys(stack.Resources)) {
			found = append(found, a.policiesOf(stack, id, stack.Resources[id])...)
		}
	}
	return found
}

// documents are where resources keep a policy that names its principals.
var documents = map[string]string{
	"AWS::KMS::Key":         "KeyPolicy",
	"AWS::S3::BucketPolicy": "PolicyDocument",
	"AWS::SNS::TopicPolicy": "PolicyDocument",
	"AWS::SQS::QueuePolicy": "PolicyDocument",
	"AWS::EC2::VPCEndpoint": "PolicyDocument",
}

func (a Assembly) policiesOf(stack Stack, id string, resource Resource) []Policy {
	policy := Policy{Stack: stack.Name, Resource: id, Type: resource.Type}
	attached := a.attached(stack, id, resource)
	switch resource.Type {
	case "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group":
		var found []Policy
		inline, _ := resource.Properties["Policies"].([]any)
		for _, item := range inline {
			item, _ := item.(map[string]any)
			each := policy
			each.Name = a.Text(stack, item["PolicyName"])
			each.Statements = a.statements(stack, item["PolicyDocument"], attached)
			found = append(found, each)
		}
		return found
	case "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy":
		policy.Statements = a.statements(stack, resource.Properties["PolicyDocument"], attached)
		return []Policy{policy}
	}
	if key, ok := documents[resource.Type]; ok && resource.Properties[key] != nil {
		policy.Statements = a.statements(stack, resource.Properties[key], nil)
		return []Policy{policy}
	}
	return nil
}

// attached are the holders of an identity policy.
func (a Assembly) attached(stack Stack, id string, resource Resource) []string {
	switch resource.Type {
	case "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group":
		return []string{a.attribute(stack, id, "Arn")}
	}
	var holders []string
	for _, key := range []string{"Roles", "Users", "Groups", "RoleName", "UserName", "GroupName"} {
		for _, name := range a.Texts(stack, resource.Properties[key]) {
			if inner, isRef := strings.CutSuffix(name, "}"); isRef {
				name = inner + ".Arn}"
			}
			holders = append(holders, name)
		}
	}
	return holders
}

func (a Assembly) statements(stack Stack, document any, holders []string) []Statement {
	fields, _ := document.(map[string]any)
	list, isList := fields["Statement"].([]any)
	if !isList && fields["Statement"] != nil {
		list = []any{fields["Statement"]}
	}
	var statements []Statement
	for i, item := range list {
		given, _ := item.(map[string]any)
		statement := Statement{
			Sid:          a.Text(stack, given["Sid"]),
			Effect:       a.Text(stack, given["Effect"]),
			Actions:      a.Texts(stack, given["Action"]),
			NotActions:   a.Texts(stack, given["NotAction"]),
			Resources:    a.Texts(stack, given["Resource"]),
			NotResources: a.Texts(stack, given["NotResource"]),
			Holders:      holders,
			Conditions:   map[string]map[string][]string{},
		}
		if statement.Sid == "" {
			statement.Sid = fmt.Sprintf("no. %d", i+1)
		}
		if holders == nil {
			statement.Holders = a.principals(stack, given["Principal"])
		}
		conditions, _ := given["Condition"].(map[string]any)
		for operator, keys := range conditions {
			statement.Conditions[operator] = map[string][]string{}
			keys, _ := keys.(map[string]any)
			for key, values := range keys {
				statement.Conditions[operator][key] = a.Texts(stack, values)
			}
		}
		statements = append(statements, statement)
	}
	return statements
}

func (a Assembly) principals(stack Stack, principal any) []string {
	kinds, isMap := principal.(map[string]any)
	if !isMap {
		return a.Texts(stack, principal)
	}
	var holders []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		holders = append(holders, a.Texts(stack, kinds[kind])...)
	}
	return holders
}

// Longest texts that a deployment puts in the place of a reference: a bucket's name, an account, a Region.
var longest = strings.NewReplacer("${AWS::AccountId}", strings.Repeat("1", 12), "${AWS::Region}", "ap-southeast-1")

const longestName = 63

var reference = regexp.MustCompile(`\$\{[^}]*\}`)

// InlineSizes are the characters of all inline policies of each role, by stack and logical id, as IAM counts them: without white
// space. References count with the longest text that they can have.
func (a Assembly) InlineSizes() map[string]int {
	sizes := map[string]int{}
	for _, policy := range a.Policies() {
		if policy.Type != "AWS::IAM::Role" && policy.Type != "AWS::IAM::Policy" && policy.Type != "AWS::IAM::RolePolicy" {
			continue
		}
		var statements []map[string]any
		var holders []string
		for _, statement := range policy.Statements {
			holders = statement.Holders
			statements = append(statements, statement.document())
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			panic(err) // of strings only
		}
		full := reference.ReplaceAllString(longest.Replace(string(text)), strings.Repeat("x", longestName))
		for _, holder := range holders {
			sizes[holder] += len(strings.Join(strings.Fields(full), ""))
		}
	}
	return sizes
}

// document is the statement as IAM writes it, without its principals.
func (s Statement) document() map[string]any {
	document := map[string]any{"Effect": s.Effect}
	if !strings.HasPrefix(s.Sid, "no. ") {
		document["Sid"] = s.Sid
	}
	for key, values := range map[string][]string{
		"Action": s.Actions, "NotAction": s.NotActions, "Resource": s.Resources, "NotResource": s.NotResources,
	} {
		if len(values) > 0 {
			document[key] = values
		}
	}
	conditions := map[string]map[string]any{}
	for operator, keys := range s.Conditions {
		conditions[operator] = map[string]any{}
		for key, values := range keys {
			conditions[operator][key] = values
			if len(values) == 1 {
				conditions[operator][key] = values[0]
			}
		}
	}
	if len(conditions) > 0 {
		document["Condition"] = conditions
	}
	return document
}

// arns are what a reference to a resource's ARN may look like once it is deployed, for a linter.
var arns = map[string]string{
	"AWS::IAM::Role":                   "arn:aws:iam::111122223333:role/name",
	"AWS::KMS::Key":                    "arn:aws:kms:eu-central-1:111122223333:key/11112222-3333-4444-5555-666677778888",
	"AWS::Lambda::Function":            "arn:aws:lambda:eu-central-1:111122223333:function:name",
	"AWS::Logs::LogGroup":              "arn:aws:logs:eu-central-1:111122223333:log-group:name:*",
	"AWS::SNS::Topic":                  "arn:aws:sns:eu-central-1:111122223333:name",
	"AWS::SQS::Queue":                  "arn:aws:sqs:eu-central-1:111122223333:name",
	"AWS::StepFunctions::StateMachine": "arn:aws:states:eu-central-1:111122223333:stateMachine:name",
}

// Document is a policy as JSON, with made-up names where only a deployment knows the real ones, so that a linter can read it.
func (a Assembly) Document(policy Policy) (string, error) {
	var statements []map[string]any
	for _, statement := range policy.Statements {
		document := statement.document()
		if !strings.HasPrefix(policy.Type, "AWS::IAM::") {
			document["Principal"] = map[string]any{"AWS": statement.Holders}
		}
		statements = append(statements, document)
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		return "", err
	}
	filled := strings.NewReplacer("${AWS::AccountId}", "111122223333", "${AWS::Region}", "eu-central-1").Replace(string(text))
	return reference.ReplaceAllStringFunc(filled, a.made), nil
}

// made is a made-up text for ${stack.LogicalId} or ${stack.LogicalId.Attribute}.
func (a Assembly) made(reference string) string {
	parts := strings.Split(strings.Trim(reference, "${}"), ".")
	for _, stack := range a {
		if len(parts) < 2 || stack.Name != parts[0] {
			continue
		}
		resource := stack.Resources[parts[1]]
		isARN := len(parts) == 3 && parts[2] == "Arn"
		if refIsARN := resource.Type == "AWS::SNS::Topic" || resource.Type == "AWS::StepFunctions::StateMachine"; isARN || refIsARN {
			if arn := arns[resource.Type]; arn != "" {
				return arn
			}
		}
	}
	return "name"
}
