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

	"stedi-lakehouse/constructs/removal"
)

// Props of the workgroup.
type Props struct {
	Name            string        // what people choose in the console; required
	Results         awss3.IBucket // where query results go, under ResultPrefix(Name)
	Key             awskms.IKey   // encrypts the results
	ScanLimitGB     int           // a query that reads more (GiB) is stopped; required
	Database        string        // in which the saved queries run; required with Queries
	Queries         []Query       // saved in the workgroup; may be empty
	DeleteWithStack bool          // also deletes saved queries and the history; false: the workgroup stays
}

// Query is one that people find in the console under "Saved queries".
type Query struct {
	ID          string // construct id
	Name        string
	Description string // one sentence
	SQL         string
}

// ResultPrefix is where the results of a workgroup's queries lie in the result bucket: apart from those of other workgroups, so that
// a role can be limited to its own.
func ResultPrefix(name string) string {
	return name + "/"
}

// New makes a workgroup whose settings no client can override, so that every result is encrypted and in our bucket. It panics
// without a name or a scan limit.
func New(scope constructs.Construct, id string, props Props) awsathena.CfnWorkGroup {
	if props.Name == "" {
		panic(fmt.Sprintf("workgroup %s: Name is empty, want what people choose in the console", id))
	}
	if props.ScanLimitGB < 1 {
		panic(fmt.Sprintf("workgroup %s: ScanLimitGB is %d, want 1 or more", id, props.ScanLimitGB))
	}
	if props.Database == "" && len(props.Queries) > 0 {
		panic(fmt.Sprintf("workgroup %s: Database is empty, want that of the queries", id))
	}
	group := awsathena.NewCfnWorkGroup(scope, jsii.String(id), &awsathena.CfnWorkGroupProps{
		Name:                  jsii.String(props.Name),
		RecursiveDeleteOption: jsii.Bool(props.DeleteWithStack),
		WorkGroupConfiguration: &awsathena.CfnWorkGroup_WorkGroupConfigurationProperty{
			EnforceWorkGroupConfiguration:   jsii.Bool(true),
			PublishCloudWatchMetricsEnabled: jsii.Bool(true),
			BytesScannedCutoffPerQuery:      jsii.Number(props.ScanLimitGB << 30),
			RequesterPaysEnabled:            jsii.Bool(false),
			EngineVersion: &awsathena.CfnWorkGroup_EngineVersionProperty{
				SelectedEngineVersion: jsii.String("Athena engine version 3"),
			},
			ResultConfiguration: &awsathena.CfnWorkGroup_ResultConfigurationProperty{
				OutputLocation: jsii.Sprintf("s3://%s/%s", *props.Results.BucketName(), ResultPrefix(props.Name)),
				// A bucket of the same name in another account gets nothing.
				ExpectedBucketOwner: awscdk.Aws_ACCOUNT_ID(),
				EncryptionConfiguration: &awsathena.CfnWorkGroup_EncryptionConfigurationProperty{
					EncryptionOption: jsii.String("SSE_KMS"),
					KmsKey:           props.Key.KeyArn(),
				},
			},
		},
	})
	group.ApplyRemovalPolicy(removal.Policy(props.DeleteWithStack), nil)
	for _, query := range props.Queries {
		awsathena.NewCfnNamedQuery(scope, jsii.String(query.ID), &awsathena.CfnNamedQueryProps{
			WorkGroup:   group.Ref(),
			Database:    jsii.String(props.Database),
			Name:        jsii.String(query.Name),
			Description: jsii.String(query.Description),
			QueryString: jsii.String(query.SQL),
		})
	}
	return group
}
