"""A job as a process: its arguments, its exit, its one line of error, and what it may not load."""

import json
import os
import signal
import subprocess
import sys

import boto3
import oracle
import processes
import pytest
from lakehouse import contracts, engines, jobs, process
from lakehouse.errors import DoesNotAddUp, FailedChecks, LakehouseError, TooManyQuarantined, describe
from lakehouse.ledger import Entry
from lakehouse.process import parse
from lakehouse.run import Options
from support import JOBS, KEEPS, LANDING, SCRIPTS, TARGETS, both_engines, customer, sample, step

ARGUMENTS = ["--lake_uri", "s3://lake", "--database", "stedi_lake"]
CUSTOMERS, READINGS = JOBS[:2]
ANN, BEN = "ann@example.com", "ben@example.com"


# --- arguments ---


def test_arguments_of_glue_are_ignored():
    glue = ["--JOB_NAME", "customer_landing_to_trusted", "--JOB_RUN_ID", "jr_1", "--job-language", "python", "--enable-metrics"]
    assert parse([*glue, *ARGUMENTS, "--consent_gate", "ever"]) == Options("s3://lake", "stedi_lake", "ever", "jr_1")


def test_arguments_have_defaults():
    options = parse(ARGUMENTS)
    assert (options.consent_gate, options.full_refresh, options.quarantined_share) == ("as-of", False, None)
    assert (options.metrics_namespace, options.lake_name, options.region) == ("", "", "")
    assert (options.engine, options.spark_from_gib) == (engines.AUTO, 4.0)


@pytest.mark.parametrize(
    ("argv", "full"),
    [([], False), (["--full_refresh"], True), (["--full_refresh", "true"], True), (["--full_refresh", "false"], False)],
)
def test_full_refresh_is_a_flag_by_hand_and_a_value_in_glue(argv, full, capsys):
    assert parse([*argv, *ARGUMENTS]).full_refresh is full
    assert parse([*ARGUMENTS, *argv]).full_refresh is full
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("argv", "full"), [(["--full-refresh"], True), (["--full-refresh", "false"], False), (["--full-refresh=true"], True)]
)
def test_full_refresh_is_still_known_by_its_old_name_and_the_new_one_is_told(argv, full, capsys):
    assert parse([*ARGUMENTS, *argv]).full_refresh is full
    assert capsys.readouterr().err == "--full-refresh is now --full_refresh; the next release will not know it\n"


@pytest.mark.parametrize("share", ["0", "0.25", "1"])
def test_the_share_that_may_be_quarantined_is_a_part_of_one(share):
    assert parse([*ARGUMENTS, "--quarantined_share", share]).quarantined_share == float(share)


def test_where_metrics_go():
    options = parse([*ARGUMENTS, "--metrics_namespace", "Stedi", "--lake_name", "dev", "--region", "eu-central-1"])
    assert (options.metrics_namespace, options.lake_name, options.region) == ("Stedi", "dev", "eu-central-1")


@pytest.mark.parametrize("engine", ["auto", "duckdb", "spark"])
def test_the_engine_is_given_or_chosen(engine):
    options = parse([*ARGUMENTS, "--engine", engine, "--spark_from_gib", "0.5"])
    assert (options.engine, options.spark_from_gib) == (engine, 0.5)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--database", "d"], "required: --lake_uri"),
        ([*ARGUMENTS, "--consent_gate", "sometimes"], "--consent_gate: invalid choice: 'sometimes'"),
        ([*ARGUMENTS, "--full_refresh", "maybe"], "--full_refresh/--full-refresh: invalid choice: 'maybe'"),
        ([*ARGUMENTS, "--quarantined_share", "1.5"], "--quarantined_share: 1.5 is not between 0 and 1"),
        ([*ARGUMENTS, "--quarantined_share", "-0.1"], "--quarantined_share"),
        ([*ARGUMENTS, "--quarantined_share", "nan"], "--quarantined_share: nan is not between 0 and 1"),
        ([*ARGUMENTS, "--quarantined_share", "half"], "--quarantined_share: invalid"),
        ([*ARGUMENTS, "--engine", "flink"], "--engine: invalid choice: 'flink'"),
        ([*ARGUMENTS, "--engine", "DuckDB"], "--engine: invalid choice: 'DuckDB'"),
        ([*ARGUMENTS, "--spark_from_gib", "0"], "--spark_from_gib: 0 is not more than 0"),
        ([*ARGUMENTS, "--spark_from_gib", "-4"], "--spark_from_gib"),
        ([*ARGUMENTS, "--spark_from_gib", "nan"], "--spark_from_gib: nan is not more than 0"),
        ([*ARGUMENTS, "--spark_from_gib", "4 GiB"], "--spark_from_gib: invalid"),
        (["--lake_uri", "lake", "--database", "d"], "--lake_uri is 'lake', expected a URI such as s3://bucket"),
        (["--lake_uri", "s3://lake", "--database", "d; drop"], "--database is 'd; drop', expected lower-case letters"),
    ],
)
def test_bad_arguments_are_named(argv, message):
    with pytest.raises(LakehouseError, match=message):
        parse(argv)


