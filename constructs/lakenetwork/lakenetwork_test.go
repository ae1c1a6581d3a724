package lakenetwork_test

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/lakenetwork"
	"stedi-lakehouse/internal/cdktest"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

func given(stack awscdk.Stack) lakenetwork.Props {
	return lakenetwork.Props{Name: "shop", CIDR: "10.9.0.0/22", Zones: 3, Lake: lake(stack), LogRetentionDays: 7}
}

func lake(stack awscdk.Stack) awss3.IBucket {
	return awss3.Bucket_FromBucketArn(stack, jsii.String("Lake"), jsii.String("arn:aws:s3:::lake"))
}

func TestNewNetwork(t *testing.T) {
	stack := cdktest.NewStack(t)
	network := lakenetwork.New(stack, "Network", given(stack))
	template := cdktest.Synthesize(t, stack)
	template.Has("AWS::EC2::VPC", map[string]any{"CidrBlock": "10.9.0.0/22", "EnableDnsHostnames": true, "EnableDnsSupport": true})
	for zone, block := range []string{"10.9.0.0/24", "10.9.1.0/24", "10.9.2.0/24"} {
		template.Has("AWS::EC2::Subnet", map[string]any{
			"CidrBlock":           block,
			"AvailabilityZone":    map[string]any{"Fn::Select": []any{zone, map[string]any{"Fn::GetAZs": ""}}},
			"MapPublicIpOnLaunch": false,
		})
	}
	template.Count("AWS::EC2::Subnet", 3)
	template.Count("AWS::EC2::RouteTable", 3)
	template.Count("AWS::EC2::SubnetRouteTableAssociation", 3)
	if len(network.Subnets) != 3 || !strings.Contains(network.Settings, "10.9.0.0/22 in 3 zones") {
		t.Errorf("network = %+v, want 3 subnets and settings that name CIDR and zones", network)
	}
	for _, way := range []string{"InternetGateway", "NatGateway", "Route", "EgressOnlyInternetGateway", "VPCGatewayAttachment"} {
		template.Count("AWS::EC2::"+way, 0)
	}
}

// Versions and results are let through for the job that looks for people in them, and then read and deleted only.
func TestS3EndpointForResults(t *testing.T) {
	stack := cdktest.NewStack(t)
	props := given(stack)
	props.Results = awss3.Bucket_FromBucketArn(stack, jsii.String("Results"), jsii.String("arn:aws:s3:::results"))
	lakenetwork.New(stack, "Network", props)
	for _, endpoint := range cdktest.Synthesize(t, stack).Resources("AWS::EC2::VPCEndpoint") {
		checkEndpointPolicy(t, endpoint["PolicyDocument"].(map[string]any)["Statement"].([]any), map[string]string{
			"LakeVersions":       "s3:ListBucketVersions on arn:aws:s3:::lake",
			"LakeObjectVersions": "[s3:DeleteObjectVersion s3:GetObjectVersion] on arn:aws:s3:::lake/*",
			"ResultBucket":       "[s3:GetBucketLocation s3:ListBucket s3:ListBucketVersions] on arn:aws:s3:::results",
			"ResultObjects":      "[s3:DeleteObject s3:DeleteObjectVersion s3:GetObject s3:GetObjectVersion] on arn:aws:s3:::results/*",
		})
	}
}

func TestS3Endpoint(t *testing.T) {
	stack := cdktest.NewStack(t)
	lakenetwork.New(stack, "Network", given(stack))
	template := cdktest.Synthesize(t, stack)
	template.Count("AWS::EC2::VPCEndpoint", 1)
	for _, endpoint := range template.Resources("AWS::EC2::VPCEndpoint") {
		if tables := endpoint["RouteTableIds"].([]any); len(tables) != 3 {
			t.Errorf("endpoint serves the route tables %v, want all three", tables)
		}
		if endpoint["VpcEndpointType"] != "Gateway" || !strings.Contains(fmt.Sprint(endpoint["ServiceName"]), ".s3") {
			t.Errorf("endpoint is %v of %v, want Gateway of S3", endpoint["VpcEndpointType"], endpoint["ServiceName"])
		}
		checkEndpointPolicy(t, endpoint["PolicyDocument"].(map[string]any)["Statement"].([]any), nil)
	}
}

