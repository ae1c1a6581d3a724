// Package dashboard shows how the lakehouse is doing: rows by zone, why rows are left out, how long runs take and what they may cost.
package dashboard

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Props of the dashboard. All are required, except RunLogs, More and Alarms.
type Props struct {
	Lake          string               // name of the lakehouse, and of its dashboard
	Namespace     string               // of the jobs' own metrics
	Zones         []Zone               // in the order in which data moves through them
	RunTime       awscloudwatch.Metric // how long the pipeline's runs take, ms
	DollarsAnHour float64              // what an hour of a run costs at most, in US dollars
	RunLogs       []string             // names of the log groups with what the jobs' runs print; none: their engines are not shown
	More          []Graph              // two in a row, below the others
	Alarms        []interfacesawscloudwatch.IAlarmRef
}

// Graph is a graph of metrics.
type Graph struct {
	Title   string
	Metrics []awscloudwatch.IMetric
}

// Zone is a zone with its tables.
type Zone struct {
	Name   string
	Tables []string
}

const (
	width  = 12 // of 24 columns
	height = 7
	day    = 86400 // s
)

// New makes the dashboard. It panics when there is nothing to show.
func New(scope constructs.Construct, id string, props Props) awscloudwatch.Dashboard {
	if props.Lake == "" || len(props.Zones) == 0 || props.RunTime == nil {
		panic(fmt.Sprintf("dashboard %s: Lake is %q with %d zones and run time %v, want all of them", id, props.Lake, len(props.Zones), props.RunTime))
	}
	board := awscloudwatch.NewDashboard(scope, jsii.String(id), &awscloudwatch.DashboardProps{
		DashboardName:   jsii.String(props.Lake),
		DefaultInterval: awscdk.Duration_Days(jsii.Number(14)),
	})
	var rows []awscloudwatch.IWidget
	for _, zone := range props.Zones {
		rows = append(rows, graph("Rows in "+zone.Name, props.tableRows(zone)...))
	}
	addInPairs(board, rows)
	board.AddWidgets(
		graph("Rows left out, by reason and day", search(props, "excluded")),
		graph("Rows in quarantine, by reason and day", search(props, "quarantined")),
	)
	board.AddWidgets(
		graph("Longest run of a day, minutes", ofRunTime(props, "Longest run", "Maximum", 1.0/60_000)),
		graph("What the runs of a day cost at most, US dollars", ofRunTime(props, "All workers at work all the time", "Sum", props.DollarsAnHour/3_600_000)),
	)
	var more []awscloudwatch.IWidget
	for _, one := range props.More {
		more = append(more, graph(one.Title, one.Metrics...))
	}
	addInPairs(board, more)
	if len(props.RunLogs) > 0 {
		board.AddWidgets(lastRuns(props.RunLogs))
	}
	if len(props.Alarms) > 0 {
		board.AddWidgets(awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
			Title: jsii.String("Alarms"), Alarms: &props.Alarms, Width: jsii.Number(2 * width),
		}))
	}
	return board
}

// lastRuns lists the newest runs with their engine, read from the line of JSON that each prints: a metric would cost and say less.
func lastRuns(groups []string) awscloudwatch.IWidget {
	return awscloudwatch.NewLogQueryWidget(&awscloudwatch.LogQueryWidgetProps{
		Title: jsii.String("Last runs and their engine"), LogGroupNames: jsii.Strings(groups...),
		QueryLines: jsii.Strings("fields @timestamp, job, engine, mode, read, accepted", "filter ispresent(engine)", "sort @timestamp desc", "limit 50"),
		Width:      jsii.Number(2 * width), Height: jsii.Number(height),
	})
}

func addInPairs(board awscloudwatch.Dashboard, widgets []awscloudwatch.IWidget) {
	for i := 0; i < len(widgets); i += 2 {
		board.AddWidgets(widgets[i:min(i+2, len(widgets))]...)
	}
}

func (p Props) tableRows(zone Zone) []awscloudwatch.IMetric {
	var metrics []awscloudwatch.IMetric
	for _, table := range zone.Tables {
		metrics = append(metrics, awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String(p.Namespace), MetricName: jsii.String("TableRows"), Statistic: jsii.String("Maximum"),
			Period: awscdk.Duration_Hours(jsii.Number(1)), Label: jsii.String(table),
			DimensionsMap: &map[string]*string{"Lake": jsii.String(p.Lake), "Table": jsii.String(table)},
		}))
	}
	return metrics
}

// search finds the metrics of all tables and reasons, also of reasons that come later.
func search(props Props, outcome string) awscloudwatch.IMetric {
	return awscloudwatch.NewSearchExpression(&awscloudwatch.SearchExpressionProps{
		Label: jsii.String(""),
		Expression: jsii.Sprintf(`SEARCH('{%s,Lake,Outcome,Reason,Table} MetricName="Rows" Lake="%s" Outcome="%s"', 'Sum', %d)`,
			props.Namespace, props.Lake, outcome, day),
	})
}

// ofRunTime is a statistic of a day's run times, which are in ms, times a factor.
func ofRunTime(props Props, label, statistic string, factor float64) awscloudwatch.IMetric {
	daily := awscdk.Duration_Days(jsii.Number(1))
	time := props.RunTime.With(&awscloudwatch.MetricOptions{Statistic: jsii.String(statistic), Period: daily})
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Label: jsii.String(label), Period: daily,
		Expression:   jsii.String("time * " + strconv.FormatFloat(factor, 'f', -1, 64)),
		UsingMetrics: &map[string]awscloudwatch.IMetric{"time": time},
	})
}

func graph(title string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
		Title: jsii.String(title), Left: &metrics, Width: jsii.Number(width), Height: jsii.Number(height),
	})
}
