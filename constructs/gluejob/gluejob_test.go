package gluejob_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/gluejob"
	"stedi-lakehouse/constructs/lakenetwork"
	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/contract"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

const (
	lakeARN = "arn:aws:s3:::lake"
	keyARN  = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

func table(source, zone, format string) contract.Contract {
	return contract.Contract{Table: source + "_" + zone, Source: source, Zone: zone, Format: format}
}

func asset(t *testing.T, stack awscdk.Stack, name string) awss3assets.Asset {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
		t.Fatal(err)
	}
	return awss3assets.NewAsset(stack, jsii.String(name), &awss3assets.AssetProps{Path: jsii.String(path)})
}

func props(t *testing.T, stack awscdk.Stack) gluejob.Props {
	t.Helper()
	return gluejob.Props{
		Name:        "shoe_landing_to_trusted",
		Description: "Shoes.",
		Code:        gluejob.Code{Script: asset(t, stack, "job.py"), Packages: asset(t, stack, "packages.zip")},
		Lake: gluejob.Lake{
			Name:     "shop-lake",
			Bucket:   awss3.Bucket_FromBucketArn(stack, jsii.String("Lake"), jsii.String(lakeARN)),
			Key:      awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String(keyARN)),
			Database: "shop",
		},
		Reads: []contract.Contract{table("shoe", contract.Landing, contract.JSON), table("boot", contract.Trusted, contract.Iceberg)},
		Writes: []contract.Contract{
			table("shoe", contract.Trusted, contract.Iceberg), table("shoe", contract.Quarantine, contract.Iceberg),
			table("run", contract.Ledger, contract.Iceberg),
		},
		Intake:      "intake/ledger/shoe_landing_to_trusted.json",
		ConsentGate: "as-of",
		Engine:      gluejob.Engine{Name: "auto", SparkFromGiB: 0.5},
		Size:        gluejob.Size{WorkerType: "G.1X", Workers: 2, TimeoutMinutes: 30},
		Network:     lakenetwork.Network{SecurityGroupID: "sg-1"},
		Connection:  gluejob.Connection{Name: "shop-1", SubnetID: "subnet-1"},
		Security:    gluejob.Security{Name: "shop-lake"},
		Logs:        gluejob.Logs{Prefix: "/aws-glue/shop", RetentionDays: 30},
	}
}

func synthesize(t *testing.T, change func(*gluejob.Props)) cdktest.Template {
	t.Helper()
	stack := cdktest.NewStack(t)
	given := props(t, stack)
	change(&given)
	gluejob.New(stack, "Job", given)
	return cdktest.Synthesize(t, stack)
}

func TestJob(t *testing.T) {
	template := synthesize(t, func(*gluejob.Props) {})
	template.Has("AWS::Glue::Job", map[string]any{
		"Name":            "shoe_landing_to_trusted",
		"Description":     "Shoes.",
		"GlueVersion":     "6.0",
		"WorkerType":      "G.1X",
		"NumberOfWorkers": 2,
		"ExecutionClass":  "STANDARD",
		"Timeout":         30,
		"MaxRetries":      0,

		"SecurityConfiguration": "shop-lake",
		"ExecutionProperty":     map[string]any{"MaxConcurrentRuns": 1},
		"Connections":           map[string]any{"Connections": []any{"shop-1"}},
		"Command": map[string]any{
			"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": assertions.Match_ObjectLike(&map[string]any{}),
		},
		"Role": map[string]any{"Fn::GetAtt": []any{assertions.Match_StringLikeRegexp(jsii.String("^JobRole")), "Arn"}},
	})
	template.HasResource("AWS::IAM::Role", map[string]any{"Properties": map[string]any{
		"AssumeRolePolicyDocument": map[string]any{"Statement": []any{map[string]any{
			"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": map[string]any{"Service": "glue.amazonaws.com"},
		}}},
		"ManagedPolicyArns": assertions.Match_Absent(),
	}})
	template.Count("AWS::IAM::Policy", 0) // the role has its inline policies and no other
}