// What the endpoint lets through, by statement: actions and resources, ARNs without what only a deployment can tell.
func checkEndpointPolicy(t *testing.T, statements []any, more map[string]string) {
	t.Helper()
	want := map[string]string{
		"LakeBucket": "[s3:GetBucketLocation s3:ListBucket] on arn:aws:s3:::lake",
		"LakeObjects": "[s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:ListMultipartUploadParts s3:PutObject] on " +
			"arn:aws:s3:::lake/*",
		"JobCode":            "s3:GetObject on arn::s3:::cdk-hnb659fds-assets--/*.py arn::s3:::cdk-hnb659fds-assets--/*.zip",
		"GlueServiceBuckets": "[s3:GetObject s3:ListBucket] on arn::s3:::aws-glue-** arn::s3:::aws-glue-**/*",
	}
	maps.Copy(want, more)
	for _, statement := range statements {
		statement := statement.(map[string]any)
		sid := statement["Sid"].(string)
		if got := fmt.Sprint(statement["Action"]) + " on " + strings.Join(arns(statement["Resource"]), " "); got != want[sid] {
			t.Errorf("%s lets through %s\nwant %s", sid, got, want[sid])
		}
	}
	if len(statements) != len(want) {
		t.Errorf("%d statements, want %d", len(statements), len(want))
	}
}

func arns(value any) []string {
	switch value := value.(type) {
	case []any:
		var list []string
		for _, item := range value {
			list = append(list, arns(item)...)
		}
		return list
	case map[string]any:
		var text strings.Builder
		for _, part := range value["Fn::Join"].([]any)[1].([]any) {
			if literal, ok := part.(string); ok {
				text.WriteString(literal)
			}
		}
		return []string{text.String()}
	}
	return []string{fmt.Sprint(value)}
}

func TestSecurityGroup(t *testing.T) {
	stack := cdktest.NewStack(t)
	lakenetwork.New(stack, "Network", given(stack))
	template := cdktest.Synthesize(t, stack)
	template.Count("AWS::EC2::SecurityGroup", 1)
	template.Has("AWS::EC2::SecurityGroup", map[string]any{
		"SecurityGroupIngress": assertions.Match_Absent(),
		"SecurityGroupEgress":  []any{map[string]any{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}},
	})
	itself := assertions.NewCapture(nil)
	template.Has("AWS::EC2::SecurityGroupIngress", map[string]any{
		"GroupId": itself, "IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "CidrIp": assertions.Match_Absent(),
	})
	template.Has("AWS::EC2::SecurityGroupIngress", map[string]any{"SourceSecurityGroupId": itself.AsObject()})
	template.Has("AWS::EC2::SecurityGroupEgress", map[string]any{
		"GroupId": itself.AsObject(), "DestinationSecurityGroupId": itself.AsObject(), "IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535,
	})
	template.Count("AWS::EC2::SecurityGroupIngress", 1)
	template.Count("AWS::EC2::SecurityGroupEgress", 1)
}

