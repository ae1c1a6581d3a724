package reader_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/reader"
	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/contract"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func props(stack awscdk.Stack) reader.Props {
	return reader.Props{
		Name:        "shop-research",
		Description: "Researchers",
		Tables:      []contract.Contract{{Table: "shoe_curated", Source: "shoe", Zone: contract.Curated}},
		Database:    "shop",
		Lake:        awss3.Bucket_FromBucketName(stack, jsii.String("Lake"), jsii.String("lake")),
		Results:     awss3.Bucket_FromBucketName(stack, jsii.String("Results"), jsii.String("results")),
		Key:         awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:eu-central-1:111122223333:key/abc")),
		ScanLimitGB: 3,
	}
}

func synthesize(t *testing.T, change func(*reader.Props)) cdktest.Template {
	t.Helper()
	stack := cdktest.NewStack(t)
	given := props(stack)
	change(&given)
	reader.New(stack, "Research", given)
	return cdktest.Synthesize(t, stack)
}

func TestWorkgroupOfItsOwn(t *testing.T) {
	template := synthesize(t, func(*reader.Props) {})
	template.HasResource("AWS::Athena::WorkGroup", map[string]any{"DeletionPolicy": "RetainExceptOnCreate", "Properties": map[string]any{
		"Name": "shop-research",
		"WorkGroupConfiguration": map[string]any{
			"EnforceWorkGroupConfiguration": true,
			"BytesScannedCutoffPerQuery":    3 * 1024 * 1024 * 1024,
			"ResultConfiguration":           map[string]any{"OutputLocation": "s3://results/shop-research/"},
		},
	}})
	synthesize(t, func(p *reader.Props) { p.DeleteWithStack = true }).HasResource("AWS::Athena::WorkGroup",
		map[string]any{"DeletionPolicy": "Delete"})
}

