// Package jobchain makes the state machine that runs the jobs one after the other, some of them only when there is something for them.
package jobchain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/gluejob"
)

// graceMinutes is what an execution may take for each job beyond the job's own timeout, which Glue keeps: starting up, and waiting
// for capacity. An execution that is still not done is stopped, with the run that it waits for.
const graceMinutes = 15

// transient are the errors of the Glue API that another attempt may not meet. A run that failed is not among them: its job would
// only meet the same rows again. Neither is ConcurrentRunsExceededException: somebody else runs the job, and who that is matters.
// AWSGlueException stands for what the SDK of Step Functions has no name for, such as "Rate exceeded".
var transient = []string{"Glue.AWSGlueException", "Glue.ThrottlingException", "Glue.InternalServiceException", "Glue.OperationTimeoutException", "Glue.ServiceUnavailableException"}

// Attempts after the first one, 10, 20, 40, 80 s later.
const (
	retries          = 4
	firstWaitSeconds = 10
	waitGrowth       = 2
)

// looked is how many keys a look for objects asks for: enough to find something behind some that hold nothing.
const looked = 100

// tellState tells of a failure, and then fails the execution.
const tellState = "Tell"

// Expressions in JSONata.
const (
	// An execution asks for everything to be read anew with the input {"fullRefresh": true}.
	fullRefresh = "{% $string($states.context.Execution.Input.fullRefresh = true or $states.context.Execution.Input.fullRefresh = 'true') %}"
	// Objects that hold something: a folder made in the console is an object without bytes, a list that was emptied two brackets.
	found = "{% $count($states.result.Contents[$number(Size) > 2]) %}"
	// The answer of a run is dropped: the input given at the start goes through every state.
	input = "{% $states.input %}"
	// Glue's id of the run, where there was one.
	runID = "{% ($run := $match($states.errorOutput.Cause, /jr_[0-9a-f]+/)[0].match; $exists($run) ? $run : 'none') %}"
	// What the run said last: a line of the job, which never holds a value of a row. Else the API's message.
	reason = `{% ($cause := $states.errorOutput.Cause; $said := $contains($cause, '"ErrorMessage"') ? $parse($cause).ErrorMessage : $cause; ` +
		`$exists($said) ? $substring($said, 0, 1000) : 'none given') %}`
)

// Step is a run of a job.
type Step struct {
	Job       gluejob.Job
	ID        string            // of its state; empty: the job's name
	Arguments map[string]string // of the run, beside --full_refresh; may be empty
	Only      []string          // the run is left out when no key of the lake begins with one of these; empty: never
}

// Props of the state machine.
type Props struct {
	Name   string              // what people type; required
	Lake   string              // name of the lakehouse, for messages
	Bucket awss3.IBucket       // of the lake; required for a step that is left out sometimes
	Steps  []Step              // in the order in which they run; required
	Log    awslogs.CfnLogGroup // receives the events of every execution, without their data
	Topic  awssns.Topic        // hears of an execution that fails
}

