// Package lakebucket makes the S3 buckets of the lakehouse, all with the same protection: private, TLS only, encrypted,
// versioned, owned by this account whoever writes.
package lakebucket

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/cdkfunction"
	"stedi-lakehouse/constructs/loggroup"
)

// abandonedUploadDays is how long the parts of an upload that never finished stay, and are paid for; no longer than old versions.
const abandonedUploadDays = 7

// Removal says what becomes of a bucket when its stack is destroyed. The zero value keeps it.
type Removal int

// What can become of a bucket.
const (
	Keep          Removal = iota // the bucket stays, with its objects
	DeleteIfEmpty                // the bucket goes; objects in it block the removal
	EmptyFirst                   // a function of the CDK deletes the objects, then the bucket goes
)

// Props of a bucket.
type Props struct {
	Key            awskms.IKey   // encrypts the objects; nil: S3's own keys, which a bucket that receives access logs needs
	AccessLogs     awss3.IBucket // receives the access logs under <construct id>/; nil: none are written
	ExpireDays     int           // objects go after so many days; 0: never
	NoncurrentDays int           // overwritten and deleted objects go after so many days; required
	Removal        Removal       // zero value: Keep
	// FunctionLogDays is how long the log of the emptying function is kept while the stack is there; required with EmptyFirst.
	FunctionLogDays int
	TellOfObjects   bool // EventBridge hears of every object that is made or removed
}

// New makes a bucket without a physical name. It panics when NoncurrentDays is missing: a versioned bucket that never forgets
// grows for ever, and keeps what was promised to be erased.
func New(scope constructs.Construct, id string, props Props) awss3.Bucket {
	if props.NoncurrentDays < 1 {
		panic(fmt.Sprintf("lakebucket %s: NoncurrentDays is %d, want 1 or more", id, props.NoncurrentDays))
	}
	bucket := &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		Versioned:         jsii.Bool(true),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		LifecycleRules:    lifecycle(props),
		RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
	}
	if props.Key != nil {
		bucket.Encryption = awss3.BucketEncryption_KMS
		bucket.EncryptionKey = props.Key
		bucket.BucketKeyEnabled = jsii.Bool(true) // one key request for many objects
	}
	if props.AccessLogs != nil {
		bucket.ServerAccessLogsBucket = props.AccessLogs
		bucket.ServerAccessLogsPrefix = jsii.String(id + "/")
	}
	if props.Removal != Keep {
		bucket.RemovalPolicy = awscdk.RemovalPolicy_DESTROY
		bucket.AutoDeleteObjects = jsii.Bool(props.Removal == EmptyFirst)
	}
	made := awss3.NewBucket(scope, jsii.String(id), bucket)
	if props.Removal == EmptyFirst {
		tameEmptyingFunction(made, props.FunctionLogDays)
	}
	if props.TellOfObjects {
		// Not by the bucket's own EventBridgeEnabled, for which the CDK brings a function that may change every bucket of the account.
		made.Node().DefaultChild().(awss3.CfnBucket).SetNotificationConfiguration(&awss3.CfnBucket_NotificationConfigurationProperty{
			EventBridgeConfiguration: &awss3.CfnBucket_EventBridgeConfigurationProperty{EventBridgeEnabled: jsii.Bool(true)},
		})
	}
	return made
}

// tameEmptyingFunction finds the function that empties buckets; a stack has one for all of them.
func tameEmptyingFunction(bucket awss3.Bucket, logDays int) {
	const log = "EmptyBucketsLog"
	if bucket.Stack().Node().TryFindChild(jsii.String(log)) != nil {
		return
	}
	provider := bucket.Stack().Node().FindChild(jsii.String("Custom::S3AutoDeleteObjectsCustomResourceProvider"))
	cdkfunction.Tame(
		provider.Node().FindChild(jsii.String("Handler")).(awscdk.CfnResource),
		provider.Node().FindChild(jsii.String("Role")).(awscdk.CfnResource),
		loggroup.New(bucket.Stack(), log, loggroup.Props{RetentionDays: logDays, DeleteWithStack: true}),
	)
}

func lifecycle(props Props) *[]*awss3.LifecycleRule {
	rules := []*awss3.LifecycleRule{{
		Id:                                  jsii.String("forget-old-versions"),
		AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(min(abandonedUploadDays, props.NoncurrentDays))),
		NoncurrentVersionExpiration:         awscdk.Duration_Days(jsii.Number(props.NoncurrentDays)),
		ExpiredObjectDeleteMarker:           jsii.Bool(true),
	}}
	if props.ExpireDays > 0 {
		rules = append(rules, &awss3.LifecycleRule{
			Id:         jsii.String("expire"),
			Expiration: awscdk.Duration_Days(jsii.Number(props.ExpireDays)),
		})
	}
	return &rules
}
