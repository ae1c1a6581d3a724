package lakenetwork

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/customresources"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/cdkfunction"
	"stedi-lakehouse/constructs/loggroup"
)

// customResources is the id that the CDK gives to the one function of all AwsCustomResources of a stack.
const customResources = "AWS679f53fac002430cb0da5b7982bd2287"

// closeDefaultSecurityGroup takes away the two rules that AWS gives the default security group of every VPC, so that an
// interface made without a group reaches nothing. The rules are not CloudFormation resources: a function revokes them.
func closeDefaultSecurityGroup(scope constructs.Construct, group string, logRetentionDays int) {
	written := loggroup.New(scope, "CloseDefaultGroupLog", loggroup.Props{RetentionDays: logRetentionDays, DeleteWithStack: true})
	log := awslogs.LogGroup_FromLogGroupName(scope, jsii.String("CloseDefaultGroupLogName"), written.Ref())
	revoke := func(id, action string, rule map[string]any) {
		call := &customresources.AwsSdkCall{
			Service:            jsii.String("ec2"),
			Action:             jsii.String(action),
			Parameters:         map[string]any{"GroupId": group, "IpPermissions": []any{rule}},
			PhysicalResourceId: customresources.PhysicalResourceId_Of(jsii.Sprintf("%s-%s", group, action)),
			// The rule is gone already: somebody closed the group by hand.
			IgnoreErrorCodesMatching: jsii.String("InvalidPermission.NotFound"),
		}
		customresources.NewAwsCustomResource(scope, jsii.String(id), &customresources.AwsCustomResourceProps{
			OnUpdate:            call, // also on create
			InstallLatestAwsSdk: jsii.Bool(false),
			LogGroup:            log, // else the CDK makes another one
			Policy:              mayRevoke(scope, group, action),
		})
	}
	revoke("CloseDefaultGroupIngress", "RevokeSecurityGroupIngress", map[string]any{
		"IpProtocol": "-1", "UserIdGroupPairs": []any{map[string]any{"GroupId": group}},
	})
	revoke("CloseDefaultGroupEgress", "RevokeSecurityGroupEgress", map[string]any{
		"IpProtocol": "-1", "IpRanges": []any{map[string]any{"CidrIp": "0.0.0.0/0"}},
	})
	function := awscdk.Stack_Of(scope).Node().FindChild(jsii.String(customResources))
	cdkfunction.Tame(
		function.Node().DefaultChild().(awscdk.CfnResource),
		function.Node().FindChild(jsii.String("ServiceRole")).Node().DefaultChild().(awscdk.CfnResource),
		written,
	)
}

func mayRevoke(scope constructs.Construct, group, action string) customresources.AwsCustomResourcePolicy {
	arn := awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("ec2"), Resource: jsii.String("security-group"), ResourceName: jsii.String(group),
	})
	return customresources.AwsCustomResourcePolicy_FromStatements(&[]awsiam.PolicyStatement{
		awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid: jsii.String(action), Actions: jsii.Strings("ec2:" + action), Resources: &[]*string{arn},
		}),
	})
}