// New makes the state machine. A job that fails is told to the topic and fails the execution, with Glue's message; the jobs after it
// do not start. It panics without a name, steps or topic.
func New(scope constructs.Construct, id string, props Props) awsstepfunctions.StateMachine {
	if props.Name == "" || len(props.Steps) == 0 || props.Topic == nil {
		panic(fmt.Sprintf("jobchain %s: Name is %q with %d steps and topic %v, want a name, at least one step and a topic",
			id, props.Name, len(props.Steps), props.Topic))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	failure := tell(this, props)
	var first awsstepfunctions.IChainable
	var listed []string
	minutes := 0
	for _, step := range slices.Backward(props.Steps) {
		if step.ID == "" {
			step.ID = step.Job.Name
		}
		caught := map[string]any{
			"job":    step.Job.Name,
			"log":    step.Job.LogGroup,
			"run":    runID,
			"error":  "{% $states.errorOutput.Error %}",
			"reason": reason,
		}
		task := run(this, step)
		task.AddCatch(failure, &awsstepfunctions.CatchProps{Errors: jsii.Strings("States.ALL"), Outputs: caught})
		minutes += step.Job.TimeoutMinutes + graceMinutes
		after := first
		if after != nil {
			task.Next(after)
		}
		first = task
		if len(step.Only) > 0 {
			first = look(this, props.Bucket, step, task, after, caught)
			listed = append(listed, step.Only...)
		}
	}
	machine := awsstepfunctions.NewStateMachine(this, jsii.String("StateMachine"), &awsstepfunctions.StateMachineProps{
		StateMachineName: jsii.String(props.Name),
		QueryLanguage:    awsstepfunctions.QueryLanguage_JSONATA,
		DefinitionBody:   awsstepfunctions.DefinitionBody_FromChainable(first),
		Timeout:          awscdk.Duration_Minutes(jsii.Number(minutes)),
		TracingEnabled:   jsii.Bool(true),
		Logs: &awsstepfunctions.LogOptions{
			Destination:          props.Log,
			Level:                awsstepfunctions.LogLevel_ALL,
			IncludeExecutionData: jsii.Bool(false),
		},
	})
	if len(listed) > 0 {
		// Exactly these prefixes: a list with a shorter one shows other keys.
		slices.Sort(listed)
		machine.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions: jsii.Strings("s3:ListBucket"), Resources: &[]*string{props.Bucket.BucketArn()},
			Conditions: &map[string]any{"StringEquals": map[string]any{"s3:prefix": slices.Compact(listed)}},
		}))
	}
	// Who publishes to an encrypted topic needs its key; the task of the CDK asks for the topic only.
	if key := props.Topic.MasterKey(); key != nil {
		machine.AddToRolePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions: jsii.Strings("kms:Decrypt", "kms:GenerateDataKey"), Resources: &[]*string{key.KeyArn()},
		}))
	}
	Finish(machine, props.Name)
	return machine
}

// Finish does to a state machine of the given name what the CDK does not.
//
// Step Functions takes its role on behalf of this machine only, and of nobody who names the role in a machine of another account (a
// confused deputy): the conditions that its guide asks for (docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html).
//
// The machine depends on the policy of its role: without that, the first execution could start before it may do anything. The CDK
// states the dependency on the role itself once more than needed.
func Finish(machine awsstepfunctions.StateMachine, name string) {
	stack := awscdk.Stack_Of(machine)
	role := machine.Role().Node().DefaultChild().(awsiam.CfnRole)
	role.AddPropertyOverride(jsii.String("AssumeRolePolicyDocument.Statement.0.Condition"), map[string]any{
		"StringEquals": map[string]any{"aws:SourceAccount": *stack.Account()},
		"ArnLike": map[string]any{"aws:SourceArn": *stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("states"), Resource: jsii.String("stateMachine"), ResourceName: jsii.String(name),
			ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})},
	})
	policy := machine.Role().Node().FindChild(jsii.String("DefaultPolicy")).Node().DefaultChild().(awscdk.CfnResource)
	machine.Node().DefaultChild().(awscdk.CfnResource).AddOverride(jsii.String("DependsOn"), &[]*string{policy.LogicalId()})
}

// look asks S3 for the objects that a step is for: with the first one that there is, task runs, and else what comes after it. It costs a request
// and two transitions a prefix, where a run that finds nothing to do costs a minute of its workers.
//
// The state is written out because the CDK gives its own kind the right to list the bucket whole, and has no output for what one that
// is written out catches.
func look(
	scope constructs.Construct, lake awss3.IBucket, step Step, task, after awsstepfunctions.IChainable, caught map[string]any,
) awsstepfunctions.IChainable {
	if after == nil {
		after = awsstepfunctions.Succeed_Jsonata(scope, jsii.String(step.ID+"_nothing"), nil)
	}
	for i, prefix := range slices.Backward(step.Only) {
		ask := awsstepfunctions.NewCustomState(scope, jsii.Sprintf("%s_look_%d", step.ID, i+1), &awsstepfunctions.CustomStateProps{
			StateJson: &map[string]any{
				"Type":      "Task",
				"Resource":  "arn:" + *awscdk.Stack_Of(scope).Partition() + ":states:::aws-sdk:s3:listObjectsV2",
				"Arguments": map[string]any{"Bucket": *lake.BucketName(), "Prefix": prefix, "MaxKeys": looked},
				"Output":    map[string]any{"found": found},
				"Catch":     []any{map[string]any{"ErrorEquals": []string{"States.ALL"}, "Output": caught, "Next": tellState}},
			},
		})
		ask.AddRetry(Retry("States.TaskFailed"))
		choice := awsstepfunctions.Choice_Jsonata(scope, jsii.Sprintf("%s_found_%d", step.ID, i+1), nil)
		ask.Next(choice.When(awsstepfunctions.Condition_Jsonata(jsii.String("{% $states.input.found > 0 %}")), task, nil).Otherwise(after))
		after = ask
	}
	return after
}

