package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/cloud"
)

// TestStatements compares policies of two versions: what is wider, and what is only different.
func TestStatements(t *testing.T) {
	fresh := names{ids: []string{"NewBucket"}, names: []string{"new_job"}, prefixes: []string{"heart_rate/landing/"}}
	cases := []struct {
		name       string
		old, made  string // lists of statements
		wider, all int
	}{
		{"the same, under another Sid", `[{"Sid":"A","Effect":"Allow","Action":"s3:Get*","Resource":"*"}]`, `[{"Sid":"B","Effect":"Allow","Action":["s3:Get*"],"Resource":["*"]}]`, 0, 0},
		{"an action that a pattern covered", `[{"Sid":"A","Effect":"Allow","Action":"s3:Get*","Resource":"*"}]`, `[{"Sid":"A","Effect":"Allow","Action":["s3:Get*","s3:GetObject"],"Resource":"*"}]`, 0, 1},
		{"a pattern for an action", `[{"Sid":"A","Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]`, `[{"Sid":"A","Effect":"Allow","Action":"s3:Get*","Resource":"*"}]`, 1, 2},
		{"a statement less", `[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]`, `[]`, 0, 1},
		{"a Deny less", `[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]`, `[]`, 1, 1},
		{"a Deny that lets an action through", `[{"Sid":"D","Effect":"Deny","Action":["s3:A","s3:B"],"Resource":"*"}]`, `[{"Sid":"D","Effect":"Deny","Action":"s3:A","Resource":"*"}]`, 1, 1},
		{"a Deny with a condition", `[{"Sid":"D","Effect":"Deny","Action":"s3:*","Resource":"*"}]`, `[{"Sid":"D","Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]`, 1, 1},
		{"NotAction less in an Allow", `[{"Sid":"A","Effect":"Allow","NotAction":["iam:*","s3:*"],"Resource":"*"}]`, `[{"Sid":"A","Effect":"Allow","NotAction":"iam:*","Resource":"*"}]`, 1, 1},
		{"NotResource more in a Deny", `[{"Sid":"D","Effect":"Deny","Action":"s3:*","NotResource":"a"}]`, `[{"Sid":"D","Effect":"Deny","Action":"s3:*","NotResource":["a","b"]}]`, 1, 1},
		{"NotAction for Action", `[{"Sid":"A","Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]`, `[{"Sid":"A","Effect":"Allow","NotAction":"iam:*","Resource":"*"}]`, 1, 1},
		{"a condition more", `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*"}]`, `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"StringEquals":{"k":"v"}}}]`, 0, 1},
		{"a condition less", `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"StringEquals":{"k":"v"}}}]`, `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*"}]`, 1, 1},
		{"a value more in a condition", `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"StringLike":{"k":"v"}}}]`, `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"StringLike":{"k":["v","w"]}}}]`, 1, 1},
		{"another value where nobody can tell", `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"NumericLessThan":{"k":"1"}}}]`, `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"NumericLessThan":{"k":"2"}}}]`, 1, 1},
		{"another principal", `[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"glue.amazonaws.com"}}]`, `[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"glue.amazonaws.com","AWS":"*"}}]`, 1, 1},
		{"a resource that is new", `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"x"}]`, `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":["x",{"Fn::GetAtt":["NewBucket","Arn"]},"arn:aws:glue:r:1:job/new_job"]}]`, 0, 1},
		{"a resource that only looks new", `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"x"}]`, `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":["x",{"Fn::GetAtt":["NewBucket2","Arn"]},"arn:aws:glue:r:1:job/old_new_job"]}]`, 1, 1},
		{"all but a resource that is new", `[]`, `[{"Effect":"Allow","Action":"a:B","NotResource":{"Fn::GetAtt":["NewBucket","Arn"]}}]`, 1, 1},
		{"a statement for a resource that is new", `[]`, `[{"Effect":"Allow","Action":"a:B","Resource":{"Fn::GetAtt":["NewBucket","Arn"]}}]`, 0, 1},
		{"another Effect", `[{"Sid":"A","Effect":"Deny","Action":"a:B","Resource":"*"}]`, `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*"}]`, 2, 2},
	}
	// The engine takes a second to start, so it gets all cases at once.
	before, after := map[string]cloud.Stack{}, map[string]cloud.Stack{}
	for _, one := range cases {
		before[one.name], after[one.name] = stackOf(t, withPolicy(one.old)), stackOf(t, withPolicy(one.made))
	}
	differences, err := compare(context.Background(), cdktest.Root(), before, after)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range cases {
		t.Run(one.name, func(t *testing.T) {
			found := permissionFindings(stackChange{part: "pipeline", difference: differences[one.name]}, fresh, names{})
			if wider := len(unsafe(found)); wider != one.wider || len(found) != one.all {
				t.Errorf("%d wider of %d, want %d of %d: %v", wider, len(found), one.wider, one.all, found)
			}
		})
	}
}

