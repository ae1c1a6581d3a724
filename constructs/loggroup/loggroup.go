// Package loggroup makes CloudWatch log groups that forget.
package loggroup

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/removal"
)

// Props of a log group.
type Props struct {
	Name            string      // empty: CloudFormation chooses one
	RetentionDays   int         // a number of days that CloudWatch Logs knows; required
	Key             awskms.IKey // encrypts the log, and its policy must let CloudWatch Logs use it; nil: CloudWatch's own
	DeleteWithStack bool        // false: the log stays when its stack is destroyed
}

// New makes a log group. It panics when RetentionDays is missing: CloudWatch would keep the log for ever.
func New(scope constructs.Construct, id string, props Props) awslogs.CfnLogGroup {
	if props.RetentionDays < 1 {
		panic(fmt.Sprintf("loggroup %s: RetentionDays is %d, want 1 or more", id, props.RetentionDays))
	}
	var name *string
	if props.Name != "" {
		name = jsii.String(props.Name)
	}
	var key *string
	if props.Key != nil {
		key = props.Key.KeyArn()
	}
	group := awslogs.NewCfnLogGroup(scope, jsii.String(id), &awslogs.CfnLogGroupProps{
		LogGroupName:    name,
		RetentionInDays: jsii.Number(props.RetentionDays),
		KmsKeyId:        key,
	})
	group.ApplyRemovalPolicy(removal.Policy(props.DeleteWithStack), nil)
	return group
}
