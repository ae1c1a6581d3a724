"""The whole product as a user has it: the demo deploys the real templates, and what it deployed is then used, broken and mended.

The tests share one deployment and build on each other, in the order of the file: a run of the pipeline takes most of a minute.
"""

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import browser
import oracle
import pytest
from embedded import ROOT, EmbeddedAWS, ask, connect, copy_app, everything, listens_on, process_of, tell_jobs
from pyiceberg.table import StaticTable
from test_erasure_data import told as holds
from test_erasure_data import traces

DATABASE = "stedi_local"
JOBS = (
    "customer_landing_to_trusted",
    "accelerometer_landing_to_trusted",
    "customer_trusted_to_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
    "table_maintenance",
)
# In ms.
NOW = int(time.time() * 1000)
# The design's table of row counts of the public data set.
PUBLIC_COUNTS = {
    "customer_trusted": 482,
    "accelerometer_trusted": 32_025,
    "customer_curated": 464,
    "step_trainer_trusted": 11_297,
    "machine_learning_curated": 32_025,
}


class Lakehouse:
    """A demo that was kept: its deployment, and a local copy of what was delivered to it."""

    def __init__(self, work: Path, data: Path) -> None:
        self.work = work / "demo"
        self.landing = work / "landing"
        self.public = data.name == "stedi"
        self._binary = work / "demo-binary"
        subprocess.run(["go", "build", "-o", self._binary, "./local/demo"], cwd=ROOT, check=True)
        for source in ("customer", "accelerometer", "step_trainer"):
            shutil.copytree(data / source / "landing", self.landing / source / "landing")
        self.output = self.demo("up", "-keep", "-data", str(self.landing))
        self.endpoint = json.loads((self.work / "emulator.json").read_text())["endpoint"]
        self.environment = os.environ | self._emulator_environment()
        outputs = json.loads((self.work / "outputs.json").read_text())
        self.outputs = {name: value for stack in outputs.values() for name, value in stack.items()}
        self.bucket = self.outputs["LakeBucketName"]

    def client(self, service: str):
        return connect(self.endpoint, service)

    def demo(self, *arguments: str) -> str:
        command = [self._binary, arguments[0], "-work", self.work, *arguments[1:]]
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout

    def cdk(self, *arguments: str, cwd: Path = ROOT) -> str:
        command = [ROOT / "node_modules" / ".bin" / "cdk", *arguments, "-c", "stage=local", "--no-color", "--no-notices"]
        done = subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deliver(self, key: str, lines: list[str]) -> None:
        """Put a landing file into the lake and into the local copy."""
        path = self.landing / key
        path.write_text("".join(f"{line}\n" for line in lines))
        self.client("s3").upload_file(str(path), self.bucket, key)

    def take_back(self, key: str) -> None:
        (self.landing / key).unlink()
        self.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def ask(self, sql: str) -> list[list[str | None]]:
        """The rows of Athena's answer."""
        return ask(self.client("athena"), sql, DATABASE, self.outputs["WorkgroupName"])[2]

    def tool(self, name: str, *arguments: str, **environment: str) -> str:
        """What a command of tools/ prints about the kept demo."""
        command = ["go", "run", f"./tools/{name}", "-work", self.work, *arguments]
        given = os.environ | environment
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env=given).stdout

    def keys(self, prefix: str) -> list[str]:
        return [one["Key"] for one in self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])]

    def versions_of(self, bucket: str) -> list[tuple[str, str, str]]:
        """Bucket, key and id of every version there."""
        pages = self.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
        return [(bucket, one["Key"], one["VersionId"]) for page in pages for one in page.get("Versions", [])]

    def report(self, name: str) -> dict:
        """Writes a report of the last run into a folder of its own."""
        folder = self.work / "reports" / name
        self.tool("report", "-out", str(folder))
        return json.loads((folder / "report.json").read_text())

    def start(self) -> str:
        return self.client("stepfunctions").start_execution(stateMachineArn=self.outputs["StateMachineArn"])["executionArn"]

    def wait(self, execution: str, seconds: float = 600) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.client("stepfunctions").describe_execution(executionArn=execution)
            if state["status"] != "RUNNING":
                return state
            time.sleep(0.3)
        raise TimeoutError(f"{execution} is still running after {seconds} s")

    def run(self) -> None:
        ended = self.wait(self.start())
        assert ended["status"] == "SUCCEEDED", ended.get("cause")

    def last_run(self, job: str) -> dict:
        return self.client("glue").get_job_runs(JobName=job)["JobRuns"][0]

    def metadata_location(self, table: str) -> str:
        found = self.client("glue").get_table(DatabaseName=DATABASE, Name=table)["Table"]
        return found["Parameters"]["metadata_location"]

    def table(self, name: str) -> StaticTable:
        s3 = {"s3.endpoint": self.endpoint, "s3.access-key-id": "test", "s3.secret-access-key": "test", "s3.region": "us-east-1"}
        return StaticTable.from_metadata(self.metadata_location(name), properties=s3)

    def rows(self, name: str) -> list[tuple]:
        """The rows of an Iceberg table, sorted."""
        columns = self.table(name).scan().to_arrow().to_pydict().values()
        return sorted(zip(*columns, strict=True), key=oracle.nulls_last)

    def versions(self) -> dict[str, int | None]:
        """The current snapshot of every target table."""
        return {name: self.table(name).metadata.current_snapshot_id for name in oracle.TARGET_TABLES}

    def expected(self, gate: str = "as-of") -> dict[str, list[tuple]]:
        return oracle.expected_tables(self.landing, gate)

    def _emulator_environment(self) -> dict[str, str]:
        lines = (self.work / "emulator.env").read_text().splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def lakehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    public = Path(os.environ.get("STEDI_DATA", ROOT.parent / "shared" / "data" / "stedi"))
    work = tmp_path_factory.mktemp("lakehouse")
    kept = None
    try:
        kept = Lakehouse(work, public if public.is_dir() else ROOT / "data" / "sample")
        yield kept
    finally:
        if (work / "demo" / "emulator.json").exists():
            subprocess.run([work / "demo-binary", "kill", "-work", work / "demo"], cwd=ROOT, check=True)