func TestDefaultSecurityGroupIsClosed(t *testing.T) {
	stack := cdktest.NewStack(t)
	lakenetwork.New(stack, "Network", given(stack))
	template := cdktest.Synthesize(t, stack)
	template.Count("Custom::AWS", 2)
	for _, action := range []string{"RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"} {
		template.Has("AWS::IAM::Policy", map[string]any{"PolicyDocument": map[string]any{"Statement": []any{map[string]any{
			"Action": "ec2:" + action,
			"Resource": map[string]any{"Fn::Join": []any{"", assertions.Match_ArrayWith(&[]any{
				map[string]any{"Fn::GetAtt": []any{assertions.Match_AnyValue(), "DefaultSecurityGroup"}},
			})}},
		}}}})
	}
	template.Has("AWS::Logs::LogGroup", map[string]any{"RetentionInDays": 7})
	template.Count("AWS::Logs::LogGroup", 1)
	template.HasResource("AWS::Lambda::Function", map[string]any{
		"DependsOn":  assertions.Match_Absent(),
		"Properties": map[string]any{"LoggingConfig": map[string]any{"LogGroup": assertions.Match_AnyValue()}},
	})
	template.Has("AWS::IAM::Role", map[string]any{"ManagedPolicyArns": assertions.Match_Absent(), "Policies": assertions.Match_AnyValue()})
}

func TestKeepDefaultSecurityGroup(t *testing.T) {
	stack := cdktest.NewStack(t)
	kept := given(stack)
	kept.KeepDefaultSecurityGroup, kept.LogRetentionDays, kept.Zones = true, 0, 1
	lakenetwork.New(stack, "Network", kept)
	template := cdktest.Synthesize(t, stack)
	template.Count("Custom::AWS", 0)
	template.Count("AWS::Lambda::Function", 0)
	template.Has("AWS::EC2::Subnet", map[string]any{"CidrBlock": "10.9.0.0/22"})
}

var existing = lakenetwork.ExistingProps{
	Name: "shop", VPCID: "vpc-0a1b2c3d", SubnetID: "subnet-0a1b2c3d", AvailabilityZone: "eu-central-1a",
}

func TestExistingNetwork(t *testing.T) {
	stack := cdktest.NewStack(t)
	network := lakenetwork.Existing(stack, "Network", existing)
	template := cdktest.Synthesize(t, stack)
	template.Has("AWS::EC2::SecurityGroup", map[string]any{"VpcId": "vpc-0a1b2c3d"})
	for _, made := range []string{"VPC", "Subnet", "RouteTable", "VPCEndpoint", "NatGateway", "InternetGateway"} {
		template.Count("AWS::EC2::"+made, 0)
	}
	if got := network.Subnets[0]; network.VPCID != "vpc-0a1b2c3d" || got.ID != "subnet-0a1b2c3d" || got.AvailabilityZone != "eu-central-1a" {
		t.Errorf("network = %+v, want the given ids", network)
	}
}

func TestExistingNetworkWithEndpoint(t *testing.T) {
	stack := cdktest.NewStack(t)
	routed := existing
	routed.RouteTableIDs, routed.Lake = []string{"rtb-0a1b2c3d", "rtb-1a1b2c3d"}, lake(stack)
	lakenetwork.Existing(stack, "Network", routed)
	cdktest.Synthesize(t, stack).Has("AWS::EC2::VPCEndpoint", map[string]any{
		"VpcId": "vpc-0a1b2c3d", "VpcEndpointType": "Gateway", "RouteTableIds": []any{"rtb-0a1b2c3d", "rtb-1a1b2c3d"},
	})
}

func TestNoPrivateEndpointsByDefault(t *testing.T) {
	stack := cdktest.NewStack(t)
	network := lakenetwork.New(stack, "Network", given(stack))
	template := cdktest.Synthesize(t, stack)
	template.Count("AWS::EC2::VPCEndpoint", 1)
	template.Count("AWS::EC2::SecurityGroup", 1)
	if network.PrivateEndpoints {
		t.Error("the network says that it has private endpoints")
	}
}

