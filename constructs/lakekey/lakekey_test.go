package lakekey_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"

	"stedi-lakehouse/constructs/lakekey"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func synthesize(t *testing.T, props lakekey.Props) cdktest.Template {
	t.Helper()
	stack := cdktest.NewStack(t)
	lakekey.New(stack, "Key", props)
	return cdktest.Synthesize(t, stack)
}

func TestDefaults(t *testing.T) {
	template := synthesize(t, lakekey.Props{Name: "shop"})
	template.Count("AWS::KMS::Key", 1)
	template.Has("AWS::KMS::Key", map[string]any{
		"EnableKeyRotation": true, "PendingWindowInDays": 7, "KeySpec": assertions.Match_Absent(), "MultiRegion": assertions.Match_Absent(),
	})
	template.HasResource("AWS::KMS::Key", map[string]any{"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"})
}

func TestWithoutBudgetsTheirServiceIsNotNamed(t *testing.T) {
	for _, key := range synthesize(t, lakekey.Props{Name: "shop"}).Resources("AWS::KMS::Key") {
		if policy := text(t, key["KeyPolicy"]); strings.Contains(policy, "budgets") {
			t.Errorf("the key's policy is %s, want nothing about budgets", policy)
		}
	}
}

func TestDeleteWithStack(t *testing.T) {
	synthesize(t, lakekey.Props{Name: "shop", DeleteWithStack: true}).HasResource("AWS::KMS::Key", map[string]any{"DeletionPolicy": "Delete"})
}

// Whom the key serves, by statement, as text with the ARNs' variable parts left out.
func TestPolicy(t *testing.T) {
	want := map[string]struct{ principal, condition, actions string }{
		"": {`{"AWS":"arn::iam:::root"}`, `null`, `"kms:*"`}, // the account's IAM policies
		"EncryptLogs": {`{"Service":"logs..amazonaws.com"}`,
			`{"ArnLike":{"kms:EncryptionContext:aws:logs:arn":["arn::logs:::log-group:/aws-glue/shop/*","arn::logs:::log-group:/aws/vendedlogs/states/shop-*"]}}`,
			`["kms:Decrypt*","kms:Describe*","kms:Encrypt*","kms:GenerateDataKey*","kms:ReEncrypt*"]`},
		"NotifyFromAlarms": {`{"Service":"cloudwatch.amazonaws.com"}`,
			`{"ArnLike":{"aws:SourceArn":"arn::cloudwatch:::alarm:shop-*"},"StringEquals":{"aws:SourceAccount":""}}`,
			`["kms:Decrypt","kms:GenerateDataKey*"]`},
		"NotifyFromBudgets": {`{"Service":"budgets.amazonaws.com"}`,
			`{"ArnLike":{"aws:SourceArn":"arn::budgets:::*"},"StringEquals":{"aws:SourceAccount":""}}`,
			`["kms:Decrypt","kms:GenerateDataKey*"]`},
	}
	for _, key := range synthesize(t, lakekey.Props{Name: "shop", Budgets: true}).Resources("AWS::KMS::Key") {
		statements := key["KeyPolicy"].(map[string]any)["Statement"].([]any)
		for _, statement := range statements {
			statement := statement.(map[string]any)
			sid, _ := statement["Sid"].(string)
			for name, test := range map[string]struct{ got, want string }{
				"principal": {text(t, statement["Principal"]), want[sid].principal},
				"condition": {text(t, statement["Condition"]), want[sid].condition},
				"actions":   {text(t, statement["Action"]), want[sid].actions},
			} {
				if test.got != test.want {
					t.Errorf("statement %q: %s is\n     %s\nwant %s", sid, name, test.got, test.want)
				}
			}
		}
		if len(statements) != len(want) {
			t.Errorf("%d statements, want the account and three services", len(statements))
		}
	}
}

// text is a value as JSON, joined texts as one, with nothing for partition, Region and account.
func text(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(plain(value))
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func plain(value any) any {
	switch value := value.(type) {
	case []any:
		list := make([]any, len(value))
		for i := range value {
			list[i] = plain(value[i])
		}
		return list
	case map[string]any:
		if join, ok := value["Fn::Join"].([]any); ok {
			var joined strings.Builder
			for _, part := range plain(join[1]).([]any) {
				joined.WriteString(part.(string))
			}
			return joined.String()
		}
		if _, ok := value["Ref"]; ok {
			return ""
		}
		object := map[string]any{}
		for key := range value {
			object[key] = plain(value[key])
		}
		return object
	}
	return value
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	cdktest.Panics(t, func() { lakekey.New(stack, "Key", lakekey.Props{}) }, "lakekey Key: Name is empty")
}
