// Package packages is the zip of Python packages that a Glue job gets beside those that Glue brings: wheels for Glue's Python and
// platform, each pinned by its hash in glue.lock. Glue's pip installs from it when a run starts and looks nowhere else
// (docs/decisions/0018-packages-on-glue.md). The pipeline stack knows the zip's name; tools/packages makes it when the CLI deploys.
package packages

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Suffix is how Glue tells a zip of wheels from other files.
const Suffix = ".gluewheels.zip"

// Python is the version of Glue 6.0.
const Python = "3.13"

// layout is part of the zip's name: the next one is due when the same packages are put into a zip in another way.
const layout = "1"

// wheelsFolder is where Glue looks for wheels and requirements within the zip.
const wheelsFolder = "wheels/"

// platforms are those whose wheels run on Glue 6.0, Amazon Linux 2023 on x86-64 with glibc 2.34, the best first.
var platforms = []string{"manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"}

// pythons are whose pip may download: the project's, or any; pip only has to be there.
var pythons = []string{".venv/bin/python", "python3"}

//go:embed glue.in
var wanted string

//go:embed glue.lock
var locked string

// Name is the zip's file name. It tells all that the zip is made of, so it is known before there is a zip.
func Name() string {
	sum := sha256.Sum256([]byte(layout + "\n" + wanted + "\n" + locked))
	return hex.EncodeToString(sum[:]) + Suffix
}

// Make writes the zip into a folder, unless it is there, and returns its path. The wheels are downloaded from wherever the user's pip
// takes packages.
func Make(ctx context.Context, folder string) (path string, err error) {
	path = filepath.Join(folder, Name())
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(folder, "download-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	lock := filepath.Join(scratch, "glue.lock")
	if err := os.WriteFile(lock, []byte(locked), 0o600); err != nil {
		return "", err
	}
	wheels, err := Download(ctx, lock, scratch)
	if err != nil {
		return "", err
	}
	if err := check(wheels, locked); err != nil {
		return "", err
	}
	made := filepath.Join(scratch, "made")
	if err := write(made, wheels); err != nil {
		return "", err
	}
	return path, os.Rename(made, path)
}

// Download puts the wheels of a lock into a folder and returns their paths, sorted. Nothing is built and no code of a package is run.
func Download(ctx context.Context, lock, folder string) ([]string, error) {
	python, err := findPip(ctx)
	if err != nil {
		return nil, err
	}
	arguments := []string{
		"-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:",
		"--implementation", "cp", "--python-version", Python, "--dest", folder, "--requirement", lock,
	}
	for _, platform := range platforms {
		arguments = append(arguments, "--platform", platform)
	}
	if output, err := exec.CommandContext(ctx, python, arguments...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("downloading the packages of the jobs: %w\n%s", err, output)
	}
	wheels, err := filepath.Glob(filepath.Join(folder, "*.whl"))
	slices.Sort(wheels)
	return wheels, err
}

func findPip(ctx context.Context) (string, error) {
	var tried []error
	for _, python := range pythons {
		output, err := exec.CommandContext(ctx, python, "-m", "pip", "--version").CombinedOutput()
		if err == nil {
			return python, nil
		}
		tried = append(tried, fmt.Errorf("%s -m pip: %w %s", python, err, strings.TrimSpace(string(output))))
	}
	return "", fmt.Errorf("downloading the packages of the jobs takes pip, and there is none: %w", errors.Join(tried...))
}

var hashes = regexp.MustCompile(`--hash=sha256:([0-9a-f]{64})`)

// check holds the wheels against the lock once more: all of it and nothing else, whatever pip has done.
func check(wheels []string, lock string) error {
	want := map[string]bool{}
	for _, found := range hashes.FindAllStringSubmatch(lock, -1) {
		want[found[1]] = true
	}
	for _, wheel := range wheels {
		sum, err := Hash(wheel)
		if err != nil {
			return err
		}
		if !want[sum] {
			return fmt.Errorf("%s has the hash %s, which is not in glue.lock", filepath.Base(wheel), sum)
		}
		delete(want, sum)
	}
	if len(want) > 0 {
		return fmt.Errorf("%d wheels of glue.lock were not downloaded", len(want))
	}
	return nil
}

// Hash is the SHA-256 of a file.
func Hash(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// write makes the zip, the same bytes for the same wheels: in order, as they are (they are compressed themselves), and of no time.
// Its requirements name what glue.in asks for; what those need is taken from Glue where its version will do, else from the zip.
func write(path string, wheels []string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := zip.NewWriter(file)
	if err := add(archive, "requirements.txt", strings.NewReader(requirements())); err != nil {
		return err
	}
	for _, wheel := range wheels {
		content, err := os.Open(wheel)
		if err != nil {
			return err
		}
		if err := errors.Join(add(archive, filepath.Base(wheel), content), content.Close()); err != nil {
			return err
		}
	}
	return archive.Close()
}

func add(archive *zip.Writer, name string, content io.Reader) error {
	header := &zip.FileHeader{Name: wheelsFolder + name, Method: zip.Store, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o644)
	entry, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(entry, content)
	return err
}

// requirements is glue.in without what it says to people.
func requirements() string {
	var lines strings.Builder
	for line := range strings.Lines(wanted) {
		if !strings.HasPrefix(line, "#") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}
