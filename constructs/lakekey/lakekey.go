// Package lakekey makes the one customer key that encrypts the lakehouse: data, query results, job logs and notifications.
package lakekey

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// windowDays is how long a deleted key can be called back; AWS allows no less.
const windowDays = 7

// Props of the key.
type Props struct {
	// Name of the lakehouse; required. The key serves log groups, alarms and topics by name: /aws-glue/<Name>/... and
	// /aws/vendedlogs/states/<Name>-..., alarms and topics <Name>-..., as CloudFormation names those of the stacks too.
	Name            string
	Budgets         bool // also serve AWS Budgets; false where there is none: KMS refuses a policy that names a service it does not know
	DeleteWithStack bool // false: the key stays, and with it what it encrypts can be read
}

// New makes the key, which AWS rotates every year. It panics without a name.
//
// The key's policy lets the account's own IAM policies give rights on it, as the jobs' and readers' roles do: without that they would
// have to be named here, and the stack of the data would depend on those that use it. Beside them it serves up to three AWS services, each
// for the lakehouse's own resources only, or the account's budgets. They are given by name pattern, because they are made in stacks that refer to this key.
// The actions are those that the services' documentation asks for.
func New(scope constructs.Construct, id string, props Props) awskms.Key {
	if props.Name == "" {
		panic(fmt.Sprintf("lakekey %s: Name is empty, want that of the lakehouse", id))
	}
	removal := awscdk.RemovalPolicy_RETAIN
	if props.DeleteWithStack {
		removal = awscdk.RemovalPolicy_DESTROY
	}
	key := awskms.NewKey(scope, jsii.String(id), &awskms.KeyProps{
		Description:       jsii.Sprintf("Data and query results of lakehouse %s", props.Name),
		EnableKeyRotation: jsii.Bool(true),
		PendingWindow:     awscdk.Duration_Days(jsii.Number(windowDays)),
		RemovalPolicy:     removal,
	})
	stack := awscdk.Stack_Of(scope)
	arn := func(service, resource string) string {
		return fmt.Sprintf("arn:%s:%s:%s:%s:%s", *stack.Partition(), service, *stack.Region(), *stack.Account(), resource)
	}
	serve(key, "EncryptLogs", fmt.Sprintf("logs.%s.amazonaws.com", *stack.Region()),
		map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": []string{
			arn("logs", "log-group:/aws-glue/"+props.Name+"/*"),
			arn("logs", "log-group:/aws/vendedlogs/states/"+props.Name+"-*"),
		}}},
		"kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*")
	serve(key, "NotifyFromAlarms", "cloudwatch.amazonaws.com",
		map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": *stack.Account()},
			"ArnLike":      map[string]any{"aws:SourceArn": arn("cloudwatch", "alarm:"+props.Name+"-*")},
		},
		"kms:Decrypt", "kms:GenerateDataKey*")
	if props.Budgets {
		serve(key, "NotifyFromBudgets", "budgets.amazonaws.com",
			map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": *stack.Account()},
				"ArnLike":      map[string]any{"aws:SourceArn": fmt.Sprintf("arn:%s:budgets::%s:*", *stack.Partition(), *stack.Account())},
			},
			"kms:Decrypt", "kms:GenerateDataKey*")
	}
	return key
}

func serve(key awskms.Key, sid, service string, conditions map[string]any, actions ...string) {
	key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String(sid),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String(service), nil)},
		Actions:    jsii.Strings(actions...),
		Resources:  jsii.Strings("*"), // in a key's policy: this key
		Conditions: &conditions,
	}), jsii.Bool(false))
}
