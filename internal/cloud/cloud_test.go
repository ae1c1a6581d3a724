package cloud

import (
	"strings"
	"testing"
)

func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"abc", "abc", true},
		{"abc", "abd", false},
		{"abc", "ab", false},
		{"*", "", true},
		{"", "", true},
		{"?", "", false},
		{"a*", "*b", true},
		{"a*c", "ab?", true},
		{"lake/customer/*", "lake/customer/landing/*", true},
		{"lake/*/landing/x", "lake/customer/landing/*", true},
		{"lake/customer/trusted/*", "lake/customer/landing/*", false},
		{"lake/customer/landing", "lake/customer/landing/*", false},
		{"lake/customer/land*2026", "lake/customer/landing/*", true},
		{"lake*", "lake", true},
		{"s3:get*", "s3:getobject", true},
		{"s3:*tagging", "s3:getobject", false},
	} {
		if Overlap(test.a, test.b) != test.want || Overlap(test.b, test.a) != test.want {
			t.Errorf("Overlap(%q, %q) is %v, want %v both ways", test.a, test.b, Overlap(test.a, test.b), test.want)
		}
	}
}

func app() Assembly {
	return Assembly{
		{Name: "catalog", Resources: map[string]Resource{
			"Lake":     {Type: "AWS::S3::Bucket"},
			"Named":    {Type: "AWS::S3::Bucket", Properties: map[string]any{"BucketName": "my-bucket"}},
			"Database": {Type: "AWS::Glue::Database", Properties: map[string]any{"DatabaseInput": map[string]any{"Name": "shop"}}},
			"Key":      {Type: "AWS::KMS::Key"},
		}, Outputs: map[string]Output{
			"LakeArn": {Value: call("Fn::GetAtt", []any{"Lake", "Arn"})},
			"Shared":  {Value: call("Ref", "Lake"), Export: struct{ Name any }{"catalog:lake"}},
		}},
		{Name: "pipeline", Resources: map[string]Resource{
			"Role": {Type: "AWS::IAM::Role", Properties: map[string]any{"Policies": []any{map[string]any{
				"PolicyName": "Inline", "PolicyDocument": statements(map[string]any{
					"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": []any{"a", call("Ref", "AWS::AccountId")},
					"Condition": map[string]any{"Null": map[string]any{"aws:TagKeys": "false"}},
				}),
			}}}},
			"More": {Type: "AWS::IAM::Policy", Properties: map[string]any{
				"Roles":          []any{call("Ref", "Role")},
				"PolicyDocument": statements(map[string]any{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn of a key"}),
			}},
		}},
	}
}

func call(function string, argument any) map[string]any { return map[string]any{function: argument} }

func statements(list ...any) map[string]any { return map[string]any{"Statement": list} }

func TestText(t *testing.T) {
	for name, test := range map[string]struct {
		value any
		want  string
	}{
		"text":             {"as it is", "as it is"},
		"number":           {float64(7), "7"},
		"bucket":           {call("Ref", "Lake"), "${catalog.Lake}"},
		"bucket by name":   {call("Fn::GetAtt", []any{"Named", "Arn"}), "arn:aws:s3:::my-bucket"},
		"ARN of a bucket":  {call("Fn::GetAtt", []any{"Lake", "Arn"}), "arn:aws:s3:::${catalog.Lake}"},
		"database":         {call("Ref", "Database"), "shop"},
		"attribute":        {call("Fn::GetAtt", []any{"Key", "Arn"}), "${catalog.Key.Arn}"},
		"partition":        {call("Ref", "AWS::Partition"), "aws"},
		"account":          {call("Ref", "AWS::AccountId"), "${AWS::AccountId}"},
		"join":             {call("Fn::Join", []any{"/", []any{call("Ref", "Lake"), "x"}}), "${catalog.Lake}/x"},
		"sub":              {call("Fn::Sub", "arn:${AWS::Partition}:${Lake}:${Key.Arn}:${!Kept}"), "arn:aws:${catalog.Lake}:${catalog.Key.Arn}:${!Kept}"},
		"sub with values":  {call("Fn::Sub", []any{"${A}-${Lake}", map[string]any{"A": "b"}}), "b-${catalog.Lake}"},
		"other stack":      {call("Fn::GetStackOutput", map[string]any{"StackName": "catalog", "OutputName": "LakeArn"}), "arn:aws:s3:::${catalog.Lake}"},
		"export":           {call("Fn::ImportValue", "catalog:lake"), "${catalog.Lake}"},
		"no such output":   {call("Fn::GetStackOutput", map[string]any{"StackName": "catalog", "OutputName": "None"}), Unknown},
		"not to be told":   {call("Fn::Select", []any{0, []any{"a"}}), Unknown},
		"list for a text":  {[]any{"a"}, Unknown},
		"no value":         {nil, ""},
		"two keys, no fun": {map[string]any{"a": 1, "b": 2}, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			stacks := app()
			if got := stacks.Text(stacks[0], test.value); got != test.want {
				t.Errorf("text is %q, want %q", got, test.want)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	stacks := app()
	policies := stacks.Policies()
	if len(policies) != 2 {
		t.Fatalf("policies are %+v, want the inline one and the one attached", policies)
	}
	for _, policy := range policies {
		if holders := policy.Statements[0].Holders; len(holders) != 1 || holders[0] != "${pipeline.Role.Arn}" {
			t.Errorf("%s gives rights to %q, want the role", policy.Resource, holders)
		}
	}
	if sid := policies[0].Statements[0].Sid; sid != "no. 1" {
		t.Errorf("statement without Sid is called %q", sid)
	}
	document, err := stacks.Document(policies[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`"Resource":["a","111122223333"]`, `"Null":{"aws:TagKeys":"false"}`} {
		if !strings.Contains(document, text) {
			t.Errorf("document is %s\nwant it to contain %s", document, text)
		}
	}
	inline := len(`{"Statement":[{"Action":["s3:GetObject"],"Condition":{"Null":{"aws:TagKeys":"false"}},"Effect":"Allow","Resource":["a","111122223333"],"Sid":"Read"}],"Version":"2012-10-17"}`)
	attached := len(`{"Statement":[{"Action":["kms:Decrypt"],"Effect":"Allow","Resource":["arnofakey"]}],"Version":"2012-10-17"}`)
	if got := stacks.InlineSizes()["${pipeline.Role.Arn}"]; got != inline+attached {
		t.Errorf("the role's policies have %d characters, want %d", got, inline+attached)
	}
}

func TestLoadRefuses(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "cdk synth makes it") {
		t.Errorf("error of an empty folder is %v", err)
	}
}
