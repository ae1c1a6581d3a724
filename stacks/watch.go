package stacks

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsbudgets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/alerts"
	"stedi-lakehouse/constructs/dashboard"
	"stedi-lakehouse/constructs/gluejob"
	"stedi-lakehouse/constructs/starter"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/dpu"
)

// Metrics of the job that erases people.
const (
	malformedRequests = "ErasureRequestsMalformed"
	openDays          = "ErasureRequestOpenDays" // of the oldest request that is not proven
	proofHits         = "ErasureProofHits"
)

// budgetServices are the services that the lakehouse pays for, by the names that bills use.
var budgetServices = []string{
	"AWS Glue", "Amazon Simple Storage Service", "Amazon Athena", "AWS Key Management Service", "AmazonCloudWatch", "AWS Step Functions",
	"Amazon Virtual Private Cloud",
}

// newStarter makes what starts the pipeline without people; nil in a stage where nothing does.
func newStarter(pipeline Pipeline, props PipelineProps) *starter.Starter {
	start := props.Stage.Start
	if start.Cron == "" && start.LandingMinutes == 0 {
		return nil
	}
	name := props.Stage.LakeName + "-starter"
	made := starter.New(pipeline.Stack, "Starter", starter.Props{
		Name:           name,
		Pipeline:       pipeline.Chain,
		Log:            newLogGroup(pipeline.Stack, "StarterLog", stateMachineLogs+name, props),
		Cron:           start.Cron,
		TimeZone:       start.TimeZone,
		LandingMinutes: start.LandingMinutes,
		Lake:           props.Catalog.Lake,
	})
	return &made
}

// watch makes the alarms and the dashboard. What an alarm means and what to do is in docs/operations.md, by the alarm's name.
func watch(pipeline Pipeline, told alerts.Alerts, started *starter.Starter, props PipelineProps) {
	stage := props.Stage
	var alarms []interfacesawscloudwatch.IAlarmRef
	add := func(id string, alarm alerts.Alarm) {
		alarm.Description += fmt.Sprintf(" docs/operations.md, %s.", alarm.Name)
		alarms = append(alarms, told.Add(id, alarm))
	}
	hour := awscdk.Duration_Hours(jsii.Number(1))
	sum := &awscloudwatch.MetricOptions{Statistic: jsii.String("Sum"), Period: awscdk.Duration_Minutes(jsii.Number(5))}
	add("RunFailed", alerts.Alarm{
		Name: "run-failed", Metric: pipeline.Chain.MetricFailed(sum),
		Description: "A run of the pipeline has failed; tables keep their last good version. The message of the state machine says which job and why.",
	})
	add("RunTimedOut", alerts.Alarm{
		Name: "run-timed-out", Metric: pipeline.Chain.MetricTimedOut(sum),
		Description: "A run of the pipeline was stopped because it took longer than all its jobs may. Look which job hangs or waits for capacity.",
	})
	runTime := pipeline.Chain.MetricTime(&awscloudwatch.MetricOptions{Statistic: jsii.String("Maximum"), Period: hour})
	add("RunTooLong", alerts.Alarm{
		Name: "run-too-long", Metric: runTime, Threshold: float64(stage.Alerts.RunMinutes) * 60_000,
		Description: fmt.Sprintf("A run took longer than %d minutes. More data needs more workers; a single slow run may have waited for capacity.", stage.Alerts.RunMinutes),
	})
	add("QuarantinedRows", alerts.Alarm{
		Name: "quarantined-rows", Metric: own(stage, "RowsQuarantined", hour), Threshold: float64(stage.Alerts.QuarantinedRows),
		Description: fmt.Sprintf("More than %d delivered rows of an hour's runs cannot be used. See by reason in the quarantine tables, and tell the source.", stage.Alerts.QuarantinedRows),
	})
	add("IgnoredObjects", alerts.Alarm{
		Name: "ignored-objects", Metric: own(stage, "ObjectsIgnored", hour),
		Description: "Objects of a name that no job reads were found below a landing prefix. The ledger has their number and an example; rename or remove them.",
	})
	for _, failure := range []struct{ id, name, metric, description string }{
		{"QuarantineLimit", "quarantine-limit", "RunsOverQuarantineLimit",
			"A job stopped before it wrote: more of its rows cannot be used than the contract allows. Correct or remove the files, or accept them once."},
		{"LedgerMismatch", "ledger-mismatch", "RunsNotAddingUp",
			"A job stopped before it published: rows read are not rows accepted, excluded and quarantined (R7). This is a defect; do not publish by hand."},
		{"FailedChecks", "failed-checks", "RunsFailingChecks",
			"A job stopped before it published: its rows break a check of the contract. The message of the run names the check."},
	} {
		add(failure.id, alerts.Alarm{Name: failure.name, Metric: own(stage, failure.metric, hour), Description: failure.description})
	}
	if stage.Alerts.NothingHours > 0 {
		add("NothingArrived", alerts.Alarm{
			Name: "nothing-arrived", Metric: own(stage, "RowsDelivered", hour), Threshold: 1, Periods: stage.Alerts.NothingHours, Below: true,
			Description: fmt.Sprintf("For %d hours no run has read a new row. Either nothing was delivered, or nothing has run.", stage.Alerts.NothingHours),
		})
	}
	if stage.Erasure != nil {
		add("ErasureRequestsMalformed", alerts.Alarm{
			Name: "erasure-requests-malformed", Metric: own(stage, malformedRequests, hour),
			Description: "A request to be forgotten cannot be read, so nobody is erased for it. The quarantine of requests says why; put it once more.",
		})
		add("ErasureRequestOpen", alerts.Alarm{
			Name: "erasure-request-open", Metric: highest(stage, openDays), Threshold: float64(stage.Erasure.OpenDays),
			Description: fmt.Sprintf("A request to be forgotten is not proven after %d days. Look why the runs of erase_people fail, or what they find.", stage.Erasure.OpenDays),
		})
		add("ErasureProofHits", alerts.Alarm{
			Name: "erasure-proof-hits", Metric: own(stage, proofHits, hour),
			Description: "A proof has found something of a person who was to be forgotten. The certificate says where; the request stays open.",
		})
	}
	if started != nil {
		add("StarterFailed", alerts.Alarm{
			Name: "starter-failed", Metric: started.Machine.MetricFailed(sum),
			Description: "The pipeline was not started by its schedule or by files that landed. Start it by hand, then look into the starter.",
		})
		add("StarterTimedOut", alerts.Alarm{
			Name: "starter-timed-out", Metric: started.Machine.MetricTimedOut(sum),
			Description: "The pipeline was not started: for a day it was at work, or Step Functions did not answer. Look which run hangs, then start it by hand.",
		})
		add("DeadLetters", alerts.Alarm{
			Name: "dead-letters", Metric: started.DeadLetters.MetricApproximateNumberOfMessagesVisible(&awscloudwatch.MetricOptions{Statistic: jsii.String("Maximum")}),
			Description: "A start of the pipeline, or the news of a file that landed, could not be delivered. Start the pipeline by hand, then empty the queue.",
		})
	}
	var erasure []dashboard.Graph
	if stage.Erasure != nil {
		day := awscdk.Duration_Days(jsii.Number(1))
		erasure = []dashboard.Graph{
			{Title: "Oldest request to be forgotten, days open", Metrics: []awscloudwatch.IMetric{highest(stage, openDays)}},
			{Title: "Requests that cannot be read, and what proofs found, by day", Metrics: []awscloudwatch.IMetric{
				own(stage, malformedRequests, day), own(stage, proofHits, day),
			}},
		}
	}
	dashboard.New(pipeline.Stack, "Dashboard", dashboard.Props{
		Lake:          stage.LakeName,
		Namespace:     gluejob.MetricsNamespace,
		Zones:         shownZones(props.Contracts),
		RunTime:       runTime,
		DollarsAnHour: dollarsAnHour(stage.Jobs),
		RunLogs:       runLogs(pipeline.Jobs),
		More:          erasure,
		Alarms:        alarms,
	})
}

