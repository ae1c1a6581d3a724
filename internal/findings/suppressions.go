package findings

// What the CDK itself adds where a stage needs a function.
const (
	emptier = `catalog/CustomS3AutoDeleteObjectsCustomResourceProvider.*` // empties the buckets of dev before they are deleted
	closer  = `network/AWS679f53fac002430cb0da5b7982bd2287.*`             // closes the default security group
)

const fromCDK = "a function of the CDK that runs for seconds when a stack is made, changed or destroyed; its code and settings are the CDK's"

// Suppressions are all exceptions from the rules of all tools. docs/security-checks.md lists them (go test ./internal/findings -update).
var Suppressions = []Suppression{
	{Checkov, `CKV_AWS_18`, `catalog/AccessLogs.*`, "the bucket that receives the access logs does not log access to itself: each log would make another"},
	{Checkov, `CKV_AWS_(115|116|117)`, emptier, fromCDK + ": no queue of dead letters, no network, no share of concurrency set aside"},
	{Checkov, `CKV_AWS_(115|116|117)`, closer, fromCDK + ": no queue of dead letters, no network, no share of concurrency set aside"},

	{Nag, `AwsSolutions-IAM4\[Policy::.*:policy/service-role/AWSLambdaBasicExecutionRole\]`, closer, fromCDK + "; the policy lets it write its log"},
	{
		Nag, `AwsSolutions-IAM5\[Resource::.*Lake5F1B88EA.*/[a-z_]+/[a-z]+/\*\]`, `(pipeline|catalog)/.*/Role/Resource`,
		"the objects of one table; which tables a role may touch is checked against the contracts at every synthesis (internal/zoneflow)",
	},
	{
		Nag, `AwsSolutions-IAM5\[Resource::.*(Lake5F1B88EA|Results25575328).*/\*\]`, `pipeline/ErasePeople/Role/Resource`,
		"who shows that nobody is left in the lake or in query results has to read all of both, and rows of people are in any result; what it may write is limited to tables and to its own objects (internal/zoneflow)",
	},
	{
		Nag, `AwsSolutions-IAM5\[Resource::arn:<AWS::Partition>:logs:.*:log-group:/aws-glue/([a-z0-9-]+)/[a-z0-9-]+-role/\*\]`, `pipeline/.*/Role/Resource`,
		"the streams of the lakehouse's own log groups; Glue chooses their names",
	},
	{
		Nag, `AwsSolutions-IAM5\[Resource::arn:<AWS::Partition>:ec2:.*:network-interface/\*\]`, `pipeline/.*/Role/Resource`,
		"Glue makes the interfaces, so their ids are not known; conditions limit the subnet and the tag",
	},
	{
		Nag, `AwsSolutions-IAM5\[Resource::\*\]`, `pipeline/.*/Role/Resource`,
		"cloudwatch:PutMetricData (limited to two namespaces) and the ec2:Describe calls know no resource; parliament finds any action that does",
	},
	{
		Nag, `AwsSolutions-IAM5\[Resource::\*\]`, `pipeline/Chain/StateMachine/Role/DefaultPolicy/Resource`,
		"the calls by which Step Functions sets up the delivery of its log know no resource; parliament finds any action that does",
	},

	{
		Nag, `AwsSolutions-IAM5\[Resource::.*Results25575328.*/[a-z0-9-]+-(research|customers)/\*\]`, `catalog/(Research|Customers)/Role/Resource`,
		"the results of the role's own workgroup; Athena names them after the query",
	},
	{
		Nag, `AwsSolutions-IAM5\[Resource::arn:<AWS::Partition>:glue:.*:table/[a-z0-9_]+_(research|customers)_scratch/\*\]`, `catalog/(Research|Customers)/Role/Resource`,
		"the tables of the role's own scratch database; people name them, and which database is whose is checked at every synthesis (internal/zoneflow)",
	},
	{
		Nag, `AwsSolutions-IAM5\[Resource::\*\]`, `catalog/(Research|Customers)/Role/Resource`,
		"athena:ListWorkGroups and athena:ListDataCatalogs know no resource; the console needs them to open",
	},
	{
		Nag, `AwsSolutions-IAM5\[Resource::\*\]`, `pipeline/Starter/StateMachine/Role/DefaultPolicy/Resource`,
		"the calls by which Step Functions sets up the delivery of its log and its traces know no resource; parliament finds any action that does",
	},
	{
		Nag, `AwsSolutions-GL[13]`, `pipeline/.*/Job`,
		"the jobs' security configuration is in the catalog stack, beside its key, where this rule does not look; rules of ours hold it and the jobs to it",
	},
	{
		Nag, `AwsSolutions-SQS3`, `pipeline/Starter/(DeadLetters|Due|Landed)/Resource`,
		"the one is the queue of dead letters; the messages of the others are only counted, and then dropped: the files themselves are in the lake",
	},

	{
		Nag, `AwsSolutions-VPC7`, `network/Network/Vpc`,
		"no flow log: the network has no way out but the endpoint to S3, whose access logs record every request",
	},

	{
		Parliament, `RESOURCE_STAR\[ec2:DescribeVpcAttribute\]`, `pipeline/.*Role.*/GlueAccess`,
		"tells settings of a network, no data; Glue's own managed policy gives it so, and a narrower form has not been proven on an account",
	},
	{Parliament, `RESOURCE_STAR\[kms:.*\]`, `catalog/Key.*`, "in the policy of a key * means that key"},
	{
		Parliament, `(MISMATCHED_TYPE|UNKNOWN_CONDITION_FOR_ACTION|RESOURCE_MISMATCH.*|UNKNOWN_PRINCIPAL)`, `catalog/(AccessLogs|Lake|Results)Policy.*`,
		"statements of a bucket's policy that deny everything without TLS 1.2: parliament expects every action of S3 to know the condition and the resource",
	},
	{
		Parliament, `RESOURCE_POLICY_PRIVILEGE_ESCALATION`, `catalog/(AccessLogs|Lake|Results)Policy.*`,
		"stage dev: the CDK's function forbids new objects by the bucket's policy before it empties the bucket",
	},
	{
		Parliament, `(UNKNOWN_PRINCIPAL|UNKNOWN_CONDITION_FOR_ACTION|MISMATCHED_TYPE)`, `catalog/Key.*`,
		"the service of CloudWatch Logs, limited by its encryption context to our log groups as AWS documents it; parliament knows neither",
	},
	{
		Parliament, `(UNKNOWN_PRINCIPAL|MISMATCHED_TYPE)`, `pipeline/(AlertsTopicPolicy|Starter(DeadLetters|Due|Landed)Policy).*`,
		"CloudWatch, AWS Budgets and EventBridge, each limited to our own alarms, budgets or rule; parliament does not know these services, nor an ARN that is put together",
	},
	{
		Parliament, `RESOURCE_MISMATCH\[states:ListExecutions\]`, `pipeline/StarterStateMachineRoleDefaultPolicy.*`,
		"the call on a state machine, as AWS documents it; parliament knows the one on map runs only",
	},

	{
		Checkov, `CKV_AWS_94`, `catalog/CatalogEncryption`,
		"encrypted, in the mode SSE-KMS-WITH-SERVICE-ROLE, which checkov does not know: nobody who reads the catalog needs the key",
	},
	{Checkov, `CKV_AWS_27`, `pipeline/Starter(DeadLetters|Due|Landed).*`, "encrypted with SQS's own key: names of objects only, and EventBridge would need a right to our key"},
	{Checkov, `CKV_AWS_158`, `(catalog/EmptyBucketsLog|network/NetworkCloseDefaultGroupLog).*`, fromCDK + "; its log names buckets and groups, no data, and CloudWatch encrypts it with its own key"},
}