def test_the_demo_shows_every_tables_rows(lakehouse: Lakehouse) -> None:
    print(lakehouse.output)
    expected = {table: len(rows) for table, rows in lakehouse.expected().items()}
    if lakehouse.public:
        assert expected == PUBLIC_COUNTS
    for table, count in expected.items():
        assert f"{table}: read" in lakehouse.output
        assert f"= {count:,} accepted" in lakehouse.output


def test_only_loopback_is_listened_on(lakehouse: Lakehouse) -> None:
    state = json.loads((lakehouse.work / "emulator.json").read_text())
    assert listens_on(state["pid"], int(lakehouse.endpoint.rsplit(":", 1)[1])) == ["127.0.0.1"]


def test_every_row_is_what_the_rules_say(lakehouse: Lakehouse) -> None:
    for table, rows in lakehouse.expected().items():
        assert lakehouse.rows(table) == rows, table


def test_athena_answers_on_every_zone(lakehouse: Lakehouse) -> None:
    delivered = oracle.read_landing(lakehouse.landing)
    assert lakehouse.ask("select count(*) as n from accelerometer_landing") == [[str(len(delivered.samples))]]
    for table, rows in lakehouse.expected().items():
        answer = lakehouse.ask(f"select * from {table}")
        assert sorted(map(as_text, rows), key=str) == sorted(answer, key=str), table
    accepted = dict(lakehouse.ask("select table_name, sum(rows) from run_ledger where outcome = 'accepted' group by 1"))
    assert accepted.items() >= {table: str(len(rows)) for table, rows in lakehouse.expected().items()}.items()


def test_the_saved_queries_are_there_and_count_landing_rows(lakehouse: Lakehouse) -> None:
    athena, group = lakehouse.client("athena"), lakehouse.outputs["WorkgroupName"]
    ids = athena.list_named_queries(WorkGroup=group)["NamedQueryIds"]
    queries = {query["Name"]: query for query in athena.batch_get_named_query(NamedQueryIds=ids)["NamedQueries"]}
    assert {"count landing", "count trusted", "ledger last run", "consent funnel", "join on time alone"} <= set(queries)
    assert f"location 's3://{lakehouse.bucket}/customer/landing/'" in queries["create customer_landing"]["QueryString"]
    counts = dict(lakehouse.ask(queries["count landing"]["QueryString"]))
    assert set(counts) >= {"customer_landing", "accelerometer_landing", "step_trainer_landing"}
    assert counts["customer_landing"] == lakehouse.ask("select count(*) from customer_landing")[0][0]


