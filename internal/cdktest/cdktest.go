// Package cdktest helps to test constructs and stacks: an app with the project's own feature flags, and assertions that fail the
// test they belong to instead of ending the process. For the tests of constructs, stacks and of tools that read templates.
package cdktest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
)

// Main runs a package's tests and then stops jsii, once: it cannot be started again in the same process.
//
//	func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }
func Main(m *testing.M) int {
	// The CDK checks every template against the CloudFormation schemas, which takes most of the time of a synthesis. cdk synth and
	// cfn-lint do the same for the templates that are deployed.
	const validation, off = "CDK_VALIDATION", "false"
	if os.Getenv(validation) != off {
		again(validation + "=" + off)
	}
	defer jsii.Close()
	return m.Run()
}

// again runs the tests in this process's place with one more variable: jsii has taken the environment as it was before main.
func again(variable string) {
	jsii.Close()
	program, err := os.Executable()
	if err == nil {
		err = syscall.Exec(program, os.Args, append(os.Environ(), variable))
	}
	panic(err)
}

// Root is the project's folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Context is the context of the project's cdk.json: stages and feature flags.
func Context(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(), "cdk.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Context map[string]any `json:"context"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatalf("cdk.json: %v", err)
	}
	return file.Context
}

// NewApp is an app with the project's feature flags.
func NewApp(t *testing.T) awscdk.App {
	t.Helper()
	context := Context(t)
	return awscdk.NewApp(&awscdk.AppProps{Context: &context, Outdir: jsii.String(t.TempDir())})
}

// NewStack is an empty stack in an app of its own.
func NewStack(t *testing.T) awscdk.Stack {
	t.Helper()
	return awscdk.NewStack(NewApp(t), jsii.String("Test"), nil)
}

// Template is a synthesized template.
type Template struct {
	t        *testing.T
	template assertions.Template
}

// Synthesize makes the template of a stack.
func Synthesize(t *testing.T, stack awscdk.Stack) Template {
	t.Helper()
	made := Template{t: t}
	made.check(func() { made.template = assertions.Template_FromStack(stack, nil) })
	if made.template == nil {
		t.FailNow()
	}
	return made
}

// Has wants a resource of the type with at least these properties. Values may be matchers of the CDK's assertions package.
func (s Template) Has(resourceType string, properties map[string]any) {
	s.t.Helper()
	s.check(func() { s.template.HasResourceProperties(jsii.String(resourceType), properties) })
}

// HasResource is as Has, but for the whole resource: Properties, DeletionPolicy, DependsOn.
func (s Template) HasResource(resourceType string, resource map[string]any) {
	s.t.Helper()
	s.check(func() { s.template.HasResource(jsii.String(resourceType), resource) })
}

// Count wants so many resources of the type.
func (s Template) Count(resourceType string, want int) {
	s.t.Helper()
	s.check(func() { s.template.ResourceCountIs(jsii.String(resourceType), jsii.Number(want)) })
}

// JSON is the template as decoded JSON.
func (s Template) JSON() map[string]any {
	return *s.template.ToJSON()
}

// Resources are the properties of every resource of the type, by logical id.
func (s Template) Resources(resourceType string) map[string]map[string]any {
	found := map[string]map[string]any{}
	resources, _ := s.JSON()["Resources"].(map[string]any)
	for id, resource := range resources {
		resource := resource.(map[string]any)
		if resource["Type"] == resourceType {
			found[id], _ = resource["Properties"].(map[string]any)
		}
	}
	return found
}

func (s Template) check(assertion func()) {
	s.t.Helper()
	defer func() {
		s.t.Helper()
		if failure := recover(); failure != nil {
			s.t.Errorf("%v", failure)
		}
	}()
	assertion()
}

// Panics wants a panic whose message contains every one of the texts.
func Panics(t *testing.T, do func(), texts ...string) {
	t.Helper()
	defer func() {
		t.Helper()
		got := recover()
		if got == nil {
			t.Errorf("no panic, want one with %q", texts)
			return
		}
		for _, text := range texts {
			if !strings.Contains(fmt.Sprint(got), text) {
				t.Errorf("panic %q, want it to contain %q", got, text)
			}
		}
	}()
	do()
}
