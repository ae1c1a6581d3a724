package stacks

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/internal/cdktest"
)

// project writes a small project with the layout of this one: packages link to contracts and SQL outside their folder.
func project(t *testing.T) (scripts string) {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"data/contracts/shoe_trusted.json":             "{}",
		"glue-scripts/sql/trusted/shoe_trusted.sql":    "select 1",
		"glue-scripts/jobs/shoe_landing_to_trusted.py": "print(1)",
		"glue-scripts/tests/test_shoes.py":             "assert True",
		"glue-scripts/README.md":                       "x",
		"glue-scripts/lakehouse/__init__.py":           "",
		"glue-scripts/lakehouse/deep/er.py":            "x = 1",
	} {
		put(t, filepath.Join(root, path), text)
	}
	scripts = filepath.Join(root, "glue-scripts")
	for link, target := range map[string]string{"contracts": "../../data/contracts", "sql": "../sql"} {
		if err := os.Symlink(target, filepath.Join(scripts, "lakehouse", link)); err != nil {
			t.Fatal(err)
		}
	}
	return scripts
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// leave makes what Python and editors leave behind.
func leave(t *testing.T, scripts string) {
	t.Helper()
	for _, path := range []string{
		"lakehouse/__pycache__/deep.cpython-313.pyc", "lakehouse/deep/__pycache__/er.cpython-311.pyc", "lakehouse/old.pyc",
		"lakehouse/.swap", ".ruff_cache/x", "tests/__pycache__/y.pyc", "sql/trusted/.DS_Store",
	} {
		put(t, filepath.Join(scripts, path), "rubbish")
	}
}

// stage makes the zip's content and its name.
func stage(t *testing.T, scripts string) (hash string, files []string) {
	t.Helper()
	app := cdktest.NewApp(t)
	asset := pythonPackages(awscdk.NewStack(app, jsii.String("Test"), nil), scripts)
	return *asset.AssetHash(), list(t, filepath.Join(*app.Outdir(), *asset.AssetPath()))
}

func list(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(root)+"/"))
			if !entry.Type().IsRegular() {
				t.Errorf("%s is not a file but %s: links do not work in a zip", path, entry.Type())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

func TestPythonPackagesHoldWhatJobsImport(t *testing.T) {
	scripts := project(t)
	leave(t, scripts)
	_, files := stage(t, scripts)
	want := []string{
		"lakehouse/__init__.py", "lakehouse/contracts/shoe_trusted.json", "lakehouse/deep/er.py", "lakehouse/sql/trusted/shoe_trusted.sql",
	}
	if !slices.Equal(files, want) {
		t.Errorf("the zip holds %q\nwant %q", files, want)
	}
}

// The name of the zip is a hash of what is in it: rubbish beside it must not cause a deployment, a change behind a link must.
func TestPythonPackagesHash(t *testing.T) {
	scripts := project(t)
	first, _ := stage(t, scripts)
	leave(t, scripts)
	put(t, filepath.Join(scripts, "jobs", "shoe_landing_to_trusted.py"), "print(2)")
	if second, _ := stage(t, scripts); second != first {
		t.Errorf("what is not in the zip changes its hash: %s, then %s", first, second)
	}
	put(t, filepath.Join(scripts, "sql", "trusted", "shoe_trusted.sql"), "select 2")
	if third, _ := stage(t, scripts); third == first {
		t.Error("a change of the SQL does not change the zip's hash: jobs would go on with the old SQL")
	}
	changed, _ := stage(t, scripts)
	put(t, filepath.Join(scripts, "..", "data", "contracts", "shoe_trusted.json"), `{"table": "shoe_trusted"}`)
	if fourth, _ := stage(t, scripts); fourth == changed {
		t.Error("a change of a contract does not change the zip's hash: jobs would go on with the old contract")
	}
}

func TestProjectPackages(t *testing.T) {
	scripts := filepath.Join(cdktest.Root(), "glue-scripts")
	_, files := stage(t, scripts)
	for _, table := range contracts(t) {
		own, shared := "lakehouse/contracts/"+table.Table+".json", "lakehouse/contracts/each_source/"+table.Zone+".json"
		if !slices.Contains(files, own) && !slices.Contains(files, shared) {
			t.Errorf("the zip holds neither %s nor %s", own, shared)
		}
	}
	for _, flow := range flows(contracts(t)) {
		if path := "lakehouse/sql/" + flow.writes.Zone + "/" + flow.writes.Table + ".sql"; !slices.Contains(files, path) {
			t.Errorf("the zip does not hold %s", path)
		}
	}
	for _, contract := range contracts(t) {
		for i, check := range contract.Checks {
			isSelect := slices.ContainsFunc(files, func(file string) bool {
				return strings.HasPrefix(file, "lakehouse/sql/") && strings.HasSuffix(file, "/"+check.To+".sql")
			})
			if _, err := contracts(t).Get(check.To); check.To != "" && err != nil && !isSelect {
				t.Errorf("%s: checks[%d] looks in %s, which is neither a table nor a SELECT in the zip", contract.Table, i, check.To)
			}
		}
	}
	for _, path := range files {
		if !strings.HasPrefix(path, "lakehouse/") {
			t.Errorf("the zip holds %s, want nothing beside lakehouse/", path)
		}
	}
}
