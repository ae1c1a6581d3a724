package workgroup_test

import (
	"os"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/workgroup"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func props(stack awscdk.Stack) workgroup.Props {
	return workgroup.Props{
		Name:    "shop",
		Results: awss3.Bucket_FromBucketName(stack, jsii.String("Results"), jsii.String("results")),
		Key:     awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:eu-central-1:111122223333:key/abc")),
	}
}

func TestDefaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	workgroup.New(stack, "Workgroup", props(stack))
	template := cdktest.Synthesize(t, stack)
	template.Has("AWS::Athena::WorkGroup", map[string]any{
		"Name":                  "shop",
		"RecursiveDeleteOption": false,
		"State":                 assertions.Match_Absent(),
		"WorkGroupConfiguration": map[string]any{
			"EnforceWorkGroupConfiguration":   true,
			"PublishCloudWatchMetricsEnabled": true,
			"EngineVersion":                   map[string]any{"SelectedEngineVersion": "Athena engine version 3"},
			"ResultConfiguration": map[string]any{
				"OutputLocation": "s3://results/",
				"EncryptionConfiguration": map[string]any{
					"EncryptionOption": "SSE_KMS", "KmsKey": "arn:aws:kms:eu-central-1:111122223333:key/abc",
				},
			},
		},
	})
	template.HasResource("AWS::Athena::WorkGroup", map[string]any{"DeletionPolicy": "Retain"})
}

func TestDeleteWithStack(t *testing.T) {
	stack := cdktest.NewStack(t)
	given := props(stack)
	given.DeleteWithStack = true
	workgroup.New(stack, "Workgroup", given)
	cdktest.Synthesize(t, stack).HasResource("AWS::Athena::WorkGroup", map[string]any{
		"Properties": map[string]any{"RecursiveDeleteOption": true}, "DeletionPolicy": "Delete",
	})
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	given := props(stack)
	given.Name = ""
	cdktest.Panics(t, func() { workgroup.New(stack, "Workgroup", given) }, "workgroup Workgroup: Name is empty")
}
