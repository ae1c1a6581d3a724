package jobchain_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/gluejob"
	"stedi-lakehouse/constructs/jobchain"
	"stedi-lakehouse/constructs/loggroup"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

var (
	second = gluejob.Job{Name: "second_job", TimeoutMinutes: 30, LogGroup: "/aws-glue/second"}
	first  = gluejob.Job{Name: "a_job", TimeoutMinutes: 20, LogGroup: "/aws-glue/a"}
)

func synthesize(t *testing.T) cdktest.Template {
	t.Helper()
	return synthesizeWith(t)
}

func synthesizeWith(t *testing.T, more ...jobchain.Step) cdktest.Template {
	t.Helper()
	stack := cdktest.NewStack(t)
	jobchain.New(stack, "Chain", jobchain.Props{
		Name:   "shop-pipeline",
		Lake:   "shop",
		Bucket: awss3.Bucket_FromBucketArn(stack, jsii.String("Lake"), jsii.String("arn:aws:s3:::lake")),
		Steps:  append([]jobchain.Step{{Job: second}, {Job: first}}, more...),
		Log:    loggroup.New(stack, "Log", loggroup.Props{RetentionDays: 7}),
		Topic:  awssns.NewTopic(stack, jsii.String("Topic"), &awssns.TopicProps{MasterKey: awskms.NewKey(stack, jsii.String("Key"), nil)}),
	})
	return cdktest.Synthesize(t, stack)
}

type state struct {
	Type, Next, Resource string
	End                  bool
	Arguments            map[string]any
	Output               any
	Error, Cause         string
	Choices              []struct{ Condition, Next string }
	Default              string
	Retry                []struct {
		ErrorEquals                  []string
		IntervalSeconds, MaxAttempts int
		BackoffRate                  float64
	}
	Catch []struct {
		ErrorEquals []string
		Next        string
		Output      any
	}
}

type definition struct {
	StartAt, QueryLanguage string
	TimeoutSeconds         int
	States                 map[string]state
}

func definitionOf(t *testing.T, template cdktest.Template) definition {
	t.Helper()
	var machine definition
	for _, properties := range template.Resources("AWS::StepFunctions::StateMachine") {
		var text strings.Builder
		for _, part := range properties["DefinitionString"].(map[string]any)["Fn::Join"].([]any)[1].([]any) {
			if literal, ok := part.(string); ok {
				text.WriteString(literal)
			}
		}
		if err := json.Unmarshal([]byte(text.String()), &machine); err != nil {
			t.Fatal(err)
		}
	}
	return machine
}

func TestJobsRunInOrder(t *testing.T) {
	machine := definitionOf(t, synthesize(t))
	var order []string
	for name := machine.StartAt; name != ""; name = machine.States[name].Next {
		state := machine.States[name]
		order = append(order, fmt.Sprint(state.Arguments["JobName"]))
		if state.Type != "Task" || !strings.HasSuffix(state.Resource, ":states:::glue:startJobRun.sync") {
			t.Errorf("state %s is %s %s, want a task that waits for the job", name, state.Type, state.Resource)
		}
		// A timeout given to the run would take the place of the job's own.
		if state.Arguments["Timeout"] != nil || strings.Contains(fmt.Sprint(state.Arguments), "nil") || state.Output != "{% $states.input %}" {
			t.Errorf("state %s has arguments %v and output %v, want no timeout, no null, and the input as output", name, state.Arguments, state.Output)
		}
		given := state.Arguments["Arguments"].(map[string]any)
		if refresh := fmt.Sprint(given["--full_refresh"]); len(given) != 1 || !strings.Contains(refresh, "Execution.Input.fullRefresh") {
			t.Errorf("state %s gives the run %v, want --full_refresh of the execution's input", name, given)
		}
	}
	if !slices.Equal(order, []string{"second_job", "a_job"}) {
		t.Errorf("jobs run in order %q, want the order given", order)
	}
	if want := (30 + 15 + 20 + 15) * 60; machine.TimeoutSeconds != want {
		t.Errorf("the execution may take %d s, want %d: the jobs' timeouts and 15 minutes each", machine.TimeoutSeconds, want)
	}
	if machine.QueryLanguage != "JSONata" {
		t.Errorf("the query language is %q, want JSONata", machine.QueryLanguage)
	}
}

