package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/stacks"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

// app is the lakehouse while it is made: what a sample changes.
type app struct {
	stage     config.Stage
	contracts contract.Set
	lake      stacks.Lakehouse
}

// synthesized is stage prod as main.go makes it, but with a sample's changes.
func synthesized(t *testing.T, change sample) version {
	t.Helper()
	context := cdktest.Context(t)
	context[config.StageKey] = "prod"
	stage, err := config.Load(context)
	if err != nil {
		t.Fatal(err)
	}
	contracts, err := contract.Load(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	made := &app{stage: stage, contracts: contracts}
	if change.settings != nil {
		change.settings(made)
	}
	root := cdktest.NewApp(t)
	made.lake = stacks.NewLakehouse(root, stacks.Props{
		Stage: made.stage, Contracts: made.contracts, Scripts: filepath.Join(cdktest.Root(), "glue-scripts"),
	})
	if change.resources != nil {
		change.resources(made)
	}
	synthesized, err := cloud.Load(*root.Synth(nil).Directory())
	if err != nil {
		t.Fatal(err)
	}
	return version{Stages: map[string]cloud.Assembly{"prod": synthesized}, Contracts: made.contracts}
}

// columns are a table's columns, to be changed.
func (a *app) columns(table string) *[]contract.Column {
	i := slices.IndexFunc(a.contracts, func(c contract.Contract) bool { return c.Table == table })
	a.contracts[i].Columns = slices.Clone(a.contracts[i].Columns)
	return &a.contracts[i].Columns
}

func (a *app) lakeBucket() awss3.CfnBucket {
	return a.lake.Catalog.Lake.Node().DefaultChild().(awss3.CfnBucket)
}

// endpoint is the gateway endpoint of S3.
func (a *app) endpoint() awscdk.CfnResource {
	for _, node := range *a.lake.Network.Stack.Node().FindAll(constructs.ConstructOrder_PREORDER) {
		if resource, ok := node.(awsec2.CfnVPCEndpoint); ok && *resource.VpcEndpointType() == "Gateway" {
			return resource
		}
	}
	panic("the network has no gateway endpoint")
}

func child(stack awscdk.Stack, id string) awscdk.CfnResource {
	return stack.Node().FindChild(jsii.String(id)).(awscdk.CfnResource)
}

// addJob adds a Glue job and its role, which may do an action on the objects of a bucket's folder.
func (a *app) addJob(action string, bucket awss3.Bucket, folder string) {
	stack := a.lake.Pipeline.Stack
	role := awsiam.NewRole(stack, jsii.String("StepsRole"), &awsiam.RoleProps{AssumedBy: awsiam.NewServicePrincipal(jsii.String("glue.amazonaws.com"), nil)})
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("Read"), Actions: jsii.Strings(action), Resources: &[]*string{bucket.ArnForObjects(jsii.String(folder))},
	}))
	awsglue.NewCfnJob(stack, jsii.String("StepsJob"), &awsglue.CfnJobProps{
		Name: jsii.String("steps"), Role: role.RoleArn(), GlueVersion: jsii.String("6.0"), WorkerType: jsii.String("G.1X"), NumberOfWorkers: jsii.Number(2),
		Command: &awsglue.CfnJob_JobCommandProperty{Name: jsii.String("glueetl"), ScriptLocation: jsii.String("s3://bucket/steps.py")},
	})
}

// sample is a change that somebody might propose, with what the first line must say of it.
type sample struct {
	name      string
	settings  func(*app) // before the lakehouse is made; nil: as they are
	resources func(*app) // after it; nil: as they are
	head      string     // the number of all resources of a type is written as the type, or type+1
	says      []string   // elsewhere in the report
}

