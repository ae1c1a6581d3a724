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

// networkFindings tell where the network is opened: rules of security groups, policies of endpoints, routes and gateways, public
// addresses.
func networkFindings(change stackChange, created created) []finding {
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
	for _, id := range union(change.before, change.after) {
		before, after := change.before[id], change.after[id]
		where := change.where(id, after.Type)
		if slices.Contains(ways, after.Type) && (before.Type == "" || render(before.Properties) != render(after.Properties)) {
			say(where, "is a new or another way in or out: `%s`", render(after.Properties))
		}
		if after.Type == "AWS::EC2::Subnet" && before.get("MapPublicIpOnLaunch") != true && after.get("MapPublicIpOnLaunch") == true {
			say(where, "gives public addresses")
		}
		if after.Type == endpoint {
			found = append(found, endpointFindings(change, id, created)...)
		}
	}
	return found
}

// inside tells whether a rule only connects members of a group that is new.
func (r groupRule) inside(created created) bool {
	return created.holds(r.Group) && strings.Contains(r.Peer, strings.Trim(r.Group, "${}"))
}

func endpointFindings(change stackChange, id string, created created) []finding {
	before, after := change.before[id], change.after[id]
	where := change.where(id, after.Type)
	if after.get("PolicyDocument") == nil {
		if before.Type != "" && before.get("PolicyDocument") == nil {
			return nil
		}
		return []finding{{Section: onNetwork, Verb: opens, Where: where, Text: "has no policy: everything behind the endpoint can be reached"}}
	}
	if before.Type == "" {
		statements, _ := readStatements(object(after.Properties, "PolicyDocument")["Statement"])
		var found []finding
		for _, s := range statements {
			found = append(found, finding{Section: onNetwork, Where: where, Text: "new: " + s.String()})
		}
		return found
	}
	old, _ := readStatements(object(before.Properties, "PolicyDocument")["Statement"])
	made, _ := readStatements(object(after.Properties, "PolicyDocument")["Statement"])
	return compareStatements(onNetwork, opens, policy{Statements: old, Place: where}, policy{Statements: made, Place: where}, created)
}
