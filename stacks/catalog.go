package stacks

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/catalogtable"
	"stedi-lakehouse/constructs/gluejob"
	"stedi-lakehouse/constructs/lakebucket"
	"stedi-lakehouse/constructs/lakekey"
	"stedi-lakehouse/constructs/reader"
	"stedi-lakehouse/constructs/removal"
	"stedi-lakehouse/constructs/statement"
	"stedi-lakehouse/constructs/workgroup"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
)

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
	catalog.Key = lakekey.New(stack, "Key", lakekey.Props{
		Name: stage.LakeName, Budgets: stage.HasBudgets(), DeleteWithStack: deleted(stage),
	})
	catalog.JobSecurity = gluejob.NewSecurity(stack, "JobSecurity", stage.LakeName, catalog.Key)
	catalog.addBuckets(stage)
	database := awsglue.NewCfnDatabase(stack, jsii.String("Database"), &awsglue.CfnDatabaseProps{
		CatalogId: awscdk.Aws_ACCOUNT_ID(),
		DatabaseInput: &awsglue.CfnDatabase_DatabaseInputProperty{
			Name:        jsii.String(catalog.Database),
			Description: jsii.Sprintf("Lakehouse %s", stage.LakeName),
		},
	})
	database.ApplyRemovalPolicy(removal.Policy(deleted(stage)), nil)
	if stage.CatalogEncryption {
		database.AddResourceDependency(encryptCatalog(stack, stage, catalog.Key), nil)
	}
	for _, table := range props.Contracts {
		catalogtable.New(stack, pascalCase(table.Table), catalogtable.Props{
			Contract:          table,
			Database:          *database.Ref(),
			Lake:              catalog.Lake,
			DeleteWithTheLake: deleted(stage),
		})
	}
	queries := workgroup.New(stack, "Workgroup", workgroup.Props{
		Name:            stage.LakeName,
		Results:         catalog.Results,
		Key:             catalog.Key,
		ScanLimitGB:     stage.Queries.ScanLimitGB,
		Database:        *database.Ref(),
		Queries:         savedQueries(props.Contracts, catalog.Database, *catalog.Lake.BucketName()),
		DeleteWithStack: deleted(stage),
	})
	research, customers := catalog.addReaders(props)
	for _, reader := range []reader.Reader{research, customers} {
		reader.Scratch.AddResourceDependency(database, nil) // which waits until the catalog is encrypted
	}
	output(stack, "LakeBucketName", catalog.Lake.BucketName())
	output(stack, "LogBucketName", catalog.AccessLogs.BucketName())
	output(stack, "ResultBucketName", catalog.Results.BucketName())
	output(stack, "DatabaseName", database.Ref())
	output(stack, "WorkgroupName", queries.Ref())
	output(stack, "ResearchRoleArn", research.Role.RoleArn())
	output(stack, "CustomerRoleArn", customers.Role.RoleArn())
	output(stack, "ResearchScratchDatabase", research.Scratch.Ref())
	output(stack, "CustomersScratchDatabase", customers.Scratch.Ref())
	return catalog
}

func (c *Catalog) addBuckets(stage config.Stage) {
	onRemoval := map[string]lakebucket.Removal{
		config.Retain:        lakebucket.Keep,
		config.Delete:        lakebucket.EmptyFirst,
		config.DeleteIfEmpty: lakebucket.DeleteIfEmpty,
	}[stage.DataRemoval]
	common := lakebucket.Props{
		NoncurrentDays:  stage.RetentionDays.NoncurrentObjects,
		Removal:         onRemoval,
		FunctionLogDays: stage.RetentionDays.Logs,
	}
	logs := common
	logs.ExpireDays = stage.RetentionDays.AccessLogs
	c.AccessLogs = lakebucket.New(c.Stack, "AccessLogs", logs)
	// Nothing current expires here: tables refer to it (decision 0011).
	lake := common
	lake.Key, lake.AccessLogs = c.Key, c.AccessLogs
	lake.TellOfObjects = stage.Start.LandingMinutes > 0
	c.Lake = lakebucket.New(c.Stack, "Lake", lake)
	results := common
	results.Key, results.AccessLogs = c.Key, c.AccessLogs
	results.ExpireDays = stage.RetentionDays.QueryResults
	c.Results = lakebucket.New(c.Stack, "Results", results)
}

