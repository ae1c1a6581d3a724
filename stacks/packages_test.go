package stacks

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/packages"
)

// project writes a small project with the layout of this one: the package links to the SQL outside its folder.
func project(t *testing.T) (scripts string) {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"glue-scripts/sql/trusted/shoe_trusted.sql":    "select 1",
		"glue-scripts/jobs/shoe_landing_to_trusted.py": "print(1)",
		"glue-scripts/tests/test_shoes.py":             "assert True",
		"glue-scripts/README.md":                       "x",
		"glue-scripts/lakehouse/__init__.py":           "",
		"glue-scripts/lakehouse/contracts.json":        "{}",
		"glue-scripts/lakehouse/deep/er.py":            "x = 1",
	} {
		put(t, filepath.Join(root, path), text)
	}
	scripts = filepath.Join(root, "glue-scripts")
	if err := os.Symlink("../sql", filepath.Join(scripts, "lakehouse", "sql")); err != nil {
		t.Fatal(err)
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
		"lakehouse/__init__.py", "lakehouse/contracts.json", "lakehouse/deep/er.py", "lakehouse/sql/trusted/shoe_trusted.sql",
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
	put(t, filepath.Join(scripts, contract.JobsFile), `{"tables": []}`)
	if fourth, _ := stage(t, scripts); fourth == changed {
		t.Error("a change of the contracts does not change the zip's hash: jobs would go on with the old contracts")
	}
}

func TestProjectPackages(t *testing.T) {
	scripts := filepath.Join(cdktest.Root(), "glue-scripts")
	_, files := stage(t, scripts)
	if !slices.Contains(files, contract.JobsFile) {
		t.Errorf("the zip does not hold %s", contract.JobsFile)
	}
	for _, flow := range flows(contracts(t)) {
		if path := "lakehouse/sql/" + flow.writes[0].Zone + "/" + flow.Target + ".sql"; !slices.Contains(files, path) {
			t.Errorf("the zip does not hold %s", path)
		}
	}
	for _, table := range contracts(t) {
		for i, check := range table.Checks {
			isSelect := slices.ContainsFunc(files, func(file string) bool {
				return strings.HasPrefix(file, "lakehouse/sql/") && strings.HasSuffix(file, "/"+check.To+".sql")
			})
			if _, err := contracts(t).Get(check.To); check.To != "" && err != nil && !isSelect {
				t.Errorf("%s: checks[%d] looks in %s, which is neither a table nor a SELECT in the zip", table.Table, i, check.To)
			}
		}
	}
	for _, path := range files {
		if !strings.HasPrefix(path, "lakehouse/") {
			t.Errorf("the zip holds %s, want nothing beside lakehouse/", path)
		}
	}
}

// The zip of wheels is made when the CLI deploys it: a synthesis, and so a review or a test, needs neither zip nor network. Stage local
// has no such zip: its jobs find the packages where they run.
func TestPythonWheels(t *testing.T) {
	for stage, want := range map[string]bool{"dev": true, "prod": true, "local": false} {
		var manifest struct {
			Files map[string]struct {
				Source struct {
					Executable []string
					Path       string
				}
				Destinations map[string]struct{ ObjectKey string }
			}
		}
		paths, err := filepath.Glob(filepath.Join(string(ofStage(t, stage)), "*-pipeline.assets.json"))
		if err != nil || len(paths) != 1 {
			t.Fatalf("asset manifests %q, error %v", paths, err)
		}
		text, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &manifest); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range manifest.Files {
			if file.Source.Path != "" {
				continue
			}
			for _, destination := range file.Destinations {
				found = true
				if destination.ObjectKey != packages.Name() || !slices.Equal(file.Source.Executable, []string{"go", "run", "./tools/packages"}) {
					t.Errorf("stage %s: %v is put at %s, want the zip of wheels at %s", stage, file.Source.Executable, destination.ObjectKey, packages.Name())
				}
			}
		}
		jobs, installed := 0, 0
		for _, resource := range ofStage(t, stage).template(t, "pipeline").Resources {
			if resource.Type != "AWS::Glue::Job" {
				continue
			}
			jobs++
			arguments := resource.Properties["DefaultArguments"].(map[string]any)
			if modules, given := arguments["--additional-python-modules"]; given && strings.Contains(fmt.Sprint(modules), packages.Name()) {
				installed++
			}
			if arguments["--engine"] != "auto" || arguments["--spark_from_gib"] != "4" {
				t.Errorf("stage %s: a job has the engine %v from %v GiB, want auto from 4", stage, arguments["--engine"], arguments["--spark_from_gib"])
			}
		}
		if found != want || want && installed != jobs || !want && installed > 0 {
			t.Errorf("stage %s: a zip of wheels is an asset: %t; of %d jobs %d use it; want %t for all", stage, found, jobs, installed, want)
		}
	}
}

// The network's S3 endpoint lets through whatever code a job's role may read.
func TestEndpointLetsCodeThrough(t *testing.T) {
	patterns := regexp.MustCompile(`/\*\.(\w+)"`).FindAllStringSubmatch(ofStage(t, "prod").text(t, "network"), -1)
	suffixes := []string{}
	for _, pattern := range patterns {
		suffixes = append(suffixes, "."+pattern[1])
	}
	keys := regexp.MustCompile(`/([0-9a-f]{64}[\w.]*)"`).FindAllStringSubmatch(ofStage(t, "prod").text(t, "pipeline"), -1)
	for _, key := range keys {
		if !slices.Contains(suffixes, filepath.Ext(key[1])) {
			t.Errorf("no job gets %s through an endpoint for objects that end in %q", key[1], suffixes)
		}
	}
	if len(keys) < 3 || len(suffixes) < 2 {
		t.Errorf("found the objects %q and the ends %q; has the way they are written changed?", keys, suffixes)
	}
}
