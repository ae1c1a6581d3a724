"""A run as a whole: what it reads, on which engine, and that the next one puts right whatever stopped it."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import oracle
import others
import processes
import pytest
from lakehouse import checks, contracts, delivery, engines, intake, jobs, ledger, run, tables
from lakehouse.errors import FailedChecks, LakehouseError, describe
from lakehouse.gates import Tally
from lakehouse.ledger import Entry
from lakehouse.run import GIB
from lakehouse.storage import FolderStore
from pyiceberg.expressions import EqualTo
from support import JOBS, KEEPS, TARGETS, Lake, T, at_once, both_engines, customer, sample

CUSTOMERS, READINGS = JOBS[:2]
ANN, BEN = "ann@example.com", "ben@example.com"
WHY = "another run has written to it meanwhile"


# --- runs, one after the other ---


def state(lake):
    """Version and number of snapshots of every table, and what the jobs recorded."""
    found = {table: (lake.tables.version(table), lake.snapshots(table)) for table in (*TARGETS, *KEEPS)}
    return found, {name: FolderStore(lake.folder).read(f"intake/ledger/{name}.json") for name in JOBS}


def checks_of(lake, run_id):
    """How often which check of which table has failed in a run, as the ledger says."""
    rows = [row for row in lake.arrow("run_ledger").to_pylist() if row["run_id"] == run_id and row["outcome"] == "check"]
    return {(row["table_name"], row["reason"]): row["rows"] for row in rows}


def assert_right(lake, *checked, gate="as-of"):
    """The tables hold what the rules say of everything delivered, no draft is left, and the index knows all files."""
    expected = oracle.expected_tables(lake.folder, gate)
    for table in checked or TARGETS[:2]:
        assert lake.rows(table) == expected[table], table
    for table in (*TARGETS, *KEEPS):
        assert set(lake.load(table).refs()) <= {"main"}, table


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A lake that has had a run of the first two jobs. Tests leave it right, and taken in with gate `as-of`."""
    lake = Lake(tmp_path_factory.mktemp("old"))
    lake.create_tables()
    deliver_first(lake)
    return lake


def deliver_first(lake):
    lake.deliver("customer", customer(ANN, 1, research=1000), customer(BEN, 1))
    lake.deliver("accelerometer", sample(ANN, 500), sample(ANN, 1500), sample(BEN, 1500))
    lake.run(CUSTOMERS, READINGS)


def test_a_run_with_nothing_new_reads_and_writes_nothing(old, monkeypatch):
    before = state(old)

    def used(*_, **__):
        raise AssertionError("something was read")

    with monkeypatch.context() as nothing:
        nothing.setattr(engines, "start", used)
        nothing.setattr(delivery.Delivery, "__init__", used)
        nothing.setattr(tables.Tables, "reconcile", used)
        entries = old.run(CUSTOMERS, READINGS)
    assert [(entry.mode, entry.engine, entry.read, entry.accepted, entry.inserted) for entry in entries.values()] == [
        ("unchanged", "", 0, 0, 0)
    ] * 2
    assert state(old) == before


@both_engines
def test_only_what_is_new_is_read(lake):
    deliver_first(lake)
    lake.deliver("accelerometer", sample(ANN, 1600, firmware=1), sample(BEN, 1600), sample(ANN, 1500))
    before = state(lake)[0]
    (entry,) = lake.run(READINGS, run_id="run-new").values()
    assert (entry.mode, entry.read, entry.accepted, entry.inserted) == ("incremental", 3, 1, 1)
    assert entry.excluded == {"no_consent": 1, "duplicate": 1}
    assert entry.drift == {"(other)": 1}
    assert_right(lake)
    changed = {table for table, found in state(lake)[0].items() if found != before[table]}
    assert changed == {"accelerometer_trusted", "accelerometer_index", "run_ledger"}
    rows = [row for row in lake.arrow("run_ledger").to_pylist() if row["run_id"] == "run-new"]
    assert {(row["outcome"], row["reason"], row["rows"]) for row in rows if row["outcome"] != "check"} == set(entry.counts())
    assert checks_of(lake, "run-new") == {
        **{("accelerometer_trusted", f"not_null({name})"): 0 for name in ("user", "timestamp", "x", "y", "z")},
        ("accelerometer_trusted", "unique(user, timestamp, x, y, z)"): 0,
        **{("accelerometer_index", f"not_null({name})"): 0 for name in ("file", "subject")},
        ("accelerometer_index", "unique(file, subject)"): 0,
    }
    assert {row["engine"] for row in rows} == {entry.engine} == {lake.engine}


