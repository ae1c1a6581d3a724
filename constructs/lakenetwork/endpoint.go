package lakenetwork

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// s3Endpoint makes the gateway endpoint, which costs nothing, for the given route tables. It panics without buckets: the policy
// would let nothing through.
func s3Endpoint(scope constructs.Construct, vpc string, routeTables, buckets []string) {
	if len(buckets) == 0 {
		panic(fmt.Sprintf("lakenetwork %s: Buckets is empty, want the ARNs that the S3 endpoint lets through", *scope.Node().Id()))
	}
	tables := make([]any, len(routeTables))
	for i, table := range routeTables {
		tables[i] = jsii.String(table)
	}
	awsec2.NewCfnVPCEndpoint(scope, jsii.String("S3Endpoint"), &awsec2.CfnVPCEndpointProps{
		VpcId:           jsii.String(vpc),
		VpcEndpointType: jsii.String("Gateway"),
		ServiceName:     jsii.Sprintf("com.amazonaws.%s.s3", *awscdk.Aws_REGION()),
		RouteTableIds:   &tables,
		PolicyDocument:  endpointPolicy(scope, buckets),
	})
}

// endpointPolicy limits what can be reached, whoever asks: the lakehouse's buckets, the job code, and what Glue itself fetches.
// What a job may do there is up to its role.
func endpointPolicy(scope constructs.Construct, buckets []string) awsiam.PolicyDocument {
	stack := awscdk.Stack_Of(scope)
	assets := fmt.Sprintf("arn:%s:s3:::cdk-%s-assets-%s-%s", *stack.Partition(), *stack.Synthesizer().BootstrapQualifier(),
		*stack.Account(), *stack.Region())
	glue := fmt.Sprintf("arn:%s:s3:::aws-glue-*%s*", *stack.Partition(), *stack.Region())
	var objects []string
	for _, bucket := range buckets {
		objects = append(objects, bucket+"/*")
	}
	return awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &[]awsiam.PolicyStatement{
		allowAnyone("LakeBuckets", buckets, "s3:ListBucket", "s3:GetBucketLocation"),
		allowAnyone("LakeObjects", objects,
			"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
		allowAnyone("JobCode", []string{assets + "/*"}, "s3:GetObject"),
		allowAnyone("GlueServiceBuckets", []string{glue, glue + "/*"}, "s3:GetObject", "s3:ListBucket"),
	}})
}

func allowAnyone(sid string, resources []string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String(sid),
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings(actions...),
		Resources:  jsii.Strings(resources...),
	})
}