def test_the_query_tool_asks_the_kept_demo(lakehouse: Lakehouse) -> None:
    table = lakehouse.tool("query", "-format", "csv", "select count(*) as n from customer_trusted")
    assert table == f"n\n{len(lakehouse.expected()['customer_trusted'])}\n"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        lakehouse.tool("query", "select * from nowhere")
    assert failed.value.returncode == 1
    assert "does not exist; tables of stedi_local: accelerometer_index," in failed.value.stderr


def test_the_demo_reports_its_run(lakehouse: Lakehouse) -> None:
    page = lakehouse.work / "report.html"
    assert f"report of the run: {page}" in lakehouse.output
    report = json.loads(page.with_suffix(".json").read_text())
    assert report["execution"]["status"] == "SUCCEEDED"
    assert report["missing"] == []
    # Other sources may have jobs and tables, too.
    assert {job["state"] for job in report["jobs"]} == {"SUCCEEDED"}
    assert [job["name"] for job in report["jobs"] if job["name"] in JOBS] == list(JOBS)
    expected = {table: len(rows) for table, rows in lakehouse.expected().items()}
    accepted = {funnel["table"]: funnel["accepted"] for funnel in report["funnels"]}
    assert {table: accepted[table] for table in expected} == expected
    assert {table["name"]: table["rows"] for table in report["tables"] if table["name"] in expected} == expected
    current = {version["table"]: version["rows"] for version in report["versions"] if version["state"] == "current"}
    assert {table: current[table] for table in expected} == expected
    assert {check["state"] for check in report["checks"] if check["table"] in expected} == {"passed"}
    seen = browser.check(page, "demo")
    assert {chart["id"] for chart in seen["views"][0]["charts"]} >= {"funnel-chart", "jobs-chart"}
    assert all(f"{rows:,}" in seen["text"] for rows in expected.values())


def test_a_diff_right_after_the_deployment_is_empty(lakehouse: Lakehouse) -> None:
    diff = lakehouse.cdk("diff")
    assert diff.count("There were no differences") == 3, diff
    assert "Number of stacks with differences: 0" in diff


