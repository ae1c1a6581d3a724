// Package lake finds a deployed lakehouse, on an AWS account or in the embedded AWS, and asks it through the same APIs: SQL through
// Athena, the jobs' order through the state machine.
// For the demo, the report, tools/query and tools/erase.
package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"stedi-lakehouse/internal/config"
)

// Local is the stage that lives in the embedded AWS of a demo.
const Local = "local"

// localRegion is the Region that the embedded AWS plays.
const localRegion = "us-east-1"

// Names are the outputs of the deployed stacks.
type Names struct {
	LakeBucket, Database, Workgroup, StateMachineARN string
}

// outputs are the stacks' output names, each with where its value belongs.
func (n *Names) outputs() map[string]*string {
	return map[string]*string{
		"LakeBucketName": &n.LakeBucket, "DatabaseName": &n.Database, "WorkgroupName": &n.Workgroup, "StateMachineArn": &n.StateMachineARN,
	}
}

// NamesFrom picks the names out of all outputs of the stacks; the error names the output that is missing.
func NamesFrom(outputs map[string]string) (Names, error) {
	var names Names
	for name, target := range names.outputs() {
		if *target = outputs[name]; *target == "" {
			return Names{}, fmt.Errorf("no output %s", name)
		}
	}
	return names, nil
}

// Lake is a deployed lakehouse.
type Lake struct {
	Names
	Stage  string
	Athena *athena.Client
	Glue   *glue.Client
	SFN    *sfn.Client
	S3     *s3.Client
}

// Connect makes the clients of a lakehouse whose names are known.
func Connect(settings aws.Config, stage string, names Names) *Lake {
	return &Lake{
		Names: names, Stage: stage,
		Athena: athena.NewFromConfig(settings), Glue: glue.NewFromConfig(settings), SFN: sfn.NewFromConfig(settings),
		// The embedded AWS has one name for all buckets.
		S3: s3.NewFromConfig(settings, func(o *s3.Options) { o.UsePathStyle = stage == Local }),
	}
}

// Open finds the lakehouse of a stage by the outputs of its stacks: stage local in the embedded AWS that the demo in folder work left
// running, any other with the credentials and the Region of the environment. cdk is the app's cdk.json, which holds the stages.
func Open(ctx context.Context, cdk, stage, work string) (*Lake, error) {
	chosen, err := readStage(cdk, stage)
	if err != nil {
		return nil, err
	}
	var settings aws.Config
	if stage == Local {
		endpoint, err := keptEndpoint(work)
		if err != nil {
			return nil, err
		}
		settings = Embedded(endpoint)
	} else if settings, err = account(ctx, chosen.Region); err != nil {
		return nil, fmt.Errorf("stage %s: %w", stage, err)
	}
	names, err := deployedNames(ctx, settings, chosen.LakeName)
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", stage, err)
	}
	return Connect(settings, stage, names), nil
}

// account are the settings of the environment's account; region, if given, is the stage's own.
func account(ctx context.Context, region string) (aws.Config, error) {
	var options []func(*awsconfig.LoadOptions) error
	if region != "" {
		options = append(options, awsconfig.WithRegion(region))
	}
	settings, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS settings of the environment: %w", err)
	}
	if settings.Region == "" {
		return aws.Config{}, errors.New("no Region: set AWS_REGION, or the stage's region in cdk.json")
	}
	if _, err := settings.Credentials.Retrieve(ctx); err != nil {
		return aws.Config{}, fmt.Errorf("no AWS credentials: set AWS_PROFILE or the like: %w", err)
	}
	return settings, nil
}

