"""AWS::Glue::SecurityConfiguration, which the emulator's CloudFormation does not know; its Glue keeps them."""

from ministack.services import glue
from ministack.services.cloudformation import provisioners

TYPE = "AWS::Glue::SecurityConfiguration"


def install() -> None:
    """Add the resource type to the emulator's."""
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}


def encrypts_logs(name: str) -> bool:
    """True when a security configuration says that logs are to be encrypted with a key."""
    configuration = (glue._security_configs.get(name) or {}).get("EncryptionConfiguration", {})
    return configuration.get("CloudWatchEncryption", {}).get("CloudWatchEncryptionMode") == "SSE-KMS"


def _create(logical_id, props, stack_name):
    name = props["Name"]
    encryption = {key: value for key, value in props["EncryptionConfiguration"].items() if key != "S3Encryptions"}
    # The API's name for it differs from CloudFormation's.
    encryption["S3Encryption"] = props["EncryptionConfiguration"].get("S3Encryptions", [])
    request = {"Name": name, "EncryptionConfiguration": encryption}
    provisioners._glue_call(glue._create_security_configuration, request, TYPE, "create")
    return name, {}


def _update(physical_id, old_props, new_props, stack_name, logical_id=None):
    """Every property asks for a replacement, which fails as long as the old one has the same name."""
    if new_props != old_props:
        raise ValueError(f"{TYPE} {physical_id} cannot be changed; CloudFormation would replace it, under another name")
    return physical_id, {}


def _delete(physical_id, props):
    glue._delete_security_configuration({"Name": physical_id})
