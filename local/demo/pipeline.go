package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"stedi-lakehouse/internal/lake"
)

const pollInterval = 300 * time.Millisecond

// clients are the AWS clients of the demo, all pointed to the embedded AWS.
type clients struct {
	athena         *athena.Client
	cloudformation *cloudformation.Client
	ec2            *ec2.Client
	eventbridge    *eventbridge.Client
	glue           *glue.Client
	iam            *iam.Client
	kms            *kms.Client
	logs           *cloudwatchlogs.Client
	s3             *s3.Client
	scheduler      *scheduler.Client
	sfn            *sfn.Client
	sns            *sns.Client
	sqs            *sqs.Client
	lake           *lake.Lake // nil until it is deployed
}

func newClients(endpoint string) *clients {
	config := lake.Embedded(endpoint)
	return &clients{
		athena:         athena.NewFromConfig(config),
		cloudformation: cloudformation.NewFromConfig(config),
		ec2:            ec2.NewFromConfig(config),
		eventbridge:    eventbridge.NewFromConfig(config),
		glue:           glue.NewFromConfig(config),
		iam:            iam.NewFromConfig(config),
		kms:            kms.NewFromConfig(config),
		logs:           cloudwatchlogs.NewFromConfig(config),
		s3:             s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true }),
		scheduler:      scheduler.NewFromConfig(config),
		sfn:            sfn.NewFromConfig(config),
		sns:            sns.NewFromConfig(config),
		sqs:            sqs.NewFromConfig(config),
	}
}

// upload puts the landing files (key -> local path) into the lake bucket.
func (c *clients) upload(ctx context.Context, bucket string, files map[string]string) error {
	var bytes int64
	for key, path := range files {
		size, err := c.uploadFile(ctx, bucket, key, path)
		if err != nil {
			return fmt.Errorf("upload %s: %w", path, err)
		}
		bytes += size
	}
	step("%d landing files uploaded (%.1f MB)", len(files), float64(bytes)/1e6)
	return nil
}

func (c *clients) uploadFile(ctx context.Context, bucket, key, path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	_, err = c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: file})
	return info.Size(), err
}

// runPipeline starts the state machine and shows each job's run as it goes.
func (c *clients) runPipeline(ctx context.Context) error {
	jobs, err := c.lake.JobOrder(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	execution, err := c.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &c.lake.StateMachineARN})
	if err != nil {
		return fmt.Errorf("start the state machine: %w", err)
	}
	step("state machine started")
	view := newProgress(jobs, func(run gluetypes.JobRun) (*ledgerEntry, error) { return c.ledger(ctx, run) })
	for {
		status, err := c.sfn.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: execution.ExecutionArn})
		if err != nil {
			return err
		}
		runs, err := c.latestRuns(ctx, jobs, started)
		if err != nil {
			return err
		}
		if err := view.show(runs); err != nil {
			return err
		}
		switch status.Status {
		case sfntypes.ExecutionStatusRunning:
		case sfntypes.ExecutionStatusSucceeded:
			return nil
		default:
			return fmt.Errorf("the execution is %s: %w", status.Status, failure(runs, status))
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("interrupted"), c.stopExecution(execution.ExecutionArn))
		case <-time.After(pollInterval):
		}
	}
}

// failure names the job that failed and what its run says.
func failure(runs map[string]gluetypes.JobRun, status *sfn.DescribeExecutionOutput) error {
	for job, run := range runs {
		if run.JobRunState == gluetypes.JobRunStateFailed || run.JobRunState == gluetypes.JobRunStateTimeout {
			return fmt.Errorf("%s is %s: %s", job, run.JobRunState, aws.ToString(run.ErrorMessage))
		}
	}
	return fmt.Errorf("%s: %s", aws.ToString(status.Error), aws.ToString(status.Cause))
}

func (c *clients) stopExecution(arn *string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := c.sfn.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: arn})
	return err
}

// latestRuns are the runs of the jobs that began after a time, by job; a job not yet started is absent.
func (c *clients) latestRuns(ctx context.Context, jobs []string, after time.Time) (map[string]gluetypes.JobRun, error) {
	runs := map[string]gluetypes.JobRun{}
	for _, job := range jobs {
		all, err := c.glue.GetJobRuns(ctx, &glue.GetJobRunsInput{JobName: &job})
		if err != nil {
			return nil, err
		}
		if len(all.JobRuns) > 0 && all.JobRuns[0].StartedOn.After(after.Add(-time.Second)) {
			runs[job] = all.JobRuns[0]
		}
	}
	return runs, nil
}