@both_engines
def test_what_is_late_is_looked_for_in_files_of_its_time_only(lake):
    """An older file need not even be there."""
    lake.deliver("customer", customer(ANN, 1, research=1000))
    lake.deliver("accelerometer", *(sample(ANN, 1500 + n) for n in range(3)))
    lake.run(CUSTOMERS, READINGS)
    (early,) = lake.data_files("accelerometer_trusted")
    lake.deliver("accelerometer", sample(ANN, 2000), sample(ANN, 2001), sample(ANN, 2001))
    Path(f"/{early.removeprefix('file:').lstrip('/')}").unlink()
    (entry,) = lake.run(READINGS).values()
    assert (entry.mode, entry.accepted, entry.excluded, entry.total) == ("incremental", 2, {"duplicate": 1}, 5)


@pytest.mark.parametrize("table", ["customer_trusted", "customer_consent"])
def test_a_table_that_somebody_has_emptied_is_filled_again(old, table):
    rows = old.rows(table)
    old.load(table).delete()
    (entry,) = old.run(CUSTOMERS).values()
    assert entry.mode == "full"
    assert old.rows(table) == rows
    assert_right(old)


def test_a_table_that_was_set_back_to_an_older_version_is_brought_up_to_date(old):
    rows, table = old.rows("accelerometer_trusted"), old.load("accelerometer_trusted")
    table.manage_snapshots().set_current_snapshot(table.history()[0].snapshot_id).commit()
    assert old.rows("accelerometer_trusted") != rows
    (entry,) = old.run(READINGS).values()
    assert entry.mode == "full"
    assert old.rows("accelerometer_trusted") == rows


def test_a_commit_between_publication_and_record_is_not_taken_for_our_own(old, monkeypatch):
    """Recorded is the version that the run has published, not whatever is current when it records."""
    old.deliver("customer", customer("cleo@example.com", 1, research=1))
    record = ledger.record

    def interfere(*given):
        old.load("customer_trusted").delete(EqualTo("email", ANN))
        record(*given)

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
    old.expire("customer_consent")
    (entry,) = old.run(READINGS).values()
    assert entry.read == sum(len(file.read_text().splitlines()) for file in old.folder.glob("accelerometer/landing/*"))
    assert_right(old)


def test_consent_compared_with_a_version_that_was_set_back_is_decided_by_what_there_is(lake):
    deliver_first(lake)
    given = lake.rows("accelerometer_trusted")
    lake.deliver("customer", customer(ANN, 2))
    first = int(lake.tables.version("customer_consent"))
    lake.run(CUSTOMERS, READINGS)
    assert (len(given), lake.rows("accelerometer_trusted")) == (1, [])
    lake.load("customer_consent").manage_snapshots().set_current_snapshot(first).commit()
    lake.run(READINGS)
    assert lake.rows("accelerometer_trusted") == given
    lake.run(CUSTOMERS, READINGS)
    assert_right(lake)
    assert lake.rows("accelerometer_trusted") == []


