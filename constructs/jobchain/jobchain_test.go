package jobchain_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"stedi-lakehouse/constructs/gluejob"
	"stedi-lakehouse/constructs/jobchain"
	"stedi-lakehouse/constructs/loggroup"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func synthesize(t *testing.T) cdktest.Template {
	t.Helper()
	stack := cdktest.NewStack(t)
	jobchain.New(stack, "Chain", jobchain.Props{
		Name: "shop-pipeline",
		Jobs: []gluejob.Job{{Name: "second_job", TimeoutMinutes: 30}, {Name: "a_job", TimeoutMinutes: 20}},
		Log:  loggroup.New(stack, "Log", loggroup.Props{RetentionDays: 7}),
	})
	return cdktest.Synthesize(t, stack)
}

type definition struct {
	StartAt        string
	TimeoutSeconds int
	States         map[string]struct {
		Type, Next, Resource string
		End                  bool
		Parameters           map[string]any
		ResultPath           any
	}
}

func TestJobsRunInOrder(t *testing.T) {
	var machine definition
	for _, properties := range synthesize(t).Resources("AWS::StepFunctions::StateMachine") {
		var text strings.Builder
		for _, part := range properties["DefinitionString"].(map[string]any)["Fn::Join"].([]any)[1].([]any) {
			if literal, ok := part.(string); ok {
				text.WriteString(literal)
			}
		}
		if err := json.Unmarshal([]byte(text.String()), &machine); err != nil {
			t.Fatal(err)
		}
	}
	var order []string
	for name := machine.StartAt; name != ""; name = machine.States[name].Next {
		state := machine.States[name]
		order = append(order, fmt.Sprint(state.Parameters["JobName"]))
		if state.Type != "Task" || !strings.HasSuffix(state.Resource, ":states:::glue:startJobRun.sync") {
			t.Errorf("state %s is %s %s, want a task that waits for the job", name, state.Type, state.Resource)
		}
		// A timeout given to the run would take the place of the job's own.
		if len(state.Parameters) != 1 || state.ResultPath != nil {
			t.Errorf("state %s has parameters %v and result path %v, want the job's name and no result", name, state.Parameters, state.ResultPath)
		}
	}
	if !slices.Equal(order, []string{"second_job", "a_job"}) {
		t.Errorf("jobs run in order %q, want the order given", order)
	}
	if want := (30 + 15 + 20 + 15) * 60; machine.TimeoutSeconds != want {
		t.Errorf("the execution may take %d s, want %d: the jobs' timeouts and 15 minutes each", machine.TimeoutSeconds, want)
	}
}

func TestStateMachine(t *testing.T) {
	template := synthesize(t)
	template.Has("AWS::StepFunctions::StateMachine", map[string]any{
		"StateMachineName":     "shop-pipeline",
		"LoggingConfiguration": map[string]any{"Level": "ALL", "IncludeExecutionData": false},
	})
	for _, policy := range template.Resources("AWS::IAM::Policy") {
		for _, statement := range policy["PolicyDocument"].(map[string]any)["Statement"].([]any) {
			statement := statement.(map[string]any)
			actions, resources := fmt.Sprint(statement["Action"]), fmt.Sprint(statement["Resource"])
			if strings.Contains(actions, "glue:") && (!strings.Contains(resources, "job/a_job") || strings.Contains(resources, "*")) {
				t.Errorf("the state machine may %s on %s, want its jobs only", actions, resources)
			}
		}
	}
	template.HasResource("AWS::StepFunctions::StateMachine", map[string]any{"DependsOn": onlyPolicy(template)})
}

func onlyPolicy(template cdktest.Template) []any {
	var ids []any
	for id := range template.Resources("AWS::IAM::Policy") {
		ids = append(ids, id)
	}
	return ids
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	cdktest.Panics(t, func() { jobchain.New(stack, "Chain", jobchain.Props{Name: "shop"}) },
		`jobchain Chain: Name is "shop" with 0 jobs, want a name and at least one job`)
}