def test_an_engine_that_there_is_not_is_named():
    with pytest.raises(LakehouseError, match="there is no engine flink"):
        engines.start("flink", "file:///lake")


def test_jobs_are_made_of_the_contracts():
    for name, target in zip(JOBS, TARGETS, strict=True):
        one = jobs.named(name)
        assert (one.name, one.target) == (name, target)
        assert one.landing is None or one.landing in LANDING
        assert set(one.reads) <= {*TARGETS, *KEEPS, "erasure_ledger"} - {target}
        assert set(one.keeps) <= set(KEEPS)
    with pytest.raises(LakehouseError, match="there is no job shoes"):
        jobs.named("shoes")


# --- inside the process ---


@pytest.fixture
def main():
    """`process.main` of a job; what it does on SIGTERM is undone."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *argv, job=CUSTOMERS: process.main(jobs.named(job), [*ARGUMENTS, *argv])
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def main_with(main, monkeypatch):
    """Runs `main` with a run of our own in place of the real one."""

    def start(run, *argv):
        monkeypatch.setattr(process, "run", run)
        main(*argv)

    return start


ENTRY = Entry(CUSTOMERS, "run-1", TARGETS[0], "incremental", read=3, accepted=2, excluded={"no_consent": 1}, inserted=2)


def test_a_process_prints_its_entry_as_one_line(main_with, capsys):
    main_with(lambda one, options: ENTRY)
    out, err = capsys.readouterr()
    assert (out, err) == (ENTRY.to_json() + "\n", "")
    assert json.loads(out)["excluded"] == {"no_consent": 1}


def test_a_process_that_fails_says_so_without_a_value(main_with, capsys):
    def fail(one, options):
        raise ValueError("planted@example.com")

    with pytest.raises(SystemExit) as caught:
        main_with(fail)
    assert caught.value.code.startswith(f"{CUSTOMERS}: unexpected ValueError at ")
    # Glue's own script tells of what an exit comes from.
    assert caught.value.__context__ is None
    assert "planted" not in str(caught.value) + "".join(capsys.readouterr())


def test_a_process_that_is_ended_says_nothing_and_does_not_look_like_a_failure(main_with, capsys):
    def ended(one, options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            # As DuckDB does in the middle of a query.
            raise RuntimeError("Query interrupted") from None

    with pytest.raises(SystemExit) as caught:
        main_with(ended)
    assert caught.value.code == 128 + signal.SIGTERM
    assert "".join(capsys.readouterr()) == ""


class CloudWatch:
    """Where metrics go: `calls`."""

    def __init__(self, monkeypatch):
        self.calls = []
        monkeypatch.setattr(boto3, "client", lambda name, region_name: {("cloudwatch", "eu-central-1"): self}[name, region_name])

    def put_metric_data(self, **call):
        self.calls.append(call)

    def values(self, name):
        return [metric["Value"] for call in self.calls for metric in call["MetricData"] if metric["MetricName"] == name]


@pytest.fixture
def cloudwatch(monkeypatch):
    monkeypatch.delenv("AWS_REGION", raising=False)
    return CloudWatch(monkeypatch)


WHERE = ["--metrics_namespace", "Stedi", "--lake_name", "dev", "--region", "eu-central-1"]


def test_metrics_go_nowhere_unless_it_is_said_where(main_with, cloudwatch):
    main_with(lambda one, options: ENTRY)
    assert cloudwatch.calls == []


def test_metrics_have_the_numbers_of_the_run(main_with, cloudwatch):
    main_with(lambda one, options: ENTRY, *WHERE)
    (call,) = cloudwatch.calls
    assert call["Namespace"] == "Stedi"
    assert cloudwatch.values("Rows") == [rows for _, _, rows in ENTRY.counts()]


def test_the_region_of_metrics_is_that_of_the_environment_where_none_is_given(main_with, cloudwatch, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    main_with(lambda one, options: ENTRY, *WHERE[:4])
    assert len(cloudwatch.calls) == 1


@pytest.mark.parametrize("error", [DoesNotAddUp, TooManyQuarantined, FailedChecks, LakehouseError, ValueError])
def test_a_failure_that_an_alarm_wants_to_know_of_is_counted(main_with, cloudwatch, error):
    def fail(one, options):
        raise error("what went wrong")

    with pytest.raises(SystemExit):
        main_with(fail, *WHERE)
    counted = [metric["MetricName"] for call in cloudwatch.calls for metric in call["MetricData"]]
    assert counted == ([error.metric] if getattr(error, "metric", "") else [])


def test_metrics_that_cannot_be_put_are_told_and_the_run_is_good(main_with, monkeypatch, capsys):
    def fail(name, region_name):
        raise RuntimeError("planted@example.com")

    monkeypatch.setattr(boto3, "client", fail)
    main_with(lambda one, options: ENTRY, *WHERE)
    out, err = capsys.readouterr()
    assert out == ENTRY.to_json() + "\n"
    assert err.startswith("metrics of the run are missing: unexpected RuntimeError")
    assert "planted" not in err


# --- errors never quote a row ---


def test_the_place_of_an_error_is_in_our_own_code():
    with pytest.raises(TypeError) as caught:
        contracts.Time("at", 0, 0, given=False).is_early("planted")
    message = describe(caught.value)
    assert message.startswith("unexpected TypeError at contracts.py:")
    assert "supported" not in message


@both_engines
@pytest.mark.parametrize("at_hand", [False, True], ids=["asked for", "kept"])
def test_messages_of_an_engine_are_withheld_but_not_their_kind_and_place(desk, at_hand):
    given = desk.engine.rows({"text": "string"}, [("planted@example.com",)])
    with pytest.raises(Exception) as caught:
        cast = desk.engine.sql("select cast(text as bigint) as n from given", given=given)
        desk.engine.fetch("select sum(n) from numbers", numbers=desk.engine.keep(cast) if at_hand else cast)
    message = describe(caught.value)
    assert "planted" in str(caught.value)
    assert "planted" not in message
    kind = {engines.DUCKDB: "ConversionException", engines.SPARK: "[CAST_INVALID_INPUT]"}[desk.engine.name]
    assert kind in message
    assert f" at {desk.engine.name}.py:" in message


# What goes wrong in the middle of a run, each with the values of a row in its message.
FAILURES = {
    "a cast": (
        "from lakehouse import queries\ntext = queries.text\n"
        "cast = 'select *, cast(cast(\"user\" as bigint) as string) as reason from accelerometer_landing'\n"
        "queries.text = lambda zone, name, *more: cast if name == 'accelerometer_gated' else text(zone, name, *more)",
        "unexpected ConversionException at duckdb.py:",
    ),
    "the judge": (
        "from lakehouse import lines\ndef judge(self, line, when):\n    raise ValueError(line)\nlines.Judge.judge = judge",
        "unexpected InvalidInputException at duckdb.py:",
    ),
    "the lines": (
        "from lakehouse import files\ndef lines(pieces):\n    raise ValueError(next(pieces))\nfiles.whole_lines = lines",
        "accelerometer/landing/accelerometer-0002.json cannot be read now (ValueError), so nothing was written; ",
    ),
    "the stream": (
        "import pyarrow as pa\nfrom lakehouse.engines import landing\n"
        "landing._texts = lambda piece: (pa.array(['planted@example.com']).cast(pa.int64()), None)",
        "accelerometer/landing/accelerometer-0002.json cannot be read now (ArrowInvalid), so nothing was written; ",
    ),
    "the table's types": (
        "import pyarrow as pa\nfrom lakehouse.engines import duckdb\n"
        "duckdb.schema_to_pyarrow = lambda *_, **__: pa.schema([('user', pa.int64())] + [(name, pa.float64()) for name in "
        "('timestamp', 'x', 'y', 'z')] + [('file', pa.int64()), ('subject', pa.int64())])",
        "unexpected ArrowInvalid at duckdb.py:",
    ),
    "writing": (
        "from lakehouse.engines import duckdb\n"
        "def write(*_, **__):\n    raise ValueError('planted@example.com')\n"
        "duckdb.write_file = write",
        "unexpected ValueError at duckdb.py:",
    ),
    "the commit": (
        "from pyiceberg.table import Transaction\n"
        "def commit(self):\n    raise ValueError('planted@example.com')\n"
        "Transaction.commit_transaction = commit",
        "unexpected ValueError at tables.py:",
    ),
    "memory": (
        "from lakehouse.engines import duckdb\nduckdb._memory = lambda: 4 * 2**20",
        "memory or scratch space is not enough for this run: ",
    ),
    "room for what is unpacked": (
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))",
        "memory or scratch space is not enough for this run: ",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_process_that_fails_says_one_line_without_a_value_and_leaves_nothing(lake, tmp_path, failure):
    """All that it says, also what libraries say while it ends."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    people = [f"planted-{number}@example.com" for number in range(20)]
    lake.deliver("customer", *(customer(one, 1, research=1000) for one in people))
    # Not all as usual: the judge is asked too.
    readings = [sample(one, 1500 + number, odd=one) for number in range(1000) for one in people]
    lake.deliver("accelerometer", *readings, name="accelerometer-0002.json" + ".gz" * (failure == "room for what is unpacked"))
    lake.run(CUSTOMERS)
    before, message = versions(lake), FAILURES[failure][1]
    status, out, err = processes.run(lake, "accelerometer_trusted", before=FAILURES[failure][0], TMPDIR=str(scratch))
    assert (status, out) == (1, "")
    assert err.startswith(f"{READINGS}: {message}")
    assert err.count("\n") == 1
    assert "planted" not in err
    assert versions(lake) == before
    assert lake.rows("accelerometer_trusted") == []
    assert list(scratch.iterdir()) == []


