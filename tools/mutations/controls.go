package main

const (
	lakebucket  = "constructs/lakebucket/lakebucket.go"
	workgroup   = "constructs/workgroup/workgroup.go"
	loggroup    = "constructs/loggroup/loggroup.go"
	gluejob     = "constructs/gluejob/gluejob.go"
	packages    = "internal/packages/packages.go"
	policies    = "constructs/gluejob/policies.go"
	jobchain    = "constructs/jobchain/jobchain.go"
	lakenetwork = "constructs/lakenetwork/lakenetwork.go"
	endpoint    = "constructs/lakenetwork/endpoint.go"
	table       = "constructs/catalogtable/catalogtable.go"
	catalog     = "stacks/catalog.go"
	network     = "stacks/network.go"
	flows       = "stacks/flows.go"
	lakekey     = "constructs/lakekey/lakekey.go"
	reader      = "constructs/reader/reader.go"
	alerts      = "constructs/alerts/alerts.go"
	settings    = "internal/config/removal.go"
	validation  = "internal/config/validate.go"
	starter     = "constructs/starter/starter.go"
	watch       = "stacks/watch.go"
	pipeline    = "stacks/pipeline.go"
	rights      = "internal/zoneflow/rights.go"
	objects     = "internal/zoneflow/objects.go"
	zoneFlow    = "internal/zoneflow/zoneflow.go"
)