@both_engines
def test_who_is_deleted_by_hand_where_consent_is_read_passes_nothing(lake):
    """As Athena deletes: their row is in its data file still."""
    deliver_first(lake)
    others.delete(lake, "customer_consent", email=ANN)
    (entry,) = lake.run(READINGS).values()
    assert (entry.mode, entry.removed) == ("incremental", 1)
    assert lake.rows("accelerometer_trusted") == []
    lake.run(CUSTOMERS, READINGS)
    assert_right(lake)


def test_a_run_that_does_not_add_up_publishes_nothing(old, monkeypatch):
    file = old.deliver("customer", customer("dan@example.com", 1, research=1))
    before = state(old)

    def lose(read, *others):
        return Tally(read + 1, *others)

    with monkeypatch.context() as wrong:
        wrong.setattr(run, "Tally", lose)
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
        old.run(READINGS, gate="ever", run_id="run-failed")
    assert {table for table, found in state(old)[0].items() if found[0] != before[0][table][0]} == {"run_ledger"}
    assert state(old)[1] == before[1]
    told = {row["outcome"] for row in old.arrow("run_ledger").to_pylist() if row["run_id"] == "run-failed"}
    assert told == {"check"}, "nothing became of the rows that it read"
    failed = {check for check, number in checks_of(old, "run-failed").items() if number}
    assert failed == {("accelerometer_trusted", "accepted_range(timestamp)")}
    # The next run reads the same files again, whatever the ledger says of the one that failed.
    monkeypatch.undo()
    (entry,) = old.run(READINGS, gate="ever").values()
    assert (entry.mode, entry.read) == ("incremental", 2)
    assert_right(old, "accelerometer_trusted", gate="ever")
    assert file.exists()


def test_what_checks_found_is_told_also_when_the_ledger_cannot_be(lake, monkeypatch):
    lake.deliver("customer", customer(ANN, 1, research=1))

    def fail(*_):
        raise RuntimeError("planted@example.com")

    monkeypatch.setattr(checks, "row_checks", lambda contract: {"not_null(email)": "true"})
    monkeypatch.setattr(ledger, "_append", fail)
    with pytest.raises(FailedChecks) as caught:
        lake.run(CUSTOMERS)
    message = str(caught.value)
    assert re.search(r"not_null\(email\) failed 1 times.*; run_ledger does not say so: unexpected RuntimeError", message)
    assert "planted" not in message


# --- which engine ---


class Started(Exception):
    """Instead of an engine."""


@pytest.fixture
def chosen(monkeypatch):
    """The engine that a run of a lake would be made on; None: there is nothing to do."""

    def choose(lake, name, gib=4.0, **options):
        with monkeypatch.context() as instead:

            def start(engine, uri):
                raise Started(engine)

            instead.setattr(engines, "start", start)
            try:
                lake.run(name, engine="auto", spark_from_gib=gib, **options)
            except Started as started:
                return started.args[0]
            return None

    return choose


def spark_from(choose, lake, name, number):
    """Whether Spark is taken for exactly so many bytes and more of what there is to read."""
    return (choose(lake, name, number / GIB), choose(lake, name, (number + 1) / GIB)) == ("spark", "duckdb")


def test_who_does_not_say_which_engine_gets_duckdb_for_what_fits_one_machine(lake, chosen):
    lake.deliver("customer", customer(ANN, 1, research=1))
    assert chosen(lake, CUSTOMERS) == "duckdb"


@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_the_engine_that_is_named_is_taken_whatever_there_is_to_read(lake, monkeypatch, engine):
    lake.deliver("customer", customer(ANN, 1, research=1))
    started = []
    monkeypatch.setattr(engines, "start", lambda name, uri: started.append(name))
    for gib in (1e-9, 1e9):
        with pytest.raises(AttributeError):
            lake.run(CUSTOMERS, engine=engine, spark_from_gib=gib)
    assert started == [engine] * 2


