"""What the person on call relies on, in the embedded AWS.

A failing job reaches the topic and alarms change; files that land start one run; an app with other jobs and tables deploys over
the one before; a destroy leaves nothing. The tests share one deployment and build on each other, in the order of the file. No job
gets far: nothing that is delivered is of use.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from embedded import ROOT, EmbeddedAWS, copy_app, everything, tell_jobs

LAKE = "stedi-local"
FIRST_JOB, LAST_JOB = "customer_landing_to_trusted", "machine_learning_curated"
TABLE = {
    "description": "Only here to come and go.",
    "zone": "trusted",
    "format": "iceberg",
    "personal_data": False,
    "key": ["id"],
    "columns": [{"name": "id", "type": "string", "required": True, "description": "Number."}],
}


class App:
    """A copy of the project that can be changed, and is deployed into an embedded AWS."""

    def __init__(self, aws: EmbeddedAWS, folder: Path) -> None:
        self.aws, self.folder = aws, copy_app(folder)
        self.edit("cdk.json", self._start_when_files_land)
        self.cdk("bootstrap", "aws://000000000000/us-east-1", cwd=aws.work)
        self.before = everything(aws.endpoint)

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        file = self.folder / path
        text = file.read_text()
        file.write_text(change(text))
        assert file.read_text() != text, f"{path} is as before"

    def set_table(self, source: str, present: bool) -> None:
        contract = self.folder / "data" / "contracts" / f"{source}_trusted.json"
        if present:
            contract.write_text(json.dumps({"table": f"{source}_trusted", "source": source} | TABLE))
        else:
            contract.unlink()
        tell_jobs(self.folder)

    def set_last_job(self, present: bool) -> None:
        """Takes the job out of the contract of the last table, or puts it back."""
        contract = json.loads((ROOT / "data" / "contracts" / f"{LAST_JOB}.json").read_text())
        if not present:
            del contract["job"]
        (self.folder / "data" / "contracts" / f"{LAST_JOB}.json").write_text(json.dumps(contract))
        tell_jobs(self.folder)

    def deploy(self) -> None:
        self.cdk("deploy", "--all", "--require-approval", "never", "--outputs-file", str(self.aws.work / "outputs.json"))
        outputs = json.loads((self.aws.work / "outputs.json").read_text())
        self.outputs = {name: value for stack in outputs.values() for name, value in stack.items()}

    def cdk(self, *arguments: str, cwd: Path | None = None) -> None:
        environment = os.environ | {
            "AWS_ENDPOINT_URL": self.aws.endpoint.replace("127.0.0.1", "localhost"),
            "AWS_ENDPOINT_URL_S3": self.aws.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }
        command = [ROOT / "node_modules" / ".bin" / "cdk", *arguments, "--no-color", "--no-notices"]
        command += [] if cwd else ["-c", "stage=local"]
        done = subprocess.run(command, cwd=cwd or self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def starter(self) -> str:
        return self.outputs["StateMachineArn"].removesuffix("pipeline") + "starter"

    def executions(self) -> list[dict]:
        found = self.aws.client("stepfunctions").list_executions(stateMachineArn=self.outputs["StateMachineArn"])
        return found["executions"]

    def run(self, machine: str, given: dict) -> dict:
        started = self.aws.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(given))
        return self.aws.wait_execution(started["executionArn"])

    def tables(self) -> set[str]:
        return {table["Name"] for table in self.aws.client("glue").get_tables(DatabaseName="stedi_local")["TableList"]}

    def jobs(self) -> set[str]:
        return {job["Name"] for job in self.aws.client("glue").get_jobs()["Jobs"]}

    @staticmethod
    def _start_when_files_land(text: str) -> str:
        document = json.loads(text)
        # A Sunday that is far away, and looks that the tests start themselves: no test waits for a schedule.
        document["context"]["stages"]["local"]["start"] = {"cron": "0 4 1 1 ? 2099", "landingMinutes": 1440}
        return json.dumps(document, indent=2)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    # Waits of state machines take a fiftieth of their time.
    aws = EmbeddedAWS(tmp_path_factory.mktemp("embedded_aws"), SFN_WAIT_SCALE="0.02")
    try:
        aws.wait_ready()
        app = App(aws, tmp_path_factory.mktemp("app") / "project")
        app.set_last_job(present=False)
        app.set_table("shoe", present=True)
        app.deploy()
        yield app
    finally:
        aws.stop()


@pytest.fixture(scope="module")
def inbox(app: App) -> Callable[[], list[dict]]:
    """A queue that is subscribed to the topic. Gives the messages that have come in since the last call."""
    sqs = app.aws.client("sqs")
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    letter_box = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [letter_box]})})
    app.aws.client("sns").subscribe(TopicArn=app.outputs["AlertTopicArn"], Protocol="sqs", Endpoint=arn)

    def receive() -> list[dict]:
        messages = []
        while found := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages"):
            for message in found:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                messages.append(json.loads(message["Body"]))
        return messages

    return receive


def test_jobs_and_tables_come_and_go_without_a_step_by_hand(app: App) -> None:
    """From an app with one job less and one table more to one the other way around: no export blocks the way."""
    old_tables, old_jobs = app.tables(), app.jobs()
    assert "shoe_trusted" in old_tables
    assert LAST_JOB not in old_jobs
    app.set_last_job(present=True)
    app.set_table("shoe", present=False)
    app.set_table("boot", present=True)
    app.deploy()
    assert app.tables() == old_tables - {"shoe_trusted"} | {"boot_trusted"}
    assert app.jobs() == old_jobs | {LAST_JOB}


def test_a_failing_job_reaches_the_topic_and_its_alarm_rings(app: App, inbox) -> None:
    app.aws.client("s3").put_object(
        Bucket=app.outputs["LakeBucketName"], Key="customer/landing/broken.json", Body=b'{"email": "planted@example.com'
    )
    ended = app.run(app.outputs["StateMachineArn"], {"fullRefresh": True})
    assert ended["status"] == "FAILED"
    (run,) = app.aws.client("glue").get_job_runs(JobName=FIRST_JOB)["JobRuns"]
    assert run["Arguments"] == {"--full_refresh": "true"}
    assert run["Id"] in ended["cause"]
    messages = inbox()
    (told,) = [one for one in messages if one.get("Subject") == f"{LAKE}: {FIRST_JOB} failed"]
    text = told["Message"]
    for part in (FIRST_JOB, run["Id"], ended["executionArn"], "1 of 1 rows cannot be used", f"{run['LogGroupName']}/output"):
        assert part in text
    assert "\n\nWhere to look:\n" in text
    assert "planted" not in json.dumps(messages)
    # The log group named in the message holds the run's own words.
    events = app.aws.client("logs").get_log_events(logGroupName=f"{run['LogGroupName']}/output", logStreamName=run["Id"])[
        "events"
    ]
    assert any("cannot be used" in event["message"] for event in events)
    (alarm,) = [one for one in messages if "AlarmName" in one["Message"]]
    alarm = json.loads(alarm["Message"])
    assert (alarm["AlarmName"], alarm["NewStateValue"]) == (f"{LAKE}-quarantine-limit", "ALARM")
    assert "docs/operations.md" in alarm["AlarmDescription"]
    states = {one["AlarmName"]: one["StateValue"] for one in app.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    assert {name for name, state in states.items() if state == "ALARM"} == {f"{LAKE}-quarantine-limit"}


def test_log_groups_are_those_that_were_declared(app: App) -> None:
    """With retention and key; a group of another name was made by a run, and would keep everything for ever."""
    groups = app.aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws-glue/")["logGroups"]
    assert {group["logGroupName"] for group in groups if group.get("retentionInDays") != 7 or not group.get("kmsKeyId")} == set()
    assert len(groups) == 2 * len(app.jobs())


def test_a_run_asks_for_no_full_refresh_unless_told_to(app: App) -> None:
    app.run(app.outputs["StateMachineArn"], {})
    run = app.aws.client("glue").get_job_runs(JobName=FIRST_JOB)["JobRuns"][0]
    assert run["Arguments"] == {"--full_refresh": "false"}


def test_files_that_landed_start_one_run(app: App) -> None:
    looks = [app.run(app.starter, {"landed": True})]  # for the file of the tests before
    before = len(app.executions())
    looks.append(app.run(app.starter, {"landed": True}))
    assert len(app.executions()) == before, "nothing has landed since"
    s3 = app.aws.client("s3")
    for number in range(20):
        s3.put_object(Bucket=app.outputs["LakeBucketName"], Key=f"accelerometer/landing/burst-{number}.json", Body=b"{}\n")
    s3.put_object(Bucket=app.outputs["LakeBucketName"], Key="accelerometer/trusted/data/0.parquet", Body=b"not landed")
    wait_until_idle(app)
    looks.append(app.run(app.starter, {"landed": True}))
    assert len(app.executions()) == before + 1, "a burst of files is one run"
    looks.append(app.run(app.starter, {"landed": True}))
    wait_until_idle(app)
    looks.append(app.run(app.starter, {"landed": True}))
    assert len(app.executions()) == before + 1, "the burst has had its run"
    assert {look["status"] for look in looks} == {"SUCCEEDED"}


def test_a_look_that_fails_after_it_took_the_news_is_made_up_for(app: App) -> None:
    wait_until_idle(app)
    states = app.aws.client("stepfunctions")
    # An execution that has this name already makes the start fail, as anything may.
    states.start_execution(stateMachineArn=app.outputs["StateMachineArn"], name="taken", input="{}")
    wait_until_idle(app)
    app.aws.client("s3").put_object(Bucket=app.outputs["LakeBucketName"], Key="accelerometer/landing/not-read.csv", Body=b"x")
    before = len(app.executions())
    started = states.start_execution(stateMachineArn=app.starter, name="taken", input='{"landed": true}')
    assert app.aws.wait_execution(started["executionArn"])["status"] == "FAILED"
    assert len(app.executions()) == before
    assert app.run(app.starter, {"landed": True})["status"] == "SUCCEEDED"
    assert len(app.executions()) == before + 1, "the news of the file was thrown away, and no run has seen it"
    wait_until_idle(app)
    app.run(app.starter, {"landed": True})
    assert len(app.executions()) == before + 1, "the start is no longer due"


def test_the_schedule_starts_a_run_also_when_nothing_has_landed(app: App) -> None:
    wait_until_idle(app)
    before = len(app.executions())
    assert app.run(app.starter, {"landed": False})["status"] == "SUCCEEDED"
    assert len(app.executions()) == before + 1
    # Started while that one runs, it waits for its end.
    assert app.run(app.starter, {"landed": False})["status"] == "SUCCEEDED"
    first, second = sorted(app.executions(), key=lambda one: one["startDate"])[-2:]
    assert second["startDate"] >= first["stopDate"]


def test_destroy_leaves_nothing(app: App, inbox) -> None:
    wait_until_idle(app)
    s3 = app.aws.client("s3")
    for bucket in ("LakeBucketName", "ResultBucketName", "LogBucketName"):
        name = app.outputs[bucket]
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for one in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
    sqs = app.aws.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="inbox")["QueueUrl"])
    app.cdk("destroy", "--all", "--force")
    assert everything(app.aws.endpoint) - app.before == set()


def wait_until_idle(app: App) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if all(execution["status"] != "RUNNING" for execution in app.executions()):
            return
        time.sleep(0.2)
    raise TimeoutError("the pipeline is still running")
