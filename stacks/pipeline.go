package stacks

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/alerts"
	"stedi-lakehouse/constructs/gluejob"
	"stedi-lakehouse/constructs/jobchain"
	"stedi-lakehouse/constructs/loggroup"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/packages"
)

// maintenance is the job that removes for good what is no longer current. It runs last, when no other job writes.
const maintenance = "table_maintenance"

// PipelineProps of the pipeline stack.
type PipelineProps struct {
	Stage     config.Stage
	Contracts contract.Set
	Catalog   Catalog
	Network   Network
	Scripts   string // folder glue-scripts
}

// Pipeline is the pipeline stack: what moves the data from landing to curated.
type Pipeline struct {
	Stack awscdk.Stack
	Jobs  []gluejob.Job // in the order in which they run, and who erases people
	Chain awsstepfunctions.StateMachine
}

// NewPipeline makes the pipeline stack <lakeName>-pipeline.
func NewPipeline(scope constructs.Construct, props PipelineProps) Pipeline {
	stage := props.Stage
	stack := newStack(scope, stage, "pipeline", "Jobs from landing to curated")
	pipeline := Pipeline{Stack: stack}
	common := commonProps(stack, props)
	common.Code = gluejob.Code{Packages: pythonPackages(stack, props.Scripts), Script: script(stack, props.Scripts, "make_table")}
	if !stage.Jobs.PackagesInstalled {
		common.Code.Wheels = pythonWheels(stack)
	}
	for _, flow := range flows(props.Contracts) {
		job := common
		job.Name, job.Description = flow.Name, flow.writes[0].Description
		job.Writes, job.Reads, job.Intake, job.Consults = flow.writes, flow.reads, flow.Intake, flow.Consults()
		job.Arguments = map[string]string{"--table": flow.Target}
		pipeline.Jobs = append(pipeline.Jobs, gluejob.New(stack, pascalCase(flow.Name), job))
	}
	job := maintenanceProps(common, props)
	job.Code.Script = script(stack, props.Scripts, maintenance)
	pipeline.Jobs = append(pipeline.Jobs, gluejob.New(stack, pascalCase(maintenance), job))
	var steps []jobchain.Step
	for _, job := range pipeline.Jobs {
		steps = append(steps, jobchain.Step{Job: job})
	}
	if stage.Erasure != nil {
		steps = pipeline.erase(steps, common, props)
	}
	told := alerts.New(stack, "Alerts", alerts.Props{
		Lake: stage.LakeName, Key: props.Catalog.Key, Emails: stage.Alerts.Emails,
		Budgets: stage.MonthlyBudgetUSD > 0 && stage.HasBudgets(),
	})
	pipeline.Chain = jobchain.New(stack, "Chain", jobchain.Props{
		Name:   stage.LakeName + "-pipeline",
		Lake:   stage.LakeName,
		Bucket: props.Catalog.Lake,
		Steps:  steps,
		Log:    newLogGroup(stack, "ChainLog", stateMachineLogs+stage.LakeName+"-pipeline", props),
		Topic:  told.Topic,
	})
	output(stack, "StateMachineArn", pipeline.Chain.StateMachineArn())
	output(stack, "AlertTopicArn", told.Topic.TopicArn())
	watch(pipeline, told, newStarter(pipeline, props), props)
	switch {
	case stage.MonthlyBudgetUSD > 0 && stage.HasBudgets():
		newBudget(stack, told, stage)
	case stage.MonthlyBudgetUSD > 0:
		awscdk.Annotations_Of(stack).AddWarningV2(jsii.String("stedi:noBudgets"), jsii.Sprintf(
			"stage %q: monthlyBudgetUSD makes no budget, as AWS Budgets is not in %s; set one in the standard account that pays", stage.Name, stage.Region))
	}
	return pipeline
}