def test_a_review_compares_with_what_is_deployed(lakehouse: Lakehouse, tmp_path: Path) -> None:
    subprocess.run(["go", "build", "-o", tmp_path / "review", "./tools/review"], cwd=ROOT, check=True)

    def head_line(stage: str) -> str:
        command = [tmp_path / "review", "-deployed", "-stage", stage]
        done = subprocess.run(command, cwd=ROOT, env=lakehouse.environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.splitlines()[0]

    assert head_line("local") == "Safe: nothing changes"
    assert head_line("dev").endswith("a stage is new")


def test_a_second_run_changes_nothing(lakehouse: Lakehouse) -> None:
    before = lakehouse.versions()
    lakehouse.run()
    assert lakehouse.versions() == before


def test_the_ledger_and_the_metrics_have_every_number(lakehouse: Lakehouse) -> None:
    outcomes = oracle.compute(lakehouse.landing, "as-of").outcomes
    ledger = {(row[2], row[3], row[4]): row[5] for row in lakehouse.rows("run_ledger")}
    for table, counts in outcomes.items():
        for reason, count in counts.items():
            outcome = ("accepted", "all") if reason == oracle.ACCEPTED else ("excluded", reason)
            assert ledger[(table, *outcome)] == count, (table, reason)
    counts = {key for key in ledger if key[1] != "check"}
    assert len(counts) < len(ledger)
    metrics = lakehouse.client("cloudwatch").list_metrics(Namespace="StediLakehouse", MetricName="Rows")["Metrics"]
    measured = {tuple(one["Value"] for one in sorted(metric["Dimensions"], key=lambda one: one["Name"])) for metric in metrics}
    # Sorted by name: Lake, Outcome, Reason, Table.
    assert {("stedi-local", outcome, reason, table) for table, outcome, reason in counts} <= measured


def test_of_four_starts_at_once_the_losers_say_why_and_no_row_is_double(lakehouse: Lakehouse) -> None:
    (source,) = sorted((lakehouse.landing / "accelerometer" / "landing").glob("*.json*"))[:1]
    lakehouse.deliver("accelerometer/landing/replay.json", source.read_text().splitlines()[:1000])
    ended = [lakehouse.wait(execution) for execution in [lakehouse.start() for _ in range(4)]]
    lost = [end["error"] + end["cause"] for end in ended if end["status"] != "SUCCEEDED"]
    for why in lost:
        assert "ConcurrentRunsExceeded" in why or "another run has written" in why
    # Jobs are short: one that begins later may stand in the way of one that is ahead, and none comes through.
    if len(lost) == len(ended):
        lakehouse.run()
    for table, rows in lakehouse.expected().items():
        assert lakehouse.rows(table) == rows, table


def test_a_broken_line_fails_the_run_before_it_writes(lakehouse: Lakehouse) -> None:
    before = lakehouse.versions()
    key = "customer/landing/broken.json"
    lakehouse.deliver(key, ['{"customerName": "Planted Name", "email": "planted@example.com'])
    ended = lakehouse.wait(lakehouse.start())
    lakehouse.take_back(key)
    assert ended["status"] == "FAILED"
    message = lakehouse.last_run(JOBS[0])["ErrorMessage"]
    assert "customer_landing: 1 of 1 rows cannot be used and do not say whose they are (R13): " in message
    assert "line 1 of customer/landing/broken.json (not one JSON object). Nothing was written." in message
    assert "planted" not in (message + ended["cause"]).lower()
    assert lakehouse.versions() == before


def test_a_failed_run_is_reported_as_failed(lakehouse: Lakehouse) -> None:
    report = lakehouse.report("failed")
    assert report["execution"]["status"] == "FAILED"
    assert report["jobs"][0]["state"] == "FAILED"
    assert "rows cannot be used" in report["jobs"][0]["message"]
    assert {job["state"] for job in report["jobs"][1:]} == {"NOT_STARTED"}
    assert report["funnels"] == []
    assert {check["state"] for check in report["checks"]} == {"not run"}


def test_what_a_failed_check_found_is_in_the_ledger_and_reported(lakehouse: Lakehouse, tmp_path: Path) -> None:
    """In the package that is deployed the contract asks for what no customer has."""
    before, s3 = lakehouse.versions(), lakehouse.client("s3")
    job = lakehouse.client("glue").get_job(JobName=JOBS[0])["Job"]
    bucket, _, key = job["DefaultArguments"]["--extra-py-files"].removeprefix("s3://").partition("/")
    package = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=with_check(package))
    person = {"customerName": "Planted", "email": "planted@example.com", "serialNumber": "planted", "lastUpdateDate": NOW}
    lakehouse.deliver("customer/landing/new.json", [json.dumps(person | {"shareWithResearchAsOfDate": NOW})])
    ended = lakehouse.wait(lakehouse.start())
    lakehouse.take_back("customer/landing/new.json")
    s3.put_object(Bucket=bucket, Key=key, Body=package)
    assert ended["status"] == "FAILED"
    run = lakehouse.last_run(JOBS[0])
    check = "accepted_range(sharewithresearchasofdate)"
    assert f"customer_trusted: checks of the contract: {check} failed 1 times; nothing was published" in run["ErrorMessage"]
    told = lakehouse.ask(f"select table_name, outcome, reason, rows from run_ledger where run_id = '{run['Id']}' and rows > 0")
    assert told == [["customer_trusted", "check", check, "1"]]
    assert lakehouse.versions() == before
    report = lakehouse.report("check")
    states = {(one["table"], one["name"]): one["state"] for one in report["checks"]}
    assert {one for one, state in states.items() if state == "failed"} == {("customer_trusted", check)}
    assert states["customer_trusted", "not_null(email)"] == "passed"
    assert states["customer_curated", "not_null(email)"] == "not run"
    assert (report["funnels"], report["missing"]) == ([], [])