var samples = []sample{
	{
		name: "nothing",
		head: "Safe: nothing changes",
	},
	{
		name:      "rename a bucket",
		resources: func(a *app) { a.lakeBucket().SetBucketName(jsii.String("another-name")) },
		head:      "UNSAFE: replaces 1 resource that holds data",
		says:      []string{"`BucketName` changes; the old one stays in the account"},
	},
	{
		name: "give a construct another id",
		resources: func(a *app) {
			child(a.lake.Pipeline.Stack, "ChainLog").OverrideLogicalId(jsii.String("AnotherLog"))
		},
		head: "UNSAFE: lets go of 1 resource that holds data",
	},
	{
		name: "widen a policy: an action in a statement",
		resources: func(a *app) {
			a.lake.Pipeline.Jobs[0].Role.Node().DefaultChild().(awsiam.CfnRole).AddPropertyOverride(
				jsii.String("Policies.1.PolicyDocument.Statement.1.Action"), jsii.Strings("s3:GetBucketLocation", "s3:DeleteBucket"))
		},
		head: "UNSAFE: widens 1 permission",
		says: []string{"`S3Access` `LocateBucket`: Action: + `s3:DeleteBucket`"},
	},
	{
		name: "widen a policy: a statement without its condition",
		resources: func(a *app) {
			a.lake.Pipeline.Jobs[0].Role.Node().DefaultChild().(awsiam.CfnRole).AddPropertyDeletionOverride(
				jsii.String("Policies.1.PolicyDocument.Statement.0.Condition"))
		},
		head: "UNSAFE: widens 1 permission",
		says: []string{"`ListObjectsInBucket`: Condition `StringLike s3:prefix`: −"},
	},
	{
		name: "widen a policy: a statement more, for a role that is there",
		resources: func(a *app) {
			a.lake.Pipeline.Jobs[0].Role.AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions: jsii.Strings("s3:*"), Resources: jsii.Strings("*"),
			}))
		},
		head: "UNSAFE: widens 1 permission",
		says: []string{"allows `s3:*` on `*`"},
	},
	{
		name: "let a job work with another job's role",
		resources: func(a *app) {
			a.lake.Pipeline.Jobs[0].Resource.SetRole(a.lake.Pipeline.Jobs[1].Role.RoleArn())
		},
		head: "UNSAFE: widens 1 permission",
		says: []string{"works with another role"},
	},
	{
		name: "narrow a policy",
		resources: func(a *app) {
			a.lake.Pipeline.Jobs[0].Role.Node().DefaultChild().(awsiam.CfnRole).AddPropertyOverride(
				jsii.String("Policies.1.PolicyDocument.Statement.2.Action"), jsii.Strings("s3:GetObject"))
		},
		head: "Safe: 1 resource changes",
		says: []string{"`AllObjectActions`: Action: − `s3:AbortMultipartUpload`, − `s3:DeleteObject`"},
	},
	{
		name: "let plain HTTP in: a Deny less",
		resources: func(a *app) {
			a.lake.Catalog.Lake.Node().FindChild(jsii.String("Policy")).Node().DefaultChild().(awss3.CfnBucketPolicy).AddPropertyOverride(
				jsii.String("PolicyDocument.Statement.0.Effect"), jsii.String("Allow"))
		},
		head: "UNSAFE: widens 1 permission",
	},
	{
		name: "open a security group",
		resources: func(a *app) {
			awsec2.NewCfnSecurityGroupIngress(a.lake.Network.Stack, jsii.String("FromAnywhere"), &awsec2.CfnSecurityGroupIngressProps{
				GroupId: jsii.String(a.lake.Network.Jobs.SecurityGroupID), IpProtocol: jsii.String("tcp"), FromPort: jsii.Number(22), ToPort: jsii.Number(22), CidrIp: jsii.String("0.0.0.0/0"),
			})
		},
		head: "UNSAFE: opens the network in 1 place",
		says: []string{"lets in TCP 22 from `Everyone (IPv4)`"},
	},
	{
		name: "give the network a way out",
		resources: func(a *app) {
			awsec2.NewCfnInternetGateway(a.lake.Network.Stack, jsii.String("Gateway"), nil)
		},
		head: "UNSAFE: opens the network in 1 place",
	},
	{
		name: "narrow the way to S3",
		resources: func(a *app) {
			a.endpoint().AddPropertyOverride(jsii.String("PolicyDocument.Statement.1.Action"), jsii.Strings("s3:GetObject"))
		},
		head: "Safe: 1 resource changes",
		says: []string{"− `s3:PutObject`"},
	},
	{
		name: "widen the way to S3",
		resources: func(a *app) {
			a.endpoint().AddPropertyOverride(jsii.String("PolicyDocument.Statement.0.Resource"), jsii.String("*"))
		},
		head: "UNSAFE: opens the network in 1 place",
		says: []string{"Resource: + `*`"},
	},
	{
		name:      "let the way to S3 lead to every bucket",
		resources: func(a *app) { a.endpoint().AddPropertyDeletionOverride(jsii.String("PolicyDocument")) },
		head:      "UNSAFE: opens the network in 1 place",
		says:      []string{"has no policy"},
	},
	{
		name: "add a column to a landing table",
		settings: func(a *app) {
			columns := a.columns("customer_landing")
			*columns = append(*columns, contract.Column{Name: "language", Type: "string", Since: 1, Description: "Language."})
		},
		head: "Safe: 2 resources change, 1 contract changes", // the table, and the saved query that creates it
		says: []string{"`customer_landing`: column `language` string is added (compatible)"},
	},
	{
		name: "add a column to an Iceberg table, for the jobs to add",
		settings: func(a *app) {
			columns := a.columns("customer_trusted")
			*columns = append(*columns, contract.Column{Name: "language", Type: "string", Since: 2, Description: "Language."})
		},
		head: "Safe: 1 contract changes",
	},
	{
		name: "add a column to the frozen template of an Iceberg table",
		settings: func(a *app) {
			columns := a.columns("customer_trusted")
			*columns = append(*columns, contract.Column{Name: "language", Type: "string", Since: 1, Description: "Language."})
		},
		head: "UNSAFE: changes 1 frozen table template; breaks 1 contract",
		says: []string{"give it since 2"},
	},
	{
		name:     "change a type",
		settings: func(a *app) { (*a.columns("step_trainer_landing"))[2].Type = "string" },
		head:     "UNSAFE: breaks 1 contract",
		says:     []string{"type int becomes string"},
	},
	{
		name:     "widen a type",
		settings: func(a *app) { (*a.columns("step_trainer_landing"))[2].Type = "bigint" },
		head:     "Safe: 2 resources change, 1 contract changes",
		says:     []string{"type int becomes bigint (compatible)"},
	},
	{
		name: "drop a table",
		resources: func(a *app) {
			a.lake.Catalog.Stack.Node().TryRemoveChild(jsii.String("MachineLearningCurated"))
			a.contracts = slices.DeleteFunc(a.contracts, func(c contract.Contract) bool { return c.Table == "machine_learning_curated" })
		},
		head: "UNSAFE: lets go of 1 resource that holds data; breaks 1 contract",
		says: []string{"table is dropped"},
	},
	{
		name:      "add a job",
		resources: func(a *app) { a.addJob("s3:GetObject", a.lake.Catalog.Lake, "machine_learning/curated/*") },
		head:      "Safe: 3 resources are added",
		says:      []string{"## Cost"},
	},
	{
		name:      "add a job that reads personal data",
		resources: func(a *app) { a.addJob("s3:GetObject", a.lake.Catalog.Lake, "customer/landing/*") },
		head:      "UNSAFE: lets 1 new role read personal data",
		says:      []string{"personal data of `customer_landing`"},
	},
	{
		name:      "add a job that deletes what cannot be brought back",
		resources: func(a *app) { a.addJob("s3:DeleteObjectVersion", a.lake.Catalog.Lake, "customer/landing/*") },
		head:      "UNSAFE: lets 1 new role read personal data",
		says:      []string{"may now delete versions of personal data of `customer_landing`"},
	},
	{
		name:     "erase nobody any more",
		settings: func(a *app) { a.stage.Erasure = nil },
		head:     "UNSAFE: lets go of 2 resources that hold data", // the job's logs
		says:     []string{"| prod | $5.50 → **$5.20** | $0.15 | $12.32 → **$9.24** |"},
	},
	{
		name:      "add a job that reads what others asked",
		resources: func(a *app) { a.addJob("s3:GetObject", a.lake.Catalog.Results, "stedi-customers/*") },
		head:      "UNSAFE: lets 1 new role read personal data",
		says:      []string{"read `results of stedi-customers`"},
	},
	{
		name:      "add a job that may do everything",
		resources: func(a *app) { a.addJob("s3:*", a.lake.Catalog.Lake, "machine_learning/curated/*") },
		head:      "UNSAFE: widens 1 permission",
	},
	{
		name:     "change the worker count",
		settings: func(a *app) { a.stage.Jobs.Workers = 10 },
		head:     "Safe: AWS::Glue::Job+1 resources change", // the jobs, and the dashboard with its costs
		says:     []string{"## Cost", "| prod | $5.50 | $0.", " → **$"},
	},
	{
		name: "remove encryption",
		resources: func(a *app) {
			a.lakeBucket().AddPropertyDeletionOverride(jsii.String("BucketEncryption"))
		},
		head: "UNSAFE: lowers the protection of 1 resource",
		says: []string{"encryption is taken away or changed: `BucketEncryption`"},
	},
	{
		name:     "shorten log retention",
		settings: func(a *app) { a.stage.RetentionDays.Logs = 30 },
		head:     "UNSAFE: lowers the protection of AWS::Logs::LogGroup resources",
		says:     []string{"keeps logs for 30 days, so far for 365 days"},
	},
	{
		name:     "keep logs longer",
		settings: func(a *app) { a.stage.RetentionDays.Logs = 731 },
		head:     "Safe: AWS::Logs::LogGroup resources change",
	},
	{
		name: "disable versioning",
		resources: func(a *app) {
			a.lakeBucket().AddPropertyOverride(jsii.String("VersioningConfiguration.Status"), jsii.String("Suspended"))
		},
		head: "UNSAFE: lowers the protection of 1 resource",
		says: []string{"no longer keeps overwritten and deleted versions"},
	},
	{
		name: "copy a bucket elsewhere",
		resources: func(a *app) {
			a.lakeBucket().AddPropertyOverride(jsii.String("ReplicationConfiguration"), map[string]any{
				"Role":  "arn:aws:iam::123456789012:role/copy",
				"Rules": []any{map[string]any{"Status": "Enabled", "Destination": map[string]any{"Bucket": "arn:aws:s3:::somewhere-else"}}},
			})
		},
		head: "UNSAFE: lowers the protection of 1 resource",
		says: []string{"another way out: `ReplicationConfiguration`"},
	},
	{
		name:      "let a stack be terminated",
		resources: func(a *app) { a.lake.Catalog.Stack.SetTerminationProtection(jsii.Bool(false)) },
		head:      "UNSAFE: lowers the protection of 1 resource",
		says:      []string{"no longer protected from termination"},
	},
	{
		name: "rename a log group",
		resources: func(a *app) {
			child(a.lake.Pipeline.Stack, "ChainLog").AddPropertyOverride(jsii.String("LogGroupName"), jsii.String("/aws/vendedlogs/states/other"))
		},
		head: "UNSAFE: replaces 1 resource that holds data",
	},
	{
		name:      "delete the data with the stack",
		resources: func(a *app) { a.lakeBucket().ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil) },
		head:      "UNSAFE: lowers the protection of 1 resource",
		says:      []string{"is deleted with its stack; so far it stayed", "is deleted when it is replaced; so far it stayed"},
	},
}

