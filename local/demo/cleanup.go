package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// What the bootstrap makes; it does not belong to the lakehouse. The bucket holds the assets of the CDK.
const (
	bootstrapStack  = "CDKToolkit"
	bootstrapBucket = "cdk-hnb659fds-assets-" + account + "-" + region
)

// nothingRemains fails when CloudFormation or S3 still knows something of the lakehouse: a stack, a resource that was kept when its
// stack was deleted, a bucket. That CloudFormation is right about every other kind is what the tests look after.
func (c *clients) nothingRemains(ctx context.Context) error {
	var left []error
	pages := cloudformation.NewListStacksPaginator(c.cloudformation, &cloudformation.ListStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, stack := range page.StackSummaries {
			if name := aws.ToString(stack.StackName); name != bootstrapStack {
				if stack.StackStatus != cfntypes.StackStatusDeleteComplete {
					left = append(left, fmt.Errorf("stack %s, which is %s", name, stack.StackStatus))
				}
				kept, err := c.keptOf(ctx, stack.StackId)
				if err != nil {
					return fmt.Errorf("events of stack %s: %w", name, err)
				}
				left = append(left, kept...)
			}
		}
	}
	buckets, err := c.lakeBuckets(ctx)
	if err != nil {
		return err
	}
	for _, bucket := range buckets {
		left = append(left, fmt.Errorf("bucket %s", bucket))
	}
	if len(left) > 0 {
		return fmt.Errorf("cdk destroy left behind: %w", errors.Join(left...))
	}
	return nil
}

// keptOf are the resources of a stack that CloudFormation did not delete with it.
func (c *clients) keptOf(ctx context.Context, stack *string) ([]error, error) {
	var kept []error
	pages := cloudformation.NewDescribeStackEventsPaginator(c.cloudformation, &cloudformation.DescribeStackEventsInput{StackName: stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, event := range page.StackEvents {
			if event.ResourceStatus == cfntypes.ResourceStatusDeleteSkipped {
				kept = append(kept, fmt.Errorf("%s %s", aws.ToString(event.ResourceType), aws.ToString(event.PhysicalResourceId)))
			}
		}
	}
	return kept, nil
}

// lakeBuckets are the buckets but the bootstrap's.
func (c *clients) lakeBuckets(ctx context.Context) ([]string, error) {
	buckets, err := c.s3.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, bucket := range buckets.Buckets {
		if *bucket.Name != bootstrapBucket {
			names = append(names, *bucket.Name)
		}
	}
	return names, nil
}

// emptyBuckets deletes every version of every object in the stacks' buckets, for CloudFormation deletes only an empty bucket.
func (c *clients) emptyBuckets(ctx context.Context) error {
	buckets, err := c.lakeBuckets(ctx)
	if err != nil {
		return err
	}
	for _, bucket := range buckets {
		if err := c.emptyBucket(ctx, &bucket); err != nil {
			return fmt.Errorf("empty bucket %s: %w", bucket, err)
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