// commonProps are what all jobs share.
func commonProps(stack awscdk.Stack, props PipelineProps) gluejob.Props {
	stage := props.Stage
	return gluejob.Props{
		Lake: gluejob.Lake{
			Name:     stage.LakeName,
			Bucket:   props.Catalog.Lake,
			Key:      props.Catalog.Key,
			Database: props.Catalog.Database,
		},
		ConsentGate: stage.ConsentGate,
		Engine:      gluejob.Engine{Name: stage.Jobs.Engine, SparkFromGiB: stage.Jobs.SparkFromGiB},
		Size: gluejob.Size{
			WorkerType:     stage.Jobs.WorkerType,
			Workers:        stage.Jobs.Workers,
			TimeoutMinutes: stage.Jobs.TimeoutMinutes,
			Flex:           stage.Jobs.Flex,
		},
		Network:    props.Network.Jobs,
		Connection: newConnection(stack, props),
		Security:   props.Catalog.JobSecurity,
		Logs: gluejob.Logs{
			Prefix: jobLogs + stage.LakeName, RetentionDays: stage.RetentionDays.Logs, DeleteWithStack: deleted(stage),
		},
		TrustThisAccountOnly: stage.Jobs.TrustThisAccountOnly,
	}
}

// maintenanceProps are those of the job that may delete under every Iceberg table, and touches nothing else.
func maintenanceProps(common gluejob.Props, props PipelineProps) gluejob.Props {
	job := common
	job.Name = maintenance
	job.Description = "Removes old versions of tables, forgotten files and old quarantined rows for good."
	for _, table := range props.Contracts {
		if table.Format == contract.Iceberg {
			job.Writes = append(job.Writes, table)
		}
	}
	job.Arguments = map[string]string{
		"--snapshot_days":   strconv.Itoa(props.Stage.RetentionDays.Snapshots),
		"--quarantine_days": strconv.Itoa(props.Stage.RetentionDays.Quarantine),
	}
	return job
}

// erase adds the job that erases people, and puts its two runs around the others: it erases before anybody reads what was delivered, and
// proves when the maintenance has removed what the run has left behind.
func (p *Pipeline) erase(others []jobchain.Step, common gluejob.Props, props PipelineProps) []jobchain.Step {
	job := eraserProps(common, props)
	job.Code.Script = script(p.Stack, props.Scripts, contract.ErasePeople)
	made := gluejob.New(p.Stack, pascalCase(contract.ErasePeople), job)
	p.Jobs = append(p.Jobs, made)
	requests, err := props.Contracts.Get(contract.ErasureRequests)
	if err != nil {
		panic(err.Error())
	}
	asked := requests.Prefix() + "/"
	erase := jobchain.Step{Job: made, Only: []string{asked}}
	prove := jobchain.Step{
		Job: made, ID: contract.ErasePeople + "_proof", Arguments: map[string]string{"--step": "prove"},
		Only: []string{contract.ErasurePending, asked},
	}
	return slices.Concat([]jobchain.Step{erase}, others, []jobchain.Step{prove})
}

// eraserProps are those of the one job that may rewrite what was delivered and delete versions: of all tables that hold people.
func eraserProps(common gluejob.Props, props PipelineProps) gluejob.Props {
	job := common
	job.Name = contract.ErasePeople
	job.Description = "Erases people who ask to be forgotten out of all that is kept, and proves that nothing of them is left."
	job.Erases = &gluejob.Erases{Keeps: contract.ErasureState, Results: props.Catalog.Results}
	for _, table := range props.Contracts.Erasable() {
		if table.Format == contract.Iceberg {
			job.Writes = append(job.Writes, table)
		} else {
			job.Erases.Delivered = append(job.Erases.Delivered, table)
		}
	}
	job.Arguments = map[string]string{"--results_uri": "s3://" + *props.Catalog.Results.BucketName(), "--step": "erase"}
	return job
}

