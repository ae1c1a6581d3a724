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
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
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
	Lake           awss3.IBucket                 // the bucket that files land in, which tells EventBridge of them
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
	var news *queues
	if props.LandingMinutes > 0 {
		news = &queues{landed: newQueue(this, "Landed"), due: newQueue(this, "Due")}
		collect(this, props, news.landed, made.DeadLetters)
	}
	made.Machine = newMachine(this, props, news)
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

// collect puts the news of every landed file into the queue, whatever its name: one that no job reads has to be in a run's report (R15).
func collect(scope constructs.Construct, props Props, landed, dead awssqs.Queue) {
	awsevents.NewRule(scope, jsii.String("Landing"), &awsevents.RuleProps{
		Description: jsii.String("Files that land in the lake"),
		EventPattern: &awsevents.EventPattern{
			Source:     jsii.Strings("aws.s3"),
			DetailType: jsii.Strings("Object Created"),
			Detail: &map[string]any{
				"bucket": map[string]any{"name": []string{*props.Lake.BucketName()}},
				"object": map[string]any{"key": []any{map[string]any{"wildcard": "*/landing/*"}}},
			},
		},
		Targets: &[]awsevents.IRuleTarget{awseventstargets.NewSqsQueue(landed, &awseventstargets.SqsQueueProps{DeadLetterQueue: dead})},
	})
}

// queues hold what is known of files that have landed: the news of them, and that a start is due because such news were thrown away.
type queues struct {
	landed, due awssqs.Queue
}

// newMachine makes the state machine. Its states, in JSONata:
//
//	landed? -> pipeline running? -> anything in the queue? -> note that a start is due, empty the queue, wait
//	                             -> or a start due?
//	        -> pipeline running? wait until not -> start -> forget that it was due
//
// News are thrown away before the start, so that none of a later file goes with them; the note lasts until the pipeline has started. An
// execution that ends anywhere in between leaves it, and the next look starts the pipeline.
func newMachine(scope constructs.Construct, props Props, news *queues) awsstepfunctions.StateMachine {
	pipeline := *props.Pipeline.StateMachineArn()
	start := call(scope, "Start", "sfn", "startExecution", "states:StartExecution", pipeline, map[string]any{
		// Asked again with the same name, Step Functions answers with the execution that the first attempt may have started.
		"StateMachineArn": pipeline, "Input": "{}", "Name": "{% $states.context.Execution.Name %}",
	}, nil)
	running := func(id string) awsstepfunctionstasks.CallAwsService {
		return call(scope, id, "sfn", "listExecutions", "states:ListExecutions", pipeline,
			map[string]any{"StateMachineArn": pipeline, "StatusFilter": "RUNNING", "MaxResults": 1},
			map[string]any{"running": "{% $count($states.result.Executions) %}"})
	}
	busy := awsstepfunctions.Condition_Jsonata(jsii.String("{% $states.input.running > 0 %}"))
	wait := awsstepfunctions.Wait_Jsonata(scope, jsii.String("WaitForTheRun"), &awsstepfunctions.WaitJsonataProps{
		Time: awsstepfunctions.WaitTime_Duration(awscdk.Duration_Seconds(jsii.Number(busySeconds))),
	})
	atLast := running("IsItRunning")
	wait.Next(atLast)
	atLast.Next(awsstepfunctions.Choice_Jsonata(scope, jsii.String("Idle"), nil).When(busy, wait, nil).Otherwise(start))
	var first awsstepfunctions.IChainable = atLast
	if news != nil {
		nothing := awsstepfunctions.Succeed_Jsonata(scope, jsii.String("NothingToDo"), nil)
		look := running("IsARunUnderWay")
		look.Next(awsstepfunctions.Choice_Jsonata(scope, jsii.String("NextTime"), nil).
			When(busy, nothing, nil).Otherwise(news.takeOut(scope, nothing, atLast)))
		forget := callQueue(scope, "ForgetThatItWasDue", "purgeQueue", "sqs:PurgeQueue", news.due, map[string]any{}, nil)
		// What was due to somebody else's start is not this one's to forget: it may have begun before the last news came.
		landed := awsstepfunctions.Condition_Jsonata(jsii.String("{% $states.context.Execution.Input.landed %}"))
		start.Next(awsstepfunctions.Choice_Jsonata(scope, jsii.String("WasItDue"), nil).
			When(landed, forget, nil).Otherwise(awsstepfunctions.Succeed_Jsonata(scope, jsii.String("Started"), nil)))
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
	jobchain.Finish(machine, props.Name)
	return machine
}

// takeOut looks into the queue. When there is something in it, it notes that a start is due, empties the queue and goes on; it goes on
// as well when a start is due from before.
func (q *queues) takeOut(scope constructs.Construct, nothing awsstepfunctions.IChainable, next awsstepfunctionstasks.CallAwsService) awsstepfunctions.IChainable {
	count := func(id string, queue awssqs.Queue) awsstepfunctionstasks.CallAwsService {
		return callQueue(scope, id, "getQueueAttributes", "sqs:GetQueueAttributes", queue,
			map[string]any{"AttributeNames": []string{"ApproximateNumberOfMessages"}},
			map[string]any{"found": "{% $number($states.result.Attributes.ApproximateNumberOfMessages) %}"})
	}
	anything := awsstepfunctions.Condition_Jsonata(jsii.String("{% $states.input.found > 0 %}"))
	note := callQueue(scope, "NoteThatAStartIsDue", "sendMessage", "sqs:SendMessage", q.due,
		map[string]any{"MessageBody": "{% $states.context.Execution.Id %}"}, nil)
	empty := callQueue(scope, "EmptyTheQueue", "purgeQueue", "sqs:PurgeQueue", q.landed, map[string]any{}, nil)
	settle := awsstepfunctions.Wait_Jsonata(scope, jsii.String("WaitUntilEmpty"), &awsstepfunctions.WaitJsonataProps{
		Time: awsstepfunctions.WaitTime_Duration(awscdk.Duration_Seconds(jsii.Number(purgeSeconds))),
	})
	note.Next(empty).Next(settle).Next(next)
	due := count("IsAStartDue", q.due)
	due.Next(awsstepfunctions.Choice_Jsonata(scope, jsii.String("Due?"), nil).When(anything, next, nil).Otherwise(nothing))
	landed := count("HasAnythingLanded", q.landed)
	landed.Next(awsstepfunctions.Choice_Jsonata(scope, jsii.String("Landed?"), nil).When(anything, note, nil).Otherwise(due))
	return landed
}

// call calls an AWS service about one resource, several times if it has to: calls of SDKs have no list of errors that pass, so all are
// tried again, except time-outs.
func call(
	scope constructs.Construct, id, service, action, iam, resource string, parameters map[string]any, outputs any,
) awsstepfunctionstasks.CallAwsService {
	made := awsstepfunctionstasks.CallAwsService_Jsonata(scope, jsii.String(id), &awsstepfunctionstasks.CallAwsServiceJsonataProps{
		Service: jsii.String(service), Action: jsii.String(action), IamAction: jsii.String(iam), IamResources: jsii.Strings(resource),
		Parameters: &parameters, Outputs: outputs,
	})
	made.AddRetry(jobchain.Retry("States.TaskFailed"))
	return made
}

func callQueue(
	scope constructs.Construct, id, action, iam string, queue awssqs.Queue, parameters map[string]any, outputs any,
) awsstepfunctionstasks.CallAwsService {
	parameters["QueueUrl"] = *queue.QueueUrl()
	return call(scope, id, "sqs", action, iam, *queue.QueueArn(), parameters, outputs)
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
