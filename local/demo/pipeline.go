package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/lake"
	"stedi-lakehouse/internal/report"
)

const pollInterval = 300 * time.Millisecond

// reportLimit is how long collecting a report may take.
const reportLimit = time.Minute

// clients are the AWS clients of the demo, all pointed to the embedded AWS.
type clients struct {
	cloudformation *cloudformation.Client
	s3             *s3.Client
	lake           *lake.Lake // nil until it is deployed
}

func newClients(endpoint string) *clients {
	config := lake.Embedded(endpoint)
	return &clients{
		cloudformation: cloudformation.NewFromConfig(config),
		s3:             s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true }),
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
func (c *clients) runPipeline(ctx context.Context, contracts contract.Set) error {
	execution, err := c.lake.SFN.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &c.lake.StateMachineARN})
	if err != nil {
		return fmt.Errorf("start the state machine: %w", err)
	}
	step("state machine started")
	ended, err := report.Watch(ctx, c.lake, contracts, pollInterval, newProgress().show)
	if ctx.Err() != nil {
		return errors.Join(errors.New("interrupted"), c.stopExecution(execution.ExecutionArn))
	}
	if err != nil {
		return err
	}
	return failure(ended)
}

// failure says why an execution did not succeed: the job that failed and what its run says; nil when it succeeded.
func failure(ended report.Report) error {
	execution := ended.Execution
	if execution.Status == "SUCCEEDED" {
		return nil
	}
	for _, job := range ended.NotSucceeded() {
		if job.Ended() {
			return fmt.Errorf("the execution is %s: %s is %s: %s", execution.Status, job.Name, job.State, job.Message)
		}
	}
	return fmt.Errorf("the execution is %s: %s: %s", execution.Status, execution.Error, execution.Cause)
}

func (c *clients) stopExecution(arn *string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := c.lake.SFN.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: arn})
	return err
}

// report writes the page about the run, and gives what it shows; an empty report when there was no run.
func (c *clients) report(ctx context.Context, work workspace, contracts contract.Set) (report.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	collected, err := report.Collect(ctx, c.lake, contracts)
	if errors.Is(err, report.ErrNoExecution) {
		return report.Report{}, nil
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("report of the run: %w", err)
	}
	page, err := report.Write(collected, string(work), report.Library)
	if err != nil {
		return report.Report{}, fmt.Errorf("report of the run: %w", err)
	}
	step("report of the run: %s", page)
	return collected, nil
}
