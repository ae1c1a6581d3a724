package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/lake"
)

var (
	errNone  = errors.New("there is no such object")
	errThere = errors.New("there is an object of that name")
)

// lakehouse is what the tool asks of a deployed one.
type lakehouse interface {
	// erases fails where the stage has no job that erases people: nobody would read the request.
	erases(ctx context.Context) error
	// put fails with errThere when the object must be new and is not.
	put(ctx context.Context, key string, content []byte, isNew bool) error
	get(ctx context.Context, key string) ([]byte, error) // errNone
	list(ctx context.Context, prefix string) ([]string, error)
	// start starts a run of the job; look tells how it is.
	start(ctx context.Context, arguments map[string]string) (run string, err error)
	look(ctx context.Context, run string) (state gluetypes.JobRunState, message string, err error)
}

// deployed is a lakehouse on AWS, or in the embedded AWS.
type deployed struct{ *lake.Lake }

func (d deployed) erases(ctx context.Context) error {
	_, err := d.Glue.GetJob(ctx, &glue.GetJobInput{JobName: aws.String(contract.ErasePeople)})
	if missing := (*gluetypes.EntityNotFoundException)(nil); errors.As(err, &missing) {
		return fmt.Errorf("stage %s erases nobody: give it the stage key erasure in cdk.json, and deploy", d.Stage)
	}
	return err
}

// put writes an object, encrypted as the bucket does by itself.
func (d deployed) put(ctx context.Context, key string, content []byte, isNew bool) error {
	input := &s3.PutObjectInput{Bucket: &d.LakeBucket, Key: &key, Body: bytes.NewReader(content)}
	if isNew {
		input.IfNoneMatch = aws.String("*")
	}
	_, err := d.S3.PutObject(ctx, input)
	if isNew && is(err, "PreconditionFailed", "ConditionalRequestConflict") {
		return errThere
	}
	return err
}

func (d deployed) get(ctx context.Context, key string) ([]byte, error) {
	found, err := d.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &d.LakeBucket, Key: &key})
	if is(err, "NoSuchKey") {
		return nil, errNone
	}
	if err != nil {
		return nil, err
	}
	defer found.Body.Close()
	return io.ReadAll(found.Body)
}

func (d deployed) list(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(d.S3, &s3.ListObjectsV2Input{Bucket: &d.LakeBucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			keys = append(keys, aws.ToString(object.Key))
		}
	}
	return keys, nil
}

func (d deployed) start(ctx context.Context, arguments map[string]string) (string, error) {
	started, err := d.Glue.StartJobRun(ctx, &glue.StartJobRunInput{JobName: aws.String(contract.ErasePeople), Arguments: arguments})
	if busy := (*gluetypes.ConcurrentRunsExceededException)(nil); errors.As(err, &busy) {
		return "", errors.New("the job erase_people is at work: wait until the run of the pipeline, or the other proof, has ended")
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(started.JobRunId), nil
}

func (d deployed) look(ctx context.Context, run string) (gluetypes.JobRunState, string, error) {
	found, err := d.Glue.GetJobRun(ctx, &glue.GetJobRunInput{JobName: aws.String(contract.ErasePeople), RunId: &run})
	if err != nil {
		return "", "", err
	}
	return found.JobRun.JobRunState, aws.ToString(found.JobRun.ErrorMessage), nil
}

func is(err error, codes ...string) bool {
	var answered smithy.APIError
	return errors.As(err, &answered) && slices.Contains(codes, answered.ErrorCode())
}
