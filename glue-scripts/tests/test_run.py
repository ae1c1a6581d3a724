"""A run as a whole: its arguments, what it reads, and that the next one puts right whatever stopped it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import boto3
import oracle
import pytest
from lakehouse import contracts, delivery, intake, job, jobs, ledger, session, tables
from lakehouse.errors import DoesNotAddUp, FailedChecks, LakehouseError, TooManyQuarantined, describe
from lakehouse.job import Options, Result, parse
from lakehouse.ledger import EXCLUSIONS, Entry, Tally
from lakehouse.publish import Written
from lakehouse.storage import FolderStore
from support import JOBS, KEEPS, LANDING, SCRIPTS, TARGETS, Lake, T, at_once, customer, data_files, sample

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


@pytest.mark.parametrize(
    ("argv", "full"),
    [([], False), (["--full-refresh"], True), (["--full-refresh", "true"], True), (["--full-refresh", "false"], False)],
)
def test_full_refresh_is_a_flag_by_hand_and_a_value_in_glue(argv, full):
    assert parse([*argv, *ARGUMENTS]).full_refresh is full
    assert parse([*ARGUMENTS, *argv]).full_refresh is full


@pytest.mark.parametrize("share", ["0", "0.25", "1"])
def test_the_share_that_may_be_quarantined_is_a_part_of_one(share):
    assert parse([*ARGUMENTS, "--quarantined_share", share]).quarantined_share == float(share)


def test_where_metrics_go():
    options = parse([*ARGUMENTS, "--metrics_namespace", "Stedi", "--lake_name", "dev", "--region", "eu-central-1"])
    assert (options.metrics_namespace, options.lake_name, options.region) == ("Stedi", "dev", "eu-central-1")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--database", "d"], "required: --lake_uri"),
        ([*ARGUMENTS, "--consent_gate", "sometimes"], "--consent_gate: invalid choice: 'sometimes'"),
        ([*ARGUMENTS, "--full-refresh", "maybe"], "--full-refresh: invalid choice: 'maybe'"),
        ([*ARGUMENTS, "--quarantined_share", "1.5"], "--quarantined_share: 1.5 is not between 0 and 1"),
        ([*ARGUMENTS, "--quarantined_share", "-0.1"], "--quarantined_share"),
        ([*ARGUMENTS, "--quarantined_share", "nan"], "--quarantined_share: nan is not between 0 and 1"),
        ([*ARGUMENTS, "--quarantined_share", "half"], "--quarantined_share: invalid"),
        (["--lake_uri", "lake", "--database", "d"], "--lake_uri is 'lake', expected a URI such as s3://bucket"),
        (["--lake_uri", "s3://lake", "--database", "d; drop"], "--database is 'd; drop', expected lower-case letters"),
    ],
)
def test_bad_arguments_are_named(argv, message):
    with pytest.raises(LakehouseError, match=message):
        parse(argv)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--table", "customer_trusted", "--database", "d"], f"{JOBS[0]}: the following arguments are required: --lake_uri\n"),
        (["--table", "run_ledger"], "no job makes run_ledger: its contract has no job\n"),
        (["--table", "shoe_trusted"], "there is no contract for table shoe_trusted: add contracts/shoe_trusted.json\n"),
    ],
)
def test_script_ends_with_status_1_and_one_line_on_a_known_error(argv, message):
    script = SCRIPTS / "jobs" / "make_table.py"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    result = subprocess.run([sys.executable, script, *argv], env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (1, message)


def test_jobs_are_made_of_the_contracts():
    for name, target in zip(JOBS, TARGETS, strict=True):
        one = jobs.named(name)
        assert (one.name, one.target) == (name, target)
        assert one.landing is None or one.landing in LANDING
        assert set(one.tables) <= {*TARGETS, *KEEPS} - {target}
        assert set(one.keeps) <= set(KEEPS)
    with pytest.raises(LakehouseError, match="there is no job shoes"):
        jobs.named("shoes")


# --- the process ---


@pytest.fixture
def process(monkeypatch):
    """Runs `main` with a run of our own in place of the real one; says whether the session was stopped."""
    stopped = []
    monkeypatch.setattr(session, "start", lambda name: SimpleNamespace(stop=lambda: stopped.append(name)))

    def start(run, *argv):
        monkeypatch.setattr(job, "run", run)
        try:
            job.main(jobs.named(CUSTOMERS), [*ARGUMENTS, *argv])
        finally:
            assert stopped == [CUSTOMERS]

    return start


ENTRY = Entry(CUSTOMERS, "run-1", TARGETS[0], "incremental", read=3, accepted=2, excluded={"no_consent": 1}, inserted=2)


def test_a_process_prints_its_entry_as_one_line(process, capsys):
    process(lambda spark, one, options: ENTRY)
    out, err = capsys.readouterr()
    assert (out, err) == (ENTRY.to_json() + "\n", "")
    assert json.loads(out)["excluded"] == {"no_consent": 1}


def test_a_process_that_fails_says_so_without_a_value(process, capsys):
    def fail(spark, one, options):
        raise ValueError("planted@example.com")

    with pytest.raises(SystemExit) as caught:
        process(fail)
    assert caught.value.code.startswith(f"{CUSTOMERS}: unexpected ValueError at ")
    assert caught.value.__context__ is None
    assert "planted" not in str(caught.value) + "".join(capsys.readouterr())


@pytest.mark.parametrize("argv", [[], ["--metrics_namespace", "Stedi"]], ids=["nowhere", "somewhere"])
def test_a_process_puts_metrics_when_it_is_told_where(process, monkeypatch, argv):
    calls = []
    cloudwatch = SimpleNamespace(put_metric_data=lambda **call: calls.append(call))
    monkeypatch.setattr(
        boto3, "client", lambda name, region_name: {("cloudwatch", "eu-central-1"): cloudwatch}[name, region_name]
    )
    process(lambda spark, one, options: ENTRY)
    assert calls == []


def test_metrics_have_the_numbers_of_the_run(process, monkeypatch):
    calls = []
    cloudwatch = SimpleNamespace(put_metric_data=lambda **call: calls.append(call))
    monkeypatch.setattr(
        boto3, "client", lambda name, region_name: {("cloudwatch", "eu-central-1"): cloudwatch}[name, region_name]
    )
    where = ["--metrics_namespace", "Stedi", "--lake_name", "dev", "--region", "eu-central-1"]
    process(lambda spark, one, options: ENTRY, *where)
    (call,) = calls
    assert call["Namespace"] == "Stedi"
    rows = [metric["Value"] for metric in call["MetricData"] if metric["MetricName"] == "Rows"]
    assert rows == [rows for _, _, rows in ENTRY.counts()]


@pytest.mark.parametrize("error", [DoesNotAddUp, TooManyQuarantined, FailedChecks, LakehouseError, ValueError])
def test_a_failure_that_an_alarm_wants_to_know_of_is_counted(process, monkeypatch, error):
    calls = []
    cloudwatch = SimpleNamespace(put_metric_data=lambda **call: calls.append(call))
    monkeypatch.setattr(boto3, "client", lambda name, region_name: cloudwatch)

    def fail(spark, one, options):
        raise error("what went wrong")

    with pytest.raises(SystemExit):
        process(fail, "--metrics_namespace", "Stedi", "--lake_name", "dev")
    counted = [metric["MetricName"] for call in calls for metric in call["MetricData"]]
    assert counted == ([error.metric] if getattr(error, "metric", "") else [])


def test_metrics_that_cannot_be_put_are_told_and_the_run_is_good(process, monkeypatch, capsys):
    def fail(name, region_name):
        raise RuntimeError("planted@example.com")

    monkeypatch.setattr(boto3, "client", fail)
    process(lambda spark, one, options: ENTRY, "--metrics_namespace", "Stedi")
    out, err = capsys.readouterr()
    assert out == ENTRY.to_json() + "\n"
    assert err.startswith("metrics of the run are missing: unexpected RuntimeError")
    assert "planted" not in err


class TestErrors:
    def test_messages_of_spark_are_withheld_but_not_their_kind_and_place(self, spark):
        with pytest.raises(Exception) as caught:
            spark.sql("select cast('planted@example.com' as bigint) as n").collect()
        message = describe(caught.value)
        assert "planted" in str(caught.value)
        assert "planted" not in message
        assert "[CAST_INVALID_INPUT]" in message

    def test_place_is_in_our_own_code(self):
        with pytest.raises(KeyError) as caught:
            contracts.parse({"planted": 1})
        message = describe(caught.value)
        assert message.startswith("unexpected KeyError at contracts.py:")
        assert "table" not in message


class TestTally:
    """The counts of R7 are taken while rows flow; a repeated Spark task would count some of them twice."""

    ZERO = dict.fromkeys(("accepted", "null_key", *EXCLUSIONS), 0)

    class Gate:
        def __init__(self, observed, exact):
            self.counts, self.recount = (lambda: {**TestTally.ZERO, **observed}), (lambda: {**TestTally.ZERO, **exact})

    @pytest.fixture
    def tally(self):
        def run(observed_read, observed, exact_read, exact, quarantined=None):
            quarantined = quarantined or {}
            found = SimpleNamespace(read=observed_read, quarantined=quarantined)
            anew = SimpleNamespace(settle=lambda exact: SimpleNamespace(read=exact_read) if exact else None)
            return job._tally(Result((self.Gate(observed, exact),), Written(2, 0, 0), delivery=anew), found)

        return run

    def test_what_adds_up_is_not_counted_again(self, tally):
        assert tally(3, {"accepted": 2, "duplicate": 1}, None, {}).read == 3

    def test_what_was_counted_twice_is_counted_again(self, tally):
        once = {"accepted": 2, "duplicate": 1}
        again = tally(6, {"accepted": 4, "duplicate": 2, "no_consent": 1}, 4, once, quarantined={"malformed": 1})
        assert (again.read, again.accepted, again.excluded, again.quarantined) == (4, 2, {"duplicate": 1}, 1)
        again.check("t")

    def test_what_really_vanished_fails(self, tally):
        lost = {"accepted": 2}
        with pytest.raises(LakehouseError, match=r"3 read, 2 accepted, 0 excluded"):
            tally(3, lost, 3, lost).check("t")

    def test_rows_of_tables_count_beside_those_of_files(self):
        gates = (self.Gate({"accepted": 2}, {}), self.Gate({"accepted": 1, "duplicate": 1}, {}))
        found = SimpleNamespace(read=1, quarantined={"malformed": 1})
        tally = job._tally(Result(gates, Written(1, 0, 0), read=2, published=1, delivery=SimpleNamespace()), found)
        assert (tally.read, tally.accepted, tally.quarantined, tally.adds_up()) == (3, 1, 1, True)


# --- runs, one after the other ---


def state(lake):
    """Version and number of snapshots of every table, and what the jobs recorded."""
    found = {table: (tables.version(lake.spark, lake.name(table)), lake.snapshots(table)) for table in (*TARGETS, *KEEPS)}
    return found, {name: FolderStore(lake.folder).read(f"intake/ledger/{name}.json") for name in JOBS}


def assert_right(lake, *checked, gate="as-of"):
    """The tables hold what the rules say of everything delivered, no draft is left, and the index knows all files."""
    expected = oracle.expected_tables(lake.folder, gate)
    for table in checked or TARGETS[:2]:
        assert lake.rows(table) == expected[table], table
    for table in (*TARGETS, *KEEPS):
        assert set(tables.iceberg(lake.spark, lake.name(table)).refs().keySet()) <= {"main"}, table


@pytest.fixture(scope="module")
def old(spark, tmp_path_factory):
    """A lake that has had a run of the first two jobs. Tests leave it right, and taken in with gate `as-of`."""
    lake = Lake(spark, tmp_path_factory.mktemp("old"))
    lake.create_tables()
    lake.deliver("customer", customer(ANN, 1, research=1000), customer(BEN, 1))
    lake.deliver("accelerometer", sample(ANN, 500), sample(ANN, 1500), sample(BEN, 1500))
    lake.run(CUSTOMERS, READINGS)
    yield lake
    lake.drop_tables()


def test_a_run_with_nothing_new_reads_and_writes_nothing(old, monkeypatch):
    before = state(old)

    def read(*_):
        raise AssertionError("something was read")

    with monkeypatch.context() as nothing:
        nothing.setattr(delivery.Delivery, "__init__", read)
        nothing.setattr(tables, "reconcile", read)
        entries = old.run(CUSTOMERS, READINGS)
    assert [(entry.mode, entry.read, entry.accepted, entry.inserted) for entry in entries.values()] == [
        ("unchanged", 0, 0, 0)
    ] * 2
    assert state(old) == before


def test_only_what_is_new_is_read(old):
    old.deliver("accelerometer", sample(ANN, 1600, firmware=1), sample(BEN, 1600), sample(ANN, 1500))
    before = state(old)[0]
    (entry,) = old.run(READINGS, run_id="run-new").values()
    assert (entry.mode, entry.read, entry.accepted, entry.inserted) == ("incremental", 3, 1, 1)
    assert entry.excluded == {"no_consent": 1, "duplicate": 1}
    assert entry.drift == {"(other)": 1}
    assert_right(old)
    changed = {table for table, found in state(old)[0].items() if found != before[table]}
    assert changed == {"accelerometer_trusted", "accelerometer_index", "run_ledger"}
    rows = old.spark.table(old.name("run_ledger")).where("run_id = 'run-new'").collect()
    assert {(row.outcome, row.reason, row.rows) for row in rows} == set(entry.counts())


def test_what_is_late_is_looked_for_in_files_of_its_time_only(lake):
    """An older file need not even be there."""
    lake.deliver("customer", customer(ANN, 1, research=1000))
    lake.deliver("accelerometer", *(sample(ANN, 1500 + n) for n in range(3)))
    lake.run(CUSTOMERS, READINGS)
    (early,) = data_files(lake.spark, lake.name("accelerometer_trusted"))
    lake.deliver("accelerometer", sample(ANN, 2000), sample(ANN, 2001), sample(ANN, 2001))
    Path(early.removeprefix("file:")).unlink()
    (entry,) = lake.run(READINGS).values()
    assert (entry.mode, entry.accepted, entry.excluded, entry.total) == ("incremental", 2, {"duplicate": 1}, 5)


@pytest.mark.parametrize("table", ["customer_trusted", "customer_consent"])
def test_a_table_that_somebody_has_emptied_is_filled_again(old, table):
    rows = old.rows(table)
    old.spark.sql(f"delete from {old.name(table)}")
    (entry,) = old.run(CUSTOMERS).values()
    assert entry.mode == "full"
    assert old.rows(table) == rows
    assert_right(old)


def test_a_table_that_was_set_back_to_an_older_version_is_brought_up_to_date(old):
    first = old.spark.table(f"{old.name('accelerometer_trusted')}.history").orderBy("made_current_at").first().snapshot_id
    rows = old.rows("accelerometer_trusted")
    database, table = old.name("accelerometer_trusted").split(".")[1:]
    old.spark.sql(f"call glue_catalog.system.rollback_to_snapshot('{database}.{table}', {first})")
    (entry,) = old.run(READINGS).values()
    assert entry.mode == "full"
    assert old.rows("accelerometer_trusted") == rows


def test_a_commit_between_publication_and_record_is_not_taken_for_our_own(old, monkeypatch):
    """Recorded is the version that the run has published, not whatever is current when it records."""
    old.deliver("customer", customer("cleo@example.com", 1, research=1))
    record = ledger.record

    def interfere(spark, name, entry):
        spark.sql(f"delete from {old.name('customer_trusted')} where email = '{ANN}'")
        record(spark, name, entry)

    with monkeypatch.context() as between:
        between.setattr(ledger, "record", interfere)
        old.run(CUSTOMERS)
    (entry,) = old.run(CUSTOMERS).values()
    healed = old.rows("customer_trusted") == oracle.expected_tables(old.folder, "as-of")["customer_trusted"]
    old.run(CUSTOMERS, READINGS, full_refresh=True)
    assert (entry.mode, healed) == ("full", True)


def test_consent_compared_with_a_version_that_has_expired_is_decided_anew(old):
    old.deliver("customer", customer(BEN, 2, research=1600))
    old.run(CUSTOMERS)
    database, table = old.name("customer_consent").split(".")[1:]
    oldest = "older_than => timestamp '2100-01-01', retain_last => 1"
    old.spark.sql(f"call glue_catalog.system.expire_snapshots(table => '{database}.{table}', {oldest})")
    (entry,) = old.run(READINGS).values()
    assert entry.read == sum(len(file.read_text().splitlines()) for file in old.folder.glob("accelerometer/landing/*"))
    assert_right(old)


def test_a_run_that_does_not_add_up_publishes_nothing(old, monkeypatch):
    file = old.deliver("customer", customer("dan@example.com", 1, research=1))
    before = state(old)
    real = job._tally

    def lose(result, found):
        tally = real(result, found)
        return Tally(tally.read + 1, tally.quarantined, tally.gates, tally.published)

    with monkeypatch.context() as wrong:
        wrong.setattr(job, "_tally", lose)
        with pytest.raises(LakehouseError, match=r"customer_trusted: rows do not add up \(R7\): 2 read, 1 accepted, 0 excluded"):
            old.run(CUSTOMERS)
    assert {table: found[0] for table, found in state(old)[0].items()} == {table: found[0] for table, found in before[0].items()}
    assert state(old)[1] == before[1]
    file.unlink()
    assert_right(old)


def test_a_landing_table_without_files_is_an_error_that_says_where(old):
    with pytest.raises(LakehouseError, match=r"step_trainer_landing: no object to read under .*/step_trainer/landing/;"):
        old.run("step_trainer_trusted")


def test_another_gate_decides_anew_and_a_failed_check_publishes_nothing(old, monkeypatch):
    """Last: what is recorded of the readings is of the other gate then."""
    (entry,) = old.run(READINGS, gate="ever").values()
    assert (entry.mode, entry.removed) == ("full", 0)
    assert_right(old, "accelerometer_trusted", gate="ever")
    load, check = contracts.load, contracts.Check("accepted_range", "timestamp", min=T)
    with_check = {"accelerometer_trusted": replace(load("accelerometer_trusted"), checks=(check,))}
    monkeypatch.setattr(contracts, "load", lambda table: with_check.get(table) or load(table))
    file = old.deliver("accelerometer", sample(ANN, -1), sample(ANN, 1700))
    before = state(old)
    with pytest.raises(LakehouseError, match=r"accelerometer_trusted: .*accepted_range\(timestamp\) failed 1 times"):
        old.run(READINGS, gate="ever")
    assert {table: found[0] for table, found in state(old)[0].items()} == {table: found[0] for table, found in before[0].items()}
    assert state(old)[1] == before[1]
    file.unlink()
    assert_right(old, "accelerometer_trusted", gate="ever")


# --- runs that are stopped ---


class Killed(BaseException):
    """No Exception: nothing in the run may catch it, as nothing catches a kill."""


def kill(monkeypatch, owner, name, at=1):
    """Stops the run when it calls this for the `at`th time."""
    real, calls = getattr(owner, name), []

    def stop(*args, **options):
        calls.append(name)
        if len(calls) == at:
            raise Killed
        return real(*args, **options)

    monkeypatch.setattr(owner, name, stop)


MOMENTS = {
    "before anything is published": (tables.Draft, "publish", 1),
    # After the index's.
    "before the target is published": (tables.Draft, "publish", 2),
    "before the quarantine is published": (tables.Draft, "publish", 3),
    "before the ledger is written": (ledger, "record", 1),
    "before what was read is recorded": (intake, "save", 1),
}


def test_a_run_stopped_at_any_moment_is_completed_by_the_next(lake, monkeypatch):
    lake.deliver("customer", customer(ANN, 1, research=1000), customer(BEN, 1))
    lake.deliver("accelerometer", sample(ANN, 1500), sample(BEN, 1500), "{")
    lake.run(CUSTOMERS)
    lake.run(READINGS, quarantined_share=1.0)
    for number, (moment, place) in enumerate(MOMENTS.items(), 2):
        lake.deliver("accelerometer", sample(ANN, 1500 + number), sample(BEN, 1500 + number), "{")
        if number % 2:
            # Ann and Ben take turns in sharing: rows come and go, and old files are read again.
            shares = (customer(ANN, number), customer(BEN, number, 1000)) if number == 3 else (customer(ANN, number, 1),)
            lake.deliver("customer", *shares)
            lake.run(CUSTOMERS)
        before = lake.rows("accelerometer_trusted")
        with monkeypatch.context() as killing, pytest.raises(Killed):
            kill(killing, *place)
            lake.run(READINGS, quarantined_share=1.0)
        after = oracle.expected_tables(lake.folder, "as-of")["accelerometer_trusted"]
        assert before != after
        published = "target" not in moment and "anything" not in moment
        assert lake.rows("accelerometer_trusted") == (after if published else before), moment
        lake.run(READINGS, quarantined_share=1.0)
        assert_right(lake)
        files = sorted(path.relative_to(lake.folder).as_posix() for path in lake.folder.glob("accelerometer/landing/*"))
        assert sorted(row[0] for row in lake.rows("accelerometer_quarantine")) == files, moment
        assert sorted(row[0] for row in lake.rows("accelerometer_index")) == sorted(files * 2), moment


@pytest.mark.parametrize("first", [(sample(ANN, 1600), "{"), ("{",)], ids=["with good rows", "with nothing for the tables"])
def test_a_bad_row_whose_file_is_corrected_after_a_run_that_died_is_not_in_quarantine(lake, monkeypatch, first):
    lake.deliver("customer", customer(ANN, 1, research=1000))
    lake.deliver("accelerometer", sample(ANN, 1500))
    lake.run(CUSTOMERS, READINGS)
    lake.deliver("accelerometer", *first, name="late.json")
    # Where there are good rows: before the index, then the target, then, the index being there already, the quarantine.
    publications = (1,) if first == ("{",) else (1, 2, 2)
    for moment in (*((tables.Draft, "publish", at) for at in publications), (intake, "save")):
        with monkeypatch.context() as killing, pytest.raises(Killed):
            kill(killing, *moment)
            lake.run(READINGS, quarantined_share=1.0)
    lake.deliver("accelerometer", sample(ANN, 1600), name="late.json")
    lake.run(READINGS)
    assert_right(lake)
    assert lake.rows("accelerometer_quarantine") == []


# --- runs at once ---


def test_a_table_that_is_replaced_while_it_is_read_makes_the_run_fail(old, monkeypatch):
    """Else the version that it saw first would be recorded for rows of another one, and a withdrawal in between be overlooked."""
    old.deliver("customer", customer("dan@example.com", 1))
    old.run(CUSTOMERS)
    old.deliver("accelerometer", sample("dan@example.com", 3000))
    before = old.rows("accelerometer_trusted")
    look = job.Run._look

    def look_and_wait(self):
        found = look(self)
        if self.job.name == READINGS:
            old.deliver("customer", customer("dan@example.com", 2, research=1000))
            old.run(CUSTOMERS)
        return found

    with monkeypatch.context() as meanwhile, pytest.raises(LakehouseError) as caught:
        meanwhile.setattr(job.Run, "_look", look_and_wait)
        old.run(READINGS)
    assert str(caught.value).startswith(f"table {old.name('customer_consent')}: another run has written to it meanwhile")
    assert old.rows("accelerometer_trusted") == before
    old.deliver("customer", customer("dan@example.com", 3))
    old.run(CUSTOMERS, READINGS)
    assert_right(old)


def test_of_four_runs_at_once_none_doubles_a_row_and_losers_know_why(lake):
    people = [customer(f"p{n}@example.com", 1, research=1) for n in range(5)]
    lake.deliver("customer", *people, {**people[0], "email": "bad@example.com", "lastUpdateDate": "x"})
    options = Options(lake.uri, lake.database, quarantined_share=1.0)
    outcomes = at_once(lake.spark, *[partial(job.run, job=jobs.named(CUSTOMERS), options=options)] * 4)
    winners = [one for one in outcomes if isinstance(one, Entry)]
    losers = [one for one in outcomes if not isinstance(one, Entry)]
    assert winners
    assert all(isinstance(one, LakehouseError) for one in losers), [describe(one) for one in losers]
    assert all("another run has written to it meanwhile" in str(one) for one in losers)
    # One at most did the work; who came after it, if anybody, found it done.
    assert sum(one.inserted for one in winners) in (0, 5)
    for table in (*TARGETS, *KEEPS):
        # Spark keeps what it knows of a table; others have written to these.
        tables.iceberg(lake.spark, lake.name(table))
    assert len(lake.rows("customer_trusted")) in (0, 5)
    assert len(lake.rows("customer_quarantine")) <= 1
    lake.run(CUSTOMERS, quarantined_share=1.0)
    assert_right(lake, "customer_trusted")
    assert len(lake.rows("customer_consent")) == 5
    assert len(lake.rows("customer_quarantine")) == 1
    assert lake.run(CUSTOMERS)["customer_trusted"].mode == "unchanged"
