package stacks

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/findings"
)

// checkedVariant is a variant as it was synthesized, with what cdk-nag says of it.
type checkedVariant struct {
	config.Variant
	assembly assembly
	nag      []findings.Finding
}

var checked []checkedVariant

// variants synthesizes the stages dev and prod, with every network mode and as strict as they can be, under the eyes of cdk-nag.
func variants(t *testing.T) []checkedVariant {
	t.Helper()
	if checked != nil {
		return checked
	}
	context := cdktest.Context(t)
	// Else the CDK itself fails the synthesis on the first finding, before it can be judged.
	context["@aws-cdk/core:annotationsInValidationReport"] = false
	list, err := config.Variants(context)
	if err != nil {
		t.Fatal(err)
	}
	for _, variant := range list {
		outdir := filepath.Join(folder(), variant.Title)
		app := awscdk.NewApp(&awscdk.AppProps{Context: &context, Outdir: jsii.String(outdir)})
		lakehouse := NewLakehouse(app, Props{
			Stage: variant.Stage, Contracts: contracts(t), Scripts: filepath.Join(cdktest.Root(), "glue-scripts"),
		})
		awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(nil), nil)
		app.Synth(nil)
		made := checkedVariant{Variant: variant, assembly: assembly(outdir)}
		for _, stack := range []awscdk.Stack{lakehouse.Catalog.Stack, lakehouse.Network.Stack, lakehouse.Pipeline.Stack} {
			if stack != nil { // not every network needs one
				made.nag = append(made.nag, annotations(stack, variant)...)
			}
		}
		checked = append(checked, made)
	}
	return checked
}

// annotations are the errors and warnings on the constructs of a stack.
func annotations(stack awscdk.Stack, variant config.Variant) []findings.Finding {
	all := assertions.Annotations_FromStack(stack)
	messages := *all.FindError(jsii.String("*"), assertions.Match_AnyValue())
	messages = append(messages, *all.FindWarning(jsii.String("*"), assertions.Match_AnyValue())...)
	var found []findings.Finding
	for _, message := range messages {
		data, where := message.Entry.Data, *message.Id //nolint:staticcheck // the type has moved, but the assertions still return this one
		rule, text, _ := strings.Cut(fmt.Sprint(data), ": ")
		found = append(found, findings.Finding{
			Tool: findings.Nag, Rule: rule, Message: text, Variants: variant.Title,
			Where: strings.TrimPrefix(where, "/"+variant.Stage.LakeName+"-"),
		})
	}
	return found
}

// Every error and warning of the AwsSolutions pack, and of the CDK itself, is mended or explained.
func TestNag(t *testing.T) {
	var found []findings.Finding
	for _, variant := range variants(t) {
		found = append(found, variant.nag...)
	}
	if len(found) == 0 {
		t.Fatal("cdk-nag has found nothing at all; has the way it reports changed?")
	}
	if err := findings.Judge([]string{findings.Nag}, findings.Merge(found)); err != nil {
		t.Error(err)
	}
}
