// Package starter starts the pipeline without people: at fixed times, and when files have landed.
package starter

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/jobchain"
)

const (
	// SQS takes up to a minute to empty a queue, and may drop what comes in meanwhile: the pipeline looks at the lake after that.
	purgeSeconds = 60
	// How often to look whether the run that is under way has ended.
	busySeconds = 60
	// An execution that waits for longer than this for another run to end gives up, and fails.
	timeoutHours = 24
	// How long a message about a landed file, or one that could not be delivered, is kept at most; SQS allows no more.
	keepDays = 14
)

// Props of the starter. One of Cron and LandingMinutes is required, for without both there is nothing to make.
type Props struct {
	Name           string                        // of the starter's state machine; required
	Pipeline       awsstepfunctions.StateMachine // what to start; required
	Log            awslogs.CfnLogGroup           // receives the events of every execution, without their data
	Cron           string                        // fields of an EventBridge cron expression; empty: no schedule
	TimeZone       string                        // of Cron; empty: UTC
	LandingMinutes int                           // how often to look whether files have landed; 0: never
	Bucket         string                        // name of the bucket that files land in, which tells EventBridge of them
}

// Starter is what starts the pipeline.
type Starter struct {
	Machine     awsstepfunctions.StateMachine
	DeadLetters awssqs.Queue // what could not be delivered: a start, or the news of a file
}

// New makes the starter: a small state machine that waits until the pipeline is idle and then starts it. A schedule starts the
// starter at fixed times; another one every LandingMinutes, and then the pipeline is started only if a file has landed since the last
// time. EventBridge puts the news of each file into a queue, so a burst of files makes one run however many they are.
// It panics without a name, a pipeline, and anything that would start it.
func New(scope constructs.Construct, id string, props Props) Starter {
	if props.Name == "" || props.Pipeline == nil || props.Cron == "" && props.LandingMinutes < 1 {
		panic(fmt.Sprintf("starter %s: Name is %q, Cron %q and LandingMinutes %d, want a name, a pipeline, and a time to start it",
			id, props.Name, props.Cron, props.LandingMinutes))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	made := Starter{DeadLetters: newQueue(this, "DeadLetters")}
	var landed awssqs.Queue
	if props.LandingMinutes > 0 {
		landed = newQueue(this, "Landed")
		collect(this, props, landed, made.DeadLetters)
	}
	made.Machine = newMachine(this, props, landed)
	role := schedulerRole(this, made)
	if props.Cron != "" {
		schedule(this, "Schedule", made, role, "cron("+props.Cron+")", props.TimeZone, map[string]any{"landed": false})
	}
	if props.LandingMinutes > 0 {
		schedule(this, "Look", made, role, fmt.Sprintf("rate(%d minutes)", props.LandingMinutes), "", map[string]any{"landed": true})
	}
	return made
}

// newQueue makes a queue encrypted with SQS's own key: its messages hold no more than names of objects, and EventBridge would need a
// right to our key.
func newQueue(scope constructs.Construct, id string) awssqs.Queue {
	return awssqs.NewQueue(scope, jsii.String(id), &awssqs.QueueProps{
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(keepDays)),
	})
}

// collect puts the news of every landed file into the queue.
func collect(scope constructs.Construct, props Props, landed, dead awssqs.Queue) {
	awsevents.NewRule(scope, jsii.String("Landing"), &awsevents.RuleProps{
		Description: jsii.String("Files that land in the lake"),
		EventPattern: &awsevents.EventPattern{
			Source:     jsii.Strings("aws.s3"),
			DetailType: jsii.Strings("Object Created"),
			Detail: &map[string]any{
				"bucket": map[string]any{"name": []string{props.Bucket}},
				"object": map[string]any{"key": []any{
					map[string]any{"wildcard": "*/landing/*.json"}, map[string]any{"wildcard": "*/landing/*.json.gz"},
				}},
			},
		},
		Targets: &[]awsevents.IRuleTarget{awseventstargets.NewSqsQueue(landed, &awseventstargets.SqsQueueProps{DeadLetterQueue: dead})},
	})
}

