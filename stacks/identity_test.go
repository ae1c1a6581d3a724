package stacks

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

const identitiesPath = "testdata/identities.json"

const identityAdvice = `
A deployment would make another, empty one in its place, and delete or abandon the old one with its data. Keep the construct's id and
these properties. If the resource is meant to go: move its data, delete its entry in stacks/` + identitiesPath + ` by hand, and say so in
the pull request. go test ./stacks -update adds new entries to that file, but never changes one.`

// identity is what makes a resource the one that is deployed: its type, and the properties whose change replaces it or, of a table,
// points it to other data.
type identity struct {
	Type  string
	Fixed map[string]any
}

// fixedProperties are these properties by resource type: the paths of those that CloudFormation's documentation marks "Update requires:
// Replacement", and a table's location. One that is not set stays unset.
var fixedProperties = map[string][][]string{
	"AWS::S3::Bucket":        {{"BucketName"}, {"ObjectLockEnabled"}},
	"AWS::KMS::Key":          {{"KeySpec"}, {"KeyUsage"}, {"MultiRegion"}, {"Origin"}},
	"AWS::Glue::Database":    {{"CatalogId"}, {"DatabaseInput", "Name"}, {"DatabaseName"}},
	"AWS::Glue::Table":       {{"CatalogId"}, {"DatabaseName"}, {"TableInput", "Name"}, {"OpenTableFormatInput"}, {"TableInput", "StorageDescriptor", "Location"}},
	"AWS::Athena::WorkGroup": {{"Name"}},
	"AWS::Logs::LogGroup":    {{"LogGroupName"}},
}

// dataParts are the stacks that hold data; the log in the network's is of a function of the CDK.
var dataParts = []string{"catalog", "pipeline"}

// TestIdentityOfData pins what holds data in stage prod: with another id or name a deployment would replace it.
func TestIdentityOfData(t *testing.T) {
	pinned := readIdentities(t)
	for _, part := range dataParts {
		current := identities(t, ofStage(t, "prod"), part)
		for id, got := range current {
			want, known := pinned[part][id]
			switch {
			case !known && *update:
				pinned[part][id] = got
			case !known:
				t.Errorf("stack %s: %s is not in stacks/%s; go test ./stacks -update adds it, and then it is pinned", part, id, identitiesPath)
			case !reflect.DeepEqual(want, got):
				t.Errorf("stack %s: %s is %s\nwant %s\n%s", part, id, indent(t, got), indent(t, want), identityAdvice)
			}
		}
		for id, want := range pinned[part] {
			if _, exists := current[id]; !exists {
				t.Errorf("stack %s: %s %s is gone, or has another id\n%s", part, want.Type, id, identityAdvice)
			}
		}
	}
	if *update {
		write(t, identitiesPath, indent(t, pinned)+"\n")
	}
}

// Prod keeps what holds data when a stack is destroyed or a resource replaced; the other stages leave nothing.
func TestRemovalOfData(t *testing.T) {
	for stage, kept := range map[string]bool{"prod": true, "dev": false, "local": false} {
		for _, part := range dataParts {
			for id, resource := range ofStage(t, stage).template(t, part).Resources {
				if _, holdsData := fixedProperties[resource.Type]; !holdsData {
					continue
				}
				deletion, replacement := "Delete", "Delete"
				if kept {
					deletion, replacement = "RetainExceptOnCreate", "Retain"
				}
				if kept && (resource.Type == "AWS::S3::Bucket" || resource.Type == "AWS::KMS::Key") {
					deletion = "Retain"
				}
				if resource.DeletionPolicy != deletion || resource.UpdateReplacePolicy != replacement {
					t.Errorf("stage %s: %s has deletion policy %q and replacement policy %q, want %s and %s", stage, id,
						resource.DeletionPolicy, resource.UpdateReplacePolicy, deletion, replacement)
				}
			}
		}
	}
}

// What keeps its data is not to be destroyed by accident either.
func TestTerminationProtection(t *testing.T) {
	for stage, want := range map[string]bool{"prod": true, "dev": false, "local": false} {
		text, err := os.ReadFile(filepath.Join(string(ofStage(t, stage)), "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		var manifest struct {
			Artifacts map[string]struct {
				Type       string
				Properties struct{ TerminationProtection bool }
			}
		}
		if err := json.Unmarshal(text, &manifest); err != nil {
			t.Fatal(err)
		}
		found := 0
		for name, artifact := range manifest.Artifacts {
			if artifact.Type != "aws:cloudformation:stack" {
				continue
			}
			found++
			if got := artifact.Properties.TerminationProtection; got != want {
				t.Errorf("stage %s: stack %s is protected from termination: %v, want %v", stage, name, got, want)
			}
		}
		if found != len(parts) {
			t.Errorf("stage %s has %d stacks, want %d", stage, found, len(parts))
		}
	}
}

// identities are those of all resources of a stack that hold data, by logical id.
func identities(t *testing.T, assembly assembly, part string) map[string]identity {
	t.Helper()
	found := map[string]identity{}
	for id, resource := range assembly.template(t, part).Resources {
		paths, holdsData := fixedProperties[resource.Type]
		if !holdsData {
			continue
		}
		fixed := map[string]any{}
		for _, path := range paths {
			if value := at(resource.Properties, path); value != nil {
				fixed[path[len(path)-1]] = value
			}
		}
		found[id] = identity{Type: resource.Type, Fixed: fixed}
	}
	return found
}

func at(value any, path []string) any {
	for _, key := range path {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

func readIdentities(t *testing.T) map[string]map[string]identity {
	t.Helper()
	pinned := map[string]map[string]identity{}
	text, err := os.ReadFile(identitiesPath)
	if err == nil {
		err = json.Unmarshal(text, &pinned)
	}
	if err != nil && (!*update || !errors.Is(err, fs.ErrNotExist)) {
		t.Fatalf("stacks/%s: %v", identitiesPath, err)
	}
	for _, part := range dataParts {
		if pinned[part] == nil {
			pinned[part] = map[string]identity{}
		}
	}
	if unknown := slices.DeleteFunc(slices.Collect(maps.Keys(pinned)), func(part string) bool { return slices.Contains(dataParts, part) }); len(unknown) > 0 {
		t.Fatalf("stacks/%s: there are no stacks %q", identitiesPath, unknown)
	}
	return pinned
}
