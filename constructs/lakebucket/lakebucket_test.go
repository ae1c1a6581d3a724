package lakebucket_test

import (
	"os"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/lakebucket"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func TestDefaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	lakebucket.New(stack, "Bucket", lakebucket.Props{NoncurrentDays: 9})
	template := cdktest.Synthesize(t, stack)
	template.Has("AWS::S3::Bucket", map[string]any{
		"BucketName": assertions.Match_Absent(),
		"PublicAccessBlockConfiguration": map[string]any{
			"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
		},
		"OwnershipControls":       map[string]any{"Rules": []any{map[string]any{"ObjectOwnership": "BucketOwnerEnforced"}}},
		"VersioningConfiguration": map[string]any{"Status": "Enabled"},
		"BucketEncryption": map[string]any{"ServerSideEncryptionConfiguration": []any{
			map[string]any{"ServerSideEncryptionByDefault": map[string]any{"SSEAlgorithm": "AES256"}},
		}},
		"LifecycleConfiguration": map[string]any{"Rules": []any{map[string]any{
			"Id":                             "forget-old-versions",
			"Status":                         "Enabled",
			"AbortIncompleteMultipartUpload": map[string]any{"DaysAfterInitiation": 7},
			"NoncurrentVersionExpiration":    map[string]any{"NoncurrentDays": 9},
			"ExpiredObjectDeleteMarker":      true,
		}}},
		"LoggingConfiguration": assertions.Match_Absent(),
	})
	template.HasResource("AWS::S3::Bucket", map[string]any{"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"})
	template.Count("Custom::S3AutoDeleteObjects", 0)
}

func TestTLSOnly(t *testing.T) {
	stack := cdktest.NewStack(t)
	lakebucket.New(stack, "Bucket", lakebucket.Props{NoncurrentDays: 9})
	deny := func(condition map[string]any) any {
		return assertions.Match_ObjectLike(&map[string]any{
			"Effect": "Deny", "Principal": map[string]any{"AWS": "*"}, "Action": "s3:*", "Condition": condition,
		})
	}
	cdktest.Synthesize(t, stack).Has("AWS::S3::BucketPolicy", map[string]any{"PolicyDocument": map[string]any{
		"Statement": assertions.Match_ArrayWith(&[]any{
			deny(map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}}),
			deny(map[string]any{"NumericLessThan": map[string]any{"s3:TlsVersion": 1.2}}),
		}),
	}})
}

func TestOverrides(t *testing.T) {
	stack := cdktest.NewStack(t)
	logs := lakebucket.New(stack, "Logs", lakebucket.Props{NoncurrentDays: 1, ExpireDays: 90})
	lakebucket.New(stack, "Lake", lakebucket.Props{
		Key:            awskms.NewKey(stack, jsii.String("Key"), nil),
		AccessLogs:     logs,
		NoncurrentDays: 1,
		Removal:        lakebucket.DeleteIfEmpty,
	})
	template := cdktest.Synthesize(t, stack)
	template.HasResource("AWS::S3::Bucket", map[string]any{
		"DeletionPolicy": "Delete",
		"Properties": map[string]any{
			"LifecycleConfiguration": map[string]any{"Rules": []any{map[string]any{
				"AbortIncompleteMultipartUpload": map[string]any{"DaysAfterInitiation": 1}, // no later than old versions
			}}},
			"BucketEncryption": map[string]any{"ServerSideEncryptionConfiguration": []any{map[string]any{
				"BucketKeyEnabled": true,
				"ServerSideEncryptionByDefault": map[string]any{
					"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": assertions.Match_AnyValue(),
				},
			}}},
			"LoggingConfiguration": map[string]any{"DestinationBucketName": assertions.Match_AnyValue(), "LogFilePrefix": "Lake/"},
		},
	})
	template.Has("AWS::S3::Bucket", map[string]any{"LifecycleConfiguration": map[string]any{"Rules": assertions.Match_ArrayWith(&[]any{
		map[string]any{"Id": "expire", "Status": "Enabled", "ExpirationInDays": 90},
	})}})
	template.Count("Custom::S3AutoDeleteObjects", 0)
}

func TestEmptyFirst(t *testing.T) {
	stack := cdktest.NewStack(t)
	for _, id := range []string{"Bucket", "Other"} {
		lakebucket.New(stack, id, lakebucket.Props{NoncurrentDays: 1, Removal: lakebucket.EmptyFirst, FunctionLogDays: 7})
	}
	template := cdktest.Synthesize(t, stack)
	template.HasResource("AWS::S3::Bucket", map[string]any{"DeletionPolicy": "Delete"})
	template.Count("Custom::S3AutoDeleteObjects", 2)
	template.Count("AWS::Lambda::Function", 1)
	template.Count("AWS::Logs::LogGroup", 1)
}

// Else the function makes a log group of its own that nobody removes.
func TestEmptyingFunctionLeavesNoLog(t *testing.T) {
	stack := cdktest.NewStack(t)
	lakebucket.New(stack, "Bucket", lakebucket.Props{NoncurrentDays: 1, Removal: lakebucket.EmptyFirst, FunctionLogDays: 7})
	template := cdktest.Synthesize(t, stack)
	template.HasResource("AWS::Logs::LogGroup", map[string]any{
		"DeletionPolicy": "Delete", "Properties": map[string]any{"RetentionInDays": 7},
	})
	template.HasResource("AWS::Lambda::Function", map[string]any{
		"DependsOn":  assertions.Match_Absent(),
		"Properties": map[string]any{"LoggingConfig": map[string]any{"LogGroup": map[string]any{"Ref": "EmptyBucketsLog"}}},
	})
	template.Has("AWS::IAM::Role", map[string]any{
		"ManagedPolicyArns": assertions.Match_Absent(),
		"Policies": []any{map[string]any{"PolicyDocument": map[string]any{"Statement": []any{map[string]any{
			"Effect": "Allow", "Action": []any{"logs:CreateLogStream", "logs:PutLogEvents"},
			"Resource": map[string]any{"Fn::GetAtt": []any{"EmptyBucketsLog", "Arn"}},
		}}}}},
	})
}

func TestMisuse(t *testing.T) {
	cdktest.Panics(t, func() {
		lakebucket.New(awscdk.NewStack(nil, nil, nil), "Bucket", lakebucket.Props{})
	}, "lakebucket Bucket", "NoncurrentDays is 0, want 1 or more")
}

func TestTellOfObjects(t *testing.T) {
	stack := cdktest.NewStack(t)
	lakebucket.New(stack, "Bucket", lakebucket.Props{NoncurrentDays: 9, TellOfObjects: true})
	template := cdktest.Synthesize(t, stack)
	template.Has("AWS::S3::Bucket", map[string]any{
		"NotificationConfiguration": map[string]any{"EventBridgeConfiguration": map[string]any{"EventBridgeEnabled": true}},
	})
	template.Count("AWS::Lambda::Function", 0)
}
