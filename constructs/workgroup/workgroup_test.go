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
		Name:        "shop",
		ScanLimitGB: 5,
		Results:     awss3.Bucket_FromBucketName(stack, jsii.String("Results"), jsii.String("results")),
		Key:         awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:eu-central-1:111122223333:key/abc")),
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
			"BytesScannedCutoffPerQuery":      5 * 1024 * 1024 * 1024,
			"RequesterPaysEnabled":            false,
			"EngineVersion":                   map[string]any{"SelectedEngineVersion": "Athena engine version 3"},
			"ResultConfiguration": map[string]any{
				"OutputLocation":      "s3://results/shop/",
				"ExpectedBucketOwner": map[string]any{"Ref": "AWS::AccountId"},
				"EncryptionConfiguration": map[string]any{
					"EncryptionOption": "SSE_KMS", "KmsKey": "arn:aws:kms:eu-central-1:111122223333:key/abc",
				},
			},
		},
	})
	template.HasResource("AWS::Athena::WorkGroup", map[string]any{"DeletionPolicy": "RetainExceptOnCreate"})
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

func TestSavedQueries(t *testing.T) {
	stack := cdktest.NewStack(t)
	given := props(stack)
	given.Database = "shop_db"
	given.Queries = []workgroup.Query{{ID: "CountShoes", Name: "shoes", Description: "How many shoes.", SQL: "select count(*) from shoe"}}
	workgroup.New(stack, "Workgroup", given)
	template := cdktest.Synthesize(t, stack)
	template.Has("AWS::Athena::NamedQuery", map[string]any{
		"WorkGroup": map[string]any{"Ref": "Workgroup"}, "Database": "shop_db", "Name": "shoes", "Description": "How many shoes.",
		"QueryString": "select count(*) from shoe",
	})
	if template.Resources("AWS::Athena::NamedQuery")["CountShoes"] == nil {
		t.Error("the query is not CountShoes")
	}
}

func TestMisuse(t *testing.T) {
	for want, change := range map[string]func(*workgroup.Props){
		"Name is empty":                       func(p *workgroup.Props) { p.Name = "" },
		"ScanLimitGB is 0, want 1 or more":    func(p *workgroup.Props) { p.ScanLimitGB = 0 },
		"Database is empty, want that of the": func(p *workgroup.Props) { p.Queries = []workgroup.Query{{ID: "X"}} },
	} {
		stack := cdktest.NewStack(t)
		given := props(stack)
		change(&given)
		cdktest.Panics(t, func() { workgroup.New(stack, "Workgroup", given) }, "workgroup Workgroup: "+want)
	}
}