// withPolicy is a role, or a role's trust where a principal is named, with a list of statements.
func withPolicy(statements string) map[string]string {
	if strings.Contains(statements, "Principal") {
		return map[string]string{"Role": `{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{"Statement":` + statements + `}}}`}
	}
	return map[string]string{"Role": role(statements)}
}

func role(statements string) string {
	return `{"Type":"AWS::IAM::Role","Properties":{"Policies":[{"PolicyName":"Read","PolicyDocument":{"Statement":` + statements + `}}]}}`
}

// stackOf writes a template with these resources.
func stackOf(t *testing.T, resources map[string]string) cloud.Stack {
	t.Helper()
	var parts []string
	for id, text := range resources {
		parts = append(parts, `"`+id+`":`+text)
	}
	path := filepath.Join(t.TempDir(), "template.json")
	if err := os.WriteFile(path, []byte(`{"Resources":{`+strings.Join(parts, ",")+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	stack, err := cloud.LoadStack("stedi-pipeline", path)
	if err != nil {
		t.Fatal(err)
	}
	return stack
}

// permissionsOf are the findings about permissions between two versions of a stack.
func permissionsOf(t *testing.T, before, after map[string]string) []finding {
	t.Helper()
	version := func(resources map[string]string) version {
		return version{Stages: map[string]cloud.Assembly{"prod": {stackOf(t, resources)}}}
	}
	return slices.DeleteFunc(judged(t, version(before), version(after)).Findings, func(f finding) bool { return f.Section != onPermissions })
}

func unsafe(findings []finding) []finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f finding) bool { return !f.unsafe() })
}

const read = `[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]`

// TestMoved wants no finding for a statement that goes to another policy of its role, and one when the role is another.
func TestMoved(t *testing.T) {
	for attached, want := range map[string]int{"Role": 0, "Other": 1} {
		found := permissionsOf(t, map[string]string{"Role": role(read), "Other": role(`[]`)}, map[string]string{
			"Role": role(`[]`), "Other": role(`[]`),
			"Policy": `{"Type":"AWS::IAM::Policy","Properties":{"PolicyDocument":{"Statement":` + read + `},"Roles":[{"Ref":"` + attached + `"}]}}`,
		})
		if wider := unsafe(found); len(wider) != want {
			t.Errorf("attached to %s: %d wider, want %d: %v", attached, len(wider), want, wider)
		}
	}
}

// TestEveryPolicy wants a wider permission to be unsafe wherever it stands: the engine by itself does not read all of these.
func TestEveryPolicy(t *testing.T) {
	const wider = `[{"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":{"AWS":"arn:aws:iam::111122223333:root"}}]`
	for name, template := range map[string]string{
		"inline":                     role("STATEMENTS"),
		"managed, on a role":         `{"Type":"AWS::IAM::ManagedPolicy","Properties":{"Roles":[{"Ref":"Other"}],"PolicyDocument":{"Statement":STATEMENTS}}}`,
		"managed, named by a role":   `{"Type":"AWS::IAM::ManagedPolicy","Properties":{"PolicyDocument":{"Statement":STATEMENTS}}}`,
		"a resource of its own":      `{"Type":"AWS::IAM::RolePolicy","Properties":{"RoleName":{"Ref":"Other"},"PolicyDocument":{"Statement":STATEMENTS}}}`,
		"of a key":                   `{"Type":"AWS::KMS::Key","Properties":{"KeyPolicy":{"Statement":STATEMENTS}}}`,
		"of a bucket":                `{"Type":"AWS::S3::BucketPolicy","Properties":{"Bucket":{"Ref":"Bucket"},"PolicyDocument":{"Statement":STATEMENTS}}}`,
		"of a table, within others":  `{"Type":"AWS::DynamoDB::Table","Properties":{"ResourcePolicy":{"PolicyDocument":{"Statement":STATEMENTS}}}}`,
		"of a bus, without document": `{"Type":"AWS::Events::EventBusPolicy","Properties":{"EventBusName":"b","Statement":STATEMENTS}}`,
		"of a permission set":        `{"Type":"AWS::SSO::PermissionSet","Properties":{"Name":"x","InlinePolicy":{"Statement":STATEMENTS}}}`,
		"on a condition":             `{"Type":"AWS::IAM::Role","Properties":{"Policies":[{"Fn::If":["Is",{"PolicyName":"Read","PolicyDocument":{"Statement":STATEMENTS}},{"Ref":"AWS::NoValue"}]}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			version := func(statements string) map[string]string {
				return map[string]string{"Policy": strings.ReplaceAll(template, "STATEMENTS", statements)}
			}
			if found := unsafe(permissionsOf(t, version(read), version(wider))); len(found) == 0 || !strings.Contains(found[0].Where, "`Policy`") {
				t.Errorf("findings %v, want an unsafe one of Policy", found)
			}
		})
	}
}
