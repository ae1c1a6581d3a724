// Package cloud reads what the CDK has synthesized, so that tools and tests can judge the templates themselves: which stacks
// there are, what their resources refer to, and who may do what.
// For zoneflow, tools/checks and tools/destroyplan.
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
		stack := Stack{Name: id, Protected: artifact.Properties.TerminationProtection, Path: filepath.Join(folder, artifact.Properties.TemplateFile)}
		if artifact.Properties.StackName != "" {
			stack.Name = artifact.Properties.StackName
		}
		if err := read(stack.Path, &stack); err != nil {
			return nil, err
		}
		loaded = append(loaded, stack)
	}
	if len(loaded) == 0 {
		return nil, fmt.Errorf("cloud assembly %s: no stacks in manifest.json", folder)
	}
	return loaded, nil
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