def test_a_killed_job_leaves_the_old_version_and_the_next_run_completes(lakehouse: Lakehouse) -> None:
    person = withdrawing_person(lakehouse)
    lakehouse.deliver("customer/landing/withdrawn.json", [json.dumps(person)])
    before = lakehouse.versions()
    execution = lakehouse.start()
    victim = "accelerometer_landing_to_trusted"
    os.kill(process_of(running(lakehouse, victim)), signal.SIGKILL)
    ended = lakehouse.wait(execution)
    assert ended["status"] == "FAILED"
    assert lakehouse.last_run(victim)["JobRunState"] == "FAILED"
    assert "137" in lakehouse.last_run(victim)["ErrorMessage"] or "signal 9" in lakehouse.last_run(victim)["ErrorMessage"]
    after = lakehouse.versions()
    assert [table for table in after if after[table] != before[table]] == ["customer_trusted"]

    lakehouse.run()
    expected = lakehouse.expected()
    assert person["email"].strip().lower() not in {row[0] for row in expected["accelerometer_trusted"]}
    for table, rows in expected.items():
        assert lakehouse.rows(table) == rows, table


def test_a_new_column_leaves_the_template_alone_and_comes_with_the_next_run(lakehouse: Lakehouse, tmp_path: Path) -> None:
    """And the gate `ever`, deployed along with it, lets every reading of a consenting person pass."""
    changed = copy_app(tmp_path / "project")
    contract = changed / "data" / "contracts" / "accelerometer_trusted.json"
    document = json.loads(contract.read_text())
    document["columns"].append({"name": "battery", "type": "int", "since": 2, "description": "Charge of the phone, percent."})
    contract.write_text(json.dumps(document))
    tell_jobs(changed)

    diff = lakehouse.cdk("diff", "stedi-local-catalog", cwd=changed)
    assert "There were no differences" in diff, diff
    lakehouse.cdk("deploy", "--all", "--require-approval", "never", "-c", "consentGate=ever", cwd=changed)
    lakehouse.run()
    assert [field.name for field in lakehouse.table("accelerometer_trusted").schema().fields][-1] == "battery"
    expected = lakehouse.expected("ever")
    assert [row[:-1] for row in lakehouse.rows("accelerometer_trusted")] == expected["accelerometer_trusted"]
    assert {row[-1] for row in lakehouse.rows("accelerometer_trusted")} == {None}
    assert lakehouse.rows("machine_learning_curated") == expected["machine_learning_curated"]


def test_who_asks_is_forgotten_by_the_next_run_and_it_is_proven(lakehouse: Lakehouse, tmp_path: Path) -> None:
    """By the state machine, with the rights of the roles. Every version of every object is asked, apart from the proof's code."""
    before = {name: lakehouse.rows(name) for name in oracle.TARGET_TABLES}
    person = next(row for row in before["customer_curated"] if [row[4] for row in before["customer_curated"]].count(row[4]) == 1)
    email, serial = person[1], person[4]
    told = lakehouse.tool("erase", "-request", "r1", ERASE_EMAIL=email)
    assert "r1" in told and email not in told
    lakehouse.run()
    (key,) = lakehouse.keys("erasure/certificates/")
    certificate = json.loads(lakehouse.client("s3").get_object(Bucket=lakehouse.bucket, Key=key)["Body"].read())
    assert (certificate["request"], certificate["verdict"], certificate["left"]) == ("r1", "erased", [])
    assert certificate["found"], "old versions of tables and landing files held them"
    assert lakehouse.keys("erasure/requests/") == []
    subject = oracle.subject_id(email, serial)
    for name, rows in before.items():
        assert lakehouse.rows(name) == [row for row in rows if not {email, serial, subject} & {*row}], name
    needles = traces([email], {serial: {email}}, {serial}, {serial})
    found = [one for bucket in (lakehouse.bucket, lakehouse.outputs["ResultBucketName"]) for one in lakehouse.versions_of(bucket)]
    assert len(found) > 100
    file = tmp_path / "version"
    for bucket, name, version in found:
        file.write_bytes(lakehouse.client("s3").get_object(Bucket=bucket, Key=name, VersionId=version)["Body"].read())
        assert not holds(file, needles), name
    lakehouse.run()
    assert lakehouse.last_run("erase_people")["Arguments"]["--step"] == "prove", "nobody asked since"


def test_no_person_is_named_in_logs_metrics_errors_or_histories(lakehouse: Lakehouse) -> None:
    """After runs that succeeded, failed on a planted line and were killed."""
    people = oracle.read_landing(lakehouse.landing).customers
    personal = {value for person, *_ in people for value in (person.email, person.name, person.phone, person.serial) if value}
    assert len(personal) > 100
    lakehouse.report("last")
    texts = [*log_messages(lakehouse), *histories(lakehouse), *metrics(lakehouse), *errors(lakehouse), *reports(lakehouse)]
    assert len(texts) > 100
    said = "\n".join(texts).lower()
    assert [value for value in {*personal, "planted"} if len(value) > 3 and value.lower() in said] == []


