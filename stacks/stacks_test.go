package stacks

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/gluejob"
	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
)

// update writes what the tests find over what they compare it with: go test ./stacks -update
var update = flag.Bool("update", false, "write the golden templates, and add new tables to the frozen ones")

// folder holds what the tests synthesize; it goes when they are done.
var folder = sync.OnceValue(func() string {
	made, err := os.MkdirTemp("", "stacks-test-")
	if err != nil {
		panic(err)
	}
	return made
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := cdktest.Main(m)
	if err := os.RemoveAll(folder()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// assembly is a cloud assembly as the CDK wrote it.
type assembly string

// synthesized keeps one assembly for each stage: the tests only read it.
var synthesized = map[string]assembly{}

// ofStage synthesizes a stage of cdk.json, as if the CLI had no credentials.
func ofStage(t *testing.T, name string) assembly {
	t.Helper()
	if synthesized[name] == "" {
		synthesized[name] = synthesize(t, stageOf(t, name), contracts(t))
	}
	return synthesized[name]
}

func synthesize(t *testing.T, stage config.Stage, set contract.Set) assembly {
	t.Helper()
	outdir, err := os.MkdirTemp(folder(), stage.Name+"-")
	if err != nil {
		t.Fatal(err)
	}
	context := cdktest.Context(t)
	app := awscdk.NewApp(&awscdk.AppProps{Context: &context, Outdir: jsii.String(outdir)})
	NewLakehouse(app, Props{Stage: stage, Contracts: set, Scripts: filepath.Join(cdktest.Root(), "glue-scripts")})
	app.Synth(nil)
	return assembly(outdir)
}

func stageOf(t *testing.T, name string) config.Stage {
	t.Helper()
	context := cdktest.Context(t)
	context[config.StageKey] = name
	stage, err := config.Load(context)
	if err != nil {
		t.Fatal(err)
	}
	return stage
}

func contracts(t *testing.T) contract.Set {
	t.Helper()
	set, err := contract.Load(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// text is the template of the stack whose name ends in part.
func (a assembly) text(t *testing.T, part string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(string(a), "*-"+part+".template.json"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("templates of stack %s: %q (error %v), want one", part, paths, err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type template struct {
	Resources map[string]struct {
		Type                string
		Properties          map[string]any
		DeletionPolicy      string
		UpdateReplacePolicy string
		DependsOn           []string
	}
	Outputs map[string]any
}

func (a assembly) template(t *testing.T, part string) template {
	t.Helper()
	var decoded template
	if err := json.Unmarshal([]byte(a.text(t, part)), &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

var parts = []string{"network", "catalog", "pipeline"}

func TestSynthIsDeterministic(t *testing.T) {
	again := synthesize(t, stageOf(t, "dev"), contracts(t))
	for _, part := range parts {
		if first, second := ofStage(t, "dev").text(t, part), again.text(t, part); first != second {
			t.Errorf("two syntheses of stack %s differ %s", part, firstDifference(first, second))
		}
	}
}

// People, the demo and the documentation refer to these names.
func TestNames(t *testing.T) {
	local := ofStage(t, "local")
	outputs := append(keys(local.template(t, "catalog").Outputs), keys(local.template(t, "pipeline").Outputs)...)
	for _, name := range []string{
		"LakeBucketName", "LogBucketName", "ResultBucketName", "DatabaseName", "WorkgroupName", "ResearchRoleArn", "CustomerRoleArn",
		"StateMachineArn", "AlertTopicArn",
	} {
		if !slices.Contains(outputs, name) {
			t.Errorf("there is no output %s", name)
		}
	}
	for _, name := range []string{
		`"stedi_local"`, `"customer_landing_to_trusted"`, `"accelerometer_landing_to_trusted"`, `"customer_trusted_to_curated"`,
		`"step_trainer_trusted"`, `"machine_learning_curated"`, `"stedi-local"`, `"stedi-local-pipeline"`,
	} {
		if !strings.Contains(local.text(t, "catalog")+local.text(t, "pipeline"), name) {
			t.Errorf("nothing is named %s", name)
		}
	}
}

// The embedded AWS runs no functions, and knows none of these resource types.
func TestLocalStageDeploysInTheEmbeddedAWS(t *testing.T) {
	for _, part := range parts {
		for id, resource := range ofStage(t, "local").template(t, part).Resources {
			unknown := []string{"AWS::Lambda::Function", "AWS::Glue::TableOptimizer", "AWS::Budgets::Budget"}
			if slices.Contains(unknown, resource.Type) || strings.HasPrefix(resource.Type, "Custom::") {
				t.Errorf("stack %s has %s of type %s", part, id, resource.Type)
			}
		}
	}
}

// CloudFormation cannot know a value of another stack when it plans, so it would replace a resource whose property demands that.
// Values of other stacks may therefore only feed what is updated in place.
func TestCrossStackReferencesUpdateInPlace(t *testing.T) {
	allowed := []string{
		"AWS::EC2::VPCEndpoint.PolicyDocument", "AWS::Glue::Connection.ConnectionInput", "AWS::Glue::Job.DefaultArguments",
		"AWS::IAM::Role.Policies", "AWS::IAM::Policy.PolicyDocument", "AWS::Logs::LogGroup.KmsKeyId", "AWS::SNS::Topic.KmsMasterKeyId",
		"AWS::Events::Rule.EventPattern", "AWS::StepFunctions::StateMachine.DefinitionString",
	}
	found := 0
	for _, part := range parts {
		for id, resource := range ofStage(t, "prod").template(t, part).Resources {
			for name, value := range resource.Properties {
				text, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(text), "Fn::ImportValue") {
					t.Errorf("%s imports an export, which its stack then cannot change", id)
				}
				if !strings.Contains(string(text), "Fn::GetStackOutput") {
					continue
				}
				found++
				if place := resource.Type + "." + name; !slices.Contains(allowed, place) {
					t.Errorf("%s takes %s from another stack, allowed: %q", id, place, allowed)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no reference between stacks found; has the way they are written changed?")
	}
}

func TestExistingNetwork(t *testing.T) {
	stage := stageOf(t, "dev")
	stage.Network = config.Network{
		Mode: config.ExistingNetwork, VPCID: "vpc-0a1b2c3d", SubnetID: "subnet-0a1b2c3d", AvailabilityZone: "eu-central-1a",
		RouteTableIDs: []string{"rtb-0a1b2c3d"},
	}
	assembly := synthesize(t, stage, contracts(t))
	for id, resource := range assembly.template(t, "network").Resources {
		if allowed := []string{"AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress", "AWS::EC2::VPCEndpoint"}; !slices.Contains(allowed, resource.Type) {
			t.Errorf("%s is a %s, allowed in an existing network: %q", id, resource.Type, allowed)
		}
	}
	pipeline := assembly.text(t, "pipeline")
	for _, text := range []string{`"SubnetId": "subnet-0a1b2c3d"`, `"AvailabilityZone": "eu-central-1a"`, `"W3010"`} {
		if !strings.Contains(pipeline, text) {
			t.Errorf("the connection does not have %s", text)
		}
	}
	if strings.Contains(ofStage(t, "dev").text(t, "pipeline"), "ignore_checks") {
		t.Error("a new network ignores a finding of cfn-lint; only the zone of an existing subnet is given by name")
	}
}

// One connection, in the subnet that the stage names, is all that a job may use.
func TestJobsUseOneConnection(t *testing.T) {
	stage := stageOf(t, "prod")
	stage.Network.JobZone = 2
	for zone, assembly := range map[int]assembly{1: ofStage(t, "prod"), 2: synthesize(t, stage, contracts(t))} {
		var connections []string
		for id, resource := range assembly.template(t, "pipeline").Resources {
			switch resource.Type {
			case "AWS::Glue::Connection":
				connections = append(connections, id)
				if subnet := fmt.Sprint(resource.Properties); !strings.Contains(subnet, fmt.Sprintf("NetworkSubnet%d", zone)) {
					t.Errorf("connection %s is %s, want it in the subnet of zone %d", id, subnet, zone)
				}
			case "AWS::Glue::Job":
				if used := fmt.Sprint(resource.Properties["Connections"]); used != fmt.Sprintf("map[Connections:[stedi-%d]]", zone) {
					t.Errorf("job %s uses %s, want stedi-%d alone", id, used, zone)
				}
			}
		}
		if want := fmt.Sprintf("Connection%d", zone); !slices.Equal(connections, []string{want}) {
			t.Errorf("connections are %q, want %s alone", connections, want)
		}
	}
}

// As strict as it can be, no service of AWS takes a role on behalf of another account. Functions of the CDK are its own business.
func TestStrictRolesTrustThisAccountOnly(t *testing.T) {
	seen := map[string]int{}
	for _, variant := range variants(t) {
		if !variant.Stage.Jobs.TrustThisAccountOnly {
			continue
		}
		for _, stack := range load(t, variant.assembly) {
			for _, id := range stack.OfType("AWS::IAM::Role") {
				trust := text(t, stack.Resources[id].Properties["AssumeRolePolicyDocument"])
				if !strings.Contains(trust, `"Service":"`) || strings.Contains(trust, `"lambda.amazonaws.com"`) {
					continue
				}
				seen[variant.Title]++
				if !strings.Contains(trust, `"StringEquals":{"aws:SourceAccount":{"Ref":"AWS::AccountId"}}`) {
					t.Errorf("%s: role %s of stack %s trusts %s, want this account only", variant.Title, id, stack.Name, trust)
				}
			}
		}
	}
	// The jobs, with the maintenance and the erasure, and the state machine; in prod the starter, its schedules and the catalog's
	// encryption too.
	jobs := len(flows(contracts(t))) + 2
	if seen["dev-strict"] != jobs+1 || seen["prod-strict"] != jobs+4 {
		t.Errorf("roles that services take: %v, want %d in dev-strict and %d in prod-strict", seen, jobs+1, jobs+4)
	}
}

// The account is Glue's to give a network for: no stack, no connection, no right to make network interfaces.
func TestNoNetwork(t *testing.T) {
	stage := stageOf(t, "dev")
	stage.Network = config.Network{Mode: config.NoNetwork}
	assembly := synthesize(t, stage, contracts(t))
	if stacks, _ := filepath.Glob(filepath.Join(string(assembly), "*.template.json")); len(stacks) != 2 {
		t.Errorf("there are the stacks %q, want catalog and pipeline", stacks)
	}
	for id, resource := range assembly.template(t, "pipeline").Resources {
		if resource.Type == "AWS::Glue::Connection" || resource.Properties["Connections"] != nil {
			t.Errorf("%s is, or uses, a connection", id)
		}
	}
	if text := assembly.text(t, "pipeline"); strings.Contains(text, "ec2:") || strings.Contains(text, "--disable-proxy-v2") {
		t.Error("a role may still work with network interfaces, or a job does without Glue's proxy")
	}
}

// One key for both: endpoints that no job uses, and jobs that look for endpoints in vain, are mistakes.
func TestPrivateEndpoints(t *testing.T) {
	for _, private := range []bool{false, true} {
		stage := stageOf(t, "dev")
		stage.Network.PrivateEndpoints = private
		assembly := synthesize(t, stage, contracts(t))
		endpoints := 0
		for _, resource := range assembly.template(t, "network").Resources {
			if resource.Properties["VpcEndpointType"] == "Interface" {
				endpoints++
			}
		}
		direct := strings.Count(assembly.text(t, "pipeline"), `"--disable-proxy-v2": "true"`)
		if private && (endpoints != 2 || direct < len(flows(contracts(t)))) || !private && endpoints+direct > 0 {
			t.Errorf("privateEndpoints %v: %d interface endpoints, %d jobs without Glue's proxy", private, endpoints, direct)
		}
	}
}

func TestFlowsFollowTheZones(t *testing.T) {
	set := contracts(t)
	written := map[string]bool{contract.IntakeLedger: true} // by every job, each its own object
	for _, flow := range flows(set) {
		for _, source := range flow.reads {
			if source.Zone != contract.Landing && source.Table != contract.ErasureLedger && !written[source.Table] {
				t.Errorf("job %s reads %s before it is written", flow.Name, source.Table)
			}
		}
		for _, target := range flow.writes {
			// The ledger belongs to all jobs, which only add to it.
			if target.Zone == contract.Landing || written[target.Table] && target.Zone != contract.Ledger {
				t.Errorf("job %s writes %s, which is landing or already written by another job", flow.Name, target.Table)
			}
			if target.Format != contract.Iceberg {
				t.Errorf("job %s writes %s in format %s: two writers of a file lose one another's rows", flow.Name, target.Table, target.Format)
			}
			written[target.Table] = true
		}
	}
	for _, table := range set.Erasable() {
		if table.Source == "erasure" { // who erases people is the job of no table
			written[table.Table] = true
		}
	}
	for _, table := range set {
		if table.Zone != contract.Landing && !written[table.Table] {
			t.Errorf("no job writes %s", table.Table)
		}
	}
}

func TestJobWithoutContract(t *testing.T) {
	cdktest.Panics(t, func() { table(contracts(t), "some_job", "shoe_trusted") }, `job some_job: no contract for table "shoe_trusted"`)
}

func keys(values map[string]any) []string {
	var list []string
	for key := range values {
		list = append(list, key)
	}
	return list
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(want, got string) string {
	wantLines, gotLines := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(wantLines), len(gotLines)) {
		if wantLines[i] != gotLines[i] {
			return fmt.Sprintf("at line %d:\n  want %s\n  got  %s", i+1, strings.TrimSpace(wantLines[i]), strings.TrimSpace(gotLines[i]))
		}
	}
	return fmt.Sprintf("in length: want %d lines, got %d", len(wantLines), len(gotLines))
}

// Somebody who is woken by an alarm finds its name in the documentation; and an alarm that tells nobody is none.
func TestAlarms(t *testing.T) {
	operations, err := os.ReadFile(filepath.Join(cdktest.Root(), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"dev":  {"erasure-proof-hits", "erasure-request-open", "erasure-requests-malformed", "failed-checks", "ignored-objects", "ledger-mismatch", "quarantine-limit", "quarantined-rows", "run-failed", "run-timed-out", "run-too-long"},
		"prod": {"dead-letters", "erasure-proof-hits", "erasure-request-open", "erasure-requests-malformed", "failed-checks", "ignored-objects", "ledger-mismatch", "nothing-arrived", "quarantine-limit", "quarantined-rows", "run-failed", "run-timed-out", "run-too-long", "starter-failed", "starter-timed-out"},
	}
	for stage, names := range want {
		var found []string
		lake := stageOf(t, stage).LakeName
		for id, resource := range ofStage(t, stage).template(t, "pipeline").Resources {
			if resource.Type != "AWS::CloudWatch::Alarm" {
				continue
			}
			name := strings.TrimPrefix(resource.Properties["AlarmName"].(string), lake+"-")
			if timedOut := strings.HasSuffix(name, "-timed-out"); timedOut != (resource.Properties["MetricName"] == "ExecutionsTimedOut") {
				t.Errorf("stage %s: alarm %s watches %v", stage, name, resource.Properties["MetricName"])
			}
			found = append(found, name)
			if !strings.Contains(string(operations), "`"+name+"`") {
				t.Errorf("docs/operations.md does not say what alarm %s means", name)
			}
			actions, _ := resource.Properties["AlarmActions"].([]any)
			if len(actions) != 1 || !strings.HasPrefix(fmt.Sprint(actions[0]), "map[Ref:AlertsTopic") {
				t.Errorf("stage %s: alarm %s does %v, want it to tell the topic", stage, id, actions)
			}
		}
		if slices.Sort(found); !slices.Equal(found, names) {
			t.Errorf("stage %s has alarms %q, want %q", stage, found, names)
		}
	}
}

// Each of what may go wrong with a request rings for itself: unreadable, open for too long, and not gone.
func TestAlarmsOfTheErasure(t *testing.T) {
	want := map[string]string{
		"stedi-erasure-requests-malformed": "ErasureRequestsMalformed Sum > 0 in 3600 s",
		"stedi-erasure-request-open":       "ErasureRequestOpenDays Maximum > 20 in 86400 s",
		"stedi-erasure-proof-hits":         "ErasureProofHits Sum > 0 in 3600 s",
	}
	found := map[string]string{}
	for _, resource := range ofStage(t, "prod").template(t, "pipeline").Resources {
		p := resource.Properties
		if name, _ := p["AlarmName"].(string); strings.HasPrefix(name, "stedi-erasure-") {
			found[name] = fmt.Sprintf("%v %v > %v in %v s", p["MetricName"], p["Statistic"], p["Threshold"], p["Period"])
		}
	}
	if !maps.Equal(found, want) {
		t.Errorf("alarms are %q, want %q", found, want)
	}
}

// The jobs put these metrics; an alarm on another name would never change.
func TestAlarmsWatchMetricsThatExist(t *testing.T) {
	modules, err := filepath.Glob(filepath.Join(cdktest.Root(), "glue-scripts", "lakehouse", "*.py"))
	if err != nil {
		t.Fatal(err)
	}
	var python strings.Builder
	for _, module := range modules {
		text, err := os.ReadFile(module)
		if err != nil {
			t.Fatal(err)
		}
		python.Write(text)
	}
	for id, resource := range ofStage(t, "prod").template(t, "pipeline").Resources {
		if resource.Properties["Namespace"] != gluejob.MetricsNamespace {
			continue
		}
		if name := fmt.Sprintf("%q", resource.Properties["MetricName"]); !strings.Contains(python.String(), name) {
			t.Errorf("alarm %s watches %s, which no job puts", id, name)
		}
	}
}

func TestNothingStartsDevAndLocalByItself(t *testing.T) {
	for _, stage := range []string{"dev", "local"} {
		for _, part := range parts {
			for id, resource := range ofStage(t, stage).template(t, part).Resources {
				if resource.Type == "AWS::Scheduler::Schedule" || resource.Type == "AWS::Events::Rule" {
					t.Errorf("stage %s: %s is a %s", stage, id, resource.Type)
				}
			}
		}
	}
}

func TestBudget(t *testing.T) {
	for stage, want := range map[string]float64{"dev": 50, "prod": 300} {
		budget := ofStage(t, stage).template(t, "pipeline").Resources["Budget"].Properties
		text := fmt.Sprint(budget)
		if !strings.Contains(text, fmt.Sprintf("Amount:%g", want)) || strings.Count(text, "Address:map[Ref:AlertsTopic") != 2 {
			t.Errorf("stage %s: the budget is %s, want %g US dollars, and the topic told of costs and of the forecast", stage, text, want)
		}
	}
}

// Maintenance deletes under every Iceberg table, and may not even read what was delivered.
func TestMaintenanceTouchesIcebergTablesOnly(t *testing.T) {
	for id, resource := range ofStage(t, "prod").template(t, "pipeline").Resources {
		if !strings.HasPrefix(id, "TableMaintenanceRole") {
			continue
		}
		text := fmt.Sprint(resource.Properties)
		for _, table := range contracts(t) {
			for _, want := range []string{"/" + table.Prefix() + "/*", "/" + table.Table} {
				if has := strings.Contains(text, want); has != (table.Format == contract.Iceberg) {
					t.Errorf("the role of %s and %s: %t, want Iceberg tables only", maintenance, want, has)
				}
			}
		}
		return
	}
	t.Errorf("no role of %s found", maintenance)
}

// Nobody but the job that erases people may write what was delivered or delete a version, and it has no right to what other jobs have
// noted of their runs. Without the stage's key there is neither the job nor any right of it.
func TestErasure(t *testing.T) {
	off := stageOf(t, "prod")
	off.Erasure = nil
	without := synthesize(t, off, contracts(t))
	for _, part := range parts {
		for _, trace := range []string{"erase_people", "DeleteObjectVersion", "listObjectsV2", "ResultObjects", "Erasure"} {
			text := without.text(t, part)
			if part == "catalog" && trace == "Erasure" { // the tables stay
				continue
			}
			if strings.Contains(text, trace) {
				t.Errorf("stack %s holds %s without the stage key erasure", part, trace)
			}
			if with := ofStage(t, "prod").text(t, part); part == "pipeline" && trace != "ResultObjects" && !strings.Contains(with, trace) {
				t.Errorf("stack %s has no %s with it", part, trace)
			}
		}
	}
	for id := range identities(t, ofStage(t, "prod"), "catalog") {
		if _, there := without.template(t, "catalog").Resources[id]; !there {
			t.Errorf("without the stage key erasure %s is not in the catalog", id)
		}
	}
	for id, resource := range ofStage(t, "prod").template(t, "pipeline").Resources {
		if resource.Type != "AWS::IAM::Role" {
			continue
		}
		access := text(t, resource.Properties)
		if erases := strings.HasPrefix(id, "ErasePeopleRole"); erases != strings.Contains(access, "ObjectVersion") {
			t.Errorf("%s has rights on versions: %t", id, !erases)
		} else if erases && strings.Contains(access, "intake/") {
			t.Errorf("%s may write the intake of other jobs", id)
		}
	}
}

// Who asked to be forgotten, and who was, is no business of analysts, pseudonym or not.
func TestReadersSeeNothingOfTheErasure(t *testing.T) {
	found := 0
	for id, resource := range ofStage(t, "prod").template(t, "catalog").Resources {
		if resource.Type != "AWS::IAM::Role" || !strings.HasPrefix(id, "Research") && !strings.HasPrefix(id, "Customers") {
			continue
		}
		found++
		if strings.Contains(text(t, resource.Properties), "erasure") {
			t.Errorf("%s has a right on a table or an object of the erasure", id)
		}
	}
	if found != 2 {
		t.Errorf("%d roles of readers, want 2", found)
	}
}

// With the key's policy CloudWatch Logs encrypts every log group that the pipeline declares, or CloudFormation cannot make it.
func TestKeyLetsLogsUseIt(t *testing.T) {
	catalog := ofStage(t, "prod").text(t, "catalog")
	for id, resource := range ofStage(t, "prod").template(t, "pipeline").Resources {
		if resource.Type != "AWS::Logs::LogGroup" {
			continue
		}
		name := fmt.Sprint(resource.Properties["LogGroupName"])
		covered := strings.Contains(name, jobLogs+"stedi/") || strings.Contains(name, stateMachineLogs+"stedi-")
		if !covered || resource.Properties["KmsKeyId"] == nil {
			t.Errorf("log group %s, %s, is not one that the key's policy covers, or has no key", id, name)
		}
	}
	for _, prefix := range []string{jobLogs + "stedi/*", stateMachineLogs + "stedi-*", "kms:EncryptionContext:aws:logs:arn", "EncryptLogs"} {
		if !strings.Contains(catalog, prefix) {
			t.Errorf("the key's policy has no %s", prefix)
		}
	}
}