// newConnection makes the Glue connection through which all jobs get their network, in the subnet that the stage names; without subnets
// there is none. One only: Glue 6.0 is not among the versions that take another when the first has no room (docs/decisions/0015).
func newConnection(stack awscdk.Stack, props PipelineProps) gluejob.Connection {
	network := props.Network.Jobs
	if len(network.Subnets) == 0 {
		return gluejob.Connection{}
	}
	zone := max(props.Stage.Network.JobZone, 1)
	subnet := network.Subnets[zone-1]
	name := fmt.Sprintf("%s-%d", props.Stage.LakeName, zone)
	connection := awsglue.NewCfnConnection(stack, jsii.Sprintf("Connection%d", zone), &awsglue.CfnConnectionProps{
		CatalogId: awscdk.Aws_ACCOUNT_ID(),
		ConnectionInput: &awsglue.CfnConnection_ConnectionInputProperty{
			Name:           jsii.String(name),
			Description:    jsii.Sprintf("Network of the lakehouse's jobs: %s", network.Settings),
			ConnectionType: jsii.String("NETWORK"),
			PhysicalConnectionRequirements: &awsglue.CfnConnection_PhysicalConnectionRequirementsProperty{
				SubnetId:            jsii.String(subnet.ID),
				AvailabilityZone:    jsii.String(subnet.AvailabilityZone),
				SecurityGroupIdList: jsii.Strings(network.SecurityGroupID),
			},
		},
	})
	if props.Stage.Network.Mode == config.ExistingNetwork {
		acknowledgeZone(connection)
	}
	return gluejob.Connection{Name: name, SubnetID: subnet.ID}
}

// acknowledgeZone tells the CDK's validation and cfn-lint that a zone by its name (W3010) is meant: it is that of the user's subnet.
func acknowledgeZone(connection awsglue.CfnConnection) {
	awscdk.Validations_Of(connection).Acknowledge(&awscdk.Acknowledgment{
		Id: jsii.String("CloudFormation-Validate::W3010"), Reason: jsii.String("Glue wants the zone of the given subnet by its name"),
	})
	connection.AddMetadata(jsii.String("cfn-lint"), map[string]any{"config": map[string]any{"ignore_checks": []string{"W3010"}}})
}

// pythonPackages is the zip that every job imports from: glue-scripts/lakehouse with the SQL, which is a link there, and nothing
// else of the folder.
func pythonPackages(stack awscdk.Stack, scripts string) awss3assets.Asset {
	return awss3assets.NewAsset(stack, jsii.String("PythonPackages"), &awss3assets.AssetProps{
		Path:           jsii.String(scripts),
		FollowSymlinks: awscdk.SymlinkFollowMode_ALWAYS,
		IgnoreMode:     awscdk.IgnoreMode_GIT,
		Exclude:        jsii.Strings("/*", "!/lakehouse", "__pycache__", "*.pyc", ".*"),
	})
}

// pythonWheels is the zip of the packages that Glue does not bring. The CLI makes it when it deploys and the asset bucket has none of
// that name: the command below is part of the asset manifest. A synthesis knows the name and makes nothing. An asset of the usual kind
// would need the zip at every synthesis, and would not keep the end of its name.
func pythonWheels(stack awscdk.Stack) gluejob.Object {
	location := stack.Synthesizer().AddFileAsset(&awscdk.FileAssetSource{
		SourceHash:  jsii.String(packages.Name()),
		DisplayName: jsii.String("PythonWheels"),
		Executable:  jsii.Strings("go", "run", "./tools/packages"),
	})
	return gluejob.Object{
		ARN: fmt.Sprintf("arn:%s:s3:::%s/%s", *stack.Partition(), *location.BucketName, *location.ObjectKey),
		URL: fmt.Sprintf("s3://%s/%s", *location.BucketName, *location.ObjectKey),
	}
}

// script is one of glue-scripts/jobs.
func script(stack awscdk.Stack, scripts, name string) awss3assets.Asset {
	return awss3assets.NewAsset(stack, jsii.String(pascalCase(name)+"Script"), &awss3assets.AssetProps{
		Path: jsii.String(filepath.Join(scripts, "jobs", name+".py")),
	})
}

func newLogGroup(stack awscdk.Stack, id, name string, props PipelineProps) awslogs.CfnLogGroup {
	return loggroup.New(stack, id, loggroup.Props{
		Name:            name,
		RetentionDays:   props.Stage.RetentionDays.Logs,
		Key:             props.Catalog.Key,
		DeleteWithStack: deleted(props.Stage),
	})
}