def test_destroy_leaves_nothing(lakehouse: Lakehouse, tmp_path: Path) -> None:
    """Of any kind of resource; the demo itself asks CloudFormation."""
    assert "stacks destroyed, nothing remains" in lakehouse.demo("down", "-keep")
    fresh = EmbeddedAWS(tmp_path)
    try:
        fresh.wait_ready()
        own = everything(fresh.endpoint)
    finally:
        fresh.stop()
    left = everything(lakehouse.endpoint) - own
    assert {one for one in left if " cdk-hnb659fds-" not in one} == set(), "of the bootstrap or the emulator is all that is left"
    assert "embedded AWS stopped" in lakehouse.demo("kill")


def with_check(package: bytes) -> bytes:
    """The package of the jobs, with a check that no customer passes."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as given, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as made:
        for name in given.namelist():
            content = given.read(name)
            if name == "lakehouse/contracts.json":
                document = json.loads(content)
                (contract,) = (one for one in document["tables"] if one["table"] == "customer_trusted")
                contract["checks"] = [{"check": "accepted_range", "column": "sharewithresearchasofdate", "max": 0}]
                content = json.dumps(document).encode()
            made.writestr(name, content)
    return changed.getvalue()


def running(lakehouse: Lakehouse, job: str) -> str:
    """The id of the job's run that is at work, once there is one."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if (run := lakehouse.last_run(job))["JobRunState"] == "RUNNING":
            return run["Id"]
        time.sleep(0.1)
    raise TimeoutError(f"no run of {job}")


def withdrawing_person(lakehouse: Lakehouse) -> dict:
    """A new record of somebody with trusted readings, without consent."""
    email = lakehouse.expected()["accelerometer_trusted"][0][0]
    records = []
    for path in sorted((lakehouse.landing / "customer" / "landing").iterdir()):
        content = path.read_bytes()
        lines = gzip.decompress(content) if path.suffix == ".gz" else content
        records += [json.loads(line) for line in lines.splitlines()]
    current = max((r for r in records if r["email"].strip().lower() == email), key=lambda r: r["lastUpdateDate"])
    kept = {key: value for key, value in current.items() if key != "shareWithResearchAsOfDate"}
    return kept | {"lastUpdateDate": current["lastUpdateDate"] + 1}


def log_messages(lakehouse: Lakehouse) -> Iterator[str]:
    logs = lakehouse.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        for stream in logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]:
            page = logs.get_log_events(
                logGroupName=group["logGroupName"], logStreamName=stream["logStreamName"], startFromHead=True
            )
            yield from (event["message"] for event in page["events"])


def metrics(lakehouse: Lakehouse) -> Iterator[str]:
    for page in lakehouse.client("cloudwatch").get_paginator("list_metrics").paginate():
        yield from (json.dumps(metric) for metric in page["Metrics"])


def errors(lakehouse: Lakehouse) -> Iterator[str]:
    for job in (*JOBS, "erase_people"):
        yield from (run["ErrorMessage"] for run in lakehouse.client("glue").get_job_runs(JobName=job)["JobRuns"])


def reports(lakehouse: Lakehouse) -> Iterator[str]:
    """Pages and their data, of the first, a failed and the last run; without the charts' library, which is large."""
    pages = [*lakehouse.work.glob("report.*"), *lakehouse.work.glob("reports/*/report.*")]
    assert len(pages) == 8
    library = (ROOT / "node_modules" / "echarts" / "dist" / "echarts.min.js").read_text()
    for page in pages:
        yield page.read_text().replace(library, "")


def as_text(row: tuple) -> list[str | None]:
    """A row as Athena writes it."""
    return [None if value is None else str(value) for value in row]


def histories(lakehouse: Lakehouse) -> Iterator[str]:
    states = lakehouse.client("stepfunctions")
    for execution in states.list_executions(stateMachineArn=lakehouse.outputs["StateMachineArn"])["executions"]:
        for page in states.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"]):
            yield from (json.dumps(event, default=str) for event in page["events"])
