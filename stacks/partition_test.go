package stacks

import (
	"strings"
	"testing"

	"stedi-lakehouse/internal/zoneflow"
)

// A Region of each partition that the lakehouse is made for. internal/config refuses those of aws-cn by name.
func TestPartitions(t *testing.T) {
	for region, want := range map[string]struct {
		partition, console string
		budgets            bool
	}{
		"eu-west-1":     {"arn:aws:", "https://eu-west-1.console.aws.amazon.com/", true},
		"us-gov-west-1": {"arn:aws-us-gov:", "https://console.amazonaws-us-gov.com/", false},
	} {
		t.Run(region, func(t *testing.T) {
			stage := stageOf(t, "prod")
			stage.Account, stage.Region = "111122223333", region
			folder := synthesize(t, stage, contracts(t))
			if err := zoneflow.Check(load(t, folder), contracts(t), Grants(stage, contracts(t))); err != nil {
				t.Error(err)
			}
			all := folder.text(t, "network") + folder.text(t, "catalog") + folder.text(t, "pipeline")
			for _, text := range []string{
				want.partition + "glue:" + region + ":111122223333:", want.console, `"logs.` + region + `.amazonaws.com"`,
			} {
				if !strings.Contains(all, text) {
					t.Errorf("the templates hold no %q", text)
				}
			}
			for _, other := range []string{"arn:aws:", "arn:aws-us-gov:", "arn:aws-cn:", "amazonaws.com.cn"} {
				if other != want.partition && strings.Contains(all, other) {
					t.Errorf("the templates hold %q, which is of another partition", other)
				}
			}
			if strings.Contains(all, "budgets") != want.budgets {
				t.Errorf("AWS Budgets in the templates: %t, want %t", !want.budgets, want.budgets)
			}
		})
	}
}
