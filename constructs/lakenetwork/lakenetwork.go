// Package lakenetwork gives the Glue jobs a network that reaches S3 and nothing else: isolated subnets without NAT or internet
// gateway, an S3 gateway endpoint that lets through the lake, the jobs' code and on demand query results only, and a security group open to its own members.
// Interface endpoints for what else a job calls are there on demand.
package lakenetwork

import (
	"fmt"
	"net/netip"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Subnet is where jobs get their network interfaces.
type Subnet struct {
	ID               string
	AvailabilityZone string
}

// Network is what a job needs to know of its network.
type Network struct {
	VPCID           string
	Subnets         []Subnet
	SecurityGroupID string
	// PrivateEndpoints tells that the VPC has ways to Glue and CloudWatch of its own, so that jobs need Glue's proxy for neither.
	PrivateEndpoints bool
	// Settings names what was configured. It goes into the description of whatever refers to the network from another stack:
	// when the network is replaced, that template changes too and picks up the new ids.
	Settings string
}

// Props of a new network.
type Props struct {
	Name  string        // shown in the console; required
	CIDR  string        // IPv4 block of the VPC, shared evenly by the zones; required
	Zones int           // availability zones, one subnet each; required
	Lake  awss3.IBucket // whose objects the S3 endpoint lets through; required
	// Results is the bucket of query results, for a job that looks through it and the versions of both buckets, and deletes there. Nil:
	// no job does.
	Results awss3.IBucket
	// PrivateEndpoints makes interface endpoints for Glue and CloudWatch, which cost money by the hour and zone.
	PrivateEndpoints bool
	// KeepDefaultSecurityGroup leaves the VPC's default security group as it is. Closing it takes a function (CloudFormation
	// cannot touch that group), which not every environment can run.
	KeepDefaultSecurityGroup bool
	LogRetentionDays         int // log of that function; required unless KeepDefaultSecurityGroup
}

// New makes a VPC. It panics on a CIDR that cannot be split.
func New(scope constructs.Construct, id string, props Props) Network {
	blocks := split(id, props.CIDR, props.Zones)
	this := constructs.NewConstruct(scope, jsii.String(id))
	vpc := awsec2.NewCfnVPC(this, jsii.String("Vpc"), &awsec2.CfnVPCProps{
		CidrBlock: jsii.String(props.CIDR),
		// A gateway endpoint works through the names that the VPC's resolver gives out.
		EnableDnsHostnames: jsii.Bool(true),
		EnableDnsSupport:   jsii.Bool(true),
		Tags:               name(props.Name),
	})
	network := Network{VPCID: *vpc.Ref(), Settings: fmt.Sprintf("new VPC %s in %d zones", props.CIDR, props.Zones)}
	var routeTables []string
	for i, block := range blocks {
		subnet, routeTable := isolatedSubnet(this, i, *vpc.Ref(), block, props.Name)
		network.Subnets = append(network.Subnets, subnet)
		routeTables = append(routeTables, routeTable)
	}
	s3Endpoint(this, *vpc.Ref(), routeTables, props.Lake, props.Results)
	network.SecurityGroupID = securityGroup(this, *vpc.Ref(), props.Name)
	if props.PrivateEndpoints {
		network.PrivateEndpoints = true
		privateEndpoints(this, network, props.Name)
	}
	if !props.KeepDefaultSecurityGroup {
		closeDefaultSecurityGroup(this, *vpc.AttrDefaultSecurityGroup(), props.LogRetentionDays)
	}
	return network
}

// ExistingProps name a network that is already there.
type ExistingProps struct {
	Name             string        // shown in the console; required
	VPCID            string        // required
	SubnetID         string        // required
	AvailabilityZone string        // of the subnet; required
	RouteTableIDs    []string      // get an S3 gateway endpoint limited to Lake; none: the VPC has its own way to S3
	Lake             awss3.IBucket // whose objects the S3 endpoint lets through
	Results          awss3.IBucket // as in Props
	// PrivateEndpoints makes interface endpoints for Glue and CloudWatch in the subnet. A VPC that has such endpoints with private
	// names already cannot have a second one.
	PrivateEndpoints bool
}

// Existing uses a VPC by its ids: it makes no VPC, subnet or route, only security groups and, where asked
// for, endpoints.
func Existing(scope constructs.Construct, id string, props ExistingProps) Network {
	if props.VPCID == "" || props.SubnetID == "" || props.AvailabilityZone == "" {
		panic(fmt.Sprintf("lakenetwork %s: VPCID is %q, SubnetID %q, AvailabilityZone %q, want all three",
			id, props.VPCID, props.SubnetID, props.AvailabilityZone))
	}
	this := constructs.NewConstruct(scope, jsii.String(id))
	if len(props.RouteTableIDs) > 0 {
		s3Endpoint(this, props.VPCID, props.RouteTableIDs, props.Lake, props.Results)
	}
	network := Network{
		VPCID:            props.VPCID,
		Subnets:          []Subnet{{ID: props.SubnetID, AvailabilityZone: props.AvailabilityZone}},
		SecurityGroupID:  securityGroup(this, props.VPCID, props.Name),
		PrivateEndpoints: props.PrivateEndpoints,
		Settings:         fmt.Sprintf("existing VPC %s, subnet %s", props.VPCID, props.SubnetID),
	}
	if props.PrivateEndpoints {
		privateEndpoints(this, network, props.Name)
	}
	return network
}

// isolatedSubnet makes the subnet of the i-th zone with a route table of its own. Zones are picked by number when the stack is
// deployed, so that synth needs to know nothing about the account.
func isolatedSubnet(scope constructs.Construct, i int, vpc, block, label string) (Subnet, string) {
	label = fmt.Sprintf("%s-%d", label, i+1)
	subnet := awsec2.NewCfnSubnet(scope, jsii.Sprintf("Subnet%d", i+1), &awsec2.CfnSubnetProps{
		VpcId:               jsii.String(vpc),
		CidrBlock:           jsii.String(block),
		AvailabilityZone:    awscdk.Fn_Select(jsii.Number(i), awscdk.Fn_GetAzs(nil)),
		MapPublicIpOnLaunch: jsii.Bool(false),
		Tags:                name(label),
	})
	table := awsec2.NewCfnRouteTable(scope, jsii.Sprintf("RouteTable%d", i+1), &awsec2.CfnRouteTableProps{
		VpcId: jsii.String(vpc),
		Tags:  name(label),
	})
	awsec2.NewCfnSubnetRouteTableAssociation(scope, jsii.Sprintf("Routes%d", i+1), &awsec2.CfnSubnetRouteTableAssociationProps{
		SubnetId:     subnet.Ref(),
		RouteTableId: table.Ref(),
	})
	return Subnet{ID: *subnet.Ref(), AvailabilityZone: *subnet.AttrAvailabilityZone()}, *table.Ref()
}

// securityGroup lets the workers of a job talk to each other on every TCP port, as Glue demands, and to S3.
func securityGroup(scope constructs.Construct, vpc, label string) string {
	group := awsec2.NewCfnSecurityGroup(scope, jsii.String("JobSecurityGroup"), &awsec2.CfnSecurityGroupProps{
		VpcId:            jsii.String(vpc),
		GroupDescription: jsii.String("Network interfaces of the lakehouse jobs"),
		SecurityGroupEgress: &[]*awsec2.CfnSecurityGroup_EgressProperty{{
			// The id of S3's prefix list differs by Region and would need a look-up; without a gateway nothing else answers.
			Description: jsii.String("HTTPS to S3 through the gateway endpoint"),
			IpProtocol:  jsii.String("tcp"),
			FromPort:    jsii.Number(443),
			ToPort:      jsii.Number(443),
			CidrIp:      jsii.String("0.0.0.0/0"),
		}},
		Tags: name(label + "-jobs"),
	})
	const workers = "Workers of a job among themselves"
	awsec2.NewCfnSecurityGroupIngress(scope, jsii.String("FromWorkers"), &awsec2.CfnSecurityGroupIngressProps{
		GroupId:               group.AttrGroupId(),
		SourceSecurityGroupId: group.AttrGroupId(),
		Description:           jsii.String(workers),
		IpProtocol:            jsii.String("tcp"),
		FromPort:              jsii.Number(0),
		ToPort:                jsii.Number(65535),
	})
	awsec2.NewCfnSecurityGroupEgress(scope, jsii.String("ToWorkers"), &awsec2.CfnSecurityGroupEgressProps{
		GroupId:                    group.AttrGroupId(),
		DestinationSecurityGroupId: group.AttrGroupId(),
		Description:                jsii.String(workers),
		IpProtocol:                 jsii.String("tcp"),
		FromPort:                   jsii.Number(0),
		ToPort:                     jsii.Number(65535),
	})
	return *group.AttrGroupId()
}

// split shares an IPv4 block among zones: in halves for two, in quarters for three or four, and so on.
func split(id, cidr string, zones int) []string {
	block, err := netip.ParsePrefix(cidr)
	if err != nil || !block.Addr().Is4() || zones < 1 {
		panic(fmt.Sprintf("lakenetwork %s: got CIDR %q and %d zones, want an IPv4 block such as 10.40.0.0/22 and at least one zone", id, cidr, zones))
	}
	bits := block.Bits()
	for 1<<(bits-block.Bits()) < zones {
		bits++
	}
	const smallest = 28 // of the subnets that AWS allows
	if bits > smallest {
		panic(fmt.Sprintf("lakenetwork %s: CIDR %q is too small for %d zones, want subnets of /%d or larger", id, cidr, zones, smallest))
	}
	address := block.Masked().Addr().As4()
	first := uint32(address[0])<<24 | uint32(address[1])<<16 | uint32(address[2])<<8 | uint32(address[3])
	blocks := make([]string, zones)
	for i := range blocks {
		n := first + uint32(i)<<(32-bits)
		part := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		blocks[i] = netip.PrefixFrom(part, bits).String()
	}
	return blocks
}

func name(value string) *[]*awscdk.CfnTag {
	return &[]*awscdk.CfnTag{{Key: jsii.String("Name"), Value: jsii.String(value)}}
}
