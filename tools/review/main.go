// Command review says what a change does to the lakehouse, for the people who decide whether it may be merged: data that is deleted,
// permissions that become wider, networks that are opened, contracts that break, what it costs, and then everything else.
//
//	review -base origin/main [-stage NAME]   the working tree against the commit at which it left origin/main; no AWS credentials
//	review -deployed -stage NAME             the working tree against what is deployed in the account of the credentials
//
// It is run from the project's top folder (make diff). It writes Markdown to the standard output, the verdict in its first line. Exit
// status: 0 safe or approved, 2 unsafe, 1 something went wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"stedi-lakehouse/internal/cloud"
)

const (
	exitError  = 1
	exitUnsafe = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	report, unsafe, err := run(ctx, ".", os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "review:", err)
		os.Exit(exitError)
	}
	fmt.Print(report)
	if unsafe {
		os.Exit(exitUnsafe)
	}
}

var errUsage = errors.New("usage: review -base COMMIT [-stage NAME] | review -deployed -stage NAME")

// run reviews the project in folder root. It returns the report, and whether something in it is unsafe and not approved.
func run(ctx context.Context, root string, args []string) (report string, unsafe bool, err error) {
	flags := flag.NewFlagSet("review", flag.ContinueOnError)
	base := flags.String("base", "", "commit to compare with: where HEAD left it")
	stage := flags.String("stage", "", "stage to compare; all of them when it is not given")
	deployed := flags.Bool("deployed", false, "compare with what is deployed")
	if flags.Parse(args) != nil || flags.NArg() > 0 || (*base == "") != *deployed || *deployed && *stage == "" {
		return "", false, errUsage
	}
	if root, err = filepath.Abs(root); err != nil {
		return "", false, err
	}
	work, err := os.MkdirTemp("", "stedi-review-")
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	var stages []string
	if *stage != "" {
		stages = []string{*stage}
	}
	differ := func(base, head map[string]cloud.Stack) (map[string]difference, error) {
		return compare(ctx, root, base, head)
	}
	judge := func(before, after version, compared string, spent []approval) error {
		if *stage != "" && after.Stages[*stage] == nil && before.Stages[*stage] == nil {
			return fmt.Errorf("stage %q is unknown in both versions", *stage)
		}
		made, err := newReview(before, after, differ)
		if err != nil {
			return err
		}
		approvals, err := readApprovals(os.DirFS(root))
		if err != nil {
			return err
		}
		verdict := newVerdict(made, compared, approvals, spent)
		report, unsafe = verdict.markdown(), len(verdict.open()) > 0
		return nil
	}
	if *deployed {
		after, err := synthesize(ctx, root, filepath.Join(work, "head"), stages, nil)
		if err != nil {
			return "", false, err
		}
		before, err := deployedVersion(ctx, after, work)
		if err != nil {
			return "", false, err
		}
		err = judge(before, after, fmt.Sprintf("Compared with what is deployed of stage `%s`.", *stage), nil)
		return report, unsafe, err
	}
	err = judgeCommit(ctx, root, work, *base, stages, judge)
	return report, unsafe, err
}

// judgeCommit synthesizes the version of a commit and that of the working tree, both at the same time, and has them judged.
func judgeCommit(ctx context.Context, root, work, ref string, stages []string, judge func(before, after version, compared string, spent []approval) error) error {
	commit, err := mergeBase(ctx, root, ref)
	if err != nil {
		return err
	}
	folder := filepath.Join(work, "base")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if err := checkout(ctx, root, commit, folder); err != nil {
		return err
	}
	type result struct {
		version version
		err     error
	}
	earlier := make(chan result, 1)
	go func() {
		made, err := synthesize(ctx, folder, filepath.Join(work, "base.out"), stages, withoutCredentials)
		earlier <- result{made, err}
	}()
	after, err := synthesize(ctx, root, filepath.Join(work, "head.out"), stages, withoutCredentials)
	before := <-earlier
	if err := errors.Join(before.err, err); err != nil {
		return err
	}
	spent, err := readApprovals(os.DirFS(folder))
	if err != nil {
		return err
	}
	compared := fmt.Sprintf("Compared with `%.12s`, where this version left `%s`.", commit, strings.ReplaceAll(ref, "`", "'"))
	if changed, err := command(ctx, root, nil, "git", "diff", "--name-only", commit, "--", "tools/review"); err != nil {
		return err
	} else if changed != "" {
		compared += " **The change is also one of this review's own program (`tools/review`): do not rely on the review alone.**"
	}
	return judge(before.version, after, compared, spent)
}
