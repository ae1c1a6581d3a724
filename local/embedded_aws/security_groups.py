"""AWS::EC2::SecurityGroupIngress and ...Egress, which the emulator's CloudFormation does not know.

A rule of a security group that names the group itself can only be declared apart from it.
"""

from ministack.services import ec2
from ministack.services.cloudformation import provisioners


def install() -> None:
    """Add both resource types to the emulator's."""
    for kind, store in (("Ingress", "IpPermissions"), ("Egress", "IpPermissionsEgress")):
        provisioners._RESOURCE_HANDLERS[f"AWS::EC2::SecurityGroup{kind}"] = _handlers(kind.lower(), store)


def _handlers(kind: str, store: str) -> dict:
    def create(logical_id, props, stack_name):
        rule, rules = _rule(props), _rules(props["GroupId"], store)
        rule["SecurityGroupRuleId"] = ec2._sg_rule_id(props["GroupId"], kind == "egress", rule)
        if any(ec2._rules_match(rule, other) for other in rules):
            raise ValueError(f"the specified rule of {props['GroupId']} already exists")
        rules.append(rule)
        return rule["SecurityGroupRuleId"], {"Id": rule["SecurityGroupRuleId"]}

    def delete(physical_id, props):
        group = ec2._security_groups.get(props.get("GroupId"))
        if group is not None:
            group[store] = [rule for rule in group[store] if rule.get("SecurityGroupRuleId") != physical_id]

    def update(physical_id, old_props, new_props, stack_name, logical_id=None):
        delete(physical_id, old_props)
        return create(logical_id, new_props, stack_name)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _rules(group_id: str, store: str) -> list:
    group = ec2._security_groups.get(group_id)
    if group is None:
        raise ValueError(f"The security group '{group_id}' does not exist")
    return group[store]


def _rule(props: dict) -> dict:
    """A resource's properties in the emulator's form; the other group is the source of ingress, the destination of egress."""
    [rule] = provisioners._ec2_sg_permissions([props])
    other = props.get("SourceSecurityGroupId") or props.get("DestinationSecurityGroupId")
    if other and not rule["UserIdGroupPairs"]:
        rule["UserIdGroupPairs"] = [{"GroupId": other}]
    return rule