func TestArguments(t *testing.T) {
	template := synthesize(t, func(p *gluejob.Props) { p.Arguments = map[string]string{"--more": "of them"} })
	var arguments map[string]any
	for _, job := range template.Resources("AWS::Glue::Job") {
		arguments = job["DefaultArguments"].(map[string]any)
	}
	packages := fmt.Sprint(arguments["--extra-py-files"])
	if !strings.Contains(packages, "s3://") || !strings.Contains(packages, ".zip") {
		t.Errorf("--extra-py-files is %s, want the zip in S3", packages)
	}
	delete(arguments, "--extra-py-files")
	want := map[string]any{
		"--job-language":           "python",
		"--datalake-formats":       "iceberg",
		"--custom-logGroup-prefix": "/aws-glue/shop",
		"--enable-auto-scaling":    "true",
		"--more":                   "of them",
		"--lake_uri":               "s3://lake",
		"--database":               "shop",
		"--consent_gate":           "as-of",
		"--engine":                 "auto",
		"--spark_from_gib":         "0.5",
		"--metrics_namespace":      "StediLakehouse",
		"--lake_name":              "shop-lake",
		"--region":                 map[string]any{"Ref": "AWS::Region"},
		"--conf": "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions" +
			" --conf spark.sql.catalog.glue_catalog=org.apache.iceberg.spark.SparkCatalog" +
			" --conf spark.sql.catalog.glue_catalog.catalog-impl=org.apache.iceberg.aws.glue.GlueCatalog" +
			" --conf spark.sql.catalog.glue_catalog.io-impl=org.apache.iceberg.aws.s3.S3FileIO" +
			" --conf spark.sql.catalog.glue_catalog.warehouse=s3://lake" +
			" --conf spark.sql.session.timeZone=UTC",
	}
	for name := range want {
		if !reflect.DeepEqual(arguments[name], want[name]) {
			t.Errorf("%s is %v\nwant %v", name, arguments[name], want[name])
		}
	}
	if len(arguments) != len(want) {
		t.Errorf("arguments are %v, want no others than %v", arguments, want)
	}
}

// Glue knows a zip of wheels by the end of its name. The role may read it, and pip is to look nowhere else.
func TestWheels(t *testing.T) {
	given := gluejob.Object{ARN: "arn:aws:s3:::assets/1.gluewheels.zip", URL: "s3://assets/1.gluewheels.zip"}
	template := synthesize(t, func(p *gluejob.Props) { p.Code.Wheels = given })
	template.Has("AWS::Glue::Job", map[string]any{"DefaultArguments": map[string]any{
		"--additional-python-modules": given.URL, "--python-modules-installer-option": "--no-index",
	}})
	code := statements(t, template)["ReadCode"]
	if !slices.Equal(code.actions, []string{"s3:GetObject"}) || len(code.resources) != 3 || !slices.Contains(code.resources, given.ARN) {
		t.Errorf("ReadCode is %+v, want to get exactly script, packages and wheels", code)
	}
}

// Endpoints that nobody calls cost money, and without them a job that does not use the proxy cannot reach the catalog.
func TestPrivateEndpointsTurnOffTheProxy(t *testing.T) {
	template := synthesize(t, func(p *gluejob.Props) { p.Network.PrivateEndpoints = true })
	template.Has("AWS::Glue::Job", map[string]any{"DefaultArguments": map[string]any{"--disable-proxy-v2": "true"}})
}

func TestOverrides(t *testing.T) {
	template := synthesize(t, func(p *gluejob.Props) {
		p.Size = gluejob.Size{WorkerType: "G.2X", Workers: 7, TimeoutMinutes: 5, Flex: true}
		p.Connection = gluejob.Connection{}
	})
	template.Has("AWS::Glue::Job", map[string]any{
		"WorkerType": "G.2X", "NumberOfWorkers": 7, "Timeout": 5, "ExecutionClass": "FLEX", "Connections": assertions.Match_Absent(),
	})
	for sid := range statements(t, template) {
		if strings.Contains(sid, "Interfaces") || strings.Contains(sid, "Network") || strings.Contains(sid, "Connection") {
			t.Errorf("the role has statement %s, want none about networks without a connection", sid)
		}
	}
}

// statement is a policy statement with its lists as text; intrinsic functions are left out of ARNs.
type statement struct {
	policy    string
	actions   []string
	resources []string
	condition string
}

func statements(t *testing.T, template cdktest.Template) map[string]statement {
	t.Helper()
	found := map[string]statement{}
	for _, role := range template.Resources("AWS::IAM::Role") {
		for _, policy := range role["Policies"].([]any) {
			policy := policy.(map[string]any)
			for _, item := range policy["PolicyDocument"].(map[string]any)["Statement"].([]any) {
				item := item.(map[string]any)
				condition, err := json.Marshal(item["Condition"])
				if err != nil {
					t.Fatal(err)
				}
				found[item["Sid"].(string)] = statement{
					policy: policy["PolicyName"].(string), actions: texts(item["Action"]), resources: texts(item["Resource"]), condition: string(condition),
				}
			}
		}
	}
	return found
}

