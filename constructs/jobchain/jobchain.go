// Package jobchain makes the state machine that runs the jobs one after the other.
package jobchain

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/gluejob"
)

// graceMinutes is what an execution may take for each job beyond the job's own timeout, which Glue keeps: starting up, and waiting
// for capacity. An execution that is still not done is stopped, with the run that it waits for.
const graceMinutes = 15

// Props of the state machine.
type Props struct {
	Name string              // what people type; required
	Jobs []gluejob.Job       // in the order in which they run; required
	Log  awslogs.CfnLogGroup // receives the events of every execution, without their data
}

// New makes the state machine. A job that fails fails the execution, with Glue's message, and the jobs after it do not start.
// It panics without a name or jobs.
func New(scope constructs.Construct, id string, props Props) awsstepfunctions.StateMachine {
	if props.Name == "" || len(props.Jobs) == 0 {
		panic(fmt.Sprintf("jobchain %s: Name is %q with %d jobs, want a name and at least one job", id, props.Name, len(props.Jobs)))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	var chain awsstepfunctions.Chain
	minutes := 0
	for _, job := range props.Jobs {
		step := run(this, job)
		minutes += job.TimeoutMinutes + graceMinutes
		if chain == nil {
			chain = awsstepfunctions.Chain_Start(step)
		} else {
			chain = chain.Next(step)
		}
	}
	machine := awsstepfunctions.NewStateMachine(this, jsii.String("StateMachine"), &awsstepfunctions.StateMachineProps{
		StateMachineName: jsii.String(props.Name),
		DefinitionBody:   awsstepfunctions.DefinitionBody_FromChainable(chain),
		Timeout:          awscdk.Duration_Minutes(jsii.Number(minutes)),
		Logs: &awsstepfunctions.LogOptions{
			Destination:          props.Log,
			Level:                awsstepfunctions.LogLevel_ALL,
			IncludeExecutionData: jsii.Bool(false),
		},
	})
	dependOnPolicyOnly(machine)
	return machine
}

// dependOnPolicyOnly drops the dependency on the role that the CDK states once more than needed, and keeps the one on its policy:
// without that, the first execution could start before it may start a job.
func dependOnPolicyOnly(machine awsstepfunctions.StateMachine) {
	policy := machine.Role().Node().FindChild(jsii.String("DefaultPolicy")).Node().DefaultChild().(awscdk.CfnResource)
	machine.Node().DefaultChild().(awscdk.CfnResource).AddOverride(jsii.String("DependsOn"), &[]*string{policy.LogicalId()})
}

// run waits for the job's run to end. Its answer is dropped, so that the input given at the start reaches every step.
func run(scope constructs.Construct, job gluejob.Job) awsstepfunctions.IChainable {
	return awsstepfunctionstasks.NewGlueStartJobRun(scope, jsii.String(job.Name), &awsstepfunctionstasks.GlueStartJobRunProps{
		GlueJobName:        jsii.String(job.Name),
		IntegrationPattern: awsstepfunctions.IntegrationPattern_RUN_JOB,
		ResultPath:         awsstepfunctions.JsonPath_DISCARD(),
	})
}
