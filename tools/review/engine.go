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
	Resources []resourceDifference `json:"resources"`
	Ingress   []groupRule          `json:"ingress"`   // rules added
	Egress    []groupRule          `json:"egress"`    // rules added
	Broadened bool                 `json:"broadened"` // statements or managed policies were added
	Text      string               `json:"text"`      // what cdk diff prints
}

type resourceDifference struct {
	ID         string               `json:"id"` // logical id
	OldType    string               `json:"oldType"`
	NewType    string               `json:"newType"`
	Impact     string               `json:"impact"`
	Properties []propertyDifference `json:"properties"`
	Other      []string             `json:"other"` // changed attributes beside the properties, e.g. DeletionPolicy
}

type propertyDifference struct {
	Name   string `json:"name"`
	Impact string `json:"impact"`
}

// groupRule is a rule of a security group.
type groupRule struct {
	Group    string `json:"group"`
	Protocol string `json:"protocol"`
	Peer     string `json:"peer"`
}

func (d resourceDifference) added() bool   { return d.OldType == "" }
func (d resourceDifference) removed() bool { return d.NewType == "" }

// kind is the resource's type; of a removed one the type it had.
func (d resourceDifference) kind() string {
	if d.removed() {
		return d.OldType
	}
	return d.NewType
}

// compare gives the templates of two versions, by stack, to the CDK's engine in folder root/node_modules.
func compare(ctx context.Context, root string, base, head map[string]template) (map[string]difference, error) {
	type pair struct {
		Old map[string]any `json:"old,omitempty"`
		New map[string]any `json:"new,omitempty"`
	}
	pairs := map[string]pair{}
	for _, stack := range union(base, head) {
		pairs[stack] = pair{Old: base[stack].Body, New: head[stack].Body}
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
