package loggroup_test

import (
	"os"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"

	"stedi-lakehouse/constructs/loggroup"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func TestLogGroup(t *testing.T) {
	stack := cdktest.NewStack(t)
	loggroup.New(stack, "Unnamed", loggroup.Props{RetentionDays: 7})
	loggroup.New(stack, "Named", loggroup.Props{Name: "/shop/log", RetentionDays: 30, DeleteWithStack: true})
	template := cdktest.Synthesize(t, stack)
	template.HasResource("AWS::Logs::LogGroup", map[string]any{
		"Properties":     map[string]any{"RetentionInDays": 7, "LogGroupName": assertions.Match_Absent()},
		"DeletionPolicy": "RetainExceptOnCreate",
	})
	template.HasResource("AWS::Logs::LogGroup", map[string]any{
		"Properties":     map[string]any{"RetentionInDays": 30, "LogGroupName": "/shop/log"},
		"DeletionPolicy": "Delete",
	})
	cdktest.Panics(t, func() { loggroup.New(stack, "Endless", loggroup.Props{}) }, "loggroup Endless: RetentionDays is 0, want 1 or more")
}
