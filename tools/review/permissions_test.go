package main

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestStatements compares policies of two versions: what is wider, and what is only different.
func TestStatements(t *testing.T) {
	fresh := created{ids: []string{"NewBucket"}, names: []string{"new_job"}, prefixes: []string{"heart_rate/landing/"}}
	for _, one := range []struct {
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
		{"another Effect", `[{"Sid":"A","Effect":"Deny","Action":"a:B","Resource":"*"}]`, `[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*"}]`, 2, 2},
	} {
		t.Run(one.name, func(t *testing.T) {
			found := compareStatements(onPermissions, widens, policy{Statements: parse(t, one.old)}, policy{Statements: parse(t, one.made)}, fresh)
			wider := len(slices.DeleteFunc(slices.Clone(found), func(f finding) bool { return !f.unsafe() }))
			if wider != one.wider || len(found) != one.all {
				t.Errorf("%d wider of %d, want %d of %d: %v", wider, len(found), one.wider, one.all, found)
			}
		})
	}
}

// TestMoved wants no finding for a statement that goes to another policy of its role, and one when the role is another.
func TestMoved(t *testing.T) {
	statements := map[string]any{"Statement": []any{map[string]any{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}}
	role := resource{Type: "AWS::IAM::Role", Properties: map[string]any{}}
	with := resource{Type: "AWS::IAM::Role", Properties: map[string]any{"Policies": []any{map[string]any{"PolicyName": "Read", "PolicyDocument": statements}}}}
	for attached, want := range map[string]int{"Role": 0, "Other": 1} {
		separate := resource{Type: "AWS::IAM::Policy", Properties: map[string]any{"PolicyDocument": statements, "Roles": []any{map[string]any{"Ref": attached}}}}
		found := permissionFindings(stackChange{
			part:   "pipeline",
			before: map[string]resource{"Role": with, "Other": role},
			after:  map[string]resource{"Role": role, "Other": role, "Policy": separate},
		}, created{}, nil)
		if wider := slices.DeleteFunc(found, func(f finding) bool { return !f.unsafe() }); len(wider) != want {
			t.Errorf("attached to %s: %d wider, want %d: %v", attached, len(wider), want, wider)
		}
	}
}

func parse(t *testing.T, text string) []statement {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	read, _ := readStatements(value)
	return read
}