func runLogs(jobs []gluejob.Job) []string {
	var groups []string
	for _, job := range jobs {
		groups = append(groups, job.LogGroup)
	}
	return groups
}

// own is a metric that the jobs put, of the whole lake.
func own(stage config.Stage, name string, period awscdk.Duration) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(gluejob.MetricsNamespace), MetricName: jsii.String(name), Statistic: jsii.String("Sum"), Period: period,
		DimensionsMap: &map[string]*string{"Lake": jsii.String(stage.LakeName)},
	})
}

// highest is the day's greatest value of a metric that the jobs put: it lasts until the next day's run.
func highest(stage config.Stage, name string) awscloudwatch.IMetric {
	return own(stage, name, awscdk.Duration_Days(jsii.Number(1))).With(&awscloudwatch.MetricOptions{Statistic: jsii.String("Maximum")})
}

// shownZones are the zones whose tables' rows the jobs report: those of the tables that the jobs are for.
func shownZones(contracts contract.Set) []dashboard.Zone {
	var zones []dashboard.Zone
	for _, name := range []string{contract.Trusted, contract.Curated} {
		zone := dashboard.Zone{Name: name}
		for _, flow := range flows(contracts) {
			if flow.writes[0].Zone == name {
				zone.Tables = append(zone.Tables, flow.Target)
			}
		}
		zones = append(zones, zone)
	}
	return zones
}

// dollarsAnHour is what an hour of a run costs while all workers are at work.
func dollarsAnHour(jobs config.Jobs) float64 {
	dpus, _ := dpu.OfWorker(jobs.WorkerType)
	return dpu.Dollars * dpus * float64(jobs.Workers)
}

// newBudget tells the topic when the month's costs of the lakehouse's services pass the budget, or are on the way to. One account
// holds one stage, so the services' costs in the account are those of the lakehouse, as long as nothing else uses them there.
func newBudget(stack awscdk.Stack, told alerts.Alerts, stage config.Stage) {
	var notices []any
	for _, kind := range []string{"ACTUAL", "FORECASTED"} {
		notices = append(notices, &awsbudgets.CfnBudget_NotificationWithSubscribersProperty{
			Notification: &awsbudgets.CfnBudget_NotificationProperty{
				NotificationType:   jsii.String(kind),
				ComparisonOperator: jsii.String("GREATER_THAN"),
				Threshold:          jsii.Number(100),
				ThresholdType:      jsii.String("PERCENTAGE"),
			},
			Subscribers: []any{&awsbudgets.CfnBudget_SubscriberProperty{SubscriptionType: jsii.String("SNS"), Address: told.Topic.TopicArn()}},
		})
	}
	awsbudgets.NewCfnBudget(stack, jsii.String("Budget"), &awsbudgets.CfnBudgetProps{
		Budget: &awsbudgets.CfnBudget_BudgetDataProperty{
			BudgetName:  jsii.String(stage.LakeName),
			BudgetType:  jsii.String("COST"),
			TimeUnit:    jsii.String("MONTHLY"),
			BudgetLimit: &awsbudgets.CfnBudget_SpendProperty{Amount: jsii.Number(stage.MonthlyBudgetUSD), Unit: jsii.String("USD")},
			CostFilters: map[string]any{"Service": budgetServices},
		},
		NotificationsWithSubscribers: notices,
	})
}
