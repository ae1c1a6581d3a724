package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/internal/config"
)

// Names of the pipeline's log groups begin with one of these and the lake's name.
const (
	jobLogs = "/aws-glue/"
	// Names under /aws/vendedlogs need no resource policy of their own, of which an account has only ten.
	stateMachineLogs = "/aws/vendedlogs/states/"
)

// letLogsUse lets CloudWatch Logs encrypt the log groups of this lakehouse's jobs and state machines with the key, and no others.
func letLogsUse(key awskms.Key, stage config.Stage) {
	stack := awscdk.Stack_Of(key)
	var groups []*string
	for _, prefix := range []string{jobLogs + stage.LakeName + "/*", stateMachineLogs + stage.LakeName + "-*"} {
		groups = append(groups, stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("logs"), Resource: jsii.String("log-group"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
			ResourceName: jsii.String(prefix),
		}))
	}
	key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("EncryptLogs"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.Sprintf("logs.%s.amazonaws.com", *stack.Region()), nil)},
		Actions:    jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey"),
		Resources:  jsii.Strings("*"), // this key
		Conditions: &map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": groups}},
	}), nil)
}