// A step that is for some objects asks for each of their prefixes, runs with the first that there is, and else goes on.
func TestStepForObjects(t *testing.T) {
	template := synthesizeWith(t,
		jobchain.Step{Job: first, ID: "some", Arguments: map[string]string{"--step": "b"}, Only: []string{"x.json", "y/"}},
		jobchain.Step{Job: second, ID: "last"},
		jobchain.Step{Job: first, ID: "end", Only: []string{"y/"}},
	)
	states := definitionOf(t, template).States
	for _, test := range []struct{ look, found, prefix, task, otherwise string }{
		{"some_look_1", "some_found_1", "x.json", "some", "some_look_2"},
		{"some_look_2", "some_found_2", "y/", "some", "last"},
		{"end_look_1", "end_found_1", "y/", "end", "end_nothing"},
	} {
		ask, choice := states[test.look], states[test.found]
		want := map[string]any{"Bucket": "lake", "Prefix": test.prefix, "MaxKeys": 100.0}
		if !strings.HasSuffix(ask.Resource, ":states:::aws-sdk:s3:listObjectsV2") || !reflect.DeepEqual(ask.Arguments, want) || ask.Next != test.found ||
			fmt.Sprint(ask.Output) != "map[found:{% $count($states.result.Contents[$number(Size) > 2]) %}]" {
			t.Errorf("%s is %+v, want a list with %v and then %s", test.look, ask, want, test.found)
		}
		if len(ask.Catch) != 1 || ask.Catch[0].Next != "Tell" || ask.Catch[0].Output.(map[string]any)["job"] != "a_job" || len(ask.Retry) != 1 {
			t.Errorf("%s catches %+v and tries again %+v, want both, and to tell of a_job", test.look, ask.Catch, ask.Retry)
		}
		if len(choice.Choices) != 1 || choice.Choices[0].Next != test.task || choice.Choices[0].Condition != "{% $states.input.found > 0 %}" || choice.Default != test.otherwise {
			t.Errorf("%s is %+v, want %s if something was found, else %s", test.found, choice, test.task, test.otherwise)
		}
	}
	if given := states["some"].Arguments; given["JobName"] != "a_job" || given["Arguments"].(map[string]any)["--step"] != "b" || states["some"].Next != "last" {
		t.Errorf("the step runs %v, and then %s, want a_job with --step b, and then last", given, states["some"].Next)
	}
	if states["a_job"].Next != "some_look_1" || states["end_nothing"].Type != "Succeed" || !states["end"].End {
		t.Errorf("the step follows %+v, and ends with %+v or %+v", states["a_job"], states["end_nothing"], states["end"])
	}
	template.Has("AWS::IAM::Policy", map[string]any{"PolicyDocument": map[string]any{"Statement": assertions.Match_ArrayWith(&[]any{map[string]any{
		"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake",
		"Condition": map[string]any{"StringEquals": map[string]any{"s3:prefix": []any{"x.json", "y/"}}},
	}})}})
	if text := fmt.Sprint(template.Resources("AWS::IAM::Policy")); strings.Count(text, "s3:") != 3 {
		t.Errorf("the state machine may %s, want of S3 to list these prefixes and nothing else", text)
	}
}

// Only errors of the API are tried again: a run that failed would fail again, and a job that somebody else runs is not ours to wait for.
func TestRetries(t *testing.T) {
	for name, state := range definitionOf(t, synthesize(t)).States {
		if !strings.Contains(state.Resource, "glue") {
			continue
		}
		if len(state.Retry) != 1 {
			t.Fatalf("state %s has retriers %+v, want one", name, state.Retry)
		}
		retry := state.Retry[0]
		if retry.MaxAttempts < 1 || retry.BackoffRate <= 1 || retry.IntervalSeconds < 1 {
			t.Errorf("state %s tries again like this: %+v, want some attempts, further and further apart", name, retry)
		}
		for _, wrong := range []string{"States.ALL", "States.TaskFailed", "States.Timeout", "Glue.ConcurrentRunsExceededException"} {
			if slices.Contains(retry.ErrorEquals, wrong) {
				t.Errorf("state %s tries again after %s", name, wrong)
			}
		}
		if !slices.Contains(retry.ErrorEquals, "Glue.ThrottlingException") {
			t.Errorf("state %s does not try again after a throttled request", name)
		}
	}
}

