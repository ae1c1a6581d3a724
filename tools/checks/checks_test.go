package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/findings"
)

// written is a template with the given resources, as text.
func written(t *testing.T, resources string) template {
	t.Helper()
	path := filepath.Join(t.TempDir(), "templates", "prod-new", "pipeline.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"Resources": {`+resources+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	manifest := `{"artifacts": {"shop-pipeline": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "t.json"}}}}`
	for name, text := range map[string]string{"manifest.json": manifest, "t.json": `{"Resources": {` + resources + `}}`} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	app, err := cloud.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return template{variant: "prod-new", stack: "pipeline", path: path, app: app, in: app[0]}
}

// good is a resource of each type that our rules are about, with nothing to find.
const good = `
"Job": {"Type": "AWS::Glue::Job", "Properties": {"SecurityConfiguration": "s", "Timeout": 60, "MaxRetries": 0,
  "ExecutionProperty": {"MaxConcurrentRuns": 1}, "DefaultArguments": {"--custom-logGroup-prefix": "/aws-glue/shop"}}},
"Modes": {"Type": "AWS::Glue::SecurityConfiguration", "Properties": {"EncryptionConfiguration": {
  "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS"}], "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS"},
  "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS"}}}},
"Workgroup": {"Type": "AWS::Athena::WorkGroup", "Properties": {"WorkGroupConfiguration": {"EnforceWorkGroupConfiguration": true,
  "PublishCloudWatchMetricsEnabled": true, "BytesScannedCutoffPerQuery": 10000000, "ResultConfiguration": {"OutputLocation": "s3://results/",
  "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": "k"}}}}},
"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"TracingConfiguration": {"Enabled": true},
  "LoggingConfiguration": {"Level": "ALL", "IncludeExecutionData": false, "Destinations": [{"x": "y"}]}}},
"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
  "Principal": {"Service": "states.amazonaws.com"}, "Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}]}}},
"Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30}},
"Results0123ABCD": {"Type": "AWS::S3::Bucket", "Properties": {"LoggingConfiguration": {"LogFilePrefix": "Results/"}, "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"BucketKeyEnabled": true,
  "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}]}, "VersioningConfiguration": {"Status": "Enabled"}, "LifecycleConfiguration": {"Rules": [
  {"Status": "Enabled", "ExpirationInDays": 30, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}, "NoncurrentVersionExpiration": {"NoncurrentDays": 14}}]}}}`

// Every rule of our file passes the good template and finds what is taken from it.
func TestGuardRules(t *testing.T) {
	t.Chdir("../..")
	if found, err := guard([]template{written(t, good)}); err != nil || len(found) != 0 {
		t.Fatalf("the good template has findings %+v (error %v)", found, err)
	}
	tried := map[string]bool{}
	for _, test := range []struct{ rule, where, old, changed string }{
		{"GLUE_JOB_SECURITY_CONFIGURATION", "Job", `"SecurityConfiguration": "s", `, ``},
		{"GLUE_JOB_TIMEOUT", "Job", `"Timeout": 60, `, ``},
		{"GLUE_JOB_TIMEOUT", "Job", `"Timeout": 60`, `"Timeout": 2880`},
		{"GLUE_JOB_TIMEOUT", "Job", `"Timeout": 60`, `"Timeout": 0`},
		{"GLUE_JOB_ONE_RUN_AT_A_TIME", "Job", `"MaxConcurrentRuns": 1`, `"MaxConcurrentRuns": 2`},
		{"GLUE_JOB_ONE_RUN_AT_A_TIME", "Job", `"ExecutionProperty": {"MaxConcurrentRuns": 1}, `, ``},
		{"GLUE_JOB_NO_RETRIES", "Job", `"MaxRetries": 0`, `"MaxRetries": 1`},
		{"GLUE_JOB_OWN_LOGS", "Job", `--custom-logGroup-prefix`, `--other`},
		{"GLUE_ENCRYPTION_MODES", "Modes", `"S3EncryptionMode": "SSE-KMS"`, `"S3EncryptionMode": "SSE-S3"`},
		{"GLUE_ENCRYPTION_MODES", "Modes", `[{"S3EncryptionMode": "SSE-KMS"}]`, `[]`},
		{"GLUE_ENCRYPTION_MODES", "Modes", `"CloudWatchEncryptionMode": "SSE-KMS"`, `"CloudWatchEncryptionMode": "DISABLED"`},
		{"GLUE_ENCRYPTION_MODES", "Modes", `"CSE-KMS"`, `"DISABLED"`},
		{"ATHENA_SETTINGS_ENFORCED", "Workgroup", `"EnforceWorkGroupConfiguration": true`, `"EnforceWorkGroupConfiguration": false`},
		{"ATHENA_RESULTS_ENCRYPTED", "Workgroup", `SSE_KMS`, `SSE_S3`},
		{"ATHENA_SCAN_LIMIT", "Workgroup", `"BytesScannedCutoffPerQuery": 10000000, `, ``},
		{"ATHENA_METRICS", "Workgroup", `"PublishCloudWatchMetricsEnabled": true, `, ``},
		{"STATES_LOGGED_WITHOUT_DATA", "Machine", `"IncludeExecutionData": false`, `"IncludeExecutionData": true`},
		{"STATES_LOGGED_WITHOUT_DATA", "Machine", `"Level": "ALL"`, `"Level": "ERROR"`},
		{"STATES_LOGGED_WITHOUT_DATA", "Machine", `[{"x": "y"}]`, `[]`},
		{"STATES_TRACED", "Machine", `{"Enabled": true}`, `{"Enabled": false}`},
		{"S3_OUR_KEY", "Results0123ABCD", `"aws:kms"`, `"AES256"`},
		{"S3_OUR_KEY", "Results0123ABCD", `, "KMSMasterKeyID": "k"`, ``},
		{"S3_OUR_KEY", "Results0123ABCD", `"BucketKeyEnabled": true`, `"BucketKeyEnabled": false`},
		{"S3_LOGS_AND_RESULTS_EXPIRE", "Results0123ABCD", `"ExpirationInDays": 30, `, ``},
		{"ROLES_FOR_THIS_ACCOUNT_ONLY", "Role", `, "Condition": {"StringEquals": {"aws:SourceAccount": "1"}}`, ``},
		{"ROLES_FOR_THIS_ACCOUNT_ONLY", "Role", `"states.amazonaws.com"}, "Condition": {"StringEquals": {"aws:SourceAccount": "1"}}`, `"scheduler.amazonaws.com"}`},
		{"LOGS_RETENTION", "Log", `"RetentionInDays": 30`, ``},
		{"S3_FORGETS", "Results0123ABCD", `"DaysAfterInitiation": 7`, `"DaysAfterInitiation": 8`},
		{"S3_FORGETS", "Results0123ABCD", `"NoncurrentDays": 14`, `"NoncurrentDays": 31`},
		{"S3_FORGETS", "Results0123ABCD", `"VersioningConfiguration": {"Status": "Enabled"}, `, ``},
	} {
		tried[test.rule] = true
		changed := strings.Replace(good, test.old, test.changed, 1)
		if changed == good {
			t.Fatalf("the good template does not contain %s", test.old)
		}
		found, err := guard([]template{written(t, changed)})
		if err != nil {
			t.Fatalf("%s: %v", test.rule, err)
		}
		if len(found) == 0 {
			t.Errorf("%s: nothing found without %s", test.rule, test.old)
		}
		for _, finding := range found {
			if finding.Rule != test.rule || finding.Where != "pipeline/"+test.where || finding.Message == "" {
				t.Errorf("without %s: found %+v, want %s at %s with a message", test.old, finding, test.rule, test.where)
			}
		}
	}
	rules, err := os.ReadFile(guardRules)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^rule (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !tried[match[1]] {
			t.Errorf("rule %s is not tested", match[1])
		}
	}
}

// has wants exactly one finding of the rule, or none.
func has(t *testing.T, found []findings.Finding, err error, rule, where string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range found {
		if finding.Rule == rule && finding.Where == where && finding.Variants == "prod-new" {
			return
		}
	}
	t.Errorf("found %+v, want %s at %s", found, rule, where)
}

func TestCheckov(t *testing.T) {
	t.Chdir("../..")
	found, err := checkov([]template{written(t, good)})
	has(t, found, err, "CKV_AWS_158", "pipeline/Log")
}

func TestParliament(t *testing.T) {
	t.Chdir("../..")
	found, err := parliament([]template{written(t, `"Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyName": "P",
	  "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:NoSuch"], "Resource": "*"}]}}]}}`)})
	has(t, found, err, "UNKNOWN_ACTION", "pipeline/Role/P")
}

func TestStates(t *testing.T) {
	t.Chdir("../..")
	machine := func(next string) template {
		return written(t, `"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": {"Fn::Join": ["", [
		  "{\"StartAt\": \"one\", \"States\": {\"one\": {\"Type\": \"Task\", \"Resource\": \"arn:", {"Ref": "AWS::Partition"},
		  ":states:::glue:startJobRun.sync\", `+next+`}}}"]]}}}`)
	}
	if found, err := states([]template{machine(`\"End\": true`)}); err != nil || len(found) != 0 {
		t.Errorf("the good machine has findings %+v (error %v)", found, err)
	}
	found, err := states([]template{machine(`\"Next\": \"two\"`)})
	has(t, found, err, "MISSING_TRANSITION_TARGET", "pipeline/Machine")
}

func TestCfnLint(t *testing.T) {
	t.Chdir("../..")
	found, err := cfnLint([]template{written(t, `"Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 6}}`)})
	has(t, found, err, "E3030", "pipeline/Log")
}

// A tool that is not there, or breaks, must not look as if it had found nothing.
func TestToolsThatDoNotRun(t *testing.T) {
	t.Chdir("../..")
	if _, err := output(nil, []int{1}, "no-such-tool-here"); err == nil || !strings.Contains(err.Error(), "make setup installs it") {
		t.Errorf("error of a missing tool is %v", err)
	}
	if _, err := output(nil, []int{1}, "sh", "-c", "echo broken >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("error of a broken tool is %v", err)
	}
	if _, err := guardWith("tools/checks/rules/none.guard", []template{written(t, good)}); err == nil {
		t.Error("no error without a rule file")
	}
}

func TestUnknownTool(t *testing.T) {
	t.Chdir("../..")
	if err := known([]string{"checkov", "tfsec"}); err == nil || !strings.Contains(err.Error(), `tool "tfsec" is unknown; allowed: asl-validator, cfn-guard`) {
		t.Errorf("error is %v", err)
	}
}
