package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/stacks"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func app(protected bool) cloud.Assembly {
	return cloud.Assembly{{Name: "shop", Protected: protected, Resources: map[string]cloud.Resource{
		"Kept":    {Type: "AWS::S3::Bucket", DeletionPolicy: "Retain"},
		"Full":    {Type: "AWS::S3::Bucket", DeletionPolicy: "Delete"},
		"Emptied": {Type: "AWS::S3::Bucket", DeletionPolicy: "Delete"},
		"Emptier": {Type: "Custom::S3AutoDeleteObjects", Properties: map[string]any{"BucketName": map[string]any{"Ref": "Emptied"}}},
		"Key":     {Type: "AWS::KMS::Key", DeletionPolicy: "Delete", Properties: map[string]any{"PendingWindowInDays": float64(7)}},
		"Slow":    {Type: "AWS::KMS::Key"},
		"Tables":  {Type: "AWS::Glue::Database", DeletionPolicy: "Delete"},
		"Queries": {Type: "AWS::Athena::WorkGroup", Properties: map[string]any{"RecursiveDeleteOption": true}},
		"History": {Type: "AWS::Athena::WorkGroup"},
		"Group":   {Type: "AWS::EC2::SecurityGroup"},
		"Logs":    {Type: "AWS::Lambda::Function", Properties: map[string]any{"LoggingConfig": map[string]any{"LogGroup": "g"}}},
		"Talks":   {Type: "AWS::Lambda::Function"},
		"Role":    {Type: "AWS::IAM::Role"},
		"Ledger": {Type: "AWS::Glue::Table", DeletionPolicy: "Retain", Properties: map[string]any{"TableInput": map[string]any{
			"Name": "erasure_ledger", "StorageDescriptor": map[string]any{"Location": map[string]any{"Fn::Join": []any{"", []any{
				"s3://", map[string]any{"Ref": "Kept"}, "/erasure/ledger/",
			}}}},
		}}},
	}}}
}

func TestPlan(t *testing.T) {
	want := map[string][2]string{
		"Kept":    {"kept", "deletion policy Retain"},
		"Full":    {"blocked", "while objects are in it"},
		"Emptied": {"deleted", "with its objects"},
		"Emptier": {"deleted", ""},
		"Key":     {"deleted later", "for 7 days"},
		"Slow":    {"deleted later", "for 30 days"},
		"Tables":  {"deleted", "with the catalog entries of all tables"},
		"Queries": {"deleted", "with saved queries"},
		"History": {"blocked", "while saved queries"},
		"Group":   {"deleted", "network interfaces"},
		"Logs":    {"deleted", ""},
		"Talks":   {"deleted", ""},
		"Role":    {"deleted", ""},
		"Ledger":  {"kept", "deletion policy Retain"},

		"erasure/state/secret": {"kept", "Without either nobody is known to be erased"},

		"/aws/lambda/${shop.Talks}": {"kept", "made by the function Talks itself"},
	}
	lines := plan(app(false))
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
	for _, line := range lines {
		if w := want[line.resource]; string(line.fate) != w[0] || !strings.Contains(line.why, w[1]) {
			t.Errorf("%s is %s (%s), want %s (%s)", line.resource, line.fate, line.why, w[0], w[1])
		}
	}
}

func TestProtectedStack(t *testing.T) {
	for _, line := range plan(app(true)) {
		if line.fate != blocked && !strings.HasPrefix(line.resource, "/aws/lambda/") {
			t.Errorf("%s of a protected stack is %s", line.resource, line.fate)
		}
		if line.resource == "Kept" && !strings.Contains(line.why, "without it kept: deletion policy Retain") {
			t.Errorf("%s: %q does not say what follows without protection", line.resource, line.why)
		}
	}
}

func synthesized(t *testing.T, stageName string, more map[string]any) (cloud.Assembly, string) {
	t.Helper()
	context := cdktest.Context(t)
	context[config.StageKey] = stageName
	for key, value := range more {
		context[key] = value
	}
	stage, err := config.Load(context)
	if err != nil {
		t.Fatal(err)
	}
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	outdir := t.TempDir()
	awsApp := awscdk.NewApp(&awscdk.AppProps{Context: &context, Outdir: jsii.String(outdir)})
	stacks.NewLakehouse(awsApp, stacks.Props{Stage: stage, Contracts: contracts, Scripts: filepath.Join(cdktest.Root(), "glue-scripts")})
	awsApp.Synth(nil)
	loaded, err := cloud.Load(outdir)
	if err != nil {
		t.Fatal(err)
	}
	return loaded, outdir
}

// Stage prod keeps what holds data, twice: nothing of it goes by a destroy, nor by one after protection was switched off.
func TestProdKeepsItsData(t *testing.T) {
	app, folder := synthesized(t, "prod", nil)
	held := 0
	for i := range app {
		if !app[i].Protected {
			t.Errorf("stack %s has no termination protection", app[i].Name)
		}
		app[i].Protected = false
	}
	for _, line := range plan(app) {
		if !line.data {
			continue
		}
		held++
		// The log of the function that closes a security group, and the news of files that landed, tell nothing of anybody's data.
		if line.fate != kept && line.fate != blocked && line.what != "AWS::SQS::Queue" && !strings.HasPrefix(line.resource, "NetworkCloseDefaultGroupLog") {
			t.Errorf("without protection, %s (%s) of stack %s is %s", line.resource, line.what, line.stack, line.fate)
		}
	}
	if held < 20 {
		t.Errorf("%d resources hold data, want buckets, key, database, tables, workgroup and logs", held)
	}
	var out strings.Builder
	if err := run([]string{folder}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\n0 deleted, 0 deleted later, ") {
		t.Errorf("the plan of stage prod deletes something:\n%s", out.String())
	}
}

// Stage dev leaves nothing but the key's window, and stage prod too once both switches are given.
func TestNothingIsLeft(t *testing.T) {
	for name, given := range map[string]map[string]any{
		"dev":  nil,
		"prod": {config.DataRemovalKey: config.Delete, config.AllowDataRemovalKey: "stedi"},
	} {
		app, _ := synthesized(t, name, given)
		for _, line := range plan(app) {
			if line.fate == later && line.what == "AWS::KMS::Key" && strings.Contains(line.why, "7 days") {
				continue
			}
			if line.fate != deleted {
				t.Errorf("stage %s: %s (%s) of stack %s is %s: %s", name, line.resource, line.what, line.stack, line.fate, line.why)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	for _, arguments := range [][]string{nil, {"a", "b"}, {t.TempDir()}} {
		if err := run(arguments, &strings.Builder{}); err == nil {
			t.Errorf("no error with arguments %q", arguments)
		}
	}
}
