// Packages makes the zip of Python packages that the Glue jobs get, and prints where it is. The CDK CLI runs it when it deploys a zip
// that the asset bucket does not have yet; nothing else needs to.
//
//	go run ./tools/packages         make the zip in .stedi/wheels, unless it is there
//	go run ./tools/packages -lock   resolve glue.in anew into glue.lock; needs uv
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"stedi-lakehouse/internal/packages"
)

const (
	folder  = ".stedi/wheels"
	sources = "internal/packages"
)

func main() {
	lock := flag.Bool("lock", false, "write glue.lock anew instead of making the zip")
	flag.Parse()
	if err := run(*lock); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(lock bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if lock {
		return writeLock(ctx)
	}
	return makeZip(ctx)
}

// makeZip prints the zip's path and nothing else: that is what the CLI reads.
func makeZip(ctx context.Context) error {
	path, err := packages.Make(ctx, folder)
	if err != nil {
		return err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

// writeLock pins the one wheel of each package that runs on Glue, with versions as in local/setup/demo.lock: what is tested is what runs.
func writeLock(ctx context.Context) (err error) {
	scratch, err := os.MkdirTemp("", "glue-lock-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	resolved := filepath.Join(scratch, "resolved")
	resolve := exec.CommandContext(ctx, "local/setup/uv", "pip", "compile", "--quiet", "--python-version", packages.Python,
		"--python-platform", "x86_64-manylinux_2_28", "--only-binary", ":all:", "--generate-hashes", "--no-emit-index-url",
		"--no-emit-find-links", "--no-header", "--no-annotate", "--constraint", "local/setup/demo.lock", "--output-file", resolved,
		filepath.Join(sources, "glue.in"))
	resolve.Stderr = os.Stderr
	if err := resolve.Run(); err != nil {
		return fmt.Errorf("uv pip compile: %w", err)
	}
	wheels, err := packages.Download(ctx, resolved, scratch)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString("# Made of glue.in by make lock: the one wheel of each package that runs on AWS Glue.\n")
	for _, wheel := range wheels {
		hash, err := packages.Hash(wheel)
		if err != nil {
			return err
		}
		parts := strings.Split(filepath.Base(wheel), "-") // name-version-python-abi-platform.whl
		name := strings.ReplaceAll(strings.ToLower(parts[0]), "_", "-")
		fmt.Fprintf(&text, "# %s\n%s==%s \\\n    --hash=sha256:%s\n", filepath.Base(wheel), name, parts[1], hash)
	}
	return os.WriteFile(filepath.Join(sources, "glue.lock"), []byte(text.String()), 0o644)
}
