package gluejob

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/statement"
	"stedi-lakehouse/internal/contract"
)

// policies are the role's inline policies. The names S3Access, ListObjectsInBucket, AllObjectActions and GlueAccess are what users
// of the lakehouse look for.
func policies(scope constructs.Construct, props Props) *map[string]awsiam.PolicyDocument {
	return &map[string]awsiam.PolicyDocument{
		"S3Access":   statement.Document(s3Access(props)...),
		"GlueAccess": statement.Document(append(glueAccess(scope, props), networkAccess(scope, props)...)...),
	}
}

func s3Access(props Props) []awsiam.PolicyStatement {
	if props.Erases != nil {
		return everywhere(props)
	}
	// A job lists landing folders itself and gives Spark one file after the other, so nobody asks for a folder as if it were an object.
	lake := *props.Lake.Bucket.BucketArn()
	var listed, read, written []string
	for _, table := range slices.Concat(props.Writes, props.Reads) {
		listed = append(listed, table.Prefix()+"/*")
	}
	for _, table := range props.Writes {
		written = append(written, lake+"/"+table.Prefix()+"/*")
	}
	if props.Intake != "" {
		listed = append(listed, props.Intake)
	}
	listed = append(listed, props.Consults...)
	for _, table := range props.Reads {
		read = append(read, lake+"/"+table.Prefix()+"/*")
	}
	statements := []awsiam.PolicyStatement{
		statement.AllowIf("ListObjectsInBucket", []string{lake}, map[string]any{
			// Not "IfExists": a list without a prefix shows the keys of the whole lake. S3 asks for the right to just that before it says
			// that there is no such key, so a job who looks whether an object is there lists the names that begin with its key.
			"StringLike": map[string]any{"s3:prefix": listed},
		}, "s3:ListBucket"),
		statement.Allow("LocateBucket", []string{lake}, "s3:GetBucketLocation"),
		statement.Allow("AllObjectActions", written,
			"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
	}
	statements = append(statements, codeAndKey(props)...)
	if len(read) > 0 {
		statements = append(statements, statement.Allow("ReadSources", read, "s3:GetObject"))
	}
	if props.Intake != "" {
		// The table of this object belongs to all jobs; a job has no business with what the others have noted.
		statements = append(statements, statement.Allow("KeepIntake", []string{lake + "/" + props.Intake}, "s3:GetObject", "s3:PutObject"))
	}
	if len(props.Consults) > 0 {
		var objects []string
		for _, key := range props.Consults {
			objects = append(objects, lake+"/"+key)
		}
		statements = append(statements, statement.Allow("Consult", objects, "s3:GetObject"))
	}
	return statements
}

func codeAndKey(props Props) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		statement.Allow("ReadCode", code(props.Code), "s3:GetObject"),
		statement.Allow("UseLakeKey", []string{*props.Lake.Key.KeyArn()}, "kms:Decrypt", "kms:GenerateDataKey"),
	}
}