// texts turns one value or a list into text; in joined text, references become nothing.
func texts(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var list []string
		for _, item := range value {
			list = append(list, texts(item)...)
		}
		return list
	case map[string]any:
		if join, ok := value["Fn::Join"].([]any); ok {
			return []string{strings.Join(texts(join[1]), "")}
		}
	}
	return nil
}

func TestS3Access(t *testing.T) {
	found := statements(t, synthesize(t, func(*gluejob.Props) {}))
	check := func(sid string, actions, resources []string) {
		t.Helper()
		got := found[sid]
		if got.policy != "S3Access" || !slices.Equal(got.actions, actions) || !slices.Equal(got.resources, resources) {
			t.Errorf("%s is %+v\nwant in S3Access %q on %q", sid, got, actions, resources)
		}
	}
	check("ListObjectsInBucket", []string{"s3:ListBucket"}, []string{lakeARN})
	check("LocateBucket", []string{"s3:GetBucketLocation"}, []string{lakeARN})
	check("AllObjectActions",
		[]string{"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"},
		[]string{lakeARN + "/run/ledger/*", lakeARN + "/shoe/quarantine/*", lakeARN + "/shoe/trusted/*"})
	check("ReadSources", []string{"s3:GetObject"},
		[]string{lakeARN + "/boot/trusted/*", lakeARN + "/shoe/landing/*"})
	check("KeepIntake", []string{"s3:GetObject", "s3:PutObject"}, []string{lakeARN + "/intake/ledger/shoe_landing_to_trusted.json"})
	check("UseLakeKey", []string{"kms:Decrypt", "kms:GenerateDataKey"}, []string{keyARN})
	want := `{"StringLike":{"s3:prefix":["shoe/trusted/*","shoe/quarantine/*","run/ledger/*","shoe/landing/*","boot/trusted/*",` +
		`"intake/ledger/shoe_landing_to_trusted.json"]}}`
	if got := found["ListObjectsInBucket"].condition; got != want {
		t.Errorf("ListObjectsInBucket holds on condition %s\nwant %s", got, want)
	}
	code := found["ReadCode"]
	if !slices.Equal(code.actions, []string{"s3:GetObject"}) || len(code.resources) != 2 {
		t.Errorf("ReadCode is %+v, want to get exactly script and packages", code)
	}
	for _, resource := range code.resources {
		if strings.Contains(resource, "*") {
			t.Errorf("ReadCode covers %s, want one object", resource)
		}
	}
}

// What a job only reads beside its tables it may look up and get, by key and nothing around it.
func TestConsults(t *testing.T) {
	found := statements(t, synthesize(t, func(p *gluejob.Props) { p.Consults = []string{"erasure/state/secret", "erasure/state/rewritten.json"} }))
	got := found["Consult"]
	if want := []string{lakeARN + "/erasure/state/rewritten.json", lakeARN + "/erasure/state/secret"}; !slices.Equal(got.resources, want) || !slices.Equal(got.actions, []string{"s3:GetObject"}) {
		t.Errorf("Consult is %+v, want to get %q", got, want)
	}
	if list := found["ListObjectsInBucket"].condition; !strings.Contains(list, `"erasure/state/secret","erasure/state/rewritten.json"]`) {
		t.Errorf("ListObjectsInBucket holds on condition %s, want the keys that it reads", list)
	}
}

