package packages

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var pin = regexp.MustCompile(`(?m)^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)`)

func pins(text string) map[string][]string {
	found := map[string][]string{}
	for _, match := range pin.FindAllStringSubmatch(text, -1) {
		name := strings.ReplaceAll(strings.ToLower(match[1]), "_", "-")
		found[name] = append(found[name], match[2])
	}
	return found
}

// What runs on Glue is what the tests ran with.
func TestVersionsAreThoseOfTheTests(t *testing.T) {
	tested, err := os.ReadFile("../../local/setup/demo.lock")
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := pins(locked), pins(string(tested))
	for name, versions := range ours {
		if !slices.Contains(theirs[name], versions[0]) {
			t.Errorf("glue.lock has %s %s, demo.lock %q: correct glue.in, then make lock", name, versions[0], theirs[name])
		}
	}
	for name, versions := range pins(wanted) {
		if !slices.Equal(ours[name], versions) {
			t.Errorf("glue.in asks for %s %q, glue.lock has %q: make lock", name, versions, ours[name])
		}
	}
	if _, ours := ours["boto3"]; ours {
		t.Error("glue.lock has boto3, which is Glue's")
	}
}

// Each package has one hash, of a wheel that Glue 6.0 can load; the file's name stands above it.
func TestLockIsForGlue(t *testing.T) {
	const runs = `^# [\w.]+-[\w.]+-(py3|py2\.py3|cp313|cp3\d+)-(none-any|(cp313|abi3)-(manylinux\w+\.)*manylinux(2014|_2_(\d|[12]\d|3[0-4]))_x86_64(\.manylinux\w+)*)\.whl$`
	lines := strings.Split(strings.TrimSuffix(locked, "\n"), "\n")[1:]
	if len(lines)%3 != 0 || len(lines) < 9 {
		t.Fatalf("glue.lock has %d lines below the first, want three a package", len(lines))
	}
	for entry := range slices.Chunk(lines, 3) {
		if !regexp.MustCompile(runs).MatchString(entry[0]) || !pin.MatchString(entry[1]) || len(hashes.FindAllString(entry[2], -1)) != 1 {
			t.Errorf("glue.lock has the entry\n%s\nwant the name of a wheel for Python %s on x86-64, its version and one hash", strings.Join(entry, "\n"), Python)
		}
	}
	if strings.Contains(locked+wanted, "//") {
		t.Error("glue.in or glue.lock names a place to take packages from")
	}
}

func TestName(t *testing.T) {
	before := Name()
	if !regexp.MustCompile(`^[0-9a-f]{64}\.gluewheels\.zip$`).MatchString(before) {
		t.Errorf("the zip is called %s, want a hash, and the end that Glue asks for", before)
	}
	for _, text := range []*string{&wanted, &locked} {
		was := *text
		*text += "# more\n"
		if Name() == before {
			t.Error("other packages are called the same: jobs would go on with the old ones")
		}
		*text = was
	}
}

// wheel writes a file as if it were a wheel, and returns its line for a lock.
func wheel(t *testing.T, folder, name, content string) (path, line string) {
	t.Helper()
	path = filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	hash, err := Hash(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, "--hash=sha256:" + hash + "\n"
}

func TestZip(t *testing.T) {
	folder := t.TempDir()
	first, _ := wheel(t, folder, "a-1-py3-none-any.whl", "first")
	second, _ := wheel(t, folder, "b-1-py3-none-any.whl", "second")
	var made [][]byte
	for _, name := range []string{"once", "again"} {
		path := filepath.Join(folder, name)
		if err := write(path, []string{first, second}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, content)
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("the same wheels make two zips")
	}
	archive, err := zip.NewReader(bytes.NewReader(made[0]), int64(len(made[0])))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, entry := range archive.File {
		reader, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Name] = string(content)
	}
	// The layout of Glue's guide, appendix A.
	if len(found) != 3 || found["wheels/a-1-py3-none-any.whl"] != "first" || found["wheels/b-1-py3-none-any.whl"] != "second" {
		t.Errorf("the zip holds %v", found)
	}
	for line := range strings.Lines(found["wheels/requirements.txt"]) {
		if !pin.MatchString(line) {
			t.Errorf("requirements.txt has the line %q, want a pinned package", line)
		}
	}
}

func TestWheelsAreThoseOfTheLock(t *testing.T) {
	folder := t.TempDir()
	one, oneLine := wheel(t, folder, "a-1-py3-none-any.whl", "one")
	other, otherLine := wheel(t, folder, "b-1-py3-none-any.whl", "other")
	for name, test := range map[string]struct {
		wheels []string
		lock   string
		want   string
	}{
		"all":           {[]string{one, other}, oneLine + otherLine, ""},
		"one too many":  {[]string{one, other}, oneLine, "b-1-py3-none-any.whl has the hash"},
		"one is absent": {[]string{one}, oneLine + otherLine, "1 wheels of glue.lock were not downloaded"},
	} {
		if err := check(test.wheels, test.lock); test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error = %v, want %q", name, err, test.want)
		}
	}
}

// What is there is not made anew: no pip, no network.
func TestMakeOnce(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, Name())
	if err := os.WriteFile(path, []byte("made before"), 0o600); err != nil {
		t.Fatal(err)
	}
	was := pythons
	pythons = []string{"no-such-python"}
	t.Cleanup(func() { pythons = was })
	if made, err := Make(t.Context(), folder); err != nil || made != path {
		t.Errorf("Make returned %s, error %v, want %s", made, err, path)
	}
	_, err := Make(t.Context(), filepath.Join(folder, "empty"))
	if err == nil || !strings.Contains(err.Error(), "takes pip, and there is none") || !strings.Contains(err.Error(), "no-such-python") {
		t.Errorf("error = %v, want what is missing", err)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "empty", "*")); len(left) > 0 {
		t.Errorf("a failed download leaves %q", left)
	}
}
