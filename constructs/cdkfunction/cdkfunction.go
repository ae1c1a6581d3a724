// Package cdkfunction tames the functions that the CDK adds to a stack for what CloudFormation cannot do: they log where we say,
// may do no more, and leave nothing behind.
package cdkfunction

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
)

// Tame makes the function write its log into the given group, which goes with the stack. The role's managed policy, which lets it
// create log groups, is replaced by leave to write into this one: what the function says in its last call, to delete a resource of the
// stack, arrives when the group is gone already, and would create it anew, without an end to its retention.
//
// Function is the AWS::Lambda::Function and role its AWS::IAM::Role.
func Tame(function, role awscdk.CfnResource, log awslogs.CfnLogGroup) {
	function.AddPropertyOverride(jsii.String("LoggingConfig"), map[string]any{"LogGroup": log.Ref()})
	// The function depends on its role by name already; cfn-lint warns of a second dependency (W3005).
	function.AddDeletionOverride(jsii.String("DependsOn"))
	role.AddPropertyDeletionOverride(jsii.String("ManagedPolicyArns"))
	role.AddPropertyOverride(jsii.String("Policies"), []any{map[string]any{
		"PolicyName": "WriteLog",
		"PolicyDocument": map[string]any{
			"Version": "2012-10-17",
			"Statement": []any{map[string]any{
				"Effect":   "Allow",
				"Action":   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
				"Resource": log.AttrArn(), // ends in :*, the group's streams
			}},
		},
	}})
}