def test_the_bytes_of_new_objects_decide_and_a_packed_one_is_as_large_as_it_will_be(lake, chosen):
    first = lake.deliver("customer", customer(ANN, 1, research=1)).stat().st_size
    assert spark_from(chosen, lake, CUSTOMERS, first)
    packed = lake.deliver("customer", customer(BEN, 1), name="b.JSON.gz").stat().st_size
    assert spark_from(chosen, lake, CUSTOMERS, first + 8 * packed)


def test_what_was_read_before_counts_again_only_where_everything_is_read(lake, chosen):
    lake.deliver("accelerometer", sample(ANN, 1500))
    lake.deliver("customer", customer(ANN, 1, research=1000))
    lake.run(CUSTOMERS, READINGS)
    size = lake.deliver("customer", customer(BEN, 1)).stat().st_size
    trusted = tables.size(lake.load("customer_trusted"))
    assert trusted > 0
    assert spark_from(chosen, lake, CUSTOMERS, size + trusted)
    all_sizes = sum(file.stat().st_size for file in lake.folder.glob("customer/landing/*"))
    assert (chosen(lake, CUSTOMERS, (all_sizes + trusted) / GIB, full_refresh=True)) == "spark"
    assert (chosen(lake, CUSTOMERS, (all_sizes + trusted + 1) / GIB, full_refresh=True)) == "duckdb"


def test_a_run_that_reads_everything_after_all_chooses_its_engine_anew(lake, monkeypatch):
    deliver_first(lake)
    lake.deliver("customer", customer(BEN, 3, research=1700))
    lake.run(CUSTOMERS)
    lake.expire("customer_consent")
    job, start, started = jobs.named(READINGS), engines.start, []
    landed = sum(file.stat().st_size for file in lake.folder.glob("accelerometer/landing/*"))
    everything = landed + sum(tables.size(lake.load(table)) for table in (*job.reads, job.target))

    def started_as(name, uri):
        started.append(name)
        return start(engines.DUCKDB, uri)

    monkeypatch.setattr(engines, "start", started_as)
    lake.run(READINGS, engine="auto", spark_from_gib=everything / GIB)
    assert started == ["duckdb", "spark"]
    assert_right(lake)


def test_the_bytes_of_the_tables_that_are_read_decide_too(lake, chosen):
    deliver_first(lake)
    job = jobs.named("customer_trusted_to_curated")
    size = sum(tables.size(lake.load(table)) for table in job.reads)
    assert size > 0
    assert spark_from(chosen, lake, job.name, size)
    lake.run(job.name)
    assert chosen(lake, job.name, 1 / GIB) is None


def test_another_engine_is_no_reason_to_read_everything(lake, spark):
    """And each finds the other's work done."""
    deliver_first(lake)
    for number, engine in enumerate(("spark", "duckdb", "spark"), 1):
        assert [one.mode for one in lake.run(CUSTOMERS, READINGS, engine=engine).values()] == ["unchanged"] * 2
        lake.deliver("customer", customer(f"p{number}@example.com", 1, research=1), customer(BEN, 1 + number, number % 2 or None))
        lake.deliver("accelerometer", sample(ANN, 1600 + number), sample(BEN, 1600 + number))
        entries = lake.run(CUSTOMERS, READINGS, engine=engine).values()
        assert [(one.mode, one.engine) for one in entries] == [("incremental", engine)] * 2
        assert_right(lake)
    told = {(row["run_id"], row["engine"]) for row in lake.arrow("run_ledger").to_pylist()}
    assert sorted(engine for _, engine in told) == ["duckdb"] * 4 + ["spark"] * 4


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
    look = run._look

    def look_and_wait(job, *others):
        found = look(job, *others)
        if job.name == READINGS:
            old.deliver("customer", customer("dan@example.com", 2, research=1000))
            old.run(CUSTOMERS)
        return found

    with monkeypatch.context() as meanwhile, pytest.raises(LakehouseError) as caught:
        meanwhile.setattr(run, "_look", look_and_wait)
        old.run(READINGS)
    assert str(caught.value).startswith("table glue_catalog.lake.customer_consent: another run has written to it meanwhile")
    assert old.rows("accelerometer_trusted") == before
    old.deliver("customer", customer("dan@example.com", 3))
    old.run(CUSTOMERS, READINGS)
    assert_right(old)


