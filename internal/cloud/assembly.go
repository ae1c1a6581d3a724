// Package cloud reads what the CDK has synthesized, so that tools and tests can judge the templates themselves: which stacks
// there are, what their resources refer to, and who may do what.
// For zoneflow, tools/checks, tools/destroyplan and tools/review.
package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Assembly is a synthesized app: its stacks in the order of their names.
type Assembly []Stack

// Stack is one stack with its template.
type Stack struct {
	Name      string
	Protected bool   // by termination protection
	Path      string // of the template's file
	Resources map[string]Resource
	Outputs   map[string]Output
}

// Resource is a resource of a template.
type Resource struct {
	Type                string
	Properties          map[string]any
	DeletionPolicy      string
	UpdateReplacePolicy string
}

// Output is an output of a template.
type Output struct {
	Value  any
	Export struct{ Name any }
}

// Load reads a cloud assembly from its folder.
func Load(folder string) (Assembly, error) {
	var manifest struct {
		Artifacts map[string]struct {
			Type       string `json:"type"`
			Properties struct {
				TemplateFile          string `json:"templateFile"`
				TerminationProtection bool   `json:"terminationProtection"`
				StackName             string `json:"stackName"`
			} `json:"properties"`
		} `json:"artifacts"`
	}
	if err := read(filepath.Join(folder, "manifest.json"), &manifest); err != nil {
		return nil, err
	}
	var loaded Assembly
	for _, id := range slices.Sorted(maps.Keys(manifest.Artifacts)) {
		artifact := manifest.Artifacts[id]
		if artifact.Type != "aws:cloudformation:stack" {
			continue
		}
		name := id
		if artifact.Properties.StackName != "" {
			name = artifact.Properties.StackName
		}
		stack, err := LoadStack(name, filepath.Join(folder, artifact.Properties.TemplateFile))
		if err != nil {
			return nil, err
		}
		stack.Protected = artifact.Properties.TerminationProtection
		loaded = append(loaded, stack)
	}
	if len(loaded) == 0 {
		return nil, fmt.Errorf("cloud assembly %s: no stacks in manifest.json", folder)
	}
	return loaded, nil
}

// LoadStack reads the template of one stack from its file.
func LoadStack(name, path string) (Stack, error) {
	stack := Stack{Name: name, Path: path}
	return stack, read(path, &stack)
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cloud assembly: %w; cdk synth makes it", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("cloud assembly: %s: %w", path, err)
	}
	return nil
}

// OfType are the ids of a stack's resources of a type, sorted.
func (s Stack) OfType(resourceType string) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(s.Resources)) {
		if s.Resources[id].Type == resourceType {
			ids = append(ids, id)
		}
	}
	return ids
}

// Get follows keys into nested properties; nil where there is nothing.
func (r Resource) Get(keys ...string) any {
	var value any = r.Properties
	for _, key := range keys {
		properties, _ := value.(map[string]any)
		value = properties[key]
	}
	return value
}

// dataTypes are the resources that hold data, or without which data cannot be found or read.
var dataTypes = []string{
	"AWS::Athena::WorkGroup", "AWS::DynamoDB::Table", "AWS::Glue::Database", "AWS::Glue::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::S3::Bucket",
	"AWS::S3Tables::Namespace", "AWS::S3Tables::Table", "AWS::S3Tables::TableBucket", "AWS::SQS::Queue",
}

// HoldsData says whether resources of a type hold data, or whether data cannot be found or read without them.
func HoldsData(resourceType string) bool { return slices.Contains(dataTypes, resourceType) }
