package lake

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
)

func TestJobsOfADefinition(t *testing.T) {
	for name, test := range map[string]struct {
		definition string
		want       []Job
	}{
		"one after the other, whatever else there is": {
			`{"StartAt": "A", "States": {
				"B": {"Type": "Task", "Arguments": {"JobName": "second"}, "End": true},
				"A": {"Type": "Task", "Arguments": {"JobName": "first"}, "Next": "Pause", "Catch": [{"Next": "Tell"}]},
				"Tell": {"Type": "Task", "Arguments": {"TopicArn": "t"}, "Next": "End"}, "End": {"Type": "Fail"},
				"Pause": {"Type": "Wait", "Next": "B"}}}`,
			[]Job{{"first", false}, {"second", false}},
		},
		"some only when there is something for them": {
			`{"StartAt": "Look", "States": {
				"Look": {"Type": "Task", "Arguments": {"Bucket": "b"}, "Next": "Choice"},
				"Choice": {"Type": "Choice", "Choices": [{"Next": "A"}], "Default": "B"},
				"A": {"Type": "Task", "Arguments": {"JobName": "some"}, "Next": "B"},
				"B": {"Type": "Task", "Arguments": {"JobName": "all"}, "Next": "Again"},
				"Again": {"Type": "Choice", "Choices": [{"Next": "C"}], "Default": "Nothing"},
				"C": {"Type": "Task", "Arguments": {"JobName": "some"}, "End": true}, "Nothing": {"Type": "Succeed"}}}`,
			[]Job{{"some", true}, {"all", false}},
		},
		"a circle ends": {`{"StartAt": "A", "States": {"A": {"Arguments": {"JobName": "a"}, "Next": "A"}}}`, []Job{{"a", false}}},
	} {
		var machine states
		if err := json.Unmarshal([]byte(test.definition), &machine); err != nil {
			t.Fatal(err)
		}
		if got := machine.jobs(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: jobs are %v, want %v", name, got, test.want)
		}
	}
}

func TestNamesFromOutputs(t *testing.T) {
	all := map[string]string{"LakeBucketName": "b", "DatabaseName": "d", "WorkgroupName": "w", "StateMachineArn": "s", "Other": "o"}
	names, err := NamesFrom(all)
	if want := (Names{LakeBucket: "b", Database: "d", Workgroup: "w", StateMachineARN: "s"}); err != nil || names != want {
		t.Errorf("names are %+v, %v, want %+v", names, err, want)
	}
	delete(all, "DatabaseName")
	if _, err := NamesFrom(all); err == nil || err.Error() != "no output DatabaseName" {
		t.Errorf("without an output: %v, want its name", err)
	}
}

func TestOnlyAHeaderIsDropped(t *testing.T) {
	row := func(cells ...string) athenatypes.Row {
		var row athenatypes.Row
		for _, cell := range cells {
			row.Data = append(row.Data, athenatypes.Datum{VarCharValue: aws.String(cell)})
		}
		return row
	}
	columns := []Column{{"a", "varchar"}, {"b", "bigint"}}
	for name, test := range map[string]struct {
		rows []athenatypes.Row
		want int
	}{
		"none": {nil, 0}, "header": {[]athenatypes.Row{row("a", "b"), row("x", "1")}, 1}, "SHOW has none": {[]athenatypes.Row{row("x", "1")}, 1},
	} {
		if got := withoutHeader(test.rows, columns); len(got) != test.want {
			t.Errorf("%s: %d rows are left, want %d", name, len(got), test.want)
		}
	}
}
