package alerts_test

import (
	"os"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/alerts"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func made(stack awscdk.Stack, change func(*alerts.Props)) alerts.Alerts {
	props := alerts.Props{Lake: "shop", Key: awskms.NewKey(stack, jsii.String("Key"), nil)}
	change(&props)
	return alerts.New(stack, "Alerts", props)
}

func metric() awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("Shop"), MetricName: jsii.String("Shoes"), Statistic: jsii.String("Sum"),
		Period: awscdk.Duration_Hours(jsii.Number(1)),
	})
}

func TestTopic(t *testing.T) {
	stack := cdktest.NewStack(t)
	made(stack, func(p *alerts.Props) { p.Emails = []string{"a@example.com", "b@example.com"} })
	template := cdktest.Synthesize(t, stack)
	template.Has("AWS::SNS::Topic", map[string]any{"KmsMasterKeyId": assertions.Match_AnyValue()})
	for _, address := range []string{"a@example.com", "b@example.com"} {
		template.Has("AWS::SNS::Subscription", map[string]any{"Protocol": "email", "Endpoint": address})
	}
	statements := policy(t, template)
	if len(statements) != 2 {
		t.Errorf("the topic's policy is %v, want TLS only and this account's alarms", statements)
	}
	template.Has("AWS::SNS::TopicPolicy", map[string]any{"PolicyDocument": map[string]any{"Statement": assertions.Match_ArrayWith(&[]any{
		assertions.Match_ObjectLike(&map[string]any{
			"Effect": "Deny", "Action": "sns:Publish", "Principal": "*",
			"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
		}),
		assertions.Match_ObjectLike(&map[string]any{
			"Effect": "Allow", "Action": "sns:Publish", "Principal": map[string]any{"Service": "cloudwatch.amazonaws.com"},
			"Condition": map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": map[string]any{"Ref": "AWS::AccountId"}},
				"ArnLike":      map[string]any{"aws:SourceArn": map[string]any{"Fn::Join": []any{"", assertions.Match_ArrayWith(&[]any{":alarm:shop-*"})}}},
			},
		}),
	})}})
}

func policy(t *testing.T, template cdktest.Template) []any {
	t.Helper()
	for _, properties := range template.Resources("AWS::SNS::TopicPolicy") {
		return properties["PolicyDocument"].(map[string]any)["Statement"].([]any)
	}
	t.Fatal("the topic has no policy")
	return nil
}

func TestBudgetsMayPublish(t *testing.T) {
	stack := cdktest.NewStack(t)
	made(stack, func(p *alerts.Props) { p.Budgets = true })
	template := cdktest.Synthesize(t, stack)
	template.Count("AWS::SNS::Subscription", 0)
	if statements := policy(t, template); len(statements) != 3 {
		t.Errorf("the topic's policy is %v, want a statement for budgets", statements)
	}
	template.Has("AWS::SNS::TopicPolicy", map[string]any{"PolicyDocument": map[string]any{"Statement": assertions.Match_ArrayWith(&[]any{
		assertions.Match_ObjectLike(&map[string]any{
			"Principal": map[string]any{"Service": "budgets.amazonaws.com"},
			"Condition": assertions.Match_ObjectLike(&map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": map[string]any{"Ref": "AWS::AccountId"}},
			}),
		}),
	})}})
}

func TestAlarms(t *testing.T) {
	stack := cdktest.NewStack(t)
	topic := made(stack, func(*alerts.Props) {})
	topic.Add("TooMany", alerts.Alarm{Name: "too-many", Description: "Sell some.", Metric: metric(), Threshold: 9})
	topic.Add("None", alerts.Alarm{Name: "none", Description: "Buy some.", Metric: metric(), Threshold: 1, Periods: 48, Below: true})
	template := cdktest.Synthesize(t, stack)
	told := []any{map[string]any{"Ref": assertions.Match_StringLikeRegexp(jsii.String("^AlertsTopic"))}}
	template.Has("AWS::CloudWatch::Alarm", map[string]any{
		"AlarmName": "shop-too-many", "AlarmDescription": "Sell some.", "Threshold": 9, "EvaluationPeriods": 1, "Statistic": "Sum", "Period": 3600,
		"ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching", "AlarmActions": told,
	})
	template.Has("AWS::CloudWatch::Alarm", map[string]any{
		"AlarmName": "shop-none", "Threshold": 1, "EvaluationPeriods": 48,
		"ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching", "AlarmActions": told,
	})
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	cdktest.Panics(t, func() { alerts.New(stack, "Alerts", alerts.Props{Lake: "shop"}) }, `alerts Alerts: Lake is "shop" and Key <nil>, want both`)
	topic := made(stack, func(*alerts.Props) {})
	cdktest.Panics(t, func() { topic.Add("Silent", alerts.Alarm{Name: "silent", Metric: metric()}) },
		`alarm Silent: Name is "silent" and Description "", want both`)
}