// TestSamples reviews changes that are made to the real stacks, with the CDK's engine and no credentials.
func TestSamples(t *testing.T) {
	base := synthesized(t, sample{})
	heads := map[string]version{}
	// The engine takes a second to start, so it gets all samples at once, each under its name.
	before, after := map[string]cloud.Stack{}, map[string]cloud.Stack{}
	for _, sample := range samples {
		heads[sample.name] = synthesized(t, sample)
		for name, stack := range base.stacks() {
			before[sample.name+"/"+name] = stack
		}
		for name, stack := range heads[sample.name].stacks() {
			after[sample.name+"/"+name] = stack
		}
	}
	differences, err := compare(context.Background(), cdktest.Root(), before, after)
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		t.Run(sample.name, func(t *testing.T) {
			made, err := newReview(base, heads[sample.name], func(base, head map[string]cloud.Stack) (map[string]difference, error) {
				own := map[string]difference{}
				for _, stack := range union(base, head) {
					own[stack] = differences[sample.name+"/"+stack]
				}
				return own, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			report := newVerdict(made, "", nil, nil).markdown()
			head, _, _ := strings.Cut(report, "\n")
			if want := withNumbers(sample.head, base.Stages["prod"]); head != want {
				t.Errorf("first line:\n got %s\nwant %s\n%s", head, want, report)
			}
			for _, text := range sample.says {
				if !strings.Contains(report, text) {
					t.Errorf("want %q in the report\n%s", text, report)
				}
			}
		})
	}
}

// withNumbers puts numbers of resources in the places of their types: how many there are is no concern of the review.
func withNumbers(head string, app cloud.Assembly) string {
	return resourceType.ReplaceAllStringFunc(head, func(match string) string {
		wanted, one := strings.CutSuffix(match, "+1")
		number := 0
		if one {
			number = 1
		}
		for _, stack := range app {
			number += len(stack.OfType(wanted))
		}
		return strconv.Itoa(number)
	})
}

func judged(t *testing.T, base, head version) review {
	t.Helper()
	made, err := newReview(base, head, func(base, head map[string]cloud.Stack) (map[string]difference, error) {
		return compare(context.Background(), cdktest.Root(), base, head)
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestCode wants another script to show as such, and not as changes of templates.
func TestCode(t *testing.T) {
	base, head := synthesized(t, sample{}), synthesized(t, sample{})
	for i, stack := range head.Stages["prod"] {
		text, err := os.ReadFile(stack.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range stack.OfType("AWS::Glue::Job") {
			if resource := stack.Resources[id]; resource.Get("Name") == "step_trainer_trusted" {
				hashes := map[string]string{}
				findCode("", resource.Properties, hashes)
				for property, hash := range hashes {
					if property == "Command.ScriptLocation.Fn::Sub" || strings.Contains(property, "--additional-python-modules") {
						text = bytes.ReplaceAll(text, []byte(hash), []byte(strings.Repeat("0", 64)))
					}
				}
			}
		}
		if err := os.WriteFile(stack.Path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if head.Stages["prod"][i], err = cloud.LoadStack(stack.Name, stack.Path); err != nil {
			t.Fatal(err)
		}
		head.Stages["prod"][i].Protected = stack.Protected
	}
	report := newVerdict(judged(t, base, head), "", nil, nil).markdown()
	for _, part := range []string{"code of `step_trainer_trusted`: changed (prod)", "Python packages of the jobs: changed (prod)"} {
		if !strings.HasPrefix(report, "Safe: code changes\n") || !strings.Contains(report, part) {
			t.Errorf("%s\nwant in it %q", report, part)
		}
	}
}

var (
	fingerprint  = regexp.MustCompile(`[0-9a-f]{12}`)
	resourceType = regexp.MustCompile(`AWS::\w+::\w+(\+1)?`)
)

func TestApproval(t *testing.T) {
	base := synthesized(t, sample{})
	made := judged(t, base, synthesized(t, sample{settings: func(a *app) { a.stage.RetentionDays.NoncurrentObjects = 3 }}))
	var all []string
	for _, found := range made.Findings {
		all = append(all, found.fingerprint())
	}
	approve := func(findings []string, stages ...string) []approval {
		return []approval{{Findings: findings, Stages: stages, Reason: "Agreed with the auditors.", ApprovedBy: "Ada", file: "approvals/versions.json"}}
	}
	for _, one := range []struct {
		name             string
		approvals, spent []approval
		head             string
	}{
		{"all", approve(all, "dev", "prod"), nil, "Approved by Ada: lowers the protection of 3 resources"},
		{"one of three", approve(all[:1], "prod"), nil, "UNSAFE: lowers the protection of 2 resources"},
		{"another stage", approve(all, "dev"), nil, "UNSAFE: lowers the protection of 3 resources"},
		{"another finding", approve([]string{"000000000000"}, "prod"), nil, "UNSAFE: lowers the protection of 3 resources"},
		{"of an earlier change", approve(all, "prod"), approve(all, "prod"), "UNSAFE: lowers the protection of 3 resources"},
		{"again", append(approve(all, "dev", "prod"), approve(all, "prod")...), approve(all, "prod"), "Approved by Ada: lowers the protection of 3 resources"},
	} {
		t.Run(one.name, func(t *testing.T) {
			verdict := newVerdict(made, "", one.approvals, one.spent)
			if got := verdict.headLine(); got != one.head {
				t.Errorf("got %s, want %s", got, one.head)
			}
			if strings.HasPrefix(one.head, "Approved") && !strings.Contains(verdict.markdown(), "approved by Ada: Agreed with the auditors. (`approvals/versions.json`)") {
				t.Error(verdict.markdown())
			}
		})
	}
	if len(all) != 3 || !fingerprint.MatchString(all[0]) {
		t.Errorf("fingerprints %q, want three of 12 digits", all)
	}
}

// Each version is compiled once, however many stages it has.
func TestBuilt(t *testing.T) {
	for app, want := range map[string][2]string{
		"go run .":             {"'/b'", "."},
		"A=1 B=c go run ./app": {"A=1 B=c '/b'", "./app"},
		"node app.js":          {"node app.js", ""},
	} {
		if run, source := built(app, "/b"); run != want[0] || source != want[1] {
			t.Errorf("built(%q) = %q, %q, want %q", app, run, source, want)
		}
	}
	project, err := readSettings("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, source := built(project.App, "/b"); source != "." {
		t.Errorf("this project's own app %q is not compiled", project.App)
	}
}