// controls are what the code does for the safety of the data, and the change that undoes it.
var controls = []mutation{
	{"buckets: no public access", lakebucket, `BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),`, ``},
	{"buckets: owned by the account", lakebucket, `BUCKET_OWNER_ENFORCED`, `BUCKET_OWNER_PREFERRED`},
	{
		"buckets: TLS only", lakebucket,
		"EnforceSSL:        jsii.Bool(true),\n\t\tMinimumTLSVersion: jsii.Number(1.2),", "EnforceSSL: jsii.Bool(false),",
	},
	{"buckets: TLS 1.2", lakebucket, "MinimumTLSVersion: jsii.Number(1.2),", ""},
	{"buckets: versions", lakebucket, `Versioned:         jsii.Bool(true)`, `Versioned: jsii.Bool(false)`},
	{"buckets: bucket key", lakebucket, `BucketKeyEnabled = jsii.Bool(true)`, `BucketKeyEnabled = jsii.Bool(false)`},
	{"buckets: access logs", lakebucket, `if props.AccessLogs != nil {`, `if props.AccessLogs != nil && false {`},
	{"buckets: abandoned uploads go", lakebucket, `const abandonedUploadDays = 7`, `const abandonedUploadDays = 700`},
	{"buckets: abandoned uploads go with old versions", lakebucket, `min(abandonedUploadDays, props.NoncurrentDays)`, `abandonedUploadDays`},
	{
		"buckets: old versions go", lakebucket,
		`NoncurrentVersionExpiration:         awscdk.Duration_Days(jsii.Number(props.NoncurrentDays)),`, ``,
	},
	{"buckets: kept unless told otherwise", lakebucket, `RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,`, `RemovalPolicy: awscdk.RemovalPolicy_DESTROY,`},
	{"lake: our key", catalog, `lake.Key, lake.AccessLogs = c.Key, c.AccessLogs`, `lake.AccessLogs = c.AccessLogs`},
	{"query results: our key", catalog, `results.Key, results.AccessLogs = c.Key, c.AccessLogs`, `results.AccessLogs = c.AccessLogs`},
	{"query results: expire", catalog, `results.ExpireDays = stage.RetentionDays.QueryResults`, ``},
	{"lake: same bucket for ever", catalog, `lakebucket.New(c.Stack, "Lake"`, `lakebucket.New(c.Stack, "DataLake"`},
	{"key: rotation", lakekey, `EnableKeyRotation: jsii.Bool(true)`, `EnableKeyRotation: jsii.Bool(false)`},
	{"key: kept with the data", lakekey, `removal := awscdk.RemovalPolicy_RETAIN`, `removal := awscdk.RemovalPolicy_DESTROY`},
	{"key: for our own logs only", lakekey, `map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": []string{`, `map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": []string{"*",`},
	{"key: for our own alarms only", lakekey, `"ArnLike":      map[string]any{"aws:SourceArn": arn("cloudwatch", "alarm:"+props.Name+"-*")},`, ``},
	{"readers: research sees no personal data", catalog, `if !table.PersonalData && table.Table != contract.ErasureLedger && (`, `if table.Table != contract.ErasureLedger && (`},
	{"readers: research does not see who was erased", catalog, `table.Table != contract.ErasureLedger && (`, `(`},
	{"readers: nobody sees landing", catalog, `if table.Zone == contract.Curated || table.Zone == contract.Trusted {`, `if table.Zone == contract.Curated || table.Zone == contract.Trusted || table.Zone == contract.Landing {`},
	{"readers: read only", reader, `statement.Allow("ReadTables", read, "s3:GetObject"),`, `statement.Allow("ReadTables", read, "s3:GetObject", "s3:DeleteObject"),`},
	{"readers: their own results only", reader, `bucket, prefix := *props.Results.BucketArn(), workgroup.ResultPrefix(props.Name)`, `bucket, prefix := *props.Results.BucketArn(), workgroup.ResultPrefix(props.Name)[:0]`},
	{"readers: tables in their own scratch only", reader, `statement.ARN(scope, "glue", "table", ScratchDatabase(props.Name)+"/*")`, `statement.ARN(scope, "glue", "table", "*")`},
	{"readers: no partitions by personal data", reader, `return table.PersonalData })`, `return false && table.PersonalData })`},
	{"scratch: where results expire", reader, `"s3://%s/%sscratch/", *props.Results.BucketName()`, `"s3://%s/%sscratch/", *props.Lake.BucketName()`},
	{"scratch: kept with the data", reader, `database.ApplyRemovalPolicy(removal.Policy(props.DeleteWithStack), nil)`, `database.ApplyRemovalPolicy(removal.Policy(true), nil)`},
	{"workgroup: scan limit", workgroup, `BytesScannedCutoffPerQuery:      jsii.Number(props.ScanLimitGB << 30),`, ``},
	{"database: kept with the data", catalog, `database.ApplyRemovalPolicy(removal.Policy(deleted(stage)), nil)`, `database.ApplyRemovalPolicy(removal.Policy(true), nil)`},
	{
		"tables: kept with the data", table,
		`resource.ApplyRemovalPolicy(removal.Policy(props.DeleteWithTheLake), nil)`, `resource.ApplyRemovalPolicy(removal.Policy(true), nil)`,
	},
	{"workgroup: settings enforced", workgroup, `EnforceWorkGroupConfiguration:   jsii.Bool(true)`, `EnforceWorkGroupConfiguration: jsii.Bool(false)`},
	{"workgroup: results under our key", workgroup, `"SSE_KMS"`, `"SSE_S3"`},
	{"workgroup: metrics of queries", workgroup, `PublishCloudWatchMetricsEnabled: jsii.Bool(true)`, `PublishCloudWatchMetricsEnabled: jsii.Bool(false)`},
	{"logs: retention", loggroup, `RetentionInDays: jsii.Number(props.RetentionDays),`, ``},
	{"jobs: timeout", gluejob, `Timeout:               jsii.Number(props.Size.TimeoutMinutes),`, ``},
	{"jobs: security configuration", gluejob, `SecurityConfiguration: jsii.String(props.Security.Name),`, ``},
	{"jobs: one run at a time", gluejob, `MaxConcurrentRuns: jsii.Number(1)`, `MaxConcurrentRuns: jsii.Number(2)`},
	{"jobs: no retries of their own", gluejob, `MaxRetries:        jsii.Number(0)`, `MaxRetries: jsii.Number(1)`},
	{"jobs: logs under declared names", gluejob, `"--custom-logGroup-prefix": props.Logs.Prefix,`, ``},
	{"packages: those of the lock only", packages, `if !want[sum] {`, `if !want[sum] && false {`},
	{"packages: from the zip only", gluejob, `"--no-index"`, `"--prefer-binary"`},
	{"roles: read their sources only", policies, `read = append(read, lake+"/"+table.Prefix()+"/*")`, `read = append(read, lake+"/"+table.Source+"/*")`},
	{"roles: write their tables only", policies, `written = append(written, lake+"/"+table.Prefix()+"/*")`, `written = append(written, lake+"/"+table.Source+"/*")`},
	{"roles: list their folders only", policies, `listed = append(listed, table.Prefix()+"/*")`, `listed = append(listed, table.Source+"/*")`},
	{"roles: list with a prefix only", policies, `"StringLike": map[string]any{"s3:prefix": listed},`, `"StringLikeIfExists": map[string]any{"s3:prefix": listed},`},
	{"zone flow: sees lists without a prefix", rights, `if operator != "StringLike" && operator != "StringEquals" {`, `if !strings.HasPrefix(operator, "StringLike") {`},
	{"zone flow: sees who deletes versions", rights, `DeleteVersions: {"s3:DeleteObjectVersion"},`, `DeleteVersions: {"s3:DeleteObject"},`},
	{"zone flow: sees who reads versions", rights, `ReadVersions:   {"s3:GetObjectVersion"},`, `ReadVersions: {"s3:GetObject"},`},
	{"zone flow: knows the state of the erasure", objects, `if ledger.name != contract.ErasureLedger {`, `if true {`},
	{"zone flow: one holder erases people", zoneFlow, `if len(found) > 1 {`, `if len(found) > 9 {`},
	{"zone flow: gates do not change what was delivered", zoneFlow, `case !grant.Upkeep:`, `case false:`},
	{"zone flow: upkeep does not read what was delivered", zoneFlow, `erases := grant.Upkeep && slices`, `erases := grant.Upkeep || slices`},
	{"zone flow: reads ARNs of any partition", rights, `resource = partition.ReplaceAllString(resource, "arn:aws:")`, ``},
	{"zone flow: knows the results of queries", rights, `slices.Concat(ofTables, ofQueries, made)`, `slices.Concat(ofTables, made)`},
	{"zone flow: knows the tables of readers", rights, `slices.Concat(ofTables, ofQueries, made)`, `slices.Concat(ofTables, ofQueries, made[:0])`},
	{"zone flow: sees who comes to rights of others", zoneFlow, `given && statement.Effect == "Allow"`, `given && statement.Effect == "Deny"`},
	{"roles: Glue takes them for our jobs only", gluejob, `if !props.TrustThisAccountOnly {`, `if !props.TrustThisAccountOnly || true {`},
	{"catalog: Glue takes its role for us only", catalog, `if stage.Jobs.TrustThisAccountOnly {`, `if stage.Jobs.TrustThisAccountOnly && false {`},
	{"roles: read sources, no more", policies, `statement.Allow("ReadSources", read, "s3:GetObject")`, `statement.Allow("ReadSources", read, "s3:*Object")`},
	{"roles: their own intake only", policies, `lake + "/" + props.Intake}`, `lake + "/intake/*"}`},
	{"roles: two objects of the erasure's state only", policies, `objects = append(objects, lake+"/"+key)`, `objects = append(objects, lake+"/"+key+"*")`},
	{"roles: the erasure's state is read only", policies, `statement.Allow("Consult", objects, "s3:GetObject")`, `statement.Allow("Consult", objects, "s3:GetObject", "s3:PutObject")`},
	{"erasure: writes where people are only", policies, `changed = append(changed, lake+"/"+table.Prefix()+"/*")`, `changed = append(changed, lake+"/"+table.Prefix()+"/*", lake+"/*")`},
	{"erasure: writes no results", policies, `statement.Allow("DeleteResults", []string{results + "/*"}, `, `statement.Allow("DeleteResults", []string{results + "/*"}, "s3:PutObject", `},
	{"erasure: no rights where it is off", pipeline, `if stage.Erasure != nil {`, `if true {`},
	{"erasure: results pass where it is on only", network, `if stage.Erasure != nil {`, `if true {`},
	{"erasure: results are not written from the network", endpoint, `"s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion"),`, `"s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"),`},
	{"erasure: open requests ring", validation, `s.Erasure.OpenDays >= 1 && s.Erasure.OpenDays <= maxOpenDays`, `s.Erasure.OpenDays >= 1`},
	{"erasure: proofs that find something ring", watch, `Name: "erasure-proof-hits", Metric: own(stage, proofHits, hour),`, `Name: "erasure-proof-hits", Metric: own(stage, malformedRequests, hour),`},
	{"chain: lists exactly the requests", jobchain, `"StringEquals": map[string]any{"s3:prefix": slices.Compact(listed)}`, `"StringLike": map[string]any{"s3:prefix": append(listed, "*")}`},
	{"roles: our key only", policies, `statement.Allow("UseLakeKey", []string{*props.Lake.Key.KeyArn()}`, `statement.Allow("UseLakeKey", []string{"*"}`},
	{"roles: commit to their tables only", policies, `statement.Allow("CommitToTable", committed, `, `statement.Allow("CommitToTable", readable, `},
	{"roles: own log groups only", policies, `statement.Allow("WriteLogs", []string{groups}`, `statement.Allow("WriteLogs", []string{groups, "*"}`},
	{"roles: own metrics only", policies, `[]string{"Glue", MetricsNamespace}`, `[]string{"Glue", MetricsNamespace, "*"}`},
	{
		"roles: interfaces in our subnets only", policies,
		`statement.AllowIf("DeleteInterfaces", []string{interfaces}, onlyOurs, `, `statement.AllowIf("DeleteInterfaces", []string{interfaces}, onlyOurs, "ec2:DetachNetworkInterface", `,
	},
	{"flows: no way past the gates", flows, `flow.reads = append(flow.reads, table(set, job.Name, name))`, `flow.reads = append(flow.reads, table(set, job.Name, name), table(set, job.Name, "customer_landing"))`},
	{"alerts: TLS only", alerts, `EnforceSSL:  jsii.Bool(true),`, ``},
	{"alerts: our key", alerts, `MasterKey:   props.Key,`, ``},
	{"alerts: from this account only", alerts, `"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()},`, ``},
	{"alarms: tell the topic", alerts, `made.AddAlarmAction(awscloudwatchactions.NewSnsAction(a.Topic))`, `_ = awscloudwatchactions.NewSnsAction(a.Topic)`},
	{"chain: no data in its log", jobchain, `IncludeExecutionData: jsii.Bool(false)`, `IncludeExecutionData: jsii.Bool(true)`},
	{"chain: every event logged", jobchain, `LogLevel_ALL`, `LogLevel_ERROR`},
	{"chain: timeout", jobchain, `jsii.Number(minutes)`, `jsii.Number(minutes * 1000)`},
	{"states: roles for this account only", jobchain, `"StringEquals": map[string]any{"aws:SourceAccount": *stack.Account()},`, ``},
	{"states: roles for one machine only", jobchain, `ResourceName: jsii.String(name),`, `ResourceName: jsii.String("*"),`},
	{"starter: notes that a start is due", starter, `note.Next(empty).Next(settle).Next(next)`, `_, _ = note, empty.Next(settle).Next(next)`},
	{"starter: looks for such a note", starter, `When(anything, note, nil).Otherwise(due))`, `When(anything, note, nil).Otherwise(nothing))`},
	{"starter: forgets it after the start only", starter, `note.Next(empty)`, `note.Next(callQueue(scope, "Forget", "purgeQueue", "sqs:PurgeQueue", q.due, map[string]any{}, nil)).Next(empty)`},
	{"starter: starts once, however often it asks", starter, `"Input": "{}", "Name": "{% $states.context.Execution.Name %}",`, `"Input": "{}",`},
	{"starter: tries calls again", starter, `made.AddRetry(jobchain.Retry("States.TaskFailed"))`, ``},
	{"starter: hears of any landed object", starter, `"*/landing/*"}`, `"*/landing/*.json"}`},
	{"alarms: the starter's time-outs", watch, `started.Machine.MetricTimedOut(sum)`, `started.Machine.MetricFailed(sum)`},
	{"stages: Regions of known partitions only", validation, `otherPartitions.FindString(s.Region) == ""`, `true`},
	{"erasure: results of old versions count", validation, `days.Snapshots + days.QueryResults`, `max(days.Snapshots, days.QueryResults)`},
	{"network: endpoint for the lake only", endpoint, `"LakeObjects", []string{lake + "/*"},`, `"LakeObjects", []string{lake + "/*", "*"},`},
	{"network: endpoint for job code only", endpoint, `[]string{assets + "/*.py", assets + "/*.zip"}`, `[]string{assets + "/*"}`},
	{"network: Glue endpoint for the jobs' calls", endpoint, `"glue:GetTable", "glue:UpdateTable"}`, `"glue:GetTable", "glue:*"}`},
	{"network: jobs in the named zone", pipeline, `zone := max(props.Stage.Network.JobZone, 1)`, `zone := 1`},
	{"network: no public addresses", lakenetwork, `MapPublicIpOnLaunch: jsii.Bool(false)`, `MapPublicIpOnLaunch: jsii.Bool(true)`},
	{
		"network: no ingress but from workers", lakenetwork,
		"GroupId:               group.AttrGroupId(),\n\t\tSourceSecurityGroupId: group.AttrGroupId(),",
		"GroupId: group.AttrGroupId(),\n\t\tCidrIp: jsii.String(\"0.0.0.0/0\"),",
	},
	{"network: egress by HTTPS only", lakenetwork, `ToPort:      jsii.Number(443)`, `ToPort: jsii.Number(65535)`},
	{"network: default group closed", lakenetwork, `if !props.KeepDefaultSecurityGroup {`, `if !props.KeepDefaultSecurityGroup && false {`},
	{"stacks: termination protection", network, `jsii.Bool(stage.DataRemoval == config.Retain)`, `jsii.Bool(false && stage.DataRemoval == config.Retain)`},
	{"prod: two switches to remove data", settings, `case removes && allowed == nil:`, `case removes && allowed == nil && false:`},
	{"prod: the second names the lake", settings, `found.oneOf(AllowDataRemovalKey, fmt.Sprint(allowed), s.LakeName)`, `found.oneOf(AllowDataRemovalKey, fmt.Sprint(allowed), fmt.Sprint(allowed))`},
}
