package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/contract"
)

// deployedVersion is what runs in the account of the user's credentials, of the stacks that head has. It writes their templates into a
// folder.
func deployedVersion(ctx context.Context, head version, folder string) (version, error) {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return version{}, fmt.Errorf("loading AWS credentials: %w", err)
	}
	client := cloudformation.NewFromConfig(settings)
	made := version{Stages: map[string]cloud.Assembly{}}
	for stage, app := range head.Stages {
		for _, known := range app {
			text, err := deployedTemplate(ctx, client, known.Name)
			if err != nil {
				return version{}, err
			}
			if text == "" {
				continue // not there yet
			}
			path := filepath.Join(folder, known.Name+".deployed.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return version{}, err
			}
			stack, err := cloud.LoadStack(known.Name, path)
			if err != nil {
				return version{}, fmt.Errorf("the deployed template of stack %s: %w", known.Name, err)
			}
			made.Stages[stage] = append(made.Stages[stage], stack)
		}
		made.Contracts = append(made.Contracts, deployedContracts(made.Stages[stage], head.Contracts)...)
	}
	return made, nil
}

// deployedTemplate is a stack's template as it was given to CloudFormation; empty when there is no such stack.
func deployedTemplate(ctx context.Context, client *cloudformation.Client, stack string) (string, error) {
	answer, err := client.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: aws.String(stack), TemplateStage: types.TemplateStageOriginal})
	var refused smithy.APIError
	if errors.As(err, &refused) && refused.ErrorCode() == "ValidationError" && strings.Contains(refused.ErrorMessage(), "does not exist") {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the template of stack %s: %w", stack, err)
	}
	return aws.ToString(answer.TemplateBody), nil
}

// deployedContracts are the contracts of head with the columns that the deployed templates of the tables declare; what templates do
// not say, such as keys, is taken as it is in head, and so are columns that jobs add to a table (since 2 and later).
func deployedContracts(app cloud.Assembly, head contract.Set) contract.Set {
	var set contract.Set
	for _, stack := range app {
		for _, id := range stack.OfType("AWS::Glue::Table") {
			resource := stack.Resources[id]
			name, _ := resource.Get("TableInput", "Name").(string)
			table, err := head.Get(name)
			if err != nil {
				table = contract.Contract{Table: name} // dropped since
			}
			columns := table.Columns
			table.Columns = nil
			listed, _ := resource.Get("TableInput", "StorageDescriptor", "Columns").([]any)
			for _, declared := range listed {
				fields, _ := declared.(map[string]any)
				column := contract.Column{Since: 1}
				column.Name, _ = fields["Name"].(string)
				if i := slices.IndexFunc(columns, func(c contract.Column) bool { return c.Name == column.Name }); i >= 0 {
					column = columns[i]
				}
				column.Type, _ = fields["Type"].(string)
				table.Columns = append(table.Columns, column)
			}
			for _, column := range columns {
				if column.Since > 1 && table.Format == contract.Iceberg {
					table.Columns = append(table.Columns, column)
				}
			}
			set = append(set, table)
		}
	}
	return set
}