@pytest.mark.parametrize("name", [CUSTOMERS, READINGS])
@pytest.mark.parametrize("first", [False, True], ids=["later runs", "first runs"])
def test_a_run_that_another_one_is_ahead_of_once_it_has_looked_writes_nothing(lake, monkeypatch, name, first):
    """What it found to be new is not any more."""
    if first:
        lake.deliver("customer", customer(ANN, 1, research=1000))
        lake.deliver("accelerometer", sample(ANN, 1500))
        lake.run(CUSTOMERS)
        if name == CUSTOMERS:
            lake = Lake(lake.folder / "other")
            lake.create_tables()
    else:
        deliver_first(lake)
    lake.deliver("customer", customer("cleo@example.com", 1, research=1))
    lake.deliver("accelerometer", sample(ANN, 1600), sample(BEN, 1600))
    start, entries = engines.start, []

    def wait_and_start(*given):
        monkeypatch.setattr(engines, "start", start)
        entries.extend(lake.run(name).values())
        return start(*given)

    monkeypatch.setattr(engines, "start", wait_and_start)
    with pytest.raises(LakehouseError, match=WHY):
        lake.run(name)
    assert [entry.inserted for entry in entries] == [1 + (first and name == READINGS)]
    after = state(lake)
    assert lake.run(name)[entries[0].table].mode == "unchanged"
    assert state(lake) == after
    assert_right(lake, entries[0].table)


def deliver_to_be_read_at_once(lake):
    people = [customer(f"p{n}@example.com", 1, research=1) for n in range(5)]
    lake.deliver("customer", *people, {**people[0], "email": "bad@example.com", "lastUpdateDate": "x"})


def assert_one_did_the_work(lake, inserted):
    """One at most; who came after it, if anybody, found it done. And what the next run makes of it."""
    assert sum(inserted) in (0, 5)
    assert len(lake.rows("customer_trusted")) in (0, 5)
    assert len(lake.rows("customer_quarantine")) <= 1
    lake.run(CUSTOMERS, quarantined_share=1.0)
    assert_right(lake, "customer_trusted")
    assert len(lake.rows("customer_consent")) == 5
    assert len(lake.rows("customer_quarantine")) == 1
    assert lake.run(CUSTOMERS)["customer_trusted"].mode == "unchanged"


@both_engines
def test_of_four_runs_at_once_none_doubles_a_row_and_losers_know_why(lake):
    deliver_to_be_read_at_once(lake)
    one = partial(run.run, jobs.named(CUSTOMERS), lake.options(quarantined_share=1.0))
    outcomes = at_once(*[one] * 4)
    winners = [one for one in outcomes if isinstance(one, Entry)]
    losers = [one for one in outcomes if not isinstance(one, Entry)]
    assert winners
    assert all(isinstance(one, LakehouseError) for one in losers), [describe(one) for one in losers]
    assert all(WHY in str(one) for one in losers)
    assert_one_did_the_work(lake, [one.inserted for one in winners])


def test_of_four_processes_at_once_none_doubles_a_row_and_losers_know_why(lake):
    deliver_to_be_read_at_once(lake)
    started = [processes.start(lake, "customer_trusted", "--quarantined_share", "1") for _ in range(4)]
    outcomes = [processes.ended(one) for one in started]
    assert {status for status, *_ in outcomes} <= {0, 1}
    assert 0 in {status for status, *_ in outcomes}
    for _, out, err in outcomes:
        assert bool(out) != bool(err)
        assert (WHY in err and err.count("\n") == 1) or not err, err
    assert_one_did_the_work(lake, [json.loads(out)["inserted"] for _, out, _ in outcomes if out])
