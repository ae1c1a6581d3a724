// Package reader makes the roles in which analysts query the lakehouse: each sees its tables, in a workgroup of its own, and nothing
// else.
package reader

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

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
	DeleteWithStack bool // also deletes the workgroup's history; false: the workgroup stays
}

// New makes the role and its workgroup. The workgroup is the role's own, because whoever can read a query's results sees what the
// query saw. It panics without tables.
func New(scope constructs.Construct, id string, props Props) awsiam.Role {
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
	return awsiam.NewRole(this, jsii.String("Role"), &awsiam.RoleProps{
		Description: jsii.String(props.Description),
		AssumedBy:   trusted(props.Principals),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"Query":      statement.Document(query(this, props)...),
			"ReadLake":   statement.Document(readLake(this, props)...),
			"UseResults": statement.Document(useResults(props)...),
		},
	})
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
		statement.Allow("KeepResults", []string{bucket + "/" + prefix + "*"},
			"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
	}
}