func TestWhoMayAssumeIt(t *testing.T) {
	trusts := func(principal any) map[string]any {
		return map[string]any{"ManagedPolicyArns": assertions.Match_Absent(), "AssumeRolePolicyDocument": map[string]any{
			"Statement": []any{map[string]any{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": map[string]any{"AWS": principal}}},
		}}
	}
	account := map[string]any{"Fn::Join": []any{"", []any{"arn:", map[string]any{"Ref": "AWS::Partition"}, ":iam::", map[string]any{"Ref": "AWS::AccountId"}, ":root"}}}
	synthesize(t, func(*reader.Props) {}).Has("AWS::IAM::Role", trusts(account))
	analyst := "arn:aws:iam::111122223333:role/analyst"
	synthesize(t, func(p *reader.Props) { p.Principals = []string{analyst} }).Has("AWS::IAM::Role", trusts(analyst))
}

func TestScratchDatabaseOfItsOwn(t *testing.T) {
	database := map[string]any{"DeletionPolicy": "RetainExceptOnCreate", "Properties": map[string]any{
		"CatalogId": map[string]any{"Ref": "AWS::AccountId"},
		"DatabaseInput": map[string]any{
			"Name":        "shop_research_scratch",
			"Description": "Tables that people make in workgroup shop-research; their rows expire with the query results",
			"LocationUri": "s3://results/shop-research/scratch/",
		},
	}}
	synthesize(t, func(*reader.Props) {}).HasResource("AWS::Glue::Database", database)
	database["DeletionPolicy"] = "Delete"
	synthesize(t, func(p *reader.Props) { p.DeleteWithStack = true }).HasResource("AWS::Glue::Database", database)
}

// All that the role may do, as "action on resource if condition".
const (
	outsideScratch = `
		athena:BatchGetQueryExecution|workgroup/shop-research athena:GetQueryExecution|workgroup/shop-research
		athena:GetQueryResults|workgroup/shop-research athena:GetQueryResultsStream|workgroup/shop-research
		athena:GetQueryRuntimeStatistics|workgroup/shop-research athena:GetWorkGroup|workgroup/shop-research
		athena:ListQueryExecutions|workgroup/shop-research athena:StartQueryExecution|workgroup/shop-research
		athena:StopQueryExecution|workgroup/shop-research
		athena:ListWorkGroups|* athena:ListDataCatalogs|*
		athena:GetDataCatalog|datacatalog/AwsDataCatalog athena:GetDatabase|datacatalog/AwsDataCatalog
		athena:GetTableMetadata|datacatalog/AwsDataCatalog
		glue:GetDatabase|database/default
		glue:GetDatabase|catalog glue:GetDatabase|database/shop glue:GetDatabase|table/shop/shoe_curated
		glue:GetTable|catalog glue:GetTable|database/shop glue:GetTable|table/shop/shoe_curated
		s3:GetBucketLocation|lake s3:ListBucket|lake|"StringLike":{"s3:prefix":["shoe/curated/*"]} s3:GetObject|lake/shoe/curated/*
		s3:GetBucketLocation|results s3:ListBucket|results|"StringLike":{"s3:prefix":["shop-research/*"]}
		s3:AbortMultipartUpload|results/shop-research/* s3:GetObject|results/shop-research/*
		s3:ListMultipartUploadParts|results/shop-research/* s3:PutObject|results/shop-research/*
		s3:DeleteObject|results/shop-research/*
		kms:Decrypt|key/abc|"StringEquals":{"kms:ViaService":{"Fn::Join":["",["s3.",{"Ref":"AWS::Region"},".amazonaws.com"]]}}
		kms:GenerateDataKey|key/abc|"StringEquals":{"kms:ViaService":{"Fn::Join":["",["s3.",{"Ref":"AWS::Region"},".amazonaws.com"]]}}`
	inScratch = `
		glue:GetDatabases|catalog glue:GetDatabases|database/shop glue:GetDatabases|database/shop_research_scratch
		SCRATCH:GetDatabase SCRATCH:GetTable SCRATCH:GetTables SCRATCH:GetTableVersions
		SCRATCH:GetPartition SCRATCH:GetPartitions SCRATCH:BatchGetPartition
		SCRATCH:CreateTable SCRATCH:UpdateTable SCRATCH:DeleteTable SCRATCH:DeleteTableVersion`
	partitions = `
		SCRATCH:CreatePartition SCRATCH:BatchCreatePartition SCRATCH:UpdatePartition
		SCRATCH:DeletePartition SCRATCH:BatchDeletePartition`
)

func TestRights(t *testing.T) {
	expectRights(t, outsideScratch+inScratch+partitions, synthesize(t, func(*reader.Props) {}))
}

// The values by which a table is partitioned stay in the catalog, where nothing expires.
func TestNoPartitionsOfPersonalData(t *testing.T) {
	expectRights(t, outsideScratch+inScratch, synthesize(t, func(p *reader.Props) { p.Tables[0].PersonalData = true }))
}

// onScratch are rights that Glue wants on the catalog, the database and the table.
var onScratch = regexp.MustCompile(`SCRATCH:(\w+)`)

func expectRights(t *testing.T, expected string, template cdktest.Template) {
	t.Helper()
	want := strings.Fields(onScratch.ReplaceAllString(expected,
		"glue:$1|catalog glue:$1|database/shop_research_scratch glue:$1|table/shop_research_scratch/*"))
	got := rights(t, template)
	for _, right := range got {
		if !slices.Contains(want, right) {
			t.Errorf("the role may %s", right)
		}
	}
	for _, right := range want {
		if !slices.Contains(got, right) {
			t.Errorf("the role may not %s", right)
		}
	}
}

// lastPart cuts an ARN, joined of its parts as JSON, down to what follows the account or S3's colons.
var lastPart = regexp.MustCompile(`[^:]*$`)

func rights(t *testing.T, template cdktest.Template) []string {
	t.Helper()
	var found []string
	for _, role := range template.Resources("AWS::IAM::Role") {
		for _, policy := range role["Policies"].([]any) {
			for _, statement := range policy.(map[string]any)["PolicyDocument"].(map[string]any)["Statement"].([]any) {
				statement := statement.(map[string]any)
				for _, action := range list(statement["Action"]) {
					for _, resource := range list(statement["Resource"]) {
						right := action.(string) + "|" + strings.NewReplacer(`"`, "", "]", "", "}", "", ",", "").Replace(lastPart.FindString(text(t, resource)))
						if condition := statement["Condition"]; condition != nil {
							right += "|" + strings.TrimSuffix(strings.TrimPrefix(text(t, condition), "{"), "}")
						}
						found = append(found, right)
					}
				}
			}
		}
	}
	return found
}

func list(value any) []any {
	if values, ok := value.([]any); ok {
		return values
	}
	return []any{value}
}

func text(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	given := props(stack)
	given.Tables = nil
	cdktest.Panics(t, func() { reader.New(stack, "Research", given) }, "reader Research: Tables is empty")
}
