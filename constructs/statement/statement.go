// Package statement writes the statements of IAM policies.
package statement

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Allow allows the actions on the resources.
func Allow(sid string, resources []string, actions ...string) awsiam.PolicyStatement {
	return AllowIf(sid, resources, nil, actions...)
}

// AllowIf allows the actions on the resources under conditions, as IAM writes them: operator, key, value.
func AllowIf(sid string, resources []string, conditions map[string]any, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String(sid),
		Actions:    jsii.Strings(actions...),
		Resources:  jsii.Strings(resources...),
		Conditions: &conditions,
	})
}

// Document is the statements as a policy.
func Document(statements ...awsiam.PolicyStatement) awsiam.PolicyDocument {
	return awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements})
}

// ARN names a resource of the stack's account and Region: arn:...:service:region:account:resource/name, or without /name when that
// is empty.
func ARN(scope constructs.Construct, service, resource, name string) string {
	components := &awscdk.ArnComponents{Service: jsii.String(service), Resource: jsii.String(resource)}
	if name != "" {
		components.ResourceName = jsii.String(name)
	}
	return *awscdk.Stack_Of(scope).FormatArn(components)
}
