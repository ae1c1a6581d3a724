"""IAM as on AWS: every request is checked against policies, and a job or a query has the rights of its role and no others.

The emulator has the checks and leaves them off; a job's credentials here are those of a session of its role, as Glue gets them.
What a query of Athena does is judged by the one who sent it: `demand`.
"""

import json
import secrets
import time
from urllib.parse import unquote

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import athena, iam, s3, sts

GLUE = "glue.amazonaws.com"
HOURS = 12
# Athena's actions on queries that are there already.
_OF_QUERIES = {
    *("GetQueryExecution", "GetQueryResults", "GetQueryRuntimeStatistics", "StopQueryExecution", "BatchGetQueryExecution"),
}


_tag_context = iam_actions.request_tag_context
_additional_checks = iam_actions.s3_additional_checks
_resource = iam_actions.extract_resource_arn


def install(app) -> None:
    """Things about a request that conditions ask for and the emulator does not say, and a right that it does not ask for."""
    # Buckets refuse requests without TLS. On this machine there is none, nor anything between the job and the emulator.
    pin = app.pin_request_origin
    app.pin_request_origin = lambda source_ip, secure_transport: pin(source_ip, True)
    iam_actions.request_tag_context = _context
    iam_actions.s3_additional_checks = _checks
    iam_actions.extract_resource_arn = _arn


def demand(action: str, resource: str, context: dict | None = None) -> None:
    """Raises PermissionError, in the words of AWS, when policies do not let the sender of the request that is being answered do
    it. What the emulator does by itself has no sender."""
    key = iam_evaluator._verified_key.get()
    if not key:
        return
    # Of the request, and so unknown in PyIceberg's threads, where a bucket would refuse to be read without TLS.
    iam_evaluator.pin_request_origin("127.0.0.1", True)
    denied = iam_evaluator.enforce(key, action, action.partition(":")[0], get_region(), resource, context)
    if isinstance(denied, iam_evaluator.AuthError):
        raise PermissionError(denied.message)
    if denied:
        explicit = denied.decision == "Deny"
        raise PermissionError(iam_actions.identity_denial_message(action, denied.principal_arn, resource, explicit))


def _arn(service: str, method: str, path: str, headers: dict, body: bytes, *more) -> str:
    """What a request is about, from the fields that it is answered by. The emulator takes a table for its database, the database
    that GetDatabase names for a table, and an Athena query for the workgroup that the request says, if it says one."""
    found = _resource(service, method, path, headers, body, *more)
    if service not in ("glue", "athena"):
        return found
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return found
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    return (_glue_arn if service == "glue" else _athena_arn)(action, request, found)


def _glue_arn(action: str, request: dict, found: str) -> str:
    if action == "GetDatabase":
        return found.replace(":table/", ":database/")
    if action in ("GetTable", "DeleteTable"):
        table = request.get("Name")
    elif action in ("CreateTable", "UpdateTable"):
        table = request.get("TableInput", {}).get("Name")
    else:
        table = request.get("TableName")
    # AWS asks for the right on catalog and database, too.
    return f"{found.replace(':database/', ':table/')}/{table}" if table and request.get("DatabaseName") else found


def _athena_arn(action: str, request: dict, found: str) -> str:
    """The workgroup of a query, whichever one the request says; that of several queries if they have the same; or a catalog."""
    if action in _OF_QUERIES:
        queries = request.get("QueryExecutionIds", []) if action.startswith("Batch") else [request.get("QueryExecutionId")]
        groups = {athena._executions[query]["WorkGroup"] for query in queries if query in athena._executions}
        return athena._arn_workgroup(groups.pop()) if len(groups) == 1 else "*"
    # The workgroup that a question about the catalog may name, too, is not what it is about.
    catalog = request.get("CatalogName") or (request.get("Name") if found == "*" else None)
    if catalog:
        return athena._arn_datacatalog("AwsDataCatalog" if catalog.lower() == "awsdatacatalog" else catalog)
    return found


def _checks(method: str, path: str, headers: dict, body: bytes, params: dict) -> list[tuple[str, str]]:
    """S3 says that an object is not there only to those who may list its bucket, in a list that names no prefix."""
    checks = _additional_checks(method, path, headers, body, params)
    bucket, _, key = path.lstrip("/").partition("/")
    found = s3._buckets.get(bucket)
    is_read = iam_actions._s3_action(method, path, params) == "GetObject"
    if is_read and found is not None and unquote(key) not in found["objects"]:
        checks = [*checks, ("s3:ListBucket", f"arn:aws:s3:::{bucket}")]
    return checks


def _context(service: str, action: str, body: bytes, params: dict) -> dict:
    context = _tag_context(service, action, body, params)
    if action == "cloudwatch:PutMetricData":
        context |= {"cloudwatch:namespace": _namespace(body, params)}
    return context


def _namespace(body: bytes, params: dict) -> str:
    """Of the metrics of a request, as boto3 sends them."""
    if "Namespace" in params:
        given = params["Namespace"]
        return given[0] if isinstance(given, list) else given
    return json.loads(body).get("Namespace", "") if body[:1] == b"{" else ""


def session(role: str, run_id: str) -> dict[str, str]:
    """Environment with the credentials of a run. Raises PermissionError when the role does not trust Glue, or is not there."""
    name = role.rsplit("/", 1)[-1]
    found = iam._roles.get(name)
    if found is None:
        raise PermissionError(f"role {name} does not exist")
    if not _trusts_glue(found):
        raise PermissionError(f"role {name} cannot be assumed by Glue: its trust policy does not let it")
    key = f"ASIA{secrets.token_hex(8).upper()}"
    credentials = {"SecretAccessKey": secrets.token_urlsafe(30), "SessionToken": secrets.token_urlsafe(60)}
    sts.register_session(
        key,
        credentials
        | {
            "Arn": f"arn:aws:sts::{get_account_id()}:assumed-role/{name}/{run_id}",
            "UserId": f"{found['RoleId']}:{run_id}",
            "Expiration": time.time() + HOURS * 3600,
            "AccountId": get_account_id(),
            "PrincipalType": "AssumedRole",
            "SourceAccessKeyId": "",
            "SourcePrincipalArn": found["Arn"],
            "SessionTags": [],
            "SessionPolicies": None,
        },
    )
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


def _trusts_glue(role: dict) -> bool:
    """Whether a statement of the role's trust policy that names Glue lets it take the role for this account."""
    given = role["AssumeRolePolicyDocument"]
    document = json.loads(given) if isinstance(given, str) else given
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    of_glue = [one for one in statements if GLUE in str((one.get("Principal") or {}).get("Service", ""))]
    # The emulator knows services as the account's root.
    root = f"arn:aws:iam::{get_account_id()}:root"
    return iam_evaluator.evaluate_trust_policy({"Statement": of_glue}, root)
