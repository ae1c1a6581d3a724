// Package cdkfunction tames the functions that the CDK adds to a stack for what CloudFormation cannot do: they log where we say,
// may do no more, and leave nothing behind.
package cdkfunction

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/loggroup"
)

// Props of a function of the CDK.
type Props struct {
	Function         awscdk.CfnResource // AWS::Lambda::Function
	Role             awscdk.CfnResource // AWS::IAM::Role of the function
	LogRetentionDays int                // required
}

// Tame gives the function a log group that goes with the stack. The role's managed policy, which lets it create log groups, is
// replaced by leave to write into this one: what the function says in its last call, to delete a resource of the stack, arrives
// when the group is gone already, and would create it anew, without an end to its retention.
func Tame(scope constructs.Construct, id string, props Props) {
	group := loggroup.New(scope, id, loggroup.Props{RetentionDays: props.LogRetentionDays, DeleteWithStack: true})
	props.Function.AddPropertyOverride(jsii.String("LoggingConfig"), map[string]any{"LogGroup": group.Ref()})
	props.Role.AddPropertyDeletionOverride(jsii.String("ManagedPolicyArns"))
	props.Role.AddPropertyOverride(jsii.String("Policies"), []any{map[string]any{
		"PolicyName": "WriteLog",
		"PolicyDocument": map[string]any{
			"Version": "2012-10-17",
			"Statement": []any{map[string]any{
				"Effect":   "Allow",
				"Action":   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
				"Resource": group.AttrArn(), // ends in :*, the group's streams
			}},
		},
	}})
	// The function depends on its role by name already; cfn-lint warns of a second dependency (W3005).
	props.Function.AddDeletionOverride(jsii.String("DependsOn"))
}