// run waits for the job's run to end.
func run(scope constructs.Construct, step Step) awsstepfunctionstasks.GlueStartJobRun {
	job := step.Job
	arguments := map[string]any{"--full_refresh": fullRefresh}
	for name, value := range step.Arguments {
		arguments[name] = value
	}
	task := awsstepfunctionstasks.GlueStartJobRun_Jsonata(scope, jsii.String(step.ID), &awsstepfunctionstasks.GlueStartJobRunJsonataProps{
		GlueJobName:        jsii.String(job.Name),
		Arguments:          awsstepfunctions.TaskInput_FromObject(&arguments),
		IntegrationPattern: awsstepfunctions.IntegrationPattern_RUN_JOB,
		Outputs:            input,
		// Without it the CDK writes a null here, which Glue's API does not know. It asks for an event that nobody listens to.
		NotifyDelayAfter: awscdk.Duration_Minutes(jsii.Number(job.TimeoutMinutes)),
	})
	task.AddRetry(Retry(transient...))
	return task
}

// Retry tries a call again after these errors.
func Retry(errors ...string) *awsstepfunctions.RetryProps {
	return &awsstepfunctions.RetryProps{
		Errors:      jsii.Strings(errors...),
		Interval:    awscdk.Duration_Seconds(jsii.Number(firstWaitSeconds)),
		BackoffRate: jsii.Number(waitGrowth),
		MaxAttempts: jsii.Number(retries),
	}
}

// tell sends a message about a job that failed, and then fails the execution, also when nobody could be told.
func tell(scope constructs.Construct, props Props) awsstepfunctions.IChainable {
	region := *awscdk.Stack_Of(scope).Region()
	console := "https://" + region + ".console.aws.amazon.com/"
	if strings.HasPrefix(region, "us-gov-") {
		console = "https://console.amazonaws-us-gov.com/"
	}
	message := "{% 'Job ' & $states.input.job & ' of lakehouse " + props.Lake + " failed, and the jobs after it did not run.\\n\\n" +
		"Reason: ' & $states.input.reason & '\\nError: ' & $states.input.error & '\\nJob run: ' & $states.input.run & '\\n" +
		"Execution: ' & $states.context.Execution.Id & '\\n\\nWhere to look:\\n" +
		"- the execution: " + console + "states/home?region=" + region + "#/v2/executions/details/' & $states.context.Execution.Id & '\\n" +
		"- the run: " + console + "gluestudio/home?region=" + region + "#/job/' & $states.input.job & '/run/' & $states.input.run & '\\n" +
		"- its log: log group ' & $states.input.log & ', streams that begin with ' & $states.input.run & '\\n\\n" +
		"What to do: docs/operations.md of the project, run failed.' %}"
	publish := awsstepfunctionstasks.SnsPublish_Jsonata(scope, jsii.String(tellState), &awsstepfunctionstasks.SnsPublishJsonataProps{
		Topic:   props.Topic,
		Subject: jsii.String("{% '" + props.Lake + ": ' & $states.input.job & ' failed' %}"),
		Message: awsstepfunctions.TaskInput_FromText(jsii.String(message)),
		Outputs: input,
	})
	fail := awsstepfunctions.Fail_Jsonata(scope, jsii.String("Fail"), &awsstepfunctions.FailJsonataProps{
		Error: jsii.String("{% $states.input.error %}"),
		Cause: jsii.String("{% $states.input.job & ' (job run ' & $states.input.run & '): ' & $states.input.reason %}"),
	})
	publish.AddRetry(Retry("States.TaskFailed"))
	publish.AddCatch(fail, &awsstepfunctions.CatchProps{Errors: jsii.Strings("States.ALL"), Outputs: input})
	return publish.Next(fail)
}
