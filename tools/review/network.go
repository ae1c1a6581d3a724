package main

import (
	"fmt"
	"slices"
	"strings"
)

// ways are the resources that give a network a way out or in.
var ways = []string{
	"AWS::EC2::CarrierGateway", "AWS::EC2::EgressOnlyInternetGateway", "AWS::EC2::EIP", "AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::NetworkAclEntry",
	"AWS::EC2::Route", "AWS::EC2::TransitGatewayAttachment", "AWS::EC2::TransitGatewayVpcAttachment", "AWS::EC2::VPCGatewayAttachment",
	"AWS::EC2::VPCPeeringConnection", "AWS::EC2::VPNGateway",
}

const endpoint = "AWS::EC2::VPCEndpoint"

// networkFindings tell where the network is opened: rules of security groups, endpoints without a policy, routes and gateways, public
// addresses. Policies of endpoints are permissionFindings' matter.
func networkFindings(change stackChange, created names) []finding {
	var found []finding
	say := func(where, format string, args ...any) {
		found = append(found, finding{Section: onNetwork, Verb: opens, Where: where, Text: fmt.Sprintf(format, args...)})
	}
	for _, rule := range change.difference.Ingress {
		if rule.inside(created) {
			continue
		}
		say(change.part+" `"+rule.Group+"`", "lets in %s from `%s`", rule.Protocol, rule.Peer)
	}
	for _, rule := range change.difference.Egress {
		if rule.inside(created) {
			continue
		}
		say(change.part+" `"+rule.Group+"`", "lets out %s to `%s`", rule.Protocol, rule.Peer)
	}
	for _, resource := range change.difference.Resources {
		before, after := change.before[resource.ID], change.after[resource.ID]
		where := change.where(resource.ID, after.Type)
		if slices.Contains(ways, after.Type) && (before.Type != after.Type || len(resource.Properties) > 0) {
			say(where, "is a new or another way in or out: `%s`", resource.Made)
		}
		if after.Type == "AWS::EC2::Subnet" && before.Get("MapPublicIpOnLaunch") != true && after.Get("MapPublicIpOnLaunch") == true {
			say(where, "gives public addresses")
		}
		if after.Type == endpoint && after.Get("PolicyDocument") == nil && (before.Type == "" || before.Get("PolicyDocument") != nil) {
			say(where, "has no policy: everything behind the endpoint can be reached")
		}
	}
	return found
}

// inside tells whether a rule only connects members of a group that is new.
func (r groupRule) inside(created names) bool {
	return created.holds(r.Group) && strings.Contains(r.Peer, strings.Trim(r.Group, "${}"))
}
