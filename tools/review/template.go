package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// template is a CloudFormation template without the hashes of the code it deploys: what changes with every edit of a script would
// hide what else changes.
type template struct {
	Body map[string]any
	// Code are the hashes that were taken out, by logical id and by the property that holds them.
	Code map[string]map[string]string
	// Protected from termination is the stack; known of synthesized ones only.
	Protected bool
}

// resource is one resource of a template; the zero value stands for one that is not there.
type resource struct {
	Type           string
	Properties     map[string]any
	DeletionPolicy string
	ReplacePolicy  string // UpdateReplacePolicy
}

// assetHash is the name that the CDK gives to uploaded code; it changes with every edit of a script.
var assetHash = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// readTemplate takes the hashes of code out of a template, and with them what depends on them: the order of a statement's resources,
// which the CDK sorts by name.
func readTemplate(text []byte) (template, error) {
	made := template{Code: map[string]map[string]string{}}
	var original map[string]any
	if err := json.Unmarshal(text, &original); err != nil {
		return template{}, err
	}
	if err := json.Unmarshal(assetHash.ReplaceAll(text, []byte("CODE")), &made.Body); err != nil {
		return template{}, err
	}
	sortLists(made.Body)
	for _, entry := range object(made.Body, "Resources") {
		// The metadata says how the resource came about, not what is deployed.
		if fields, ok := entry.(map[string]any); ok {
			delete(fields, "Metadata")
		}
	}
	for id, entry := range object(original, "Resources") {
		fields, _ := entry.(map[string]any)
		made.Code[id] = map[string]string{}
		findCode("", object(fields, "Properties"), made.Code[id])
	}
	return made, nil
}

func findCode(path string, node any, found map[string]string) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			findCode(strings.TrimPrefix(path+"."+key, "."), value, found)
		}
	case []any:
		for _, value := range node {
			findCode(path, value, found)
		}
	case string:
		for _, hash := range assetHash.FindAllString(node, -1) {
			found[path] += hash
		}
	}
}

func sortLists(node any) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			sortLists(value)
			if list, ok := value.([]any); ok && (key == "Resource" || key == "Action") {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(render(a), render(b)) })
			}
		}
	case []any:
		for _, value := range node {
			sortLists(value)
		}
	}
}

// resources are the template's resources by logical id.
func (t template) resources() map[string]resource {
	found := map[string]resource{}
	for id, entry := range object(t.Body, "Resources") {
		fields, _ := entry.(map[string]any)
		one := resource{Properties: object(fields, "Properties")}
		one.Type, _ = fields["Type"].(string)
		one.DeletionPolicy, _ = fields["DeletionPolicy"].(string)
		one.ReplacePolicy, _ = fields["UpdateReplacePolicy"].(string)
		found[id] = one
	}
	return found
}

// get follows keys into nested objects; nil where there is nothing.
func (r resource) get(keys ...string) any {
	var value any = r.Properties
	for _, key := range keys {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = fields[key]
	}
	return value
}

// names are the physical names that a resource carries, its own and those of its input (TableInput.Name).
func (r resource) names() []string {
	var names []string
	add := func(fields map[string]any) {
		for key, value := range fields {
			if name, ok := value.(string); ok && strings.HasSuffix(key, "Name") && key != "DatabaseName" {
				names = append(names, name)
			}
		}
	}
	add(r.Properties)
	for key := range r.Properties {
		if strings.HasSuffix(key, "Input") {
			add(object(r.Properties, key))
		}
	}
	return names
}

func object(fields map[string]any, key string) map[string]any {
	value, _ := fields[key].(map[string]any)
	return value
}

// list makes a list of what CloudFormation and IAM allow to be written as one value or several.
func list(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	}
	return []any{value}
}

// render writes a value as a person would: ${Lake.Arn}/customer/* for a join of a GetAtt and a text.
func render(value any) string {
	switch value := value.(type) {
	case string:
		// What is rendered stands between backticks, on one line.
		return strings.NewReplacer("`", "'", "\n", " ").Replace(value)
	case []any:
		parts := make([]string, len(value))
		for i, part := range value {
			parts[i] = render(part)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		if text, ok := renderIntrinsic(value); ok {
			return text
		}
		parts := make([]string, 0, len(value))
		for _, key := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, key+": "+render(value[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(value)
}

// stackOutput is how the CDK names an output that another stack reads, with the logical id and perhaps the attribute in the middle.
var stackOutput = regexp.MustCompile(`^PublishOutput(?:Ref|FnGetAtt)(.+)[0-9A-F]{8}$`)

func renderIntrinsic(value map[string]any) (string, bool) {
	if len(value) != 1 {
		return "", false
	}
	for function, argument := range value {
		arguments := list(argument)
		switch function {
		case "Ref":
			return "${" + render(argument) + "}", true
		case "Fn::GetAtt":
			parts := make([]string, len(arguments))
			for i, part := range arguments {
				parts[i] = render(part)
			}
			return "${" + strings.Join(parts, ".") + "}", true
		case "Fn::ImportValue":
			return "${import " + render(argument) + "}", true
		case "Fn::GetStackOutput":
			fields, _ := argument.(map[string]any)
			// Without the stack's name, which is another one in every stage.
			return "${" + stackOutput.ReplaceAllString(render(fields["OutputName"]), "$1") + "}", true
		case "Fn::Sub":
			return render(arguments[0]), true
		case "Fn::Join":
			if len(arguments) != 2 {
				return "", false
			}
			parts := list(arguments[1])
			texts := make([]string, len(parts))
			for i, part := range parts {
				texts[i] = render(part)
			}
			return strings.Join(texts, render(arguments[0])), true
		}
	}
	return "", false
}
