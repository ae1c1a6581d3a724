// Package gluejob makes the jobs of the lakehouse: a Glue job with a role that may do what this job does and no more.
package gluejob

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/lakenetwork"
	"stedi-lakehouse/constructs/loggroup"
	"stedi-lakehouse/constructs/statement"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/packages"
)

// glueVersion is Spark 4.1, Python 3.13 and Iceberg 1.11.
const glueVersion = "6.0"

// MetricsNamespace is where a run puts its own metrics, beside those that Glue makes of it.
const MetricsNamespace = "StediLakehouse"

// catalog is the name under which Spark sees the Glue Data Catalog: glue_catalog.<database>.<table>.
const catalog = "glue_catalog"

// Lake is where the data is.
type Lake struct {
	Name     string // of the whole lakehouse; the dimension Lake of its metrics
	Bucket   awss3.IBucket
	Key      awskms.IKey // encrypts the bucket, and the jobs' logs
	Database string      // Glue database
}

// Code is what a job runs, as uploaded by the CDK.
type Code struct {
	Script   awss3assets.Asset
	Packages awss3assets.Asset // a zip that Python imports from
	Wheels   Object            // a zip of wheels that Glue installs when a run starts; the zero value: what they hold is there already
}

// Object is something in S3.
type Object struct {
	ARN string
	URL string // s3://bucket/key
}

// Engine says what computes in a run.
type Engine struct {
	Name         string  // auto, duckdb or spark
	SparkFromGiB float64 // auto takes Spark for a run that reads so much
}

// Size is how much a run may take.
type Size struct {
	WorkerType     string // e.g. G.1X
	Workers        int    // one of them is the driver
	TimeoutMinutes int
	Flex           bool // cheaper spare capacity
}

// Connection is a Glue connection through which a job gets its network. The zero value: Glue's own network.
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
	Writes      []contract.Contract
	Intake      string   // key of the one object in the lake in which the job notes what it has read; empty: it notes nothing
	Consults    []string // keys of objects in the lake that the job reads, beside tables
	Erases      *Erases  // nil for all jobs but the one that erases people
	ConsentGate string
	Engine      Engine
	Arguments   map[string]string // more of the script's own arguments; may be empty
	Size        Size
	Network     lakenetwork.Network
	Connection  Connection
	Security    Security // encrypts what Glue keeps of a run
	Logs        Logs
	// TrustThisAccountOnly lets Glue take the role only on behalf of this account's jobs.
	TrustThisAccountOnly bool
}

// Logs says where a run's logs go and how long they stay.
type Logs struct {
	Prefix          string // what the names of the lakehouse's log groups begin with, e.g. /aws-glue/stedi
	RetentionDays   int    // a number of days that CloudWatch Logs knows; required
	DeleteWithStack bool   // false: the logs stay when the stack is destroyed
}

// Erases is what the job that erases people may do beyond the tables that it writes: look through everything, old versions too, and
// delete these of what it may write.
type Erases struct {
	Delivered []contract.Contract // tables of plain files that it rewrites
	Keeps     []string            // its own objects in the lake, by key or, with a slash at the end, by folder
	Results   awss3.IBucket       // of queries: looked through, and deleted from
}

// Job is a deployed job.
type Job struct {
	Name           string
	Role           awsiam.Role
	Resource       awsglue.CfnJob
	TimeoutMinutes int
	LogGroup       string // name of the log group with the run's own output; the stream is named after the run
}