// everywhere is the access of the job that erases people. It has to show that nobody is left anywhere, so it reads and lists both buckets
// whole, with all versions; it writes, and deletes for good, where rows of people are and nowhere else: not what other jobs have noted of
// their runs.
func everywhere(props Props) []awsiam.PolicyStatement {
	lake, results := *props.Lake.Bucket.BucketArn(), *props.Erases.Results.BucketArn()
	var changed []string
	for _, table := range slices.Concat(props.Writes, props.Erases.Delivered) {
		changed = append(changed, lake+"/"+table.Prefix()+"/*")
	}
	for _, key := range props.Erases.Keeps {
		if strings.HasSuffix(key, "/") {
			key += "*"
		}
		changed = append(changed, lake+"/"+key)
	}
	return append([]awsiam.PolicyStatement{
		statement.Allow("ListObjectsInBucket", []string{lake, results}, "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions"),
		statement.Allow("ReadEverything", []string{lake + "/*", results + "/*"}, "s3:GetObject", "s3:GetObjectVersion"),
		statement.Allow("AllObjectActions", changed, "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion",
			"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
		statement.Allow("DeleteResults", []string{results + "/*"}, "s3:DeleteObject", "s3:DeleteObjectVersion"),
	}, codeAndKey(props)...)
}

func glueAccess(scope constructs.Construct, props Props) []awsiam.PolicyStatement {
	catalogARN := statement.ARN(scope, "glue", "catalog", "")
	database := statement.ARN(scope, "glue", "database", props.Lake.Database)
	table := func(table contract.Contract) string {
		return statement.ARN(scope, "glue", "table", props.Lake.Database+"/"+table.Table)
	}
	readable, committed := []string{catalogARN, database}, []string{catalogARN, database}
	for _, target := range props.Writes {
		readable, committed = append(readable, table(target)), append(committed, table(target))
	}
	for _, source := range props.Reads {
		readable = append(readable, table(source))
	}
	groups := *awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("logs"), Resource: jsii.String("log-group"), ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		ResourceName: jsii.String(logGroups(props) + "*"),
	})
	return []awsiam.PolicyStatement{
		statement.Allow("ReadTables", readable, "glue:GetDatabase", "glue:GetTable"),
		// An Iceberg commit replaces the metadata location in the table's catalog entry.
		statement.Allow("CommitToTable", committed, "glue:UpdateTable"),
		// Glue associates the security configuration's key with the groups itself; without that right it writes no logs.
		statement.Allow("WriteLogs", []string{groups}, "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
		// Glue reads with the role how the run is to be encrypted. The call knows no resource to limit it to.
		statement.Allow("ReadSecurityConfiguration", []string{"*"}, "glue:GetSecurityConfiguration"),
		statement.AllowIf("PutMetrics", []string{"*"}, map[string]any{
			"StringEquals": map[string]any{"cloudwatch:namespace": []string{"Glue", MetricsNamespace}},
		}, "cloudwatch:PutMetricData"),
	}
}

// networkAccess is what Glue needs to give a run network interfaces in our subnet; without a connection it needs none of it.
// Source: the managed policy AWSGlueServiceRole, limited here to this network.
func networkAccess(scope constructs.Construct, props Props) []awsiam.PolicyStatement {
	if props.Connection.Name == "" {
		return nil
	}
	interfaces := statement.ARN(scope, "ec2", "network-interface", "*")
	catalogARN := statement.ARN(scope, "glue", "catalog", "")
	used := []string{catalogARN, statement.ARN(scope, "glue", "connection", props.Connection.Name)}
	subnet := statement.ARN(scope, "ec2", "subnet", props.Connection.SubnetID)
	placed := []string{interfaces, statement.ARN(scope, "ec2", "security-group", props.Network.SecurityGroupID), subnet}
	onlyOurs := map[string]any{"ArnEquals": map[string]any{"ec2:Subnet": subnet}}
	return []awsiam.PolicyStatement{
		statement.Allow("UseConnection", used, "glue:GetConnection"),
		// These calls know no resource to limit them to.
		statement.Allow("SeeNetwork", []string{"*"}, "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups",
			"ec2:DescribeSubnets", "ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints"),
		statement.Allow("CreateInterfaces", placed, "ec2:CreateNetworkInterface"),
		statement.AllowIf("DeleteInterfaces", []string{interfaces}, onlyOurs, "ec2:DeleteNetworkInterface"),
		statement.AllowIf("TagInterfaces", []string{interfaces}, map[string]any{
			"ForAllValues:StringEquals": map[string]any{"aws:TagKeys": []string{"aws-glue-service-resource"}},
			"Null":                      map[string]any{"aws:TagKeys": "false"}, // else a request without tags would match
		}, "ec2:CreateTags", "ec2:DeleteTags"),
	}
}

func code(given Code) []string {
	objects := []string{objectARN(given.Script), objectARN(given.Packages)}
	if given.Wheels.ARN != "" {
		objects = append(objects, given.Wheels.ARN)
	}
	return objects
}

func objectARN(asset awss3assets.Asset) string {
	return fmt.Sprintf("%s/%s", *asset.Bucket().BucketArn(), *asset.S3ObjectKey())
}
