package dashboard_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/dashboard"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func TestDashboard(t *testing.T) {
	stack := cdktest.NewStack(t)
	dashboard.New(stack, "Dashboard", dashboard.Props{
		Lake: "shop", Namespace: "Shop",
		Zones: []dashboard.Zone{{Name: "trusted", Tables: []string{"shoe_trusted", "boot_trusted"}}, {Name: "curated", Tables: []string{"shoe_curated"}}},
		RunTime: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/States"), MetricName: jsii.String("ExecutionTime"),
		}),
		More: []dashboard.Graph{{Title: "Requests", Metrics: []awscloudwatch.IMetric{awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("Shop"), MetricName: jsii.String("Open"),
		})}}},
		DollarsAnHour: 0.72, RunLogs: []string{"/jobs/shoe/output", "/jobs/boot/output"},
	})
	template := cdktest.Synthesize(t, stack)
	template.Has("AWS::CloudWatch::Dashboard", map[string]any{"DashboardName": "shop"})
	body := textOf(t, template)
	for _, part := range []string{
		`"TableRows","Lake","shop","Table","shoe_trusted"`, `"TableRows","Lake","shop","Table","boot_trusted"`,
		`"TableRows","Lake","shop","Table","shoe_curated"`, "Rows in trusted", "Rows in curated",
		`{Shop,Lake,Outcome,Reason,Table} MetricName=\"Rows\" Lake=\"shop\" Outcome=\"excluded\"`, `Outcome=\"quarantined\"`,
		`"title":"Requests"`, `"Shop","Open"`, "time * 0.0000002", "ExecutionTime", `SOURCE '/jobs/shoe/output' | SOURCE '/jobs/boot/output' | fields @timestamp, job, engine`,
	} {
		if !strings.Contains(body, part) {
			t.Errorf("the dashboard does not show %s\n%s", part, body)
		}
	}
}

// textOf is the dashboard's body with references left out; it has to be JSON.
func textOf(t *testing.T, template cdktest.Template) string {
	t.Helper()
	var body strings.Builder
	for _, properties := range template.Resources("AWS::CloudWatch::Dashboard") {
		for _, part := range properties["DashboardBody"].(map[string]any)["Fn::Join"].([]any)[1].([]any) {
			if text, ok := part.(string); ok {
				body.WriteString(text)
			}
		}
	}
	if !json.Valid([]byte(body.String())) {
		t.Fatalf("the dashboard's body is not JSON: %s", body.String())
	}
	return body.String()
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	cdktest.Panics(t, func() { dashboard.New(stack, "Dashboard", dashboard.Props{Lake: "shop"}) },
		`dashboard Dashboard: Lake is "shop" with 0 zones and run time <nil>, want all of them`)
}
