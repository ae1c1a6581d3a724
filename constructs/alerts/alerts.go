// Package alerts tells the people on call: an encrypted topic, and alarms whose action is the topic.
package alerts

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Props of the topic.
type Props struct {
	Lake    string      // name of the lakehouse; what its alarms' names begin with; required
	Key     awskms.IKey // encrypts the topic; its policy must let CloudWatch and, with Budgets, AWS Budgets use it; required
	Emails  []string    // each gets a message that it has to confirm; may be empty
	Budgets bool        // the account's budgets may publish too
}

// Alerts is the topic with what is needed to make alarms for it.
type Alerts struct {
	Topic awssns.Topic

	scope constructs.Construct
	lake  string
}

// New makes the topic. Who may publish: the lakehouse's own alarms, budgets if wanted, and what has the right by its role, over TLS
// only. It panics without a lake or key.
func New(scope constructs.Construct, id string, props Props) Alerts {
	if props.Lake == "" || props.Key == nil {
		panic(fmt.Sprintf("alerts %s: Lake is %q and Key %v, want both", id, props.Lake, props.Key))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	topic := awssns.NewTopic(this, jsii.String("Topic"), &awssns.TopicProps{
		DisplayName: jsii.Sprintf("Lakehouse %s", props.Lake),
		MasterKey:   props.Key,
		EnforceSSL:  jsii.Bool(true),
	})
	stack := awscdk.Stack_Of(this)
	letPublish(topic, "PublishAlarms", "cloudwatch", stack.FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("cloudwatch"), Resource: jsii.String("alarm"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		ResourceName: jsii.String(props.Lake + "-*"),
	}))
	if props.Budgets {
		letPublish(topic, "PublishBudgets", "budgets", stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("budgets"), Region: jsii.String(""), Resource: jsii.String("*"), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
		}))
	}
	for i, address := range props.Emails {
		awssns.NewCfnSubscription(this, jsii.Sprintf("Email%d", i+1), &awssns.CfnSubscriptionProps{
			TopicArn: topic.TopicArn(), Protocol: jsii.String("email"), Endpoint: jsii.String(address),
		})
	}
	return Alerts{Topic: topic, scope: this, lake: props.Lake}
}

// letPublish lets a service publish on behalf of this account's resources of the given ARN.
func letPublish(topic awssns.Topic, sid, service string, source *string) {
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String(sid),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String(service+".amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{topic.TopicArn()},
		Conditions: &map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()},
			"ArnLike":      map[string]any{"aws:SourceArn": source},
		},
	}))
}

// Alarm is what to watch. Alarms are named <lake>-<Name>.
type Alarm struct {
	Name        string // lower-case words parted by -, required
	Description string // what it means and what to do, required
	Metric      awscloudwatch.IMetric
	Threshold   float64
	Periods     int  // for so many periods of the metric; 0: one
	Below       bool // true: alarm below the threshold, and when there is no metric at all; false: above it
}

// Add makes an alarm that tells the topic. It panics when nobody would know what to do.
func (a Alerts) Add(id string, alarm Alarm) awscloudwatch.Alarm {
	if alarm.Name == "" || alarm.Description == "" {
		panic(fmt.Sprintf("alarm %s: Name is %q and Description %q, want both", id, alarm.Name, alarm.Description))
	}
	comparison, missing := awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD, awscloudwatch.TreatMissingData_NOT_BREACHING
	if alarm.Below {
		comparison, missing = awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD, awscloudwatch.TreatMissingData_BREACHING
	}
	made := awscloudwatch.NewAlarm(a.scope, jsii.String(id), &awscloudwatch.AlarmProps{
		AlarmName:          jsii.String(a.lake + "-" + alarm.Name),
		AlarmDescription:   jsii.String(alarm.Description),
		Metric:             alarm.Metric,
		Threshold:          jsii.Number(alarm.Threshold),
		EvaluationPeriods:  jsii.Number(max(alarm.Periods, 1)),
		ComparisonOperator: comparison,
		TreatMissingData:   missing,
	})
	made.AddAlarmAction(awscloudwatchactions.NewSnsAction(a.Topic))
	return made
}
