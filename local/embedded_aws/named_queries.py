"""AWS::Athena::NamedQuery, which the emulator's CloudFormation does not know; its Athena keeps and lists such queries.

As on AWS, any change makes another query in place of the old one.
"""

import json

from ministack.services import athena
from ministack.services.cloudformation import provisioners


def install() -> None:
    """Add the resource type to the emulator's."""
    provisioners._RESOURCE_HANDLERS["AWS::Athena::NamedQuery"] = {
        "create": _create,
        "update": _update,
        "update_with_logical_id": True,
        "delete": _delete,
    }


def _create(logical_id, props, stack_name):
    group = props.get("WorkGroup", "primary")
    if group not in athena._workgroups:
        raise ValueError(f"WorkGroup {group} is not found")
    status, _, body = athena._create_named_query({"Name": logical_id, **props})
    if status != 200:
        raise ValueError(f"AWS::Athena::NamedQuery {logical_id}: {body!r}")
    query_id = json.loads(body)["NamedQueryId"]
    return query_id, {"NamedQueryId": query_id}


def _update(physical_id, old_props, new_props, stack_name, logical_id=None):
    created = _create(logical_id, new_props, stack_name)
    _delete(physical_id, old_props)
    return created


def _delete(physical_id, props):
    athena._delete_named_query({"NamedQueryId": physical_id})
