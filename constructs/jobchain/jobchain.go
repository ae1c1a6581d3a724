// Package jobchain makes the state machine that runs the jobs one after the other.
package jobchain

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
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

// Expressions in JSONata.
const (
	// An execution asks for everything to be read anew with the input {"fullRefresh": true}.
	fullRefresh = "{% $string($states.context.Execution.Input.fullRefresh = true or $states.context.Execution.Input.fullRefresh = 'true') %}"
	// The answer of a run is dropped: the input given at the start goes through every state.
	input = "{% $states.input %}"
	// Glue's id of the run, where there was one.
	runID = "{% ($run := $match($states.errorOutput.Cause, /jr_[0-9a-f]+/)[0].match; $exists($run) ? $run : 'none') %}"
	// What the run said last: a line of the job, which never holds a value of a row. Else the API's message.
	reason = `{% ($cause := $states.errorOutput.Cause; $said := $contains($cause, '"ErrorMessage"') ? $parse($cause).ErrorMessage : $cause; ` +
		`$exists($said) ? $substring($said, 0, 1000) : 'none given') %}`
)

// Props of the state machine.
type Props struct {
	Name  string              // what people type; required
	Lake  string              // name of the lakehouse, for messages
	Jobs  []gluejob.Job       // in the order in which they run; required
	Log   awslogs.CfnLogGroup // receives the events of every execution, without their data
	Topic awssns.Topic        // hears of an execution that fails
}

// New makes the state machine. A job that fails is told to the topic and fails the execution, with Glue's message; the jobs after it
// do not start. It panics without a name, jobs or topic.
func New(scope constructs.Construct, id string, props Props) awsstepfunctions.StateMachine {
	if props.Name == "" || len(props.Jobs) == 0 || props.Topic == nil {
		panic(fmt.Sprintf("jobchain %s: Name is %q with %d jobs and topic %v, want a name, at least one job and a topic",
			id, props.Name, len(props.Jobs), props.Topic))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	failure := tell(this, props)
	var chain awsstepfunctions.Chain
	minutes := 0
	for _, job := range props.Jobs {
		step := run(this, job)
		step.AddCatch(failure, &awsstepfunctions.CatchProps{Errors: jsii.Strings("States.ALL"), Outputs: map[string]any{
			"job":    job.Name,
			"log":    job.LogGroup,
			"run":    runID,
			"error":  "{% $states.errorOutput.Error %}",
			"reason": reason,
		}})
		minutes += job.TimeoutMinutes + graceMinutes
		if chain == nil {
			chain = awsstepfunctions.Chain_Start(step)
		} else {
			chain = chain.Next(step)
		}
	}
	machine := awsstepfunctions.NewStateMachine(this, jsii.String("StateMachine"), &awsstepfunctions.StateMachineProps{
		StateMachineName: jsii.String(props.Name),
		QueryLanguage:    awsstepfunctions.QueryLanguage_JSONATA,
		DefinitionBody:   awsstepfunctions.DefinitionBody_FromChainable(chain),
		Timeout:          awscdk.Duration_Minutes(jsii.Number(minutes)),
		TracingEnabled:   jsii.Bool(true),
		Logs: &awsstepfunctions.LogOptions{
			Destination:          props.Log,
			Level:                awsstepfunctions.LogLevel_ALL,
			IncludeExecutionData: jsii.Bool(false),
		},
	})
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

// run waits for the job's run to end.
func run(scope constructs.Construct, job gluejob.Job) awsstepfunctionstasks.GlueStartJobRun {
	step := awsstepfunctionstasks.GlueStartJobRun_Jsonata(scope, jsii.String(job.Name), &awsstepfunctionstasks.GlueStartJobRunJsonataProps{
		GlueJobName:        jsii.String(job.Name),
		Arguments:          awsstepfunctions.TaskInput_FromObject(&map[string]any{"--full_refresh": fullRefresh}),
		IntegrationPattern: awsstepfunctions.IntegrationPattern_RUN_JOB,
		Outputs:            input,
		// Without it the CDK writes a null here, which Glue's API does not know. It asks for an event that nobody listens to.
		NotifyDelayAfter: awscdk.Duration_Minutes(jsii.Number(job.TimeoutMinutes)),
	})
	step.AddRetry(Retry(transient...))
	return step
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
	publish := awsstepfunctionstasks.SnsPublish_Jsonata(scope, jsii.String("Tell"), &awsstepfunctionstasks.SnsPublishJsonataProps{
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
