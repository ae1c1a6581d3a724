package lakenetwork

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/statement"
)

// s3Endpoint makes the gateway endpoint, which costs nothing, for the given route tables. It panics without a lake: the policy
// would let nothing through.
func s3Endpoint(scope constructs.Construct, vpc string, routeTables []string, lake, results awss3.IBucket) {
	if lake == nil {
		panic(fmt.Sprintf("lakenetwork %s: Lake is nil, want the bucket that the S3 endpoint lets through", *scope.Node().Id()))
	}
	awsec2.NewCfnVPCEndpoint(scope, jsii.String("S3Endpoint"), &awsec2.CfnVPCEndpointProps{
		VpcId:           jsii.String(vpc),
		VpcEndpointType: jsii.String("Gateway"),
		ServiceName:     jsii.Sprintf("com.amazonaws.%s.s3", *awscdk.Aws_REGION()),
		RouteTableIds:   list(routeTables),
		PolicyDocument:  endpointPolicy(scope, lake, results),
	})
}

// endpointPolicy limits what can be reached, whoever asks, to what jobs use: the lake, their code, and what Glue itself fetches. S3
// writes access logs and Athena writes query results without this network. With results, it lets through what it takes to show that
// somebody is in neither bucket, nor in any version: results are read and deleted, never written. What a job may do there is up to its
// role.
func endpointPolicy(scope constructs.Construct, lakeBucket, results awss3.IBucket) awsiam.PolicyDocument {
	stack, lake := awscdk.Stack_Of(scope), *lakeBucket.BucketArn()
	assets := fmt.Sprintf("arn:%s:s3:::cdk-%s-assets-%s-%s", *stack.Partition(), *stack.Synthesizer().BootstrapQualifier(),
		*stack.Account(), *stack.Region())
	glue := fmt.Sprintf("arn:%s:s3:::aws-glue-*%s*", *stack.Partition(), *stack.Region())
	policy := statement.Document(
		allowAnyone("LakeBucket", []string{lake}, "s3:ListBucket", "s3:GetBucketLocation"),
		allowAnyone("LakeObjects", []string{lake + "/*"},
			"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
		// Scripts and packages. Their names are hashes, which a network must not change with.
		allowAnyone("JobCode", []string{assets + "/*.py", assets + "/*.zip"}, "s3:GetObject"),
		allowAnyone("GlueServiceBuckets", []string{glue, glue + "/*"}, "s3:GetObject", "s3:ListBucket"),
	)
	if results != nil {
		found := *results.BucketArn()
		policy.AddStatements(
			allowAnyone("LakeVersions", []string{lake}, "s3:ListBucketVersions"),
			allowAnyone("LakeObjectVersions", []string{lake + "/*"}, "s3:GetObjectVersion", "s3:DeleteObjectVersion"),
			allowAnyone("ResultBucket", []string{found}, "s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation"),
			allowAnyone("ResultObjects", []string{found + "/*"},
				"s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion"),
		)
	}
	return policy
}

func allowAnyone(sid string, resources []string, actions ...string) awsiam.PolicyStatement {
	allowed := statement.Allow(sid, resources, actions...)
	allowed.AddAnyPrincipal()
	return allowed
}

// privateServices are what a job calls beside S3 when Glue's proxy is off: the catalog, and CloudWatch for metrics. Its logs go
// through the proxy all the same (docs.aws.amazon.com/glue/latest/dg/connection-VPC-disable-proxy.html).
// They let through what the jobs' roles may do there (constructs/gluejob): onOwn on Glue's resources of this account and Region,
// anywhere what knows no resource.
var privateServices = []struct {
	id, name        string
	onOwn, anywhere []string
}{
	{
		"GlueEndpoint", "glue", []string{"glue:GetConnection", "glue:GetDatabase", "glue:GetTable", "glue:UpdateTable"},
		[]string{"glue:GetSecurityConfiguration"},
	},
	{"MonitoringEndpoint", "monitoring", nil, []string{"cloudwatch:PutMetricData"}},
}

// privateEndpoints makes an interface endpoint for each of these services, with an interface in every subnet, that answers the jobs
// and only with keys of this account: nobody can carry data to another account's catalog.
func privateEndpoints(scope constructs.Construct, network Network, label string) {
	group := awsec2.NewCfnSecurityGroup(scope, jsii.String("EndpointSecurityGroup"), &awsec2.CfnSecurityGroupProps{
		VpcId:            jsii.String(network.VPCID),
		GroupDescription: jsii.String("Interface endpoints of the lakehouse jobs"),
		SecurityGroupIngress: &[]*awsec2.CfnSecurityGroup_IngressProperty{{
			Description:           jsii.String("HTTPS from the jobs"),
			IpProtocol:            jsii.String("tcp"),
			FromPort:              jsii.Number(443),
			ToPort:                jsii.Number(443),
			SourceSecurityGroupId: jsii.String(network.SecurityGroupID),
		}},
		// Endpoints only answer. Without a rule AWS would open the group to everywhere.
		SecurityGroupEgress: &[]*awsec2.CfnSecurityGroup_EgressProperty{{
			Description: jsii.String("Nowhere"),
			IpProtocol:  jsii.String("icmp"),
			FromPort:    jsii.Number(252),
			ToPort:      jsii.Number(86),
			CidrIp:      jsii.String("255.255.255.255/32"),
		}},
		Tags: name(label + "-endpoints"),
	})
	var subnets []string
	for _, subnet := range network.Subnets {
		subnets = append(subnets, subnet.ID)
	}
	own := statement.ARN(scope, "glue", "*", "")
	for _, service := range privateServices {
		statements := []awsiam.PolicyStatement{ownAccountOnly(scope, "OwnAccountOnly", "*", service.anywhere)}
		if len(service.onOwn) > 0 {
			statements = append(statements, ownAccountOnly(scope, "OwnResourcesOnly", own, service.onOwn))
		}
		awsec2.NewCfnVPCEndpoint(scope, jsii.String(service.id), &awsec2.CfnVPCEndpointProps{
			VpcId:             jsii.String(network.VPCID),
			VpcEndpointType:   jsii.String("Interface"),
			ServiceName:       jsii.Sprintf("com.amazonaws.%s.%s", *awscdk.Aws_REGION(), service.name),
			SubnetIds:         list(subnets),
			SecurityGroupIds:  list([]string{*group.AttrGroupId()}),
			PrivateDnsEnabled: jsii.Bool(true),
			PolicyDocument:    statement.Document(statements...),
		})
	}
}

func ownAccountOnly(scope constructs.Construct, sid, resource string, actions []string) awsiam.PolicyStatement {
	allowed := statement.AllowIf(sid, []string{resource}, map[string]any{
		"StringEquals": map[string]any{"aws:PrincipalAccount": *awscdk.Stack_Of(scope).Account()},
	}, actions...)
	allowed.AddAnyPrincipal()
	return allowed
}

// list is for properties that the CDK declares as lists of anything.
func list(values []string) *[]any {
	list := make([]any, len(values))
	for i, value := range values {
		list[i] = jsii.String(value)
	}
	return &list
}