// Embedded are the settings of clients of an embedded AWS.
func Embedded(endpoint string) aws.Config {
	return aws.Config{
		Region:       localRegion,
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

func readStage(cdk, stage string) (config.Stage, error) {
	content, err := os.ReadFile(cdk)
	if err != nil {
		return config.Stage{}, err
	}
	var app struct {
		Context map[string]any `json:"context"`
	}
	if err := json.Unmarshal(content, &app); err != nil {
		return config.Stage{}, fmt.Errorf("%s: %w", cdk, err)
	}
	app.Context[config.StageKey] = stage
	return config.Load(app.Context)
}

var errNotKept = errors.New("no embedded AWS is running: start one with `make demo KEEP=1`, or name the stage of an account with STAGE=NAME")

// keptEndpoint is where the embedded AWS of a kept demo listens.
func keptEndpoint(work string) (string, error) {
	content, err := os.ReadFile(filepath.Join(work, "emulator.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errNotKept
	}
	if err != nil {
		return "", err
	}
	var state struct {
		Endpoint string `json:"endpoint"`
	}
	if err := json.Unmarshal(content, &state); err != nil {
		return "", fmt.Errorf("%s/emulator.json: %w", work, err)
	}
	where, err := url.Parse(state.Endpoint)
	if err != nil {
		return "", fmt.Errorf("%s/emulator.json: %w", work, err)
	}
	connection, err := net.DialTimeout("tcp", where.Host, 2*time.Second)
	if err != nil {
		return "", errNotKept
	}
	return state.Endpoint, connection.Close()
}

// deployedNames reads the outputs of the stacks <lakeName>-catalog and <lakeName>-pipeline.
func deployedNames(ctx context.Context, settings aws.Config, lakeName string) (Names, error) {
	client := cloudformation.NewFromConfig(settings)
	outputs := map[string]string{}
	for _, stack := range []string{lakeName + "-catalog", lakeName + "-pipeline"} {
		found, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
		if err != nil {
			return Names{}, fmt.Errorf("stack %s: %w", stack, err)
		}
		for _, output := range found.Stacks[0].Outputs {
			outputs[aws.ToString(output.OutputKey)] = aws.ToString(output.OutputValue)
		}
	}
	names, err := NamesFrom(outputs)
	if err != nil {
		return Names{}, fmt.Errorf("stacks %s-catalog and -pipeline: %w", lakeName, err)
	}
	return names, nil
}

// states are the parts of a state machine's definition that say which jobs it runs.
type states struct {
	StartAt string
	States  map[string]struct {
		Next      string
		Choices   []struct{ Next string }
		Default   string
		Arguments struct{ JobName string }
	}
}

// Job is a job of the state machine.
type Job struct {
	Name string
	Only bool // it runs only in an execution that finds something for it
}

// jobs are the jobs in the order in which they first run, if all of them do.
func (s states) jobs() []Job {
	always := s.onTheWay(func(_, otherwise string) string { return otherwise })
	var found []Job
	for _, name := range s.onTheWay(func(chosen, _ string) string { return chosen }) {
		if !slices.ContainsFunc(found, func(job Job) bool { return job.Name == name }) {
			found = append(found, Job{name, !slices.Contains(always, name)})
		}
	}
	return found
}

// onTheWay are the names of the jobs that run one after the other when every choice is made like that.
func (s states) onTheWay(choose func(chosen, otherwise string) string) []string {
	var found []string
	seen := map[string]bool{}
	for name := s.StartAt; name != "" && !seen[name]; {
		seen[name] = true
		state := s.States[name]
		if job := state.Arguments.JobName; job != "" {
			found = append(found, job)
		}
		if name = state.Next; len(state.Choices) > 0 {
			name = choose(state.Choices[0].Next, state.Default)
		}
	}
	return found
}

// JobOrder reads from the deployed state machine which jobs it runs, in their order.
func (l *Lake) JobOrder(ctx context.Context) ([]Job, error) {
	machine, err := l.SFN.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &l.StateMachineARN})
	if err != nil {
		return nil, err
	}
	var definition states
	if err := json.Unmarshal([]byte(aws.ToString(machine.Definition)), &definition); err != nil {
		return nil, fmt.Errorf("state machine %s: %w", l.StateMachineARN, err)
	}
	return definition.jobs(), nil
}

// Tables are the names of the tables in the catalog, sorted.
func (l *Lake) Tables(ctx context.Context) ([]string, error) {
	var names []string
	pages := glue.NewGetTablesPaginator(l.Glue, &glue.GetTablesInput{DatabaseName: &l.Database})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, table := range page.TableList {
			names = append(names, strings.ToLower(aws.ToString(table.Name)))
		}
	}
	slices.Sort(names)
	return names, nil
}