func TestPrivateEndpoints(t *testing.T) {
	privateExisting := existing
	privateExisting.PrivateEndpoints = true
	for name, test := range map[string]struct {
		make    func(awscdk.Stack) lakenetwork.Network
		subnets int
	}{
		"new": {func(stack awscdk.Stack) lakenetwork.Network {
			private := given(stack)
			private.PrivateEndpoints, private.KeepDefaultSecurityGroup = true, true
			return lakenetwork.New(stack, "Network", private)
		}, 3},
		"existing": {func(stack awscdk.Stack) lakenetwork.Network {
			return lakenetwork.Existing(stack, "Network", privateExisting)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.NewStack(t)
			if network := test.make(stack); !network.PrivateEndpoints {
				t.Error("the network does not say that it has private endpoints")
			}
			template := cdktest.Synthesize(t, stack)
			found := map[string]string{}
			for _, endpoint := range template.Resources("AWS::EC2::VPCEndpoint") {
				if endpoint["VpcEndpointType"] == "Gateway" {
					continue
				}
				for _, statement := range endpoint["PolicyDocument"].(map[string]any)["Statement"].([]any) {
					statement := statement.(map[string]any)
					found[fmt.Sprint(endpoint["ServiceName"])] += fmt.Sprint(statement["Action"], " on ", strings.Join(arns(statement["Resource"]), " "), "; ")
					if condition := fmt.Sprint(statement["Condition"]); condition != "map[StringEquals:map[aws:PrincipalAccount:map[Ref:AWS::AccountId]]]" {
						t.Errorf("endpoint %v lets through everybody if %s, want this account only", endpoint["ServiceName"], condition)
					}
				}
				if subnets := endpoint["SubnetIds"].([]any); len(subnets) != test.subnets || endpoint["PrivateDnsEnabled"] != true {
					t.Errorf("endpoint %v is in subnets %v with private names %v, want %d and true", endpoint["ServiceName"], subnets,
						endpoint["PrivateDnsEnabled"], test.subnets)
				}
			}
			want := map[string]string{
				"map[Fn::Join:[ [com.amazonaws. map[Ref:AWS::Region] .glue]]]": "glue:GetSecurityConfiguration on *; " +
					"[glue:GetConnection glue:GetDatabase glue:GetTable glue:UpdateTable] on arn::glue:::*; ",
				"map[Fn::Join:[ [com.amazonaws. map[Ref:AWS::Region] .monitoring]]]": "cloudwatch:PutMetricData on *; ",
			}
			if !maps.Equal(found, want) {
				t.Errorf("endpoints and actions are %v, want %v", found, want)
			}
			template.Has("AWS::EC2::SecurityGroup", map[string]any{
				"SecurityGroupIngress": []any{map[string]any{
					"FromPort": 443, "ToPort": 443, "IpProtocol": "tcp", "SourceSecurityGroupId": assertions.Match_AnyValue(),
					"CidrIp": assertions.Match_Absent(),
				}},
				"SecurityGroupEgress": []any{map[string]any{"CidrIp": "255.255.255.255/32"}},
			})
		})
	}
}

func TestMisuse(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*lakenetwork.Props)
		want   string
	}{
		"bad CIDR":  {func(p *lakenetwork.Props) { p.CIDR = "10.9.0.0" }, `got CIDR "10.9.0.0" and 3 zones, want an IPv4 block`},
		"no zones":  {func(p *lakenetwork.Props) { p.Zones = 0 }, "0 zones"},
		"too small": {func(p *lakenetwork.Props) { p.CIDR = "10.9.0.0/27" }, `CIDR "10.9.0.0/27" is too small for 3 zones`},
		"no lake":   {func(p *lakenetwork.Props) { p.Lake = nil }, "Lake is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.NewStack(t)
			props := given(stack)
			test.change(&props)
			cdktest.Panics(t, func() { lakenetwork.New(stack, "Network", props) }, "lakenetwork Network", test.want)
		})
	}
	stack := cdktest.NewStack(t)
	cdktest.Panics(t, func() { lakenetwork.Existing(stack, "Network", lakenetwork.ExistingProps{VPCID: "vpc-0a1b2c3d"}) },
		`VPCID is "vpc-0a1b2c3d", SubnetID "", AvailabilityZone "", want all three`)
}
