package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"stedi-lakehouse/internal/findings"
)

// Where `make setup` puts the tools. The checks' Python packages have a folder of their own: checkov pins versions that the jobs and
// the embedded AWS cannot live with.
var (
	checksPython = envOr("CHECKS_VENV", filepath.Join(".stedi", "checks"))
	nodeModules  = envOr("CHECKS_NODE_MODULES", "node_modules")
)

func envOr(key, otherwise string) string {
	if value := os.Getenv(key); value != "" {
		return value
	}
	return otherwise
}

// checks run one tool each on all templates. An error means that the tool did not do its work, not that it found something.
var checks = map[string]func([]template) ([]findings.Finding, error){
	findings.Checkov:    checkov,
	findings.Guard:      guard,
	findings.Parliament: parliament,
	findings.States:     states,
	findings.Lint:       cfnLint,
}

// output is what a tool writes to stdout when it runs. Exit codes other than 0 are fine when they are among those with which the tool says that it has found something.
func output(stdin []byte, foundCodes []int, name string, arguments ...string) ([]byte, error) {
	out, _, err := outputs(stdin, foundCodes, name, arguments...)
	return out, err
}

// outputs are output and what the tool writes to stderr.
func outputs(stdin []byte, foundCodes []int, name string, arguments ...string) ([]byte, []byte, error) {
	command := exec.Command(name, arguments...)
	command.Stdin = bytes.NewReader(stdin)
	var out, messages bytes.Buffer
	command.Stdout, command.Stderr = &out, &messages
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains(foundCodes, exit.ExitCode()) {
		err = nil
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return nil, nil, fmt.Errorf("%w; make setup installs it", err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w\n%s%s", name, err, out.String(), messages.String())
	}
	return out.Bytes(), messages.Bytes(), nil
}

// at finds the template with a path, however a tool shortens it: <variant>/<stack>.json is its end.
func at(templates []template, path string) (template, error) {
	for _, template := range templates {
		if strings.HasSuffix(path, template.variant+"/"+template.stack+".json") {
			return template, nil
		}
	}
	return template{}, fmt.Errorf("a finding in %q, which is none of the templates", path)
}

func (t template) finding(tool, rule, id, message string) findings.Finding {
	return findings.Finding{Tool: tool, Rule: rule, Where: t.stack + "/" + id, Message: message, Variants: t.variant}
}

func folderOf(templates []template) string {
	return filepath.Dir(filepath.Dir(templates[0].path))
}

func paths(templates []template) []string {
	var list []string
	for _, template := range templates {
		list = append(list, template.path)
	}
	return list
}

func checkov(templates []template) ([]findings.Finding, error) {
	text, err := output(nil, []int{1}, filepath.Join(checksPython, "bin", "checkov"), "--directory", folderOf(templates),
		"--framework", "cloudformation", "--output", "json", "--compact", "--quiet", "--skip-download")
	if err != nil {
		return nil, err
	}
	var report struct {
		Results struct {
			Failed []struct {
				Rule     string `json:"check_id"`
				Name     string `json:"check_name"`
				Resource string `json:"resource"` // AWS::Glue::Job.LogicalId
				Path     string `json:"file_path"`
			} `json:"failed_checks"`
		} `json:"results"`
		Summary struct {
			Passed        int `json:"passed"`
			ParsingErrors int `json:"parsing_errors"`
		} `json:"summary"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("its report: %w\n%s", err, text)
	}
	if report.Summary.ParsingErrors > 0 || report.Summary.Passed == 0 {
		return nil, fmt.Errorf("%d checks passed and %d templates could not be read; has the tool seen the templates?",
			report.Summary.Passed, report.Summary.ParsingErrors)
	}
	var found []findings.Finding
	for _, failed := range report.Results.Failed {
		in, err := at(templates, failed.Path)
		if err != nil {
			return nil, err
		}
		_, id, _ := strings.Cut(failed.Resource, ".")
		found = append(found, in.finding(findings.Checkov, failed.Rule, id, failed.Name))
	}
	return found, nil
}

// guardRules is our own rule file.
const guardRules = "tools/checks/rules/lakehouse.guard"

// guardBinary is cfn-guard as the CDK's plugin for it ships it; the plugin itself is not used.
func guardBinary() string {
	system := map[string]string{"linux": "ubuntu", "darwin": "macos"}[runtime.GOOS]
	processor := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	return filepath.Join(nodeModules, "@cdklabs", "cdk-validator-cfnguard", "bin", system, processor, "cfn-guard")
}

func guard(templates []template) ([]findings.Finding, error) {
	return guardWith(guardRules, templates)
}

func guardWith(rules string, templates []template) ([]findings.Finding, error) {
	const rulesFailed = 19
	arguments := []string{"validate", "--structured", "--show-summary", "none", "--output-format", "json", "--rules", rules}
	for _, path := range paths(templates) {
		arguments = append(arguments, "--data", path)
	}
	text, err := output(nil, []int{rulesFailed}, guardBinary(), arguments...)
	if err != nil {
		return nil, err
	}
	var reports []struct {
		Name   string `json:"name"`
		Failed []struct {
			Rule struct {
				Name   string `json:"name"`
				Checks []any  `json:"checks"`
			}
		} `json:"not_compliant"`
	}
	if err := json.Unmarshal(text, &reports); err != nil {
		return nil, fmt.Errorf("its report: %w\n%s", err, text)
	}
	if len(reports) != len(templates) {
		return nil, fmt.Errorf("%d reports on %d templates", len(reports), len(templates))
	}
	var found []findings.Finding
	for _, report := range reports {
		in, err := at(templates, report.Name)
		if err != nil {
			return nil, err
		}
		for _, failed := range report.Failed {
			for _, check := range failed.Rule.Checks {
				id, message := guardClause(check)
				found = append(found, in.finding(findings.Guard, failed.Rule.Name, id, message))
			}
		}
	}
	return found, nil
}

// guardClause finds in a failed clause of cfn-guard's report, which nests, the resource and the rule's message.
func guardClause(node any) (id, message string) {
	switch node := node.(type) {
	case map[string]any:
		if path, ok := node["path"].(string); ok {
			if rest, inResource := strings.CutPrefix(path, "/Resources/"); inResource {
				id, _, _ = strings.Cut(rest, "/")
			}
		}
		if text, ok := node["custom_message"].(string); ok {
			message = strings.TrimSpace(text)
		}
		for _, key := range sortedKeys(node) {
			id, message = firstOf(node[key], id, message)
		}
	case []any:
		for _, item := range node {
			id, message = firstOf(item, id, message)
		}
	}
	return id, message
}

func firstOf(node any, id, message string) (string, string) {
	nestedID, nestedMessage := guardClause(node)
	if id == "" {
		id = nestedID
	}
	if message == "" {
		message = nestedMessage
	}
	return id, message
}

func parliament(templates []template) ([]findings.Finding, error) {
	policies := map[string]string{} // by variant and place
	for _, template := range templates {
		for _, policy := range template.app.Policies() {
			if policy.Stack != template.in.Name {
				continue
			}
			text, err := template.app.Document(policy)
			if err != nil {
				return nil, err
			}
			name := policy.Resource
			if policy.Name != "" {
				name += "/" + policy.Name
			}
			policies[template.variant+"|"+template.stack+"|"+name] = text
		}
	}
	if len(policies) == 0 {
		return nil, errors.New("the templates have no policies")
	}
	input, err := json.Marshal(policies)
	if err != nil {
		return nil, err
	}
	text, err := output(input, nil, filepath.Join(checksPython, "bin", "python"), "tools/checks/policies.py")
	if err != nil {
		return nil, err
	}
	var reports []struct{ Where, Rule, Message string }
	if err := json.Unmarshal(text, &reports); err != nil {
		return nil, fmt.Errorf("its report: %w\n%s", err, text)
	}
	var found []findings.Finding
	for _, report := range reports {
		parts := strings.SplitN(report.Where, "|", 3)
		found = append(found, findings.Finding{
			Tool: findings.Parliament, Rule: report.Rule, Where: parts[1] + "/" + parts[2], Message: report.Message, Variants: parts[0],
		})
	}
	return found, nil
}

// states validates the definition of every state machine.
func states(templates []template) ([]findings.Finding, error) {
	var found []findings.Finding
	machines := 0
	for _, template := range templates {
		for _, id := range template.in.OfType("AWS::StepFunctions::StateMachine") {
			machines++
			definition := template.app.Text(template.in, template.in.Resources[id].Properties["DefinitionString"])
			path := strings.TrimSuffix(template.path, ".json") + "-" + id + ".asl"
			if err := os.WriteFile(path, []byte(definition), 0o600); err != nil {
				return nil, err
			}
			// It writes what it finds to stderr.
			out, messages, err := outputs(nil, []int{1}, filepath.Join(nodeModules, ".bin", "asl-validator"), "--json-path", path)
			if err != nil {
				return nil, err
			}
			before := len(found)
			for line := range strings.Lines(string(messages)) {
				rule, message, isFinding := strings.Cut(strings.TrimSpace(line), ": ")
				if isFinding && rule == strings.ToUpper(rule) {
					found = append(found, template.finding(findings.States, rule, id, message))
				}
			}
			if len(found) == before && !strings.Contains(string(out), "is valid") {
				return nil, fmt.Errorf("its report cannot be read:\n%s%s", out, messages)
			}
		}
	}
	if machines == 0 {
		return nil, errors.New("the templates have no state machine")
	}
	return found, nil
}

func cfnLint(templates []template) ([]findings.Finding, error) {
	const errorsFound, warningsFound = 2, 4 // bits of the exit code, with 8 for informational ones
	codes := []int{errorsFound, warningsFound, errorsFound | warningsFound, 8, 10, 12, 14}
	text, err := output(nil, codes, "cfn-lint", append([]string{"--format", "json"}, paths(templates)...)...)
	if err != nil {
		return nil, err
	}
	var reports []struct {
		Filename string
		Message  string
		Rule     struct{ Id string } //nolint:revive // as cfn-lint writes it
		Location struct{ Path []any }
	}
	if err := json.Unmarshal(text, &reports); err != nil {
		return nil, fmt.Errorf("its report: %w\n%s", err, text)
	}
	var found []findings.Finding
	for _, report := range reports {
		in, err := at(templates, report.Filename)
		if err != nil {
			return nil, err
		}
		id := "template"
		if len(report.Location.Path) > 1 {
			id = fmt.Sprint(report.Location.Path[1])
		}
		found = append(found, in.finding(findings.Lint, report.Rule.Id, id, report.Message))
	}
	return found, nil
}

func sortedKeys(node map[string]any) []string {
	var keys []string
	for key := range node {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
