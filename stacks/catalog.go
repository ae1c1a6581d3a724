package stacks

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/catalogtable"
	"stedi-lakehouse/constructs/gluejob"
	"stedi-lakehouse/constructs/lakebucket"
	"stedi-lakehouse/constructs/workgroup"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
)

// keyWindowDays is how long a deleted key can be called back; AWS allows no less.
const keyWindowDays = 7

// CatalogProps of the catalog stack.
type CatalogProps struct {
	Stage     config.Stage
	Contracts contract.Set
}

// Catalog is the catalog stack: everything that holds data, and the names under which people find it.
type Catalog struct {
	Stack      awscdk.Stack
	Key        awskms.Key
	Lake       awss3.Bucket
	Results    awss3.Bucket // of Athena queries
	AccessLogs awss3.Bucket
	Database   string // name of the Glue database

	JobSecurity gluejob.Security // how Glue encrypts what it keeps of job runs
}

// NewCatalog makes the catalog stack <lakeName>-catalog.
func NewCatalog(scope constructs.Construct, props CatalogProps) Catalog {
	stage := props.Stage
	stack := newStack(scope, stage, "catalog", "Data lake, table catalog and query workgroup")
	catalog := Catalog{Stack: stack, Database: strings.ReplaceAll(stage.LakeName, "-", "_")}
	catalog.Key = newKey(stack, stage)
	letLogsUse(catalog.Key, stage)
	catalog.JobSecurity = gluejob.NewSecurity(stack, "JobSecurity", stage.LakeName, *catalog.Key.KeyArn())
	catalog.addBuckets(stage)
	database := awsglue.NewCfnDatabase(stack, jsii.String("Database"), &awsglue.CfnDatabaseProps{
		CatalogId: awscdk.Aws_ACCOUNT_ID(),
		DatabaseInput: &awsglue.CfnDatabase_DatabaseInputProperty{
			Name:        jsii.String(catalog.Database),
			Description: jsii.Sprintf("Lakehouse %s", stage.LakeName),
		},
	})
	database.ApplyRemovalPolicy(removal(stage), nil)
	for _, table := range props.Contracts {
		catalogtable.New(stack, pascalCase(table.Table), catalogtable.Props{
			Contract:          table,
			Database:          *database.Ref(),
			Lake:              *catalog.Lake.BucketName(),
			DeleteWithTheLake: stage.DataRemoval != config.Retain,
		})
	}
	queries := workgroup.New(stack, "Workgroup", workgroup.Props{
		Name:            stage.LakeName,
		Results:         catalog.Results,
		Key:             catalog.Key,
		DeleteWithStack: stage.DataRemoval != config.Retain,
	})
	output(stack, "LakeBucketName", catalog.Lake.BucketName())
	output(stack, "LogBucketName", catalog.AccessLogs.BucketName())
	output(stack, "ResultBucketName", catalog.Results.BucketName())
	output(stack, "DatabaseName", database.Ref())
	output(stack, "WorkgroupName", queries.Ref())
	return catalog
}

func (c *Catalog) addBuckets(stage config.Stage) {
	onRemoval := map[string]lakebucket.Removal{
		config.Retain:        lakebucket.Keep,
		config.Delete:        lakebucket.EmptyFirst,
		config.DeleteIfEmpty: lakebucket.DeleteIfEmpty,
	}[stage.DataRemoval]
	c.AccessLogs = lakebucket.New(c.Stack, "AccessLogs", lakebucket.Props{
		ExpireDays:     stage.RetentionDays.AccessLogs,
		NoncurrentDays: stage.RetentionDays.NoncurrentObjects,
		Removal:        onRemoval,
	})
	c.Lake = lakebucket.New(c.Stack, "Lake", lakebucket.Props{
		TellOfObjects:  stage.Start.LandingMinutes > 0,
		Key:            c.Key,
		AccessLogs:     c.AccessLogs,
		NoncurrentDays: stage.RetentionDays.NoncurrentObjects,
		Removal:        onRemoval,
	})
	c.Results = lakebucket.New(c.Stack, "Results", lakebucket.Props{
		Key:            c.Key,
		AccessLogs:     c.AccessLogs,
		ExpireDays:     stage.RetentionDays.QueryResults,
		NoncurrentDays: stage.RetentionDays.NoncurrentObjects,
		Removal:        onRemoval,
	})
}

func newKey(stack awscdk.Stack, stage config.Stage) awskms.Key {
	return awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{
		Description:       jsii.Sprintf("Data and query results of lakehouse %s", stage.LakeName),
		EnableKeyRotation: jsii.Bool(true),
		PendingWindow:     awscdk.Duration_Days(jsii.Number(keyWindowDays)),
		RemovalPolicy:     removal(stage),
	})
}

func removal(stage config.Stage) awscdk.RemovalPolicy {
	if stage.DataRemoval == config.Retain {
		return awscdk.RemovalPolicy_RETAIN
	}
	return awscdk.RemovalPolicy_DESTROY
}

func output(stack awscdk.Stack, id string, value *string) {
	awscdk.NewCfnOutput(stack, jsii.String(id), &awscdk.CfnOutputProps{Value: value})
}

// pascalCase turns a table's or job's name into a construct id: customer_landing into CustomerLanding.
func pascalCase(name string) string {
	var id strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		id.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return id.String()
}