def versions(lake):
    """Of all tables that are not empty, and of what jobs recorded."""
    found = {table: lake.tables.version(table) for table in (*TARGETS, *KEEPS) if lake.tables.rows(table)}
    return found, {path.name: path.read_bytes() for path in lake.folder.glob("intake/ledger/*")}


# --- the process as a whole ---


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--table", "customer_trusted", "--database", "d"], f"{JOBS[0]}: the following arguments are required: --lake_uri\n"),
        (["--table", "run_ledger"], "no job makes run_ledger: its contract has no job\n"),
        (
            ["--table", "shoe_trusted"],
            "there is no contract for table shoe_trusted: add data/contracts/shoe_trusted.json and run `make contracts`\n",
        ),
    ],
)
def test_script_ends_with_status_1_and_one_line_on_a_known_error(argv, message):
    script = SCRIPTS / "jobs" / "make_table.py"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    result = subprocess.run([sys.executable, script, *argv], env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (1, message)


# Runs all jobs and then maintenance in one process that has no Java, and says what it has loaded.
WITHOUT_JAVA = """
import sys
from lakehouse import jobs, maintenance, process
from support import JOBS
place = ["--lake_uri", sys.argv[1], "--database", sys.argv[2]]
for name in JOBS:
    process.main(jobs.named(name), [*place, "--quarantined_share", "1"])
maintenance.main([*place, "--snapshot_days", "1", "--quarantine_days", "1"])
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules} & {"pyspark", "py4j", "jpype"})) or "nothing of Java")
"""


def test_a_run_on_duckdb_loads_no_spark_and_needs_no_java_and_says_nothing_else(lake, tmp_path):
    """Whoever does not say which engine gets it. Rows come, change and go, and some are put aside: all ways of writing."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("JAVA", "SPARK"))}
    environment |= {"PATH": str(tmp_path), "PYTHONPATH": f"{SCRIPTS}:{SCRIPTS / 'tests'}"}
    for number in (1, 2, 3):
        lake.deliver("customer", customer(ANN, number, research=1000 + number), customer(BEN, number, number % 2 or None), "{")
        lake.deliver("accelerometer", *(sample(one, 1500 + number, odd=1) for one in (ANN, BEN)), "{", b"\xff")
        lake.deliver("step_trainer", *(step(one.split("@")[0], 1500 + number) for one in (ANN, BEN)), "[]")
        command = [sys.executable, "-c", WITHOUT_JAVA, lake.uri, lake.database]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, "")
        *entries, maintained, loaded = result.stdout.splitlines()
        assert loaded == "nothing of Java"
        assert [json.loads(entry)["engine"] for entry in entries] == ["duckdb"] * 5
        assert set(json.loads(maintained)) == {"job", "removed"}
        expected = oracle.expected_tables(lake.folder, "as-of")
        assert {table: lake.rows(table) for table in TARGETS} == {table: expected[table] for table in TARGETS}
