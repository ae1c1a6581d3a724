package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"stedi-lakehouse/internal/cloud"
)

//go:embed diff.js
var diffScript string

// The impacts of a change, as the CDK's engine names them; the others do not matter here.
const (
	willReplace  = "WILL_REPLACE"
	mightReplace = "MAY_REPLACE"
	willDestroy  = "WILL_DESTROY" // the resource leaves the stack and is deleted
	willOrphan   = "WILL_ORPHAN"  // it leaves the stack and stays in the account
)

// difference is what the engine says of one stack.
type difference struct {
	Resources []resourceDifference
	Added     []statement
	Removed   []statement
	Known     []statement // all that the earlier version had; without places
	Managed   []struct{ Owner, Policy string }
	Unread    []string    // logical ids of resources whose permissions change in a way that the engine cannot name
	Ingress   []groupRule // rules added
	Egress    []groupRule // rules added
	Text      string      // what cdk diff prints
}

type resourceDifference struct {
	ID         string // logical id
	OldType    string
	NewType    string
	Impact     string
	Made       string // its properties as they will be, for people
	Properties []struct{ Name, Impact, Old, New string }
}

// groupRule is a rule of a security group.
type groupRule struct{ Group, Protocol, Peer string }

func (d resourceDifference) added() bool   { return d.OldType == "" }
func (d resourceDifference) removed() bool { return d.NewType == "" }

// kind is the resource's type; of one that is removed, or replaced by something of another type, the type it had.
func (d resourceDifference) kind() string {
	if d.added() {
		return d.NewType
	}
	return d.OldType
}

// compare gives the templates of two versions, those under the same name as a pair, to the CDK's engine in folder root/node_modules.
func compare(ctx context.Context, root string, base, head map[string]cloud.Stack) (map[string]difference, error) {
	type pair struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	pairs := map[string]pair{}
	for _, stack := range union(base, head) {
		pairs[stack] = pair{base[stack].Path, head[stack].Path}
	}
	input, err := json.Marshal(pairs)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, "node_modules/.bin/node"), "-e", diffScript)
	cmd.Dir = root // where Node.js finds the engine
	cmd.Env = append(os.Environ(), "FORCE_COLOR=0")
	var output, errors bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &output, &errors
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("comparing templates with @aws-cdk/cloudformation-diff: %w (is `make setup` done?)\n%s", err, errors.String())
	}
	var differences map[string]difference
	if err := json.Unmarshal(output.Bytes(), &differences); err != nil {
		return nil, fmt.Errorf("comparing templates: reading the engine's answer: %w", err)
	}
	return differences, nil
}
