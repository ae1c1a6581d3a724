package starter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
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
		Lake:           awss3.Bucket_FromBucketName(stack, jsii.String("Lake"), jsii.String("lake")),
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
				"object": map[string]any{"key": []any{map[string]any{"wildcard": "*/landing/*"}}},
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
	if err != nil || strings.Count(string(policies), "aws:SecureTransport") != 3 {
		t.Errorf("policies of the queues are %s, want TLS only for all", policies)
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

type state struct {
	Type, Resource, Next, Default string
	End                           bool
	Arguments                     map[string]any
	Choices                       []struct{ Condition, Next string }
	Retry                         []struct {
		ErrorEquals []string
		MaxAttempts int
	}
}

// states are those of the starter, without what only a deployment can tell.
func states(t *testing.T, template cdktest.Template) map[string]state {
	t.Helper()
	var machine struct{ States map[string]state }
	for id, properties := range template.Resources("AWS::StepFunctions::StateMachine") {
		if !strings.HasPrefix(id, "Starter") {
			continue
		}
		var text strings.Builder
		for _, part := range properties["DefinitionString"].(map[string]any)["Fn::Join"].([]any)[1].([]any) {
			switch part := part.(type) {
			case string:
				text.WriteString(part)
			case map[string]any: // of a queue or machine: its logical id, without the CDK's hash
				text.WriteString(strings.TrimRight(fmt.Sprint(part["Ref"]), "0123456789ABCDEF"))
			}
		}
		if err := json.Unmarshal([]byte(text.String()), &machine); err != nil {
			t.Fatal(err)
		}
	}
	return machine.States
}

// The news of files are thrown away only while a note says that a start is due, and the note only after the start.
func TestNoSignalIsLost(t *testing.T) {
	found := states(t, synthesize(t, func(*starter.Props) {}))
	path := []string{"NoteThatAStartIsDue", "EmptyTheQueue", "WaitUntilEmpty", "IsItRunning", "Idle"}
	for i, name := range path[:len(path)-1] {
		if found[name].Next != path[i+1] {
			t.Errorf("after %s comes %q, want %q", name, found[name].Next, path[i+1])
		}
	}
	for _, test := range []struct{ choice, yes, no string }{
		{"Landed?", "NoteThatAStartIsDue", "IsAStartDue"},
		{"Due?", "IsItRunning", "NothingToDo"},
		{"Idle", "WaitForTheRun", "Start"},
		{"WasItDue", "ForgetThatItWasDue", "Started"},
	} {
		if got := found[test.choice]; len(got.Choices) != 1 || got.Choices[0].Next != test.yes || got.Default != test.no {
			t.Errorf("%s leads to %+v, else to %q, want %q, else %q", test.choice, got.Choices, got.Default, test.yes, test.no)
		}
	}
	if found["Start"].Next != "WasItDue" || found["Start"].Arguments["Name"] != "{% $states.context.Execution.Name %}" {
		t.Errorf("Start is %+v, want the name of the execution, so that a second attempt starts no second run, and WasItDue after it", found["Start"])
	}
	for name, queue := range map[string]string{
		"HasAnythingLanded": "Landed", "EmptyTheQueue": "Landed", "IsAStartDue": "Due", "NoteThatAStartIsDue": "Due", "ForgetThatItWasDue": "Due",
	} {
		if url := fmt.Sprint(found[name].Arguments["QueueUrl"]); url != "Starter"+queue {
			t.Errorf("%s is about %s, want Starter%s", name, url, queue)
		}
	}
}

func TestEveryCallIsTriedAgain(t *testing.T) {
	tasks := 0
	for name, state := range states(t, synthesize(t, func(*starter.Props) {})) {
		if state.Type != "Task" {
			continue
		}
		tasks++
		if len(state.Retry) != 1 || state.Retry[0].ErrorEquals[0] != "States.TaskFailed" || state.Retry[0].MaxAttempts < 3 {
			t.Errorf("%s is tried again %+v, want on States.TaskFailed, three times or more", name, state.Retry)
		}
	}
	if tasks != 8 {
		t.Errorf("%d tasks, want 8", tasks)
	}
}

func TestStepFunctionsIsTrustedForThisMachineOnly(t *testing.T) {
	for id, role := range synthesize(t, func(*starter.Props) {}).Resources("AWS::IAM::Role") {
		if !strings.HasPrefix(id, "StarterStateMachine") {
			continue
		}
		trust, err := json.Marshal(role["AssumeRolePolicyDocument"])
		if err != nil || !strings.Contains(string(trust), `"aws:SourceAccount":{"Ref":"AWS::AccountId"}`) || !strings.Contains(string(trust), `:stateMachine:shop-starter"`) {
			t.Errorf("the starter's role trusts %s, want Step Functions for this account's shop-starter only", trust)
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
