package cloud

import (
	"fmt"
	"regexp"
	"strings"
)

// Unknown stands in a text for a value that cannot be told from the templates. It is the wildcard of IAM: who reads a policy must
// take it for anything.
const Unknown = "*"

// names say which property of a resource is what Ref gives, if the template sets it.
var names = map[string][]string{
	"AWS::Athena::WorkGroup":           {"Name"},
	"AWS::Glue::Database":              {"DatabaseInput", "Name"},
	"AWS::Glue::Job":                   {"Name"},
	"AWS::Glue::SecurityConfiguration": {"Name"},
	"AWS::Logs::LogGroup":              {"LogGroupName"},
	"AWS::S3::Bucket":                  {"BucketName"},
}

// Text is a value of a template as text. What only a deployment can tell stands as ${stack.LogicalId} or ${AWS::AccountId}; the
// ARN of a bucket is arn:aws:s3:::${stack.LogicalId}, and references to other stacks are followed. The partition is aws.
func (a Assembly) Text(stack Stack, value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case map[string]any:
		for function, argument := range value {
			if len(value) == 1 {
				return a.call(stack, function, argument)
			}
		}
		return Unknown
	case []any:
		return Unknown
	}
	return fmt.Sprint(value)
}

// Texts are the texts of a value that may stand alone or in a list.
func (a Assembly) Texts(stack Stack, value any) []string {
	list, isList := value.([]any)
	if !isList {
		if value == nil {
			return nil
		}
		list = []any{value}
	}
	var texts []string
	for _, item := range list {
		texts = append(texts, a.Text(stack, item))
	}
	return texts
}

func (a Assembly) call(stack Stack, function string, argument any) string {
	list, _ := argument.([]any)
	switch function {
	case "Ref":
		return a.ref(stack, fmt.Sprint(argument))
	case "Fn::GetAtt":
		if len(list) == 2 {
			return a.attribute(stack, fmt.Sprint(list[0]), fmt.Sprint(list[1]))
		}
	case "Fn::Join":
		if len(list) == 2 {
			return strings.Join(a.Texts(stack, list[1]), a.Text(stack, list[0]))
		}
	case "Fn::Sub":
		return a.substitute(stack, argument)
	case "Fn::GetStackOutput":
		if given, ok := argument.(map[string]any); ok {
			return a.output(fmt.Sprint(given["StackName"]), fmt.Sprint(given["OutputName"]))
		}
	case "Fn::ImportValue":
		return a.exported(a.Text(stack, argument))
	}
	return Unknown
}

func (a Assembly) ref(stack Stack, id string) string {
	switch id {
	case "AWS::Partition":
		return "aws"
	case "AWS::NoValue":
		return ""
	}
	resource, known := stack.Resources[id]
	if !known {
		return "${" + id + "}" // of AWS
	}
	if name, ok := resource.Get(names[resource.Type]...).(string); ok && name != "" {
		return name
	}
	return "${" + stack.Name + "." + id + "}"
}

func (a Assembly) attribute(stack Stack, id, name string) string {
	if stack.Resources[id].Type == "AWS::S3::Bucket" && name == "Arn" {
		return "arn:aws:s3:::" + a.ref(stack, id)
	}
	return "${" + stack.Name + "." + id + "." + name + "}"
}

var variable = regexp.MustCompile(`\$\{[^!}][^}]*\}`)

func (a Assembly) substitute(stack Stack, argument any) string {
	text, given := argument, map[string]any{}
	if list, ok := argument.([]any); ok && len(list) == 2 {
		text = list[0]
		given, _ = list[1].(map[string]any)
	}
	return variable.ReplaceAllStringFunc(fmt.Sprint(text), func(found string) string {
		name := strings.TrimSpace(found[2 : len(found)-1])
		if value, ok := given[name]; ok {
			return a.Text(stack, value)
		}
		if id, attribute, ok := strings.Cut(name, "."); ok {
			return a.attribute(stack, id, attribute)
		}
		return a.ref(stack, name)
	})
}

func (a Assembly) output(stackName, name string) string {
	for _, stack := range a {
		if output, ok := stack.Outputs[name]; ok && stack.Name == stackName {
			return a.Text(stack, output.Value)
		}
	}
	return Unknown
}

func (a Assembly) exported(name string) string {
	for _, stack := range a {
		for _, output := range stack.Outputs {
			if a.Text(stack, output.Export.Name) == name {
				return a.Text(stack, output.Value)
			}
		}
	}
	return Unknown
}
