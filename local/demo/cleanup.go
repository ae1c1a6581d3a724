package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// bootstrapBucket holds the assets of the CDK; it belongs to the bootstrap, not to the lakehouse.
const bootstrapBucket = "cdk-hnb659fds-assets-" + account + "-" + region

// inventory lists what is in the embedded AWS of the kinds of resources that the stacks make, as "kind name".
func (c *clients) inventory(ctx context.Context) ([]string, error) {
	var found []string
	add := func(kind string, name *string) { found = append(found, kind+" "+aws.ToString(name)) }
	for _, list := range []func(context.Context, func(string, *string)) error{c.listStorage, c.listGlue, c.listCompute, c.listNetwork, c.listAccess, c.listAlerts, c.listStarters} {
		if err := list(ctx, add); err != nil {
			return nil, fmt.Errorf("inventory: %w", err)
		}
	}
	return found, nil
}

// added are the resources that are in after but not in before.
func added(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(name string) bool { return slices.Contains(before, name) })
}

func (c *clients) listStorage(ctx context.Context, add func(string, *string)) error {
	buckets, err := c.s3.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return err
	}
	for _, bucket := range buckets.Buckets {
		add("bucket", bucket.Name)
	}
	groups, err := c.logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{})
	if err != nil {
		return err
	}
	for _, group := range groups.LogGroups {
		add("log group", group.LogGroupName)
	}
	return nil
}

func (c *clients) listGlue(ctx context.Context, add func(string, *string)) error {
	databases, err := c.glue.GetDatabases(ctx, &glue.GetDatabasesInput{})
	if err != nil {
		return err
	}
	for _, database := range databases.DatabaseList {
		add("database", database.Name)
	}
	jobs, err := c.glue.GetJobs(ctx, &glue.GetJobsInput{})
	if err != nil {
		return err
	}
	for _, job := range jobs.Jobs {
		add("job", job.Name)
	}
	connections, err := c.glue.GetConnections(ctx, &glue.GetConnectionsInput{})
	if err != nil {
		return err
	}
	for _, connection := range connections.ConnectionList {
		add("connection", connection.Name)
	}
	configurations, err := c.glue.GetSecurityConfigurations(ctx, &glue.GetSecurityConfigurationsInput{})
	if err != nil {
		return err
	}
	for _, configuration := range configurations.SecurityConfigurations {
		add("security configuration", configuration.Name)
	}
	return nil
}

func (c *clients) listCompute(ctx context.Context, add func(string, *string)) error {
	machines, err := c.sfn.ListStateMachines(ctx, &sfn.ListStateMachinesInput{})
	if err != nil {
		return err
	}
	for _, machine := range machines.StateMachines {
		add("state machine", machine.Name)
	}
	groups, err := c.athena.ListWorkGroups(ctx, &athena.ListWorkGroupsInput{})
	if err != nil {
		return err
	}
	for _, group := range groups.WorkGroups {
		add("workgroup", group.Name)
	}
	stacks, err := c.cloudformation.ListStacks(ctx, &cloudformation.ListStacksInput{})
	if err != nil {
		return err
	}
	for _, stack := range stacks.StackSummaries {
		if stack.StackStatus != cfntypes.StackStatusDeleteComplete {
			add("stack", stack.StackName)
		}
	}
	return nil
}

func (c *clients) listNetwork(ctx context.Context, add func(string, *string)) error {
	vpcs, err := c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	if err != nil {
		return err
	}
	for _, vpc := range vpcs.Vpcs {
		add("vpc", vpc.VpcId)
	}
	endpoints, err := c.ec2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{})
	if err != nil {
		return err
	}
	for _, endpoint := range endpoints.VpcEndpoints {
		add("vpc endpoint", endpoint.VpcEndpointId)
	}
	interfaces, err := c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{})
	if err != nil {
		return err
	}
	for _, card := range interfaces.NetworkInterfaces {
		add("network interface", card.NetworkInterfaceId)
	}
	return nil
}

// listAccess leaves out keys that wait for their deletion: AWS keeps a deleted key for at least seven days.
func (c *clients) listAccess(ctx context.Context, add func(string, *string)) error {
	roles, err := c.iam.ListRoles(ctx, &iam.ListRolesInput{})
	if err != nil {
		return err
	}
	for _, role := range roles.Roles {
		add("role", role.RoleName)
	}
	keys, err := c.kms.ListKeys(ctx, &kms.ListKeysInput{})
	if err != nil {
		return err
	}
	for _, key := range keys.Keys {
		state, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key.KeyId})
		if err != nil {
			return err
		}
		if state.KeyMetadata.KeyState != kmstypes.KeyStatePendingDeletion {
			add("key", key.KeyId)
		}
	}
	return nil
}

// listAlerts leaves out alarms and dashboards: the emulator answers this client in a form that it cannot read. The tests of operations
// look after them.
func (c *clients) listAlerts(ctx context.Context, add func(string, *string)) error {
	topics, err := c.sns.ListTopics(ctx, &sns.ListTopicsInput{})
	if err != nil {
		return err
	}
	for _, topic := range topics.Topics {
		add("topic", topic.TopicArn)
	}
	return nil
}

func (c *clients) listStarters(ctx context.Context, add func(string, *string)) error {
	queues, err := c.sqs.ListQueues(ctx, &sqs.ListQueuesInput{})
	if err != nil {
		return err
	}
	for _, url := range queues.QueueUrls {
		add("queue", &url)
	}
	schedules, err := c.scheduler.ListSchedules(ctx, &scheduler.ListSchedulesInput{})
	if err != nil {
		return err
	}
	for _, schedule := range schedules.Schedules {
		add("schedule", schedule.Name)
	}
	rules, err := c.eventbridge.ListRules(ctx, &eventbridge.ListRulesInput{})
	if err != nil {
		return err
	}
	for _, rule := range rules.Rules {
		add("rule", rule.Name)
	}
	return nil
}

// emptyBuckets deletes every version of every object in the stacks' buckets, for CloudFormation deletes only an empty bucket.
func (c *clients) emptyBuckets(ctx context.Context) error {
	buckets, err := c.s3.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return err
	}
	for _, bucket := range buckets.Buckets {
		if *bucket.Name == bootstrapBucket {
			continue
		}
		if err := c.emptyBucket(ctx, bucket.Name); err != nil {
			return fmt.Errorf("empty bucket %s: %w", *bucket.Name, err)
		}
	}
	return nil
}

func (c *clients) emptyBucket(ctx context.Context, bucket *string) error {
	for {
		page, err := c.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket, MaxKeys: aws.Int32(1000)})
		if err != nil {
			return err
		}
		var all []s3types.ObjectIdentifier
		for _, version := range page.Versions {
			all = append(all, s3types.ObjectIdentifier{Key: version.Key, VersionId: version.VersionId})
		}
		for _, marker := range page.DeleteMarkers {
			all = append(all, s3types.ObjectIdentifier{Key: marker.Key, VersionId: marker.VersionId})
		}
		if len(all) == 0 {
			return nil
		}
		deleted, err := c.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &s3types.Delete{Objects: all, Quiet: aws.Bool(true)}})
		if err != nil {
			return err
		}
		if len(deleted.Errors) > 0 {
			return fmt.Errorf("%s: %s", aws.ToString(deleted.Errors[0].Key), aws.ToString(deleted.Errors[0].Message))
		}
	}
}
