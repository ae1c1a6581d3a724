// Package reader makes the roles in which analysts query the lakehouse: each sees its tables, in a workgroup of its own, makes tables of
// its own in a scratch database, and does nothing else.
package reader

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/removal"
	"stedi-lakehouse/constructs/statement"
	"stedi-lakehouse/constructs/workgroup"
	"stedi-lakehouse/internal/contract"
)

// Props of a role. All are required, except where a zero value is named.
type Props struct {
	Name            string   // of the workgroup
	Description     string   // who the role is for
	Principals      []string // ARNs that may assume the role; none: the account, whose IAM policies then say who
	Tables          []contract.Contract
	Database        string // Glue database
	Lake            awss3.IBucket
	Results         awss3.IBucket
	Key             awskms.IKey // encrypts both buckets
	ScanLimitGB     int
	DeleteWithStack bool // also deletes the workgroup's history and the scratch database; false: they stay
}

// Reader is a role of analysts with the database that is its own.
type Reader struct {
	Role    awsiam.Role
	Scratch awsglue.CfnDatabase // in which the role may make tables
}

// ScratchDatabase is the Glue database in which the role of a workgroup makes tables.
func ScratchDatabase(workgroup string) string {
	return strings.ReplaceAll(workgroup, "-", "_") + "_scratch"
}

// New makes the role, its workgroup and its scratch database. They are the role's own, because whoever can read a query's results, or
// a table made of them, sees what the query saw. It panics without tables.
func New(scope constructs.Construct, id string, props Props) Reader {
	if len(props.Tables) == 0 {
		panic(fmt.Sprintf("reader %s: Tables is empty, want those that the role may read", id))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	workgroup.New(this, "Workgroup", workgroup.Props{
		Name:            props.Name,
		Results:         props.Results,
		Key:             props.Key,
		ScanLimitGB:     props.ScanLimitGB,
		DeleteWithStack: props.DeleteWithStack,
	})
	role := awsiam.NewRole(this, jsii.String("Role"), &awsiam.RoleProps{
		Description: jsii.String(props.Description),
		AssumedBy:   trusted(props.Principals),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"Query":      statement.Document(query(this, props)...),
			"ReadLake":   statement.Document(readLake(this, props)...),
			"UseResults": statement.Document(useResults(props)...),
			"UseScratch": statement.Document(useScratch(this, props)...),
		},
	})
	return Reader{role, scratch(this, props)}
}

// scratch is the database in which the role may make tables. Athena puts those of CREATE TABLE AS SELECT under the workgroup's results,
// wherever the database is; its location is for Iceberg tables that are given none, and among the results too, where everything expires.
func scratch(scope constructs.Construct, props Props) awsglue.CfnDatabase {
	database := awsglue.NewCfnDatabase(scope, jsii.String("Scratch"), &awsglue.CfnDatabaseProps{
		CatalogId: awscdk.Aws_ACCOUNT_ID(),
		DatabaseInput: &awsglue.CfnDatabase_DatabaseInputProperty{
			Name:        jsii.String(ScratchDatabase(props.Name)),
			Description: jsii.Sprintf("Tables that people make in workgroup %s; their rows expire with the query results", props.Name),
			LocationUri: jsii.Sprintf("s3://%s/%sscratch/", *props.Results.BucketName(), workgroup.ResultPrefix(props.Name)),
		},
	})
	database.ApplyRemovalPolicy(removal.Policy(props.DeleteWithStack), nil)
	return database
}

func trusted(arns []string) awsiam.IPrincipal {
	if len(arns) == 0 {
		return awsiam.NewAccountRootPrincipal()
	}
	var principals []awsiam.IPrincipal
	for _, arn := range arns {
		principals = append(principals, awsiam.NewArnPrincipal(jsii.String(arn)))
	}
	return awsiam.NewCompositePrincipal(principals...)
}

func query(scope constructs.Construct, props Props) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		statement.Allow("QueryInWorkgroup", []string{statement.ARN(scope, "athena", "workgroup", props.Name)},
			"athena:GetWorkGroup", "athena:StartQueryExecution", "athena:StopQueryExecution", "athena:GetQueryExecution",
			"athena:BatchGetQueryExecution", "athena:ListQueryExecutions", "athena:GetQueryResults", "athena:GetQueryResultsStream",
			"athena:GetQueryRuntimeStatistics"),
		// What the console asks before it shows anything. The names of workgroups and catalogs; no resource to limit it to.
		statement.Allow("OpenConsole", []string{"*"}, "athena:ListWorkGroups", "athena:ListDataCatalogs"),
		// What these answer, Glue limits to the tables below.
		statement.Allow("DescribeTables", []string{statement.ARN(scope, "athena", "datacatalog", "AwsDataCatalog")},
			"athena:GetDataCatalog", "athena:GetDatabase", "athena:GetTableMetadata"),
	}
}

