package gluejob

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Security is a Glue security configuration: how Glue encrypts what it writes for a run.
type Security struct {
	Name string
}

// NewSecurity makes a security configuration that encrypts all three with one key: what Spark writes to S3, the logs, and job
// bookmarks, of which our jobs have none. It belongs into the stack of the key: CloudFormation replaces a security configuration
// whose key it cannot know when it plans. It panics without a name or key.
func NewSecurity(scope constructs.Construct, id, name string, key awskms.IKey) Security {
	if name == "" || key == nil {
		panic(fmt.Sprintf("gluejob %s: name is %q and the key %v, want both", id, name, key))
	}
	awsglue.NewCfnSecurityConfiguration(scope, jsii.String(id), &awsglue.CfnSecurityConfigurationProps{
		Name: jsii.String(name),
		EncryptionConfiguration: &awsglue.CfnSecurityConfiguration_EncryptionConfigurationProperty{
			S3Encryptions: []any{&awsglue.CfnSecurityConfiguration_S3EncryptionProperty{
				S3EncryptionMode: jsii.String("SSE-KMS"), KmsKeyArn: key.KeyArn(),
			}},
			CloudWatchEncryption: &awsglue.CfnSecurityConfiguration_CloudWatchEncryptionProperty{
				CloudWatchEncryptionMode: jsii.String("SSE-KMS"), KmsKeyArn: key.KeyArn(),
			},
			JobBookmarksEncryption: &awsglue.CfnSecurityConfiguration_JobBookmarksEncryptionProperty{
				JobBookmarksEncryptionMode: jsii.String("CSE-KMS"), KmsKeyArn: key.KeyArn(),
			},
		},
	})
	return Security{Name: name}
}