// Who erases people reads everything, and writes and deletes for good where people are: in what it is given, and in no other place.
func TestErases(t *testing.T) {
	const resultsARN = "arn:aws:s3:::results"
	stack := cdktest.NewStack(t)
	given := props(t, stack)
	given.Reads, given.Intake = nil, ""
	given.Erases = &gluejob.Erases{
		Delivered: []contract.Contract{table("shoe", contract.Landing, contract.JSON)},
		Keeps:     []string{"erasure/state/secret", "erasure/proofs/"},
		Results:   awss3.Bucket_FromBucketArn(stack, jsii.String("Results"), jsii.String(resultsARN)),
	}
	gluejob.New(stack, "Job", given)
	found := statements(t, cdktest.Synthesize(t, stack))
	for sid, want := range map[string]struct{ actions, resources []string }{
		"ListObjectsInBucket": {[]string{"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions"}, []string{lakeARN, resultsARN}},
		"ReadEverything":      {[]string{"s3:GetObject", "s3:GetObjectVersion"}, []string{lakeARN + "/*", resultsARN + "/*"}},
		"AllObjectActions": {
			[]string{"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListMultipartUploadParts", "s3:PutObject"},
			[]string{lakeARN + "/erasure/proofs/*", lakeARN + "/erasure/state/secret", lakeARN + "/run/ledger/*", lakeARN + "/shoe/landing/*",
				lakeARN + "/shoe/quarantine/*", lakeARN + "/shoe/trusted/*"},
		},
		"DeleteResults": {[]string{"s3:DeleteObject", "s3:DeleteObjectVersion"}, []string{resultsARN + "/*"}},
		"UseLakeKey":    {[]string{"kms:Decrypt", "kms:GenerateDataKey"}, []string{keyARN}},
	} {
		if got := found[sid]; got.policy != "S3Access" || !slices.Equal(got.actions, want.actions) || !slices.Equal(got.resources, want.resources) {
			t.Errorf("%s is %+v\nwant in S3Access %q on %q", sid, got, want.actions, want.resources)
		}
	}
	for sid, got := range found {
		if got.policy == "S3Access" && !slices.Contains([]string{"ListObjectsInBucket", "ReadEverything", "AllObjectActions", "DeleteResults", "UseLakeKey", "ReadCode"}, sid) {
			t.Errorf("there is a statement %s, %+v, want none beside those", sid, got)
		}
	}
}

func TestGlueAccess(t *testing.T) {
	found := statements(t, synthesize(t, func(*gluejob.Props) {}))
	suffixes := func(sid string) []string {
		var list []string
		for _, resource := range found[sid].resources {
			list = append(list, resource[strings.LastIndex(resource, ":")+1:])
		}
		return list
	}
	for sid, want := range map[string]struct{ actions, resources []string }{
		"ReadTables": {[]string{"glue:GetDatabase", "glue:GetTable"},
			[]string{"catalog", "database/shop", "table/shop/boot_trusted", "table/shop/run_ledger", "table/shop/shoe_landing",
				"table/shop/shoe_quarantine", "table/shop/shoe_trusted"}},
		"CommitToTable": {[]string{"glue:UpdateTable"},
			[]string{"catalog", "database/shop", "table/shop/run_ledger", "table/shop/shoe_quarantine", "table/shop/shoe_trusted"}},
		"WriteLogs": {[]string{"logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
			[]string{"/aws-glue/shop/shop-lake-role/*"}},
		"PutMetrics":    {[]string{"cloudwatch:PutMetricData"}, []string{"*"}},
		"UseConnection": {[]string{"glue:GetConnection"}, []string{"catalog", "connection/shop-1"}},
		"CreateInterfaces": {[]string{"ec2:CreateNetworkInterface"},
			[]string{"network-interface/*", "security-group/sg-1", "subnet/subnet-1"}},
		"DeleteInterfaces": {[]string{"ec2:DeleteNetworkInterface"}, []string{"network-interface/*"}},
		"TagInterfaces":    {[]string{"ec2:CreateTags", "ec2:DeleteTags"}, []string{"network-interface/*"}},
	} {
		if got := found[sid]; got.policy != "GlueAccess" || !slices.Equal(got.actions, want.actions) {
			t.Errorf("%s is %+v, want in GlueAccess %q", sid, got, want.actions)
		}
		if got := suffixes(sid); !slices.Equal(got, want.resources) {
			t.Errorf("%s is about %q, want %q", sid, got, want.resources)
		}
	}
	for sid, want := range map[string]string{
		"PutMetrics":       `{"StringEquals":{"cloudwatch:namespace":["Glue","StediLakehouse"]}}`,
		"DeleteInterfaces": `"ec2:Subnet"`,
		"TagInterfaces":    `"aws:TagKeys":["aws-glue-service-resource"]`,
	} {
		if !strings.Contains(found[sid].condition, want) {
			t.Errorf("%s holds on condition %s, want %s", sid, found[sid].condition, want)
		}
	}
}

// What may be done to anything at all is limited to calls that know no resource, or by a condition.
func TestNoWildcards(t *testing.T) {
	for sid, got := range statements(t, synthesize(t, func(*gluejob.Props) {})) {
		for _, action := range got.actions {
			if strings.Contains(action, "*") {
				t.Errorf("%s allows %s, want named actions", sid, action)
			}
			noResource := strings.HasPrefix(action, "ec2:Describe") || action == "glue:GetSecurityConfiguration"
			if slices.Contains(got.resources, "*") && !noResource && got.condition == "null" {
				t.Errorf("%s allows %s on everything without a condition", sid, action)
			}
		}
	}
}

// Glue writes to groups named after the prefix, the security configuration and the role. Groups of another name would leave the logs
// in groups that Glue makes, and those keep everything for ever.
func TestLogGroups(t *testing.T) {
	template := synthesize(t, func(*gluejob.Props) {})
	role := slices.Collect(maps.Keys(template.Resources("AWS::IAM::Role")))[0]
	for _, stream := range []string{"output", "error"} {
		template.Has("AWS::Logs::LogGroup", map[string]any{
			"LogGroupName":    map[string]any{"Fn::Join": []any{"", []any{"/aws-glue/shop/shop-lake-role/", map[string]any{"Ref": role}, "/" + stream}}},
			"RetentionInDays": 30,
			"KmsKeyId":        keyARN,
		})
	}
	template.HasResource("AWS::Logs::LogGroup", map[string]any{"DeletionPolicy": "RetainExceptOnCreate"})
}

func TestJobWithoutIntakeOrSources(t *testing.T) {
	found := statements(t, synthesize(t, func(p *gluejob.Props) { p.Intake, p.Reads = "", nil }))
	for _, sid := range []string{"KeepIntake", "ReadSources"} {
		if got, exists := found[sid]; exists {
			t.Errorf("there is a statement %s, %+v, want none", sid, got)
		}
	}
}

func TestTrust(t *testing.T) {
	template := synthesize(t, func(p *gluejob.Props) { p.TrustThisAccountOnly = true })
	template.Has("AWS::IAM::Role", map[string]any{"AssumeRolePolicyDocument": map[string]any{"Statement": []any{map[string]any{
		"Condition": map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": map[string]any{"Ref": "AWS::AccountId"}},
			"ArnLike": map[string]any{"aws:SourceArn": map[string]any{"Fn::Join": []any{"", assertions.Match_ArrayWith(&[]any{
				":job/shoe_landing_to_trusted",
			})}}},
		},
	}}}})
}