// addReaders makes the roles of analysts. What they may see follows from the contracts alone: zone and personal data.
func (c *Catalog) addReaders(props CatalogProps) (research, customers reader.Reader) {
	stage := props.Stage
	common := reader.Props{
		Database:        c.Database,
		Lake:            c.Lake,
		Results:         c.Results,
		Key:             c.Key,
		ScanLimitGB:     stage.Queries.ScanLimitGB,
		DeleteWithStack: deleted(stage),
	}
	toResearch, toCustomers := common, common
	toResearch.Name, toCustomers.Name = readersOf(stage)
	toResearch.Description = "Analysts without access to personal data: curated tables free of it, and the ledger of the runs"
	toResearch.Principals = stage.Readers.Research
	toCustomers.Description = "Analysts with access to personal data: all curated and trusted tables, of people who consented"
	toCustomers.Principals = stage.Readers.Customers
	toResearch.Tables, toCustomers.Tables = readable(props.Contracts)
	return reader.New(c.Stack, "Research", toResearch), reader.New(c.Stack, "Customers", toCustomers)
}

// readersOf a stage are the workgroups of the two roles of analysts.
func readersOf(stage config.Stage) (research, customers string) {
	return stage.LakeName + "-research", stage.LakeName + "-customers"
}

// readable are the tables that the two roles of analysts see. Who was erased is no business of theirs, pseudonym or not.
func readable(contracts contract.Set) (research, customers contract.Set) {
	for _, table := range contracts {
		if !table.PersonalData && table.Table != contract.ErasureLedger && (table.Zone == contract.Curated || table.Zone == contract.Ledger) {
			research = append(research, table)
		}
		if table.Zone == contract.Curated || table.Zone == contract.Trusted {
			customers = append(customers, table)
		}
	}
	return research, customers
}

// encryptCatalog encrypts the Glue Data Catalog of the whole account and Region. Glue takes a role for it, so that nobody who reads or
// writes the catalog needs the key. Role and settings stay when the stack goes, as the key does: what was encrypted could not be read
// without them.
func encryptCatalog(stack awscdk.Stack, stage config.Stage, key awskms.Key) awsglue.CfnDataCatalogEncryptionSettings {
	var conditions *map[string]any
	if stage.Jobs.TrustThisAccountOnly {
		// Glue does not document on behalf of which resource it takes the role.
		conditions = &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}}
	}
	role := awsiam.NewRole(stack, jsii.String("CatalogEncryptionRole"), &awsiam.RoleProps{
		Description: jsii.String("Glue encrypts and decrypts the Data Catalog"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("glue.amazonaws.com"), &awsiam.ServicePrincipalOpts{Conditions: conditions}),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"UseKey": statement.Document(
			statement.Allow("UseKey", []string{*key.KeyArn()}, "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"),
		)},
	})
	role.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN)
	settings := awsglue.NewCfnDataCatalogEncryptionSettings(stack, jsii.String("CatalogEncryption"), &awsglue.CfnDataCatalogEncryptionSettingsProps{
		CatalogId: awscdk.Aws_ACCOUNT_ID(),
		DataCatalogEncryptionSettings: &awsglue.CfnDataCatalogEncryptionSettings_DataCatalogEncryptionSettingsProperty{
			EncryptionAtRest: &awsglue.CfnDataCatalogEncryptionSettings_EncryptionAtRestProperty{
				CatalogEncryptionMode:        jsii.String("SSE-KMS-WITH-SERVICE-ROLE"),
				CatalogEncryptionServiceRole: role.RoleArn(),
				SseAwsKmsKeyId:               key.KeyArn(),
			},
			ConnectionPasswordEncryption: &awsglue.CfnDataCatalogEncryptionSettings_ConnectionPasswordEncryptionProperty{
				KmsKeyId: key.KeyArn(),
				// Our connections have no password; one of others is not handed out in the clear.
				ReturnConnectionPasswordEncrypted: jsii.Bool(true),
			},
		},
	})
	settings.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	return settings
}

// deleted tells whether what holds data goes with its stack.
func deleted(stage config.Stage) bool {
	return stage.DataRemoval != config.Retain
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