func TestFailureIsToldAndFailsTheExecution(t *testing.T) {
	states := definitionOf(t, synthesize(t)).States
	for _, name := range []string{"second_job", "a_job"} {
		catch := states[name].Catch
		if len(catch) != 1 || !slices.Equal(catch[0].ErrorEquals, []string{"States.ALL"}) || catch[0].Next != "Tell" {
			t.Fatalf("state %s catches %+v, want everything, to tell it", name, catch)
		}
		told := catch[0].Output.(map[string]any)
		if told["job"] != name || told["log"] != "/aws-glue/"+strings.TrimSuffix(name, "_job") {
			t.Errorf("state %s tells %v, want its job and log group", name, told)
		}
	}
	tell := states["Tell"]
	message := fmt.Sprint(tell.Arguments["Message"])
	for _, part := range []string{"input.job", "input.run", "input.log", "input.reason", "Execution.Id", "lakehouse shop", "docs/operations.md"} {
		if !strings.Contains(message, part) {
			t.Errorf("the message has no %s: %s", part, message)
		}
	}
	if tell.Next != "Fail" || len(tell.Catch) != 1 || tell.Catch[0].Next != "Fail" {
		t.Errorf("after the message comes %q, and %+v when it cannot be sent; want Fail", tell.Next, tell.Catch)
	}
	if fail := states["Fail"]; fail.Type != "Fail" || !strings.Contains(fail.Cause, "input.job") || !strings.Contains(fail.Error, "input.error") {
		t.Errorf("the end is %+v, want a failure that names the job and the error", fail)
	}
}

func TestStateMachine(t *testing.T) {
	template := synthesize(t)
	template.Has("AWS::StepFunctions::StateMachine", map[string]any{
		"StateMachineName":     "shop-pipeline",
		"LoggingConfiguration": map[string]any{"Level": "ALL", "IncludeExecutionData": false},
		"TracingConfiguration": map[string]any{"Enabled": true},
	})
	for _, policy := range template.Resources("AWS::IAM::Policy") {
		for _, statement := range policy["PolicyDocument"].(map[string]any)["Statement"].([]any) {
			statement := statement.(map[string]any)
			actions, resources := fmt.Sprint(statement["Action"]), fmt.Sprint(statement["Resource"])
			if strings.Contains(actions, "glue:") && (!strings.Contains(resources, "job/a_job") || strings.Contains(resources, "*")) {
				t.Errorf("the state machine may %s on %s, want its jobs only", actions, resources)
			}
		}
	}
	template.Has("AWS::IAM::Policy", map[string]any{"PolicyDocument": map[string]any{"Statement": assertions.Match_ArrayWith(&[]any{
		assertions.Match_ObjectLike(&map[string]any{
			"Action":   []any{"kms:Decrypt", "kms:GenerateDataKey"},
			"Resource": map[string]any{"Fn::GetAtt": []any{assertions.Match_StringLikeRegexp(jsii.String("^Key")), "Arn"}},
		}),
	})}})
	template.HasResource("AWS::StepFunctions::StateMachine", map[string]any{"DependsOn": onlyPolicy(template)})
}

func onlyPolicy(template cdktest.Template) []any {
	var ids []any
	for id := range template.Resources("AWS::IAM::Policy") {
		ids = append(ids, id)
	}
	return ids
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	cdktest.Panics(t, func() { jobchain.New(stack, "Chain", jobchain.Props{Name: "shop"}) },
		`jobchain Chain: Name is "shop" with 0 steps and topic <nil>, want a name, at least one step and a topic`)
}

// Without the conditions whoever can name the role in a machine of another account has its rights.
func TestStepFunctionsIsTrustedForThisMachineOnly(t *testing.T) {
	template := synthesize(t)
	template.Count("AWS::IAM::Role", 1)
	template.Has("AWS::IAM::Role", map[string]any{"AssumeRolePolicyDocument": map[string]any{"Statement": []any{map[string]any{
		"Action": "sts:AssumeRole", "Principal": map[string]any{"Service": "states.amazonaws.com"},
		"Condition": map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": map[string]any{"Ref": "AWS::AccountId"}},
			"ArnLike": map[string]any{"aws:SourceArn": map[string]any{"Fn::Join": []any{"", []any{
				"arn:", map[string]any{"Ref": "AWS::Partition"}, ":states:", map[string]any{"Ref": "AWS::Region"}, ":",
				map[string]any{"Ref": "AWS::AccountId"}, ":stateMachine:shop-pipeline",
			}}}},
		},
	}}}})
}
