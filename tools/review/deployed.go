package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"stedi-lakehouse/internal/contract"
)

// deployedVersion is what runs in the account of the user's credentials, of the stacks that head has.
func deployedVersion(ctx context.Context, head version) (version, error) {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return version{}, fmt.Errorf("loading AWS credentials: %w", err)
	}
	client := cloudformation.NewFromConfig(settings)
	made := version{Stages: map[string]map[string]template{}}
	for stage, stacks := range head.Stages {
		made.Stages[stage] = map[string]template{}
		for _, stack := range union(stacks, nil) {
			text, err := deployedTemplate(ctx, client, stack)
			if err != nil {
				return version{}, err
			}
			if text == "" {
				continue // not there yet
			}
			if made.Stages[stage][stack], err = readTemplate([]byte(text)); err != nil {
				return version{}, fmt.Errorf("the deployed template of stack %s: %w", stack, err)
			}
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
func deployedContracts(stacks map[string]template, head contract.Set) contract.Set {
	var set contract.Set
	for _, stack := range stacks {
		for _, resource := range stack.resources() {
			if resource.Type != "AWS::Glue::Table" {
				continue
			}
			name, _ := resource.get("TableInput", "Name").(string)
			table, err := head.Get(name)
			if err != nil {
				table = contract.Contract{Table: name} // dropped since
			}
			columns := table.Columns
			table.Columns = nil
			for _, declared := range list(resource.get("TableInput", "StorageDescriptor", "Columns")) {
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