// New makes the job, its role and its two log groups. It panics when something is missing that Glue would fill with a costly
// default, without a security configuration, and when wheels are not named as Glue knows them.
func New(scope constructs.Construct, id string, props Props) Job {
	if props.Name == "" || props.Size.WorkerType == "" || props.Size.Workers < 2 || props.Size.TimeoutMinutes < 1 {
		panic(fmt.Sprintf("gluejob %s: Name is %q and Size %+v, want a name, a worker type, 2 workers or more and a timeout",
			id, props.Name, props.Size))
	}
	for _, key := range append([]string{props.Intake}, props.Consults...) {
		if strings.ContainsAny(key, "*?") || strings.HasSuffix(key, "/") {
			panic(fmt.Sprintf("gluejob %s: Intake or Consults is %q, want the key of one object", id, key))
		}
	}
	if props.Erases != nil && props.Erases.Results == nil {
		panic(fmt.Sprintf("gluejob %s: Erases has no Results, want the bucket of query results: rows of the erased are there too", id))
	}
	if props.Security.Name == "" {
		panic(fmt.Sprintf("gluejob %s: there is no security configuration; what Glue keeps of a run would not be encrypted with our key", id))
	}
	if url := props.Code.Wheels.URL; url != "" && !strings.HasSuffix(url, packages.Suffix) {
		panic(fmt.Sprintf("gluejob %s: Wheels is %q, want a name that ends in %s: Glue would take it for one package", id, url, packages.Suffix))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	role := awsiam.NewRole(this, jsii.String("Role"), &awsiam.RoleProps{
		Description:    jsii.Sprintf("Glue job %s", props.Name),
		AssumedBy:      awsiam.NewServicePrincipal(jsii.String("glue.amazonaws.com"), &awsiam.ServicePrincipalOpts{Conditions: trust(this, props)}),
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
		DefaultArguments:      arguments(props),
		SecurityConfiguration: jsii.String(props.Security.Name),
		ExecutionClass:        jsii.String(executionClass),
		WorkerType:            jsii.String(props.Size.WorkerType),
		NumberOfWorkers:       jsii.Number(props.Size.Workers),
		Timeout:               jsii.Number(props.Size.TimeoutMinutes),
		// Two runs of one job would write the same table; and who starts a job decides about another attempt, not Glue.
		ExecutionProperty: &awsglue.CfnJob_ExecutionPropertyProperty{MaxConcurrentRuns: jsii.Number(1)},
		MaxRetries:        jsii.Number(0),
		Connections:       connections(props.Connection),
	})
	job := Job{Name: props.Name, Role: role, Resource: resource, TimeoutMinutes: props.Size.TimeoutMinutes}
	for _, stream := range []string{"Output", "Error"} {
		group := loggroup.New(this, stream+"Log", loggroup.Props{
			Name:            logGroups(props) + *role.RoleName() + "/" + strings.ToLower(stream),
			RetentionDays:   props.Logs.RetentionDays,
			Key:             props.Lake.Key,
			DeleteWithStack: props.Logs.DeleteWithStack,
		})
		// A run that is quicker than the deployment would make the group itself, one that keeps its events for ever.
		resource.AddResourceDependency(group, nil)
		if job.LogGroup == "" {
			job.LogGroup = *group.LogGroupName()
		}
	}
	return job
}

// logGroups is what the names of the job's log groups begin with, up to the role's name and /output or /error. With a security
// configuration that encrypts logs, Glue 5.0 and later add to the prefix that it is given: the configuration's name with -role, and
// the name of the role.
func logGroups(props Props) string {
	return props.Logs.Prefix + "/" + props.Security.Name + "-role/"
}

// trust are the conditions against a confused deputy: without them Glue may take the role for anybody who can name it, which takes
// iam:PassRole in this account anyway.
func trust(scope constructs.Construct, props Props) *map[string]any {
	if !props.TrustThisAccountOnly {
		return nil
	}
	return &map[string]any{
		"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()},
		"ArnLike":      map[string]any{"aws:SourceArn": statement.ARN(scope, "glue", "job", props.Name)},
	}
}

func arguments(props Props) map[string]string {
	lake := "s3://" + *props.Lake.Bucket.BucketName()
	given := map[string]string{
		"--job-language":           "python",
		"--extra-py-files":         *props.Code.Packages.S3ObjectUrl(),
		"--datalake-formats":       "iceberg",
		"--conf":                   sparkSettings(lake),
		"--custom-logGroup-prefix": props.Logs.Prefix,
		// The number of workers is then the most that a run takes.
		"--enable-auto-scaling": "true",
		"--lake_uri":            lake,
		"--database":            props.Lake.Database,
		"--consent_gate":        props.ConsentGate,
		"--engine":              props.Engine.Name,
		"--spark_from_gib":      strconv.FormatFloat(props.Engine.SparkFromGiB, 'f', -1, 64),
		"--metrics_namespace":   MetricsNamespace,
		"--lake_name":           props.Lake.Name,
		"--region":              *awscdk.Aws_REGION(),
	}
	if wheels := props.Code.Wheels; wheels.URL != "" {
		given["--additional-python-modules"] = wheels.URL
		// The zip alone is asked, and no index of packages: there is no way to one from most networks.
		given["--python-modules-installer-option"] = "--no-index"
	}
	if props.Network.PrivateEndpoints {
		given["--disable-proxy-v2"] = "true"
	}
	maps.Copy(given, props.Arguments)
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

func connections(connection Connection) any {
	if connection.Name == "" {
		return nil
	}
	return &awsglue.CfnJob_ConnectionsListProperty{Connections: jsii.Strings(connection.Name)}
}