func readLake(scope constructs.Construct, props Props) []awsiam.PolicyStatement {
	catalog := statement.ARN(scope, "glue", "catalog", "")
	described := []string{catalog, statement.ARN(scope, "glue", "database", props.Database)}
	var listed, read []string
	for _, table := range props.Tables {
		described = append(described, statement.ARN(scope, "glue", "table", props.Database+"/"+table.Table))
		listed = append(listed, table.Prefix()+"/*")
		read = append(read, *props.Lake.BucketArn()+"/"+table.Prefix()+"/*")
	}
	return []awsiam.PolicyStatement{
		statement.Allow("FindTables", described, "glue:GetDatabase", "glue:GetTable"),
		// Athena asks for this database whatever a query reads, says its guide (fine-grained access to databases and tables). Ours has no
		// such database, and no right to make one: where there is none, somebody else has to make it.
		statement.Allow("FindDefault", []string{catalog, statement.ARN(scope, "glue", "database", "default")}, "glue:GetDatabase"),
		statement.Allow("LocateLake", []string{*props.Lake.BucketArn()}, "s3:GetBucketLocation"),
		statement.AllowIf("ListTables", []string{*props.Lake.BucketArn()},
			map[string]any{"StringLike": map[string]any{"s3:prefix": listed}}, "s3:ListBucket"),
		statement.Allow("ReadTables", read, "s3:GetObject"),
		// Athena asks S3 in the caller's name, and S3 asks for the key.
		statement.AllowIf("DecryptThroughS3", []string{*props.Key.KeyArn()},
			map[string]any{"StringEquals": map[string]any{"kms:ViaService": fmt.Sprintf("s3.%s.amazonaws.com", *awscdk.Aws_REGION())}},
			"kms:Decrypt", "kms:GenerateDataKey"),
	}
}

func useResults(props Props) []awsiam.PolicyStatement {
	bucket, prefix := *props.Results.BucketArn(), workgroup.ResultPrefix(props.Name)
	return []awsiam.PolicyStatement{
		statement.Allow("LocateResults", []string{bucket}, "s3:GetBucketLocation"),
		statement.AllowIf("ListResults", []string{bucket},
			map[string]any{"StringLike": map[string]any{"s3:prefix": []string{prefix + "*"}}}, "s3:ListBucket"),
		// Deleted is what DROP TABLE takes away of an Iceberg table, and clients of what they made in passing. Old versions stay until
		// they expire: nobody here may delete or read one.
		statement.Allow("KeepResults", []string{bucket + "/" + prefix + "*"},
			"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
	}
}

// useScratch is what CREATE TABLE AS SELECT, INSERT INTO, DROP TABLE, awswrangler's tables in passing and dbt-athena ask of the catalog.
func useScratch(scope constructs.Construct, props Props) []awsiam.PolicyStatement {
	catalog := statement.ARN(scope, "glue", "catalog", "")
	lake := statement.ARN(scope, "glue", "database", props.Database)
	database := statement.ARN(scope, "glue", "database", ScratchDatabase(props.Name))
	// Glue asks for a right on a table, its database and the catalog together, so the catalog alone opens nothing.
	tables := []string{catalog, database, statement.ARN(scope, "glue", "table", ScratchDatabase(props.Name)+"/*")}
	statements := []awsiam.PolicyStatement{
		// dbt looks whether there is the database that it is told to build in.
		statement.Allow("ListDatabases", []string{catalog, lake, database}, "glue:GetDatabases"),
		statement.Allow("SeeScratch", tables, "glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetTableVersions",
			"glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition"),
		statement.Allow("MakeTables", tables, "glue:CreateTable", "glue:UpdateTable", "glue:DeleteTable", "glue:DeleteTableVersion"),
	}
	if slices.ContainsFunc(props.Tables, func(table contract.Contract) bool { return table.PersonalData }) {
		return statements // The values by which a table is partitioned would stay in the catalog, where nothing expires.
	}
	return append(statements, statement.Allow("MakePartitions", tables, "glue:CreatePartition", "glue:BatchCreatePartition",
		"glue:UpdatePartition", "glue:DeletePartition", "glue:BatchDeletePartition"))
}
