// Package gluejob makes the Spark jobs of the lakehouse: a Glue job with a role that may do what this job does and no more.
package gluejob

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/lakenetwork"
	"stedi-lakehouse/internal/contract"
)

// glueVersion is Spark 4.1, Python 3.13 and Iceberg 1.11.
const glueVersion = "6.0"

// metricsNamespace is where a run puts its own metrics, beside those that Glue makes of it.
const metricsNamespace = "StediLakehouse"

// catalog is the name under which Spark sees the Glue Data Catalog: glue_catalog.<database>.<table>.
const catalog = "glue_catalog"

// Lake is where the data is.
type Lake struct {
	Name      string // of the whole lakehouse; the dimension Lake of its metrics
	Bucket    string // name of the lake bucket
	BucketARN string
	KeyARN    string // encrypts the bucket
	Database  string // Glue database
}

// Code is what a job runs, as uploaded by the CDK.
type Code struct {
	Script   awss3assets.Asset
	Packages awss3assets.Asset // a zip that Python imports from
}

// Size is how much a run may take.
type Size struct {
	WorkerType     string // e.g. G.1X
	Workers        int    // one of them is the driver
	TimeoutMinutes int
	Flex           bool // cheaper spare capacity
}

// Connection is a Glue connection through which a job gets its network.
type Connection struct {
	Name     string
	SubnetID string
}

// Props of a job. All are required, except where a zero value is named.
type Props struct {
	Name        string
	Description string
	Code        Code
	Lake        Lake
	Reads       []contract.Contract
	Writes      contract.Contract   // the table that the job is for
	Keeps       []contract.Contract // the other tables that it writes; may be empty
	Intake      string              // key of the one object in the lake in which the job notes what it has read
	ConsentGate string
	Size        Size
	Network     lakenetwork.Network
	Connections []Connection // tried in turn, one a subnet; none: Glue's own network
	// LogGroups is the part before /output and /error of the two log groups that a run writes to.
	LogGroups string
}

// Job is a deployed job.
type Job struct {
	Name           string
	Role           awsiam.Role
	Resource       awsglue.CfnJob
	TimeoutMinutes int
}

// written are all tables that the job writes.
func (p Props) written() []contract.Contract {
	return append([]contract.Contract{p.Writes}, p.Keeps...)
}

// New makes the job and its role. It panics when something is missing that Glue would fill with a costly default, and without an
// Intake: the role would cover another object than the job needs.
func New(scope constructs.Construct, id string, props Props) Job {
	if props.Name == "" || props.Size.WorkerType == "" || props.Size.Workers < 2 || props.Size.TimeoutMinutes < 1 {
		panic(fmt.Sprintf("gluejob %s: Name is %q and Size %+v, want a name, a worker type, 2 workers or more and a timeout",
			id, props.Name, props.Size))
	}
	if props.Intake == "" || strings.ContainsAny(props.Intake, "*?") {
		panic(fmt.Sprintf("gluejob %s: Intake is %q, want the key of one object", id, props.Intake))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	role := awsiam.NewRole(this, jsii.String("Role"), &awsiam.RoleProps{
		Description:    jsii.Sprintf("Glue job %s", props.Name),
		AssumedBy:      awsiam.NewServicePrincipal(jsii.String("glue.amazonaws.com"), nil),
		InlinePolicies: policies(this, props),
	})
	executionClass := "STANDARD"
	if props.Size.Flex {
		executionClass = "FLEX"
	}
	resource := awsglue.NewCfnJob(this, jsii.String("Job"), &awsglue.CfnJobProps{
		Name:        jsii.String(props.Name),
		Description: jsii.String(props.Description),
		Role:        role.RoleArn(),
		GlueVersion: jsii.String(glueVersion),
		Command: &awsglue.CfnJob_JobCommandProperty{
			Name:           jsii.String("glueetl"),
			PythonVersion:  jsii.String("3"),
			ScriptLocation: props.Code.Script.S3ObjectUrl(),
		},
		DefaultArguments: arguments(props),
		ExecutionClass:   jsii.String(executionClass),
		WorkerType:       jsii.String(props.Size.WorkerType),
		NumberOfWorkers:  jsii.Number(props.Size.Workers),
		Timeout:          jsii.Number(props.Size.TimeoutMinutes),
		// Two runs of one job would write the same table; and who starts a job decides about another attempt, not Glue.
		ExecutionProperty: &awsglue.CfnJob_ExecutionPropertyProperty{MaxConcurrentRuns: jsii.Number(1)},
		MaxRetries:        jsii.Number(0),
		Connections:       connections(props.Connections),
	})
	return Job{Name: props.Name, Role: role, Resource: resource, TimeoutMinutes: props.Size.TimeoutMinutes}
}

func arguments(props Props) map[string]string {
	lake := "s3://" + props.Lake.Bucket
	given := map[string]string{
		"--job-language":           "python",
		"--extra-py-files":         *props.Code.Packages.S3ObjectUrl(),
		"--datalake-formats":       "iceberg",
		"--conf":                   sparkSettings(lake),
		"--custom-logGroup-prefix": props.LogGroups,
		"--table":                  props.Writes.Table,
		"--lake_uri":               lake,
		"--database":               props.Lake.Database,
		"--consent_gate":           props.ConsentGate,
		"--metrics_namespace":      metricsNamespace,
		"--lake_name":              props.Lake.Name,
		"--region":                 *awscdk.Aws_REGION(),
	}
	if props.Network.PrivateEndpoints {
		given["--disable-proxy-v2"] = "true"
	}
	return given
}

// sparkSettings is the value of --conf. Glue takes the argument once, so further settings follow within its value.
func sparkSettings(lake string) string {
	return strings.Join([]string{
		"spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
		"spark.sql.catalog." + catalog + "=org.apache.iceberg.spark.SparkCatalog",
		"spark.sql.catalog." + catalog + ".catalog-impl=org.apache.iceberg.aws.glue.GlueCatalog",
		"spark.sql.catalog." + catalog + ".io-impl=org.apache.iceberg.aws.s3.S3FileIO",
		"spark.sql.catalog." + catalog + ".warehouse=" + lake,
		"spark.sql.session.timeZone=UTC",
	}, " --conf ")
}

func connections(list []Connection) any {
	if len(list) == 0 {
		return nil
	}
	var names []string
	for _, connection := range list {
		names = append(names, connection.Name)
	}
	return &awsglue.CfnJob_ConnectionsListProperty{Connections: jsii.Strings(names...)}
}

// arn forms an ARN of the stack's account and Region.
func arn(scope constructs.Construct, service, resource, name string) string {
	return *awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String(service), Resource: jsii.String(resource), ResourceName: jsii.String(name),
	})
}
