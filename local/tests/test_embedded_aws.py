"""The embedded AWS keeps the promises that the emulator breaks: jobs run, fail, time out and exclude each other as on Glue."""

import io
import itertools
import json
import os
import signal
import time
import zipfile
import zlib
from collections.abc import Iterator

import psutil
import pytest
from bench.contestants import FolderJobs
from embedded import ROOT, EmbeddedAWS, listens_on, machine_of, process_of

BUCKET = "scripts"
ROLE = "arn:aws:iam::000000000000:role/job"
# Of the role of these jobs: who may take it, and the one thing that it may do.
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
READ_MINE = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/mine/*"}]}
READ = """import boto3, sys
try:
    print(boto3.client("s3").get_object(Bucket="scripts", Key=sys.argv[sys.argv.index("--key") + 1])["Body"].read())
except Exception as error:
    sys.exit(str(error))
"""
PRINT_ARGUMENTS = "import sys; print('arguments', sys.argv[1:])"
# What a process that a run consists of is like, seen from inside; it fails when told to.
LOOK = """import json, os, pathlib, sys, tempfile
import psutil, the_package
pathlib.Path(tempfile.mkdtemp(), "left behind").touch()
print(json.dumps({
    "argv": sys.argv,
    "package": the_package.__file__,
    "children": [child.name() for child in psutil.Process().children(recursive=True)],
    "spark": [name for name in sys.modules if name.startswith(("pyspark", "py4j"))],
    "safe path": sys.flags.safe_path,
    "scratch": tempfile.gettempdir(),
    "environment": {name: value for name, value in os.environ.items() if name.startswith("AWS_")},
}))
"""
# The same of a session; a worker imports the package too.
SESSION = """import json, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("a").getOrCreate()
settings = dict(spark.sparkContext.getConf().getAll())
found = spark.sparkContext.parallelize([1]).map(lambda one: __import__("the_package").__name__).collect()
print(json.dumps({"settings": settings, "found": found}))
sys.exit("said last" if "--fail" in sys.argv else 0)
"""


def make_role(aws: EmbeddedAWS) -> None:
    aws.client("s3").create_bucket(Bucket=BUCKET)
    aws.client("iam").create_role(RoleName="job", AssumeRolePolicyDocument=json.dumps(TRUST))
    aws.client("iam").put_role_policy(RoleName="job", PolicyName="ReadMine", PolicyDocument=json.dumps(READ_MINE))


@pytest.fixture(scope="session")
def job(aws: EmbeddedAWS):
    """Makes a Glue job from the text of a script."""
    make_role(aws)

    def make(name: str, script: str, **definition) -> str:
        aws.client("s3").put_object(Bucket=BUCKET, Key=f"{name}.py", Body=script.encode())
        command = {"Name": "glueetl", "ScriptLocation": f"s3://{BUCKET}/{name}.py", "PythonVersion": "3"}
        aws.client("glue").create_job(Name=name, Command=command, GlueVersion="6.0", **{"Role": ROLE, **definition})
        return name

    return make


@pytest.fixture(scope="session")
def package(aws: EmbeddedAWS, job) -> str:
    """The location of a zip with a package in it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("the_package/__init__.py", "")
    aws.client("s3").put_object(Bucket=BUCKET, Key="package.zip", Body=content.getvalue())
    return f"s3://{BUCKET}/package.zip"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAWS]:
    """An embedded AWS on a machine without Java and jars."""
    work = tmp_path_factory.mktemp("bare")
    (work / "bin").mkdir()
    aws = EmbeddedAWS(work, jars=work / "setup" / "jars", PATH=str(work / "bin"), JAVA_HOME="")
    try:
        aws.wait_ready()
        make_role(aws)
        yield aws
    finally:
        aws.stop()


@pytest.fixture(scope="session", autouse=True)
def slow_run(aws: EmbeddedAWS, job) -> tuple[str, str]:
    """Job and run id of a run that must time out. Glue's shortest timeout is a minute: it passes while the other tests run."""
    name = job("slow", "import time; time.sleep(600)", Timeout=1)
    return name, aws.client("glue").start_job_run(JobName=name)["JobRunId"]


def run(aws: EmbeddedAWS, name: str, **start) -> dict:
    run_id = aws.client("glue").start_job_run(JobName=name, **start)["JobRunId"]
    return aws.wait_run(name, run_id)


def printed(aws: EmbeddedAWS, ended: dict, group: str = "/aws-glue/jobs/output") -> list[str]:
    events = aws.client("logs").get_log_events(logGroupName=group, logStreamName=ended["Id"])["events"]
    return [event["message"] for event in events]


def test_listens_on_loopback_only(aws: EmbeddedAWS) -> None:
    assert listens_on(aws.process.pid, aws.port) == ["127.0.0.1"]


def test_a_job_runs_with_its_arguments(aws: EmbeddedAWS, job) -> None:
    name = job("arguments", PRINT_ARGUMENTS, DefaultArguments={"--a": "default", "--b": "default"})
    ended = run(aws, name, Arguments={"--b": "of the run"})
    assert ended["JobRunState"] == "SUCCEEDED"
    expected = ["--a", "default", "--b", "of the run", "--JOB_NAME", name, "--JOB_RUN_ID", ended["Id"]]
    assert printed(aws, ended) == [f"arguments {expected}"]


def test_a_script_without_spark_is_a_python_process_and_nothing_else(bare: EmbeddedAWS) -> None:
    """On a machine without Java and jars."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("the_package/__init__.py", "")
    bare.client("s3").put_object(Bucket=BUCKET, Key="package.zip", Body=content.getvalue())
    bare.client("s3").put_object(Bucket=BUCKET, Key="look.py", Body=LOOK.encode())
    arguments = {"--extra-py-files": f"s3://{BUCKET}/package.zip", "--additional-python-modules": "s3://a/b.gluewheels.zip"}
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{BUCKET}/look.py"}
    bare.client("glue").create_job(Name="look", Role=ROLE, Command=command, DefaultArguments=arguments)
    ended = run(bare, "look", Arguments={"--conf": "spark.a=b", "--text": "two words"})
    assert ended["JobRunState"] == "SUCCEEDED", ended["ErrorMessage"]
    folder = bare.work / "runs" / ended["Id"]
    seen = json.loads(printed(bare, ended)[0])
    given = {**arguments, "--JOB_NAME": "look", "--JOB_RUN_ID": ended["Id"], "--conf": "spark.a=b", "--text": "two words"}
    assert seen["argv"] == [str(folder / "look.py"), *itertools.chain(*given.items())]
    assert seen["package"] == str(folder / "package.zip" / "the_package" / "__init__.py")
    assert (seen["children"], seen["spark"], seen["safe path"]) == ([], [], True)
    assert seen["environment"]["AWS_ENDPOINT_URL"] == seen["environment"]["AWS_ENDPOINT_URL_S3"] == bare.endpoint
    assert seen["environment"]["AWS_REGION"] == seen["environment"]["AWS_DEFAULT_REGION"] == "us-east-1"
    assert seen["environment"]["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert seen["scratch"].startswith(str(folder))
    assert sorted(file.name for file in folder.iterdir()) == ["look.py", "package.zip", "stderr.log", "stdout.log"]
    assert not (bare.work / "setup").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (SESSION, "embedded AWS: java is not there: install Java 17, then run `make spark`"),
        ("import pyspark_that_is_not_there", "embedded AWS: PySpark is not installed: run `make spark`"),
        ("import sys; print('on stdout'); print('a warning', file=sys.stderr); sys.exit('in the end')", "in the end"),
        ("import sys; print('on stdout'); sys.exit(3)", "The job's process ended with exit status 3"),
        ("raise ValueError('a reason')", "ValueError: a reason"),
    ],
    ids=["no Java", "no PySpark", "message", "status", "exception"],
)
def test_a_failed_run_says_why(bare: EmbeddedAWS, script: str, said: str) -> None:
    name = f"fails_{zlib.crc32(script.encode())}"
    bare.client("s3").put_object(Bucket=BUCKET, Key=f"{name}.py", Body=script.encode())
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{BUCKET}/{name}.py"}
    bare.client("glue").create_job(Name=name, Role=ROLE, Command=command)
    ended = run(bare, name)
    assert (ended["JobRunState"], ended["ErrorMessage"]) == ("FAILED", said)
    assert not (bare.work / "runs" / ended["Id"] / "scratch").exists()


def test_a_session_without_jars_says_what_to_do(tmp_path) -> None:
    (tmp_path / "session.py").write_text(SESSION)
    jobs = FolderJobs("", tmp_path / "jars", tmp_path / "my runs", tmp_path / "classes")
    process = jobs.start("run", jobs.prepare("run", str(tmp_path / "session.py"), {}))
    assert process.wait(60) == 1
    jobs.finish("run", succeeded=False)
    said = (tmp_path / "my runs" / "run" / "stderr.log").read_text().splitlines()
    assert said[0] == f"embedded AWS: no jars in {tmp_path / 'jars'}: run `make spark`"


def test_a_script_that_asks_for_spark_gets_a_session_as_defined(aws: EmbeddedAWS, job, package: str) -> None:
    conf = "spark.sql.session.timeZone=Asia/Tokyo --conf spark.driver.extraJavaOptions=-Da=b --conf spark.c=d e"
    name = job("session", SESSION, DefaultArguments={"--extra-py-files": package, "--conf": conf})
    ended = run(aws, name)
    assert ended["JobRunState"] == "SUCCEEDED", ended["ErrorMessage"]
    seen = json.loads(printed(aws, ended)[-1])
    assert seen["found"] == ["the_package"]
    settings = seen["settings"]
    assert (settings["spark.sql.session.timeZone"], settings["spark.c"]) == ("Asia/Tokyo", "d e")
    assert (settings["spark.master"], settings["spark.driver.memory"]) == ("local[2]", "2g")
    assert " -Da=b " in settings["spark.driver.extraJavaOptions"]
    assert not (aws.work / "runs" / ended["Id"] / "scratch").exists()
    assert not [one for one in psutil.process_iter(["cmdline"]) if ended["Id"] in str(one.info["cmdline"])]
    assert len(list(aws.work.glob("setup/class-archives/*.jsa"))) == 1

    failed = run(aws, name, Arguments={"--fail": "yes"})
    assert (failed["JobRunState"], failed["ErrorMessage"]) == ("FAILED", "said last")
    assert printed(aws, failed)[1:] == ["said last"]


def test_a_job_may_do_what_its_role_allows_and_no_more(aws: EmbeddedAWS, job) -> None:
    for key in ("mine/a", "theirs/a"):
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"a")
    name = job("reading", READ)
    assert run(aws, name, Arguments={"--key": "mine/a"})["JobRunState"] == "SUCCEEDED"
    refused = run(aws, name, Arguments={"--key": "theirs/a"})
    assert refused["JobRunState"] == "FAILED"
    assert "AccessDenied" in refused["ErrorMessage"]
    # Whether an object is there is for those to know who may list the bucket.
    unknown = run(aws, name, Arguments={"--key": "mine/none"})
    assert "AccessDenied" in unknown["ErrorMessage"]
    list_all = READ_MINE["Statement"][0] | {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"}
    aws.client("iam").put_role_policy(RoleName="job", PolicyName="List", PolicyDocument=json.dumps({"Statement": [list_all]}))
    unknown = run(aws, name, Arguments={"--key": "mine/none"})
    aws.client("iam").delete_role_policy(RoleName="job", PolicyName="List")
    assert "NoSuchKey" in unknown["ErrorMessage"]


def test_a_job_needs_a_role_that_trusts_glue(aws: EmbeddedAWS, job) -> None:
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}]
    }
    aws.client("iam").create_role(RoleName="person", AssumeRolePolicyDocument=json.dumps(trust))
    for role, said in (("person", "cannot be assumed by Glue"), ("nobody", "role nobody does not exist")):
        name = job(f"as_{role}", PRINT_ARGUMENTS, Role=f"arn:aws:iam::000000000000:role/{role}")
        ended = run(aws, name)
        assert (ended["JobRunState"], said in ended["ErrorMessage"]) == ("FAILED", True), ended["ErrorMessage"]


def test_a_failed_script_is_a_failed_run_and_execution(aws: EmbeddedAWS, job) -> None:
    name = job("failing", "import sys; sys.exit('customer_landing: 1 malformed row')")
    machine = aws.client("stepfunctions").create_state_machine(name=name, definition=machine_of(name), roleArn=ROLE)
    execution = aws.client("stepfunctions").start_execution(stateMachineArn=machine["stateMachineArn"])
    ended = aws.wait_execution(execution["executionArn"])
    assert ended["status"] == "FAILED"
    assert ended["error"] == "States.TaskFailed"
    assert json.loads(ended["cause"])["ErrorMessage"] == "customer_landing: 1 malformed row"
    state = aws.client("glue").get_job_runs(JobName=name)["JobRuns"][0]["JobRunState"]
    assert state == "FAILED"


def test_an_execution_that_is_asked_for_twice_is_started_once(aws: EmbeddedAWS) -> None:
    states = aws.client("stepfunctions")
    wait = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 2, "End": True}}}
    machine = states.create_state_machine(name="twice", definition=json.dumps(wait), roleArn=ROLE)["stateMachineArn"]
    first = states.start_execution(stateMachineArn=machine, name="once", input="{}")["executionArn"]
    assert states.start_execution(stateMachineArn=machine, name="once", input="{}")["executionArn"] == first
    aws.wait_execution(first)
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=machine, name="once", input="{}")


def chain_of_dev(lake: str) -> str:
    """The definition of the pipeline's state machine in stage dev, with what only a deployment knows put in."""
    template = json.loads((ROOT / "stacks" / "testdata" / "dev-pipeline.golden.json").read_text())
    machines = [r for r in template["Resources"].values() if r["Type"] == "AWS::StepFunctions::StateMachine"]
    (parts,) = [m["Properties"]["DefinitionString"]["Fn::Join"][1] for m in machines]
    known = {"AWS::Partition": "aws", "AWS::Region": "us-east-1"}
    texts = [
        one if isinstance(one, str) else lake if "Lake" in json.dumps(one) else known.get(one.get("Ref"), "unknown")
        for one in parts
    ]
    return "".join(texts)


def test_people_are_erased_only_when_somebody_asked(aws: EmbeddedAWS, job) -> None:
    lake, s3, states = "lake-of-requests", aws.client("s3"), aws.client("stepfunctions")
    s3.create_bucket(Bucket=lake)
    definition = chain_of_dev(lake)
    names = {state["Arguments"]["JobName"] for state in json.loads(definition)["States"].values() if "startJobRun" in str(state)}
    for name in names:
        job(name, PRINT_ARGUMENTS)
    machine = states.create_state_machine(name="erasure", definition=definition, roleArn=ROLE)["stateMachineArn"]
    runs: list[list[str]] = []
    for there, steps in (
        ([], []),
        (["erasure/requests/", "erasure/requests/a.json"], ["erase", "prove"]),
        (["erasure/state/pending.json"], ["prove"]),
        (["erasure/requests/", "erasure/state/rewritten.json", "erasure/certificates/a/1.json"], []),
    ):
        for key in there:
            # A folder that is made in the console is an object without bytes.
            s3.put_object(Bucket=lake, Key=key, Body=b"" if key.endswith("/") else b'{"id": "a"}')
        before = len(aws.client("glue").get_job_runs(JobName="erase_people")["JobRuns"])
        ended = aws.wait_execution(states.start_execution(stateMachineArn=machine)["executionArn"])
        assert ended["status"] == "SUCCEEDED", ended
        new = aws.client("glue").get_job_runs(JobName="erase_people")["JobRuns"]
        runs.append([one["Arguments"].get("--step", "erase") for one in new[: len(new) - before]][::-1])
        assert runs[-1] == steps, there
        for key in there:
            s3.delete_object(Bucket=lake, Key=key)
    others = [len(aws.client("glue").get_job_runs(JobName=name)["JobRuns"]) for name in names - {"erase_people"}]
    assert others == [len(runs)] * 6


def test_a_stopped_execution_stops_the_run_that_it_waits_for(aws: EmbeddedAWS, job) -> None:
    name = job("endless", "import time; time.sleep(600)")
    states = aws.client("stepfunctions")
    machine = states.create_state_machine(name=name, definition=machine_of(name), roleArn=ROLE)
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    deadline = time.monotonic() + 60
    while not (runs := aws.client("glue").get_job_runs(JobName=name)["JobRuns"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    pid = process_of(runs[0]["Id"])
    states.stop_execution(executionArn=execution)
    assert aws.wait_run(name, runs[0]["Id"])["JobRunState"] == "STOPPED"
    assert not psutil.pid_exists(pid)
    time.sleep(1)
    assert states.describe_execution(executionArn=execution)["status"] == "ABORTED"


def test_a_security_configuration_of_a_template_names_the_log_groups(aws: EmbeddedAWS, job) -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/1"
    encryption = {
        "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": key}],
        "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": key},
        "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", "KmsKeyArn": key},
    }
    properties = {"Name": "secure", "EncryptionConfiguration": encryption}
    resource = {"Type": "AWS::Glue::SecurityConfiguration", "Properties": properties}
    stacks = aws.client("cloudformation")
    stacks.create_stack(StackName="security", TemplateBody=json.dumps({"Resources": {"Security": resource}}))
    stacks.get_waiter("stack_create_complete").wait(StackName="security", WaiterConfig={"Delay": 1})
    kept = aws.client("glue").get_security_configuration(Name="secure")["SecurityConfiguration"]["EncryptionConfiguration"]
    assert kept["S3Encryption"] == encryption["S3Encryptions"]
    assert kept["CloudWatchEncryption"] == encryption["CloudWatchEncryption"]

    name = job("secured", PRINT_ARGUMENTS, SecurityConfiguration="secure", DefaultArguments={"--custom-logGroup-prefix": "/logs"})
    ended = run(aws, name)
    group = f"/logs/secure-role/{ROLE.rsplit('/', 1)[-1]}/output"
    assert any(line.startswith("arguments") for line in printed(aws, ended, group))

    stacks.delete_stack(StackName="security")
    stacks.get_waiter("stack_delete_complete").wait(StackName="security", WaiterConfig={"Delay": 1})
    left = aws.client("glue").get_security_configurations()["SecurityConfigurations"]
    assert "secure" not in {one["Name"] for one in left}


def test_a_missing_script_is_a_failed_run(aws: EmbeddedAWS, job) -> None:
    name = job("vanished", "")
    aws.client("s3").delete_object(Bucket=BUCKET, Key=f"{name}.py")
    ended = run(aws, name)
    assert ended["JobRunState"] == "FAILED"
    assert f"s3://{BUCKET}/{name}.py cannot be read" in ended["ErrorMessage"]


def test_one_run_at_a_time_and_a_killed_process_is_a_failed_run(aws: EmbeddedAWS, job) -> None:
    name = job("sleeping", "import time; time.sleep(60)")
    glue = aws.client("glue")
    run_id = glue.start_job_run(JobName=name)["JobRunId"]
    with pytest.raises(glue.exceptions.ConcurrentRunsExceededException):
        glue.start_job_run(JobName=name)
    os.kill(process_of(run_id), signal.SIGKILL)
    ended = aws.wait_run(name, run_id)
    assert ended["JobRunState"] == "FAILED"
    assert ended["ErrorMessage"] == "The job's process ended with killed by signal 9 (SIGKILL)"


def test_a_stopped_run_is_stopped(aws: EmbeddedAWS, job) -> None:
    name = job("stopped", "import time; time.sleep(60)")
    run_id = aws.client("glue").start_job_run(JobName=name)["JobRunId"]
    process_of(run_id)
    answer = aws.client("glue").batch_stop_job_run(JobName=name, JobRunIds=[run_id, "jr_unknown"])
    assert [s["JobRunId"] for s in answer["SuccessfulSubmissions"]] == [run_id]
    assert [e["JobRunId"] for e in answer["Errors"]] == ["jr_unknown"]
    assert aws.wait_run(name, run_id)["JobRunState"] == "STOPPED"


def test_a_declared_iceberg_table_has_metadata_and_a_cloudformation_update_breaks_it(aws: EmbeddedAWS) -> None:
    aws.client("s3").create_bucket(Bucket="lake")

    def template(comment: str) -> str:
        table = {
            "Name": "readings",
            "TableType": "EXTERNAL_TABLE",
            "Description": comment,
            "StorageDescriptor": {
                "Location": "s3://lake/readings/trusted/",
                "Columns": [
                    {"Name": "user", "Type": "string"},
                    {"Name": "timestamp", "Type": "bigint"},
                    {"Name": "x", "Type": "double"},
                ],
            },
        }
        iceberg = {"IcebergInput": {"MetadataOperation": "CREATE", "Version": "2"}}
        properties = {"CatalogId": "000000000000", "DatabaseName": "db", "TableInput": table, "OpenTableFormatInput": iceberg}
        return json.dumps({"Resources": {"Table": {"Type": "AWS::Glue::Table", "Properties": properties}}})

    aws.client("glue").create_database(DatabaseInput={"Name": "db"})
    stacks = aws.client("cloudformation")
    stacks.create_stack(StackName="tables", TemplateBody=template("first"))
    stacks.get_waiter("stack_create_complete").wait(StackName="tables", WaiterConfig={"Delay": 1})
    parameters = aws.client("glue").get_table(DatabaseName="db", Name="readings")["Table"]["Parameters"]
    assert parameters["table_type"] == "ICEBERG"
    key = parameters["metadata_location"].removeprefix("s3://lake/")
    assert key.startswith("readings/trusted/metadata/00000-")
    metadata = json.load(aws.client("s3").get_object(Bucket="lake", Key=key)["Body"])
    assert metadata["format-version"] == 2
    assert [(f["name"], f["type"]) for f in metadata["schemas"][0]["fields"]] == [
        ("user", "string"),
        ("timestamp", "long"),
        ("x", "double"),
    ]

    stacks.update_stack(StackName="tables", TemplateBody=template("second"))
    stacks.get_waiter("stack_update_complete").wait(StackName="tables", WaiterConfig={"Delay": 1})
    assert aws.client("glue").get_table(DatabaseName="db", Name="readings")["Table"]["Parameters"] == {}


def test_stopping_the_emulator_ends_running_jobs(tmp_path) -> None:
    aws = EmbeddedAWS(tmp_path)
    try:
        aws.wait_ready()
        make_role(aws)
        aws.client("s3").put_object(Bucket=BUCKET, Key="s.py", Body=b"import time; time.sleep(600)")
        command = {"Name": "glueetl", "ScriptLocation": f"s3://{BUCKET}/s.py"}
        aws.client("glue").create_job(Name="s", Role=ROLE, Command=command)
        pid = process_of(aws.client("glue").start_job_run(JobName="s")["JobRunId"])
    finally:
        aws.stop()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and psutil.pid_exists(pid):
        time.sleep(0.1)
    assert not psutil.pid_exists(pid)


def test_the_timeout_is_kept(aws: EmbeddedAWS, slow_run: tuple[str, str]) -> None:
    ended = aws.wait_run(*slow_run)
    assert ended["JobRunState"] == "TIMEOUT"
    assert ended["ErrorMessage"] == "Timeout of 1 minutes reached"
    assert 60 <= (ended["CompletedOn"] - ended["StartedOn"]).total_seconds() < 75
