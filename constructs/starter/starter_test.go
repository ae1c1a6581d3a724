package starter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/loggroup"
	"stedi-lakehouse/constructs/starter"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func props(stack awscdk.Stack) starter.Props {
	return starter.Props{
		Name: "shop-starter",
		Pipeline: awsstepfunctions.NewStateMachine(stack, jsii.String("Pipeline"), &awsstepfunctions.StateMachineProps{
			StateMachineName: jsii.String("shop-pipeline"),
			DefinitionBody:   awsstepfunctions.DefinitionBody_FromChainable(awsstepfunctions.NewPass(stack, jsii.String("Pass"), nil)),
		}),
		Log:            loggroup.New(stack, "Log", loggroup.Props{RetentionDays: 7}),
		Cron:           "0 4 * * ? *",
		LandingMinutes: 30,
		Bucket:         "lake",
	}
}

func synthesize(t *testing.T, change func(*starter.Props)) cdktest.Template {
	t.Helper()
	stack := cdktest.NewStack(t)
	given := props(stack)
	change(&given)
	starter.New(stack, "Starter", given)
	return cdktest.Synthesize(t, stack)
}

func TestSchedules(t *testing.T) {
	template := synthesize(t, func(p *starter.Props) { p.TimeZone = "Europe/Berlin" })
	template.Count("AWS::Scheduler::Schedule", 2)
	machine := map[string]any{"Ref": assertions.Match_StringLikeRegexp(jsii.String("^StarterStateMachine"))}
	dead := map[string]any{"Arn": map[string]any{"Fn::GetAtt": []any{assertions.Match_StringLikeRegexp(jsii.String("^StarterDeadLetters")), "Arn"}}}
	template.Has("AWS::Scheduler::Schedule", map[string]any{
		"ScheduleExpression": "cron(0 4 * * ? *)", "ScheduleExpressionTimezone": "Europe/Berlin",
		"Target": map[string]any{"Arn": machine, "Input": `{"landed":false}`, "DeadLetterConfig": dead},
	})
	template.Has("AWS::Scheduler::Schedule", map[string]any{
		"ScheduleExpression": "rate(30 minutes)", "Target": map[string]any{"Arn": machine, "Input": `{"landed":true}`, "DeadLetterConfig": dead},
	})
	template.Has("AWS::IAM::Role", map[string]any{
		"AssumeRolePolicyDocument": map[string]any{"Statement": []any{map[string]any{
			"Principal": map[string]any{"Service": "scheduler.amazonaws.com"},
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": map[string]any{"Ref": "AWS::AccountId"}}},
		}}},
		"Policies": []any{map[string]any{"PolicyDocument": map[string]any{"Statement": []any{
			map[string]any{"Action": "states:StartExecution", "Resource": machine},
			map[string]any{"Action": "sqs:SendMessage"},
		}}}},
	})
}

func TestLandedFilesAreCollected(t *testing.T) {
	template := synthesize(t, func(p *starter.Props) { p.Cron = "" })
	template.Count("AWS::Scheduler::Schedule", 1)
	template.Has("AWS::Events::Rule", map[string]any{
		"EventPattern": map[string]any{
			"source": []any{"aws.s3"}, "detail-type": []any{"Object Created"},
			"detail": map[string]any{
				"bucket": map[string]any{"name": []any{"lake"}},
				"object": map[string]any{"key": []any{map[string]any{"wildcard": "*/landing/*.json"}, map[string]any{"wildcard": "*/landing/*.json.gz"}}},
			},
		},
		"Targets": []any{map[string]any{"DeadLetterConfig": assertions.Match_AnyValue()}},
	})
	for id, queue := range template.Resources("AWS::SQS::Queue") {
		if queue["SqsManagedSseEnabled"] != true {
			t.Errorf("queue %s is not encrypted: %v", id, queue)
		}
	}
	policies, err := json.Marshal(template.Resources("AWS::SQS::QueuePolicy"))
	if err != nil || strings.Count(string(policies), "aws:SecureTransport") != 2 {
		t.Errorf("policies of the queues are %s, want TLS only for both", policies)
	}
}

func TestWithoutLandingThereIsNoQueueToLookInto(t *testing.T) {
	template := synthesize(t, func(p *starter.Props) { p.LandingMinutes = 0 })
	template.Count("AWS::Events::Rule", 0)
	template.Count("AWS::SQS::Queue", 1) // dead letters
	template.Count("AWS::Scheduler::Schedule", 1)
}

func TestStateMachine(t *testing.T) {
	template := synthesize(t, func(*starter.Props) {})
	template.Has("AWS::StepFunctions::StateMachine", map[string]any{
		"StateMachineName":     "shop-starter",
		"LoggingConfiguration": map[string]any{"Level": "ALL", "IncludeExecutionData": false},
		"TracingConfiguration": map[string]any{"Enabled": true},
	})
	for id, policy := range template.Resources("AWS::IAM::Policy") {
		if !strings.HasPrefix(id, "StarterStateMachine") {
			continue
		}
		for _, statement := range policy["PolicyDocument"].(map[string]any)["Statement"].([]any) {
			statement := statement.(map[string]any)
			actions := fmt.Sprint(statement["Action"])
			if (strings.Contains(actions, "states:") || strings.Contains(actions, "sqs:")) && statement["Resource"] == "*" {
				t.Errorf("the starter may %s on everything", actions)
			}
		}
	}
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	given := props(stack)
	given.Cron, given.LandingMinutes = "", 0
	cdktest.Panics(t, func() { starter.New(stack, "Starter", given) },
		`starter Starter: Name is "shop-starter", Cron "" and LandingMinutes 0, want a name, a pipeline, and a time to start it`)
}
