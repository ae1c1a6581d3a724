"""What the tests of the embedded AWS share: starting it, clients for it, and the processes behind its job runs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import psutil

ROOT = Path(__file__).resolve().parents[2]


def connect(endpoint: str, service: str):
    """A client for an embedded AWS."""
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=endpoint, **credentials)


def listens_on(pid: int, port: int) -> list[str]:
    """The addresses on which a process listens at a port."""
    found = psutil.Process(pid).net_connections("tcp")
    return [one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN and one.laddr.port == port]


Answer = tuple[list[str], list[str], list[list[str | None]]]


def ask(athena, sql: str, database: str, workgroup: str, *values: str) -> Answer:
    """Names, types and rows of a query's answer, as any boto3 program gets them from Athena; RuntimeError with its reason.

    `values`: SQL of the execution parameters.
    """
    more = {"ExecutionParameters": list(values)} if values else {}
    query = athena.start_query_execution(
        QueryString=sql, QueryExecutionContext={"Database": database}, WorkGroup=workgroup, **more
    )["QueryExecutionId"]
    deadline = time.monotonic() + 60
    while True:
        execution = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        status = execution["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"{sql} is still {status['State']}")
        time.sleep(0.02)
    if status["State"] != "SUCCEEDED":
        raise RuntimeError(f"{status['State']}: {status['StateChangeReason']}")
    pages = list(athena.get_paginator("get_query_results").paginate(QueryExecutionId=query))
    columns = pages[0]["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    rows = [[d.get("VarCharValue") for d in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]]
    header = [column["Name"] for column in columns]
    if execution["StatementType"] == "DML":
        assert rows.pop(0) == header
    return header, [column["Type"] for column in columns], rows


def everything(endpoint: str) -> set[str]:
    """What is there of every kind of resource that the stacks make; keys that wait for their deletion are left out."""

    def names(service: str, call: str, key: str, name: str = "") -> list[str]:
        answer = getattr(connect(endpoint, service), call)()
        return [f"{service} {call} {one[name] if name else one}" for one in answer.get(key, [])]

    found = [
        *names("s3", "list_buckets", "Buckets", "Name"),
        *names("logs", "describe_log_groups", "logGroups", "logGroupName"),
        *names("glue", "get_databases", "DatabaseList", "Name"),
        *names("glue", "get_jobs", "Jobs", "Name"),
        *names("glue", "get_connections", "ConnectionList", "Name"),
        *names("glue", "get_security_configurations", "SecurityConfigurations", "Name"),
        *names("stepfunctions", "list_state_machines", "stateMachines", "name"),
        *names("athena", "list_work_groups", "WorkGroups", "Name"),
        *names("ec2", "describe_vpcs", "Vpcs", "VpcId"),
        *names("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
        *names("ec2", "describe_subnets", "Subnets", "SubnetId"),
        *names("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
        *names("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
        *names("iam", "list_roles", "Roles", "RoleName"),
        *names("iam", "list_policies", "Policies", "PolicyName"),
        *names("sns", "list_topics", "Topics", "TopicArn"),
        *names("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
        *names("sqs", "list_queues", "QueueUrls"),
        *names("events", "list_rules", "Rules", "Name"),
        *names("scheduler", "list_schedules", "Schedules", "Name"),
        *names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        *names("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        *names("lambda", "list_functions", "Functions", "FunctionName"),
    ]
    kms = connect(endpoint, "kms")
    for key in kms.list_keys()["Keys"]:
        if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
            found.append(f"kms {key['KeyId']}")
    return set(found)


def copy_app(folder: Path) -> Path:
    """A copy of the CDK app that can be changed and deployed; what was installed is shared."""
    folder.mkdir()
    folders = ("internal", "stacks", "constructs", "data", "glue-scripts", "local/setup")
    for name in ("main.go", "go.mod", "go.sum", "cdk.json", *folders):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")  # reads the SELECTs
    return folder


def tell_jobs(app: Path) -> None:
    """What `make contracts` does, after a change of the contracts of a copy."""
    subprocess.run(["go", "test", "./internal/contract", "-run", "TestJobsFile", "-update"], cwd=app, check=True)


def process_of(run_id: str) -> int:
    """The process id of a job run's script, once there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        # The oldest: Spark's Java, which the script starts, has the run in its command too.
        found = subprocess.run(["pgrep", "-o", "-f", f"runs/{run_id}/"], capture_output=True, text=True).stdout.split()
        if found:
            return int(found[0])
        time.sleep(0.05)
    raise TimeoutError(f"no process of {run_id}")


class EmbeddedAWS:
    """A running embedded AWS and clients for it. `settings`: of the emulator, as environment variables."""

    def __init__(self, work: Path, jars: Path = ROOT / ".stedi" / "jars", **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.work = work
        self._log = (work / "emulator.log").open("wb")
        command = [
            sys.executable,
            "-m",
            "embedded_aws",
            "--port",
            str(self.port),
            "--work",
            str(work),
            "--jars",
            str(jars),
        ]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "local"} | settings, stdout=self._log, stderr=self._log
        )

    def client(self, service: str):
        return connect(self.endpoint, service)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the embedded AWS did not start: {(self.work / 'emulator.log').read_text()}")

    def wait_run(self, job: str, run_id: str, seconds: float = 120) -> dict:
        """The job run once it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            run = self.client("glue").get_job_run(JobName=job, RunId=run_id)["JobRun"]
            if run["JobRunState"] not in ("STARTING", "RUNNING", "STOPPING"):
                return run
            time.sleep(0.1)
        raise TimeoutError(f"{job} is still running after {seconds} s")

    def wait_execution(self, arn: str, seconds: float = 300) -> dict:
        """The execution of a state machine once it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            execution = self.client("stepfunctions").describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                return execution
            time.sleep(0.2)
        raise TimeoutError(f"{arn} is still running after {seconds} s")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


def machine_of(job: str) -> str:
    """A state machine definition that runs one job and waits for it."""
    task = {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {"JobName": job}, "End": True}
    return json.dumps({"StartAt": "Run", "States": {"Run": task}})