// newMachine makes the state machine. Its states, in JSONata:
//
//	landed? -> pipeline running? -> anything in the queue? -> empty it, wait
//	        -> pipeline running? wait until not                              -> start
func newMachine(scope constructs.Construct, props Props, landed awssqs.Queue) awsstepfunctions.StateMachine {
	pipeline := *props.Pipeline.StateMachineArn()
	start := awsstepfunctionstasks.CallAwsService_Jsonata(scope, jsii.String("Start"), &awsstepfunctionstasks.CallAwsServiceJsonataProps{
		Service: jsii.String("sfn"), Action: jsii.String("startExecution"), IamAction: jsii.String("states:StartExecution"),
		IamResources: jsii.Strings(pipeline),
		Parameters:   &map[string]any{"StateMachineArn": pipeline, "Input": "{}"},
	})
	running := func(id string) awsstepfunctionstasks.CallAwsService {
		return awsstepfunctionstasks.CallAwsService_Jsonata(scope, jsii.String(id), &awsstepfunctionstasks.CallAwsServiceJsonataProps{
			Service: jsii.String("sfn"), Action: jsii.String("listExecutions"), IamAction: jsii.String("states:ListExecutions"),
			IamResources: jsii.Strings(pipeline),
			Parameters:   &map[string]any{"StateMachineArn": pipeline, "StatusFilter": "RUNNING", "MaxResults": 1},
			Outputs:      map[string]any{"running": "{% $count($states.result.Executions) %}"},
		})
	}
	busy := awsstepfunctions.Condition_Jsonata(jsii.String("{% $states.input.running > 0 %}"))
	wait := awsstepfunctions.Wait_Jsonata(scope, jsii.String("WaitForTheRun"), &awsstepfunctions.WaitJsonataProps{
		Time: awsstepfunctions.WaitTime_Duration(awscdk.Duration_Seconds(jsii.Number(busySeconds))),
	})
	atLast := running("IsItRunning")
	wait.Next(atLast)
	atLast.Next(awsstepfunctions.Choice_Jsonata(scope, jsii.String("Idle"), nil).When(busy, wait, nil).Otherwise(start))
	var first awsstepfunctions.IChainable = atLast
	if landed != nil {
		nothing := awsstepfunctions.Succeed_Jsonata(scope, jsii.String("NothingToDo"), nil)
		look := running("IsARunUnderWay")
		look.Next(awsstepfunctions.Choice_Jsonata(scope, jsii.String("NextTime"), nil).
			When(busy, nothing, nil).Otherwise(emptyQueue(scope, landed, nothing, atLast)))
		first = awsstepfunctions.Choice_Jsonata(scope, jsii.String("WhyStarted"), nil).
			When(awsstepfunctions.Condition_Jsonata(jsii.String("{% $states.input.landed %}")), look, nil).Otherwise(atLast)
	}
	machine := awsstepfunctions.NewStateMachine(scope, jsii.String("StateMachine"), &awsstepfunctions.StateMachineProps{
		StateMachineName: jsii.String(props.Name),
		QueryLanguage:    awsstepfunctions.QueryLanguage_JSONATA,
		DefinitionBody:   awsstepfunctions.DefinitionBody_FromChainable(first),
		Timeout:          awscdk.Duration_Hours(jsii.Number(timeoutHours)),
		TracingEnabled:   jsii.Bool(true),
		Logs: &awsstepfunctions.LogOptions{
			Destination: props.Log, Level: awsstepfunctions.LogLevel_ALL, IncludeExecutionData: jsii.Bool(false),
		},
	})
	jobchain.DependOnPolicyOnly(machine)
	return machine
}

// emptyQueue looks into the queue, empties it when there is something in it, and goes on.
func emptyQueue(scope constructs.Construct, landed awssqs.Queue, nothing awsstepfunctions.IChainable, next awsstepfunctionstasks.CallAwsService) awsstepfunctions.IChainable {
	call := func(id, action, iam string, parameters map[string]any, outputs any) awsstepfunctionstasks.CallAwsService {
		parameters["QueueUrl"] = *landed.QueueUrl()
		return awsstepfunctionstasks.CallAwsService_Jsonata(scope, jsii.String(id), &awsstepfunctionstasks.CallAwsServiceJsonataProps{
			Service: jsii.String("sqs"), Action: jsii.String(action), IamAction: jsii.String(iam), IamResources: &[]*string{landed.QueueArn()},
			Parameters: &parameters, Outputs: outputs,
		})
	}
	count := call("HasAnythingLanded", "getQueueAttributes", "sqs:GetQueueAttributes",
		map[string]any{"AttributeNames": []string{"ApproximateNumberOfMessages"}},
		map[string]any{"landed": "{% $number($states.result.Attributes.ApproximateNumberOfMessages) %}"})
	empty := call("EmptyTheQueue", "purgeQueue", "sqs:PurgeQueue", map[string]any{}, nil)
	settle := awsstepfunctions.Wait_Jsonata(scope, jsii.String("WaitUntilEmpty"), &awsstepfunctions.WaitJsonataProps{
		Time: awsstepfunctions.WaitTime_Duration(awscdk.Duration_Seconds(jsii.Number(purgeSeconds))),
	})
	empty.Next(settle).Next(next)
	count.Next(awsstepfunctions.Choice_Jsonata(scope, jsii.String("Landed?"), nil).
		When(awsstepfunctions.Condition_Jsonata(jsii.String("{% $states.input.landed > 0 %}")), empty, nil).Otherwise(nothing))
	return count
}

// schedulerRole lets EventBridge Scheduler start the starter, for this account's schedules only.
func schedulerRole(scope constructs.Construct, made Starter) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String("SchedulerRole"), &awsiam.RoleProps{
		Description: jsii.String("Starts the starter of the pipeline"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}},
		}),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"Start": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
			Statements: &[]awsiam.PolicyStatement{
				awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
					Sid: jsii.String("StartStarter"), Actions: jsii.Strings("states:StartExecution"), Resources: &[]*string{made.Machine.StateMachineArn()},
				}),
				awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
					Sid: jsii.String("KeepDeadLetters"), Actions: jsii.Strings("sqs:SendMessage"), Resources: &[]*string{made.DeadLetters.QueueArn()},
				}),
			},
		})},
	})
}

func schedule(scope constructs.Construct, id string, made Starter, role awsiam.Role, expression, zone string, input map[string]any) {
	text, err := json.Marshal(input)
	if err != nil {
		panic(err)
	}
	if zone == "" {
		zone = "UTC"
	}
	awsscheduler.NewCfnSchedule(scope, jsii.String(id), &awsscheduler.CfnScheduleProps{
		ScheduleExpression:         jsii.String(expression),
		ScheduleExpressionTimezone: jsii.String(zone),
		FlexibleTimeWindow:         &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")},
		Target: &awsscheduler.CfnSchedule_TargetProperty{
			Arn:              made.Machine.StateMachineArn(),
			RoleArn:          role.RoleArn(),
			Input:            jsii.String(string(text)),
			DeadLetterConfig: &awsscheduler.CfnSchedule_DeadLetterConfigProperty{Arn: made.DeadLetters.QueueArn()},
		},
	})
}
