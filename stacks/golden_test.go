package stacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stedi-lakehouse/internal/contract"
)

// assetHash is the name that the CDK gives to uploaded code; it changes with every edit of a script.
var assetHash = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// The golden templates show in a pull request what a change does to the infrastructure.
func TestGolden(t *testing.T) {
	for _, stage := range []string{"dev", "prod"} {
		for _, part := range parts {
			t.Run(stage+"-"+part, func(t *testing.T) {
				got := scrub(t, ofStage(t, stage).text(t, part)) + "\n"
				path := filepath.Join("testdata", stage+"-"+part+".golden.json")
				if *update {
					write(t, path, got)
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatalf("%v; go test ./stacks -update makes it", err)
				}
				if string(want) != got {
					t.Errorf("the template is not as in %s, %s\nIf that is meant, write it with go test ./stacks -update and review the difference.",
						path, firstDifference(string(want), got))
				}
			})
		}
	}
}

// scrub takes out of a template what changes with every edit of a script: the hashes of uploaded code, and the order of the resources
// of a statement, which the CDK sorts by name, hash included.
func scrub(t *testing.T, text string) string {
	t.Helper()
	var document any
	if err := json.Unmarshal([]byte(assetHash.ReplaceAllString(text, "<asset hash>")), &document); err != nil {
		t.Fatal(err)
	}
	sortResources(document)
	return indented(t, document)
}

func sortResources(node any) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			if list, ok := value.([]any); ok && key == "Resource" {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
			sortResources(value)
		}
	case []any:
		for _, value := range node {
			sortResources(value)
		}
	}
}

func indented(t *testing.T, document any) string {
	t.Helper()
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(document); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

const frozenPath = "testdata/frozen-tables.json"

const frozenAdvice = `
Any update of an Iceberg table by CloudFormation writes over what Iceberg keeps in the catalog entry, and the table can no longer
be read. So its template must never change once it is deployed:
- a new column: give it "since": 2 (or the next version) in the contract; the jobs add it, the template does not;
- another type, name or place: make a new table with a new name, and move the data with a job;
- a table that is no longer wanted: delete its entry in stacks/` + frozenPath + ` by hand.
go test ./stacks -update adds new tables to that file, but never changes an entry.`

// TestFrozenTables compares every Iceberg table, in every stage, with what it was when it was first declared.
func TestFrozenTables(t *testing.T) {
	frozen := readFrozen(t)
	for _, stage := range []string{"dev", "prod", "local"} {
		current := icebergTables(t, ofStage(t, stage))
		for id, properties := range current {
			if _, known := frozen[id]; !known && *update {
				frozen[id] = properties
			}
			if frozen[id] == "" {
				t.Errorf("%s is not in stacks/%s; go test ./stacks -update adds it, and then it is frozen", id, frozenPath)
			} else if frozen[id] != properties {
				t.Errorf("stage %s: the template of Iceberg table %s has changed, %s\n%s", stage, id, firstDifference(frozen[id], properties), frozenAdvice)
			}
		}
		for id := range frozen {
			if current[id] == "" {
				t.Errorf("stage %s: Iceberg table %s is gone, or has another id; a deployment would drop it\n%s", stage, id, frozenAdvice)
			}
		}
	}
	if *update {
		writeFrozen(t, frozen)
	}
}

// A contract may grow without its Iceberg table's template noticing.
func TestNewColumnLeavesIcebergTemplatesAlone(t *testing.T) {
	grown := contracts(t)
	for i := range grown {
		grown[i].Columns = append(grown[i].Columns, contract.Column{Name: "added", Type: "string", Since: 2, Description: "Added later."})
	}
	before, after := icebergTables(t, ofStage(t, "dev")), icebergTables(t, synthesize(t, stageOf(t, "dev"), grown))
	for id := range before {
		if before[id] != after[id] {
			t.Errorf("a column since 2 changes the template of %s, %s", id, firstDifference(before[id], after[id]))
		}
	}
}

// icebergTables are the properties of the Iceberg tables as indented JSON, by logical id.
func icebergTables(t *testing.T, assembly assembly) map[string]string {
	t.Helper()
	tables := map[string]string{}
	for id, resource := range assembly.template(t, "catalog").Resources {
		if resource.Properties["OpenTableFormatInput"] != nil {
			tables[id] = indent(t, resource.Properties)
		}
	}
	if len(tables) == 0 {
		t.Fatal("no Iceberg table found; has the way they are declared changed?")
	}
	return tables
}

func readFrozen(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(frozenPath)
	if errors.Is(err, fs.ErrNotExist) && *update {
		return map[string]string{}
	}
	var tables map[string]any
	if err == nil {
		err = json.Unmarshal(text, &tables)
	}
	if err != nil {
		t.Fatalf("stacks/%s: %v", frozenPath, err)
	}
	frozen := map[string]string{}
	for id, properties := range tables {
		frozen[id] = indent(t, properties)
	}
	return frozen
}

func writeFrozen(t *testing.T, frozen map[string]string) {
	t.Helper()
	tables := map[string]json.RawMessage{}
	for id, properties := range frozen {
		tables[id] = json.RawMessage(properties)
	}
	write(t, frozenPath, indent(t, tables)+"\n")
}

func indent(t *testing.T, value any) string {
	t.Helper()
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text.String())
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