func TestSecurity(t *testing.T) {
	stack := cdktest.NewStack(t)
	key := awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String(keyARN))
	if made := gluejob.NewSecurity(stack, "Security", "shop", key); made.Name != "shop" {
		t.Errorf("the configuration is %+v, want the name shop", made)
	}
	cdktest.Synthesize(t, stack).Has("AWS::Glue::SecurityConfiguration", map[string]any{
		"Name": "shop",
		"EncryptionConfiguration": map[string]any{
			"S3Encryptions":          []any{map[string]any{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": keyARN}},
			"CloudWatchEncryption":   map[string]any{"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": keyARN},
			"JobBookmarksEncryption": map[string]any{"JobBookmarksEncryptionMode": "CSE-KMS", "KmsKeyArn": keyARN},
		},
	})
	cdktest.Panics(t, func() { gluejob.NewSecurity(stack, "Other", "shop", nil) }, `gluejob Other: name is "shop" and the key <nil>`)
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	const size, object = "want a name, a worker type, 2 workers or more and a timeout", "want the key of one object"
	for name, test := range map[string]struct {
		change func(*gluejob.Props)
		want   string
	}{
		"no name":        {func(p *gluejob.Props) { p.Name = "" }, size},
		"no worker type": {func(p *gluejob.Props) { p.Size.WorkerType = "" }, size},
		"one worker":     {func(p *gluejob.Props) { p.Size.Workers = 1 }, size},
		"no timeout":     {func(p *gluejob.Props) { p.Size.TimeoutMinutes = 0 }, size},
		"no security":    {func(p *gluejob.Props) { p.Security.Name = "" }, "there is no security configuration"},
		"other wheels":   {func(p *gluejob.Props) { p.Code.Wheels.URL = "s3://assets/1.zip" }, "want a name that ends in .gluewheels.zip"},
		"every intake":   {func(p *gluejob.Props) { p.Intake = "intake/ledger/*" }, object},
		"a whole folder": {func(p *gluejob.Props) { p.Consults = []string{"erasure/"} }, object},
		"no results":     {func(p *gluejob.Props) { p.Erases = &gluejob.Erases{} }, "Erases has no Results, want the bucket of query results"},
	} {
		t.Run(name, func(t *testing.T) {
			given := gluejob.Props{Name: "job", Size: gluejob.Size{WorkerType: "G.1X", Workers: 2, TimeoutMinutes: 30}, Intake: "job.json"}
			given.Security.Name = "shop"
			test.change(&given)
			cdktest.Panics(t, func() { gluejob.New(stack, "Job", given) }, "gluejob Job: ", test.want)
		})
	}
}
