// Package workgroup makes the Athena workgroup in which people query the lakehouse.
package workgroup

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsathena"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Props of the workgroup.
type Props struct {
	Name            string        // what people choose in the console; required
	Results         awss3.IBucket // where query results go
	Key             awskms.IKey   // encrypts the results
	DeleteWithStack bool          // also deletes saved queries and the history; false: the workgroup stays
}

// New makes a workgroup whose settings no client can override, so that every result is encrypted and in our bucket. It panics
// without a name.
func New(scope constructs.Construct, id string, props Props) awsathena.CfnWorkGroup {
	if props.Name == "" {
		panic(fmt.Sprintf("workgroup %s: Name is empty, want what people choose in the console", id))
	}
	group := awsathena.NewCfnWorkGroup(scope, jsii.String(id), &awsathena.CfnWorkGroupProps{
		Name:                  jsii.String(props.Name),
		RecursiveDeleteOption: jsii.Bool(props.DeleteWithStack),
		WorkGroupConfiguration: &awsathena.CfnWorkGroup_WorkGroupConfigurationProperty{
			EnforceWorkGroupConfiguration:   jsii.Bool(true),
			PublishCloudWatchMetricsEnabled: jsii.Bool(true),
			EngineVersion: &awsathena.CfnWorkGroup_EngineVersionProperty{
				SelectedEngineVersion: jsii.String("Athena engine version 3"),
			},
			ResultConfiguration: &awsathena.CfnWorkGroup_ResultConfigurationProperty{
				OutputLocation: jsii.Sprintf("s3://%s/", *props.Results.BucketName()),
				EncryptionConfiguration: &awsathena.CfnWorkGroup_EncryptionConfigurationProperty{
					EncryptionOption: jsii.String("SSE_KMS"),
					KmsKey:           props.Key.KeyArn(),
				},
			},
		},
	})
	removal := awscdk.RemovalPolicy_RETAIN
	if props.DeleteWithStack {
		removal = awscdk.RemovalPolicy_DESTROY
	}
	group.ApplyRemovalPolicy(removal, nil)
	return group
}
