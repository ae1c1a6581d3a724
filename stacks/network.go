// Package stacks composes the constructs into what is deployed: catalog (the data), network, and pipeline (what moves the data).
// References run one way: the network lets through the catalog's lake, the pipeline uses both.
package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/lakenetwork"
	"stedi-lakehouse/internal/config"
)

// NetworkProps of the network stack.
type NetworkProps struct {
	Stage   config.Stage
	Catalog Catalog
}

// Network is the network stack.
type Network struct {
	Stack awscdk.Stack        // nil: there is none
	Jobs  lakenetwork.Network // where the jobs run; without subnets: on Glue's own network
}

// NewNetwork makes the network stack <lakeName>-network. With network mode "none" there is nothing to make, and CloudFormation knows
// no empty stacks: the result is the zero value.
func NewNetwork(scope constructs.Construct, props NetworkProps) Network {
	stage := props.Stage
	if stage.Network.Mode == config.NoNetwork {
		return Network{}
	}
	stack := newStack(scope, stage, "network", "Network of the jobs: S3 and nothing else")
	var results awss3.IBucket // only who erases people has any business with them
	if stage.Erasure != nil {
		results = props.Catalog.Results
	}
	if stage.Network.Mode == config.ExistingNetwork {
		return Network{Stack: stack, Jobs: lakenetwork.Existing(stack, "Network", lakenetwork.ExistingProps{
			Name:             stage.LakeName,
			VPCID:            stage.Network.VPCID,
			SubnetID:         stage.Network.SubnetID,
			AvailabilityZone: stage.Network.AvailabilityZone,
			RouteTableIDs:    stage.Network.RouteTableIDs,
			Lake:             props.Catalog.Lake,
			Results:          results,
			PrivateEndpoints: stage.Network.PrivateEndpoints,
		})}
	}
	return Network{Stack: stack, Jobs: lakenetwork.New(stack, "Network", lakenetwork.Props{
		Name:                     stage.LakeName,
		CIDR:                     stage.Network.CIDR,
		Zones:                    stage.Network.Zones,
		Lake:                     props.Catalog.Lake,
		Results:                  results,
		PrivateEndpoints:         stage.Network.PrivateEndpoints,
		KeepDefaultSecurityGroup: stage.Network.KeepDefaultSecurityGroup,
		LogRetentionDays:         stage.RetentionDays.Logs,
	})}
}

// newStack makes the stack <lakeName>-<part> in the stage's account and Region.
func newStack(scope constructs.Construct, stage config.Stage, part, description string) awscdk.Stack {
	id := stage.LakeName + "-" + part
	return awscdk.NewStack(scope, jsii.String(id), &awscdk.StackProps{
		StackName:   jsii.String(id),
		Description: jsii.Sprintf("%s: %s (stage %s)", stage.LakeName, description, stage.Name),
		Env:         &awscdk.Environment{Account: optional(stage.Account), Region: optional(stage.Region)},
		// What keeps its data is not to be destroyed by accident either.
		TerminationProtection: jsii.Bool(stage.DataRemoval == config.Retain),
	})
}

func optional(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
