"""Rows that cannot be used are put aside, raw, with reason and place (R8); too many of them stop the run before it writes."""

import base64
import gzip
import json
import time
from dataclasses import dataclass, replace

import pytest
from lakehouse import contracts, engines, tables
from lakehouse.errors import LakehouseError
from lakehouse.ledger import Entry
from lakehouse.storage import FolderStore
from support import KEEPS, TARGETS, Lake, T, sample

JOB, TABLE = "customer_landing_to_trusted", "customer_trusted"
READINGS = "accelerometer_landing_to_trusted"
ANN = {"customerName": "Planted Name", "email": "ann@example.com", "phone": "5550100", "lastUpdateDate": T + 1000}
CONSENTING = {**ANN, "shareWithResearchAsOfDate": T + 1000}
NO_TIME = {"email": "planted@example.com"}
FUTURE = {**CONSENTING, "email": "future@example.com", "lastUpdateDate": 1_900_000_000_000}
MISTYPED = {**ANN, "email": "mistyped@example.com", "phone": 1}


def people(number):
    return [{**CONSENTING, "email": f"p{n}@example.com"} for n in range(number)]


def quarantined(lake, source="customer"):
    """Rows without run and time: file name, position, reason, line, encoding."""
    found = lake.arrow(f"{source}_quarantine").to_pylist()
    return sorted(
        (row["file"].rsplit("/", 1)[1], *(row[name] for name in ("position", "reason", "line", "encoding"))) for row in found
    )


def run(lake, *names, **options):
    """Runs a job that may put aside all it likes."""
    (entry,) = lake.run(*(names or (JOB,)), quarantined_share=1.0, **options).values()
    assert entry.read == entry.accepted + sum(entry.excluded.values()) + sum(entry.quarantined.values())
    return entry


MIXED = [
    CONSENTING,
    "{",
    NO_TIME,
    "",
    b'{"email": "\xff"}',
    MISTYPED,
    FUTURE,
    {**CONSENTING, "email": "b@example.com"},
]


@dataclass
class State:
    """What a run left behind."""

    entry: Entry
    emails: list
    quarantined: list
    run_ids: dict
    places: set
    objects: set


@pytest.fixture(scope="module", params=[engines.DUCKDB, engines.SPARK])
def story(request, tmp_path_factory):
    """Three runs: files with all faults; then one of them replaced, one removed, one new; then one more that is new."""
    if request.param == engines.SPARK:
        request.getfixturevalue("spark")
    lake = Lake(tmp_path_factory.mktemp("story"), request.param)
    lake.create_tables()
    states = []

    def record(run_id):
        entry = run(lake, run_id=run_id)
        rows = lake.arrow("customer_quarantine").to_pylist()
        files = [path for path in lake.folder.rglob("*/landing/**/*.json*") if path.is_file()]
        states.append(
            State(
                entry,
                [row[1] for row in lake.rows(TABLE)],
                quarantined(lake),
                {(row["file"].rsplit("/", 1)[1], row["position"]): row["run_id"] for row in rows},
                {(row["file"], row["version"]) for row in rows},
                {(path.relative_to(lake.folder).as_posix(), version(path)) for path in files},
            )
        )
        assert all(1_700_000_000_000 < row["quarantined_at"] <= time.time() * 1000 for row in rows)

    lake.deliver("customer", *MIXED, name="mixed +%.json")
    lake.deliver("customer", "x", {**CONSENTING, "email": "c@example.com"}, name="2026/packed.json.gz")
    truncated = lake.deliver("customer", {**CONSENTING, "email": "d@example.com"}, name="truncated.json.gz")
    truncated.write_bytes(truncated.read_bytes()[:-4])
    hidden = lake.deliver("customer", name="hidden.json")
    hidden.write_bytes(gzip.compress(json.dumps({**CONSENTING, "email": "e@example.com"}).encode()))
    for name in ("empty.json", "empty.json.gz"):
        lake.deliver("customer", name=name).write_bytes(b"")
    record("run-1")
    lake.deliver("customer", MIXED[0], MIXED[-1], "[", name="mixed +%.json")
    lake.deliver("customer", {**CONSENTING, "email": "d@example.com"}, "{", name="truncated.json.gz")
    hidden.unlink()
    lake.deliver("customer", "(", {**CONSENTING, "email": "f@example.com"}, name="new.json")
    record("run-2")
    lake.deliver("customer", ")", {**CONSENTING, "email": "g@example.com"}, name="newer.json")
    record("run-3")
    return states, lake.arrow("run_ledger").to_pylist()


def version(path):
    """As FolderStore makes it."""
    return f"{path.stat().st_mtime_ns}-{path.stat().st_size}"


def test_bad_rows_and_files_are_put_aside_and_good_ones_are_used(story):
    first = story[0][0]
    assert first.emails == ["ann@example.com", "b@example.com", "c@example.com"]
    assert (first.entry.read, first.entry.accepted) == (3 + 8, 3)
    assert first.entry.quarantined == {"future_time": 1, "malformed": 5, "missing_key": 1, "wrong_type": 1}
    assert first.quarantined == [
        ("hidden.json", 0, "malformed", None, None),
        ("mixed +%.json", 2, "malformed", "{", "utf-8"),
        ("mixed +%.json", 3, "missing_key", json.dumps(NO_TIME), "utf-8"),
        ("mixed +%.json", 5, "malformed", base64.b64encode(MIXED[4]).decode(), "base64"),
        ("mixed +%.json", 6, "wrong_type", json.dumps(MIXED[5]), "utf-8"),
        ("mixed +%.json", 7, "future_time", json.dumps(FUTURE), "utf-8"),
        ("packed.json.gz", 1, "malformed", "x", "utf-8"),
        ("truncated.json.gz", 0, "malformed", None, None),
    ]


def test_a_bad_row_names_its_object_so_that_the_raw_file_can_be_found(story):
    for state in story[0]:
        assert state.places <= state.objects
    # An object without bytes holds no row.
    keys = {key for key, _ in story[0][0].objects}
    assert {key for key, _ in story[0][0].places} == {key for key in keys if "empty" not in key}


def test_a_file_that_cannot_be_read_now_is_named_and_not_put_aside(lake, monkeypatch):
    """It is no damaged one: the run fails before it writes, and the next takes it in."""

    def refuse(*_):
        raise PermissionError("planted@example.com")

    lake.deliver("customer", CONSENTING, name="good.json.gz")
    with monkeypatch.context() as now, pytest.raises(LakehouseError) as caught:
        now.setattr(FolderStore, "open", refuse)
        lake.run(JOB, quarantined_share=1.0)
    wanted = "customer/landing/good.json.gz cannot be read now (PermissionError), so nothing was written; see that the job"
    assert str(caught.value).startswith(wanted)
    assert "planted" not in str(caught.value)
    assert set(versions(lake).values()) == {tables.NEVER_WRITTEN}
    assert_no_drafts(lake)
    assert run(lake).accepted == 1


def test_a_row_says_which_column_is_at_fault_and_what_is_wrong(lake):
    lake.deliver("customer", {**MISTYPED, "birthDay": []}, {**NO_TIME, "last_update_date": T}, {**ANN, "PHONE": "1"}, FUTURE)
    run(lake)
    rows = sorted(lake.arrow("customer_quarantine").to_pylist(), key=lambda row: row["position"])
    assert [(row["reason"], row["column_name"], row["detail"]) for row in rows] == [
        ("wrong_type", "phone", "phone: number for string, birthDay: array for string"),
        ("missing_key", "lastUpdateDate", "lastUpdateDate: missing, met last_update_date"),
        ("malformed", "phone", "phone: more than once"),
        ("future_time", "lastUpdateDate", "lastUpdateDate: later than its file"),
    ]


def test_rows_of_files_that_are_replaced_or_removed_leave_and_new_ones_come(story):
    _, second, third = story[0]
    assert (second.entry.mode, second.entry.inserted) == ("full", 2)
    assert second.quarantined == [
        ("mixed +%.json", 3, "malformed", "[", "utf-8"),
        ("new.json", 1, "malformed", "(", "utf-8"),
        ("packed.json.gz", 1, "malformed", "x", "utf-8"),
        ("truncated.json.gz", 2, "malformed", "{", "utf-8"),
    ]
    assert second.emails == [f"{name}@example.com" for name in ("ann", *"bcdf")]
    assert (third.entry.mode, third.entry.read, third.entry.quarantined) == ("incremental", 2, {"malformed": 1})
    assert third.quarantined == sorted([*second.quarantined, ("newer.json", 1, "malformed", ")", "utf-8")])


def test_a_bad_row_is_put_aside_once_by_the_run_that_met_it_first(story):
    first, second, third = (state.run_ids for state in story[0])
    assert set(first.values()) == {"run-1"}
    assert {place for place, run_id in second.items() if run_id == "run-1"} == {
        ("packed.json.gz", 1),
    }
    assert second == {place: run_id for place, run_id in third.items() if run_id != "run-3"}


def test_the_ledger_has_the_numbers(story):
    states, ledger = story
    found = {(row["run_id"], row["reason"], row["rows"]) for row in ledger if row["outcome"] == "quarantined"}
    entries = [state.entry for state in states]
    assert found == {(entry.run_id, reason, rows) for entry in entries for reason, rows in entry.quarantined.items()}


def test_bad_rows_of_files_that_are_read_again_are_not_put_aside_again(lake):
    """R10: consent newly given makes the run read what was delivered before."""
    reading = sample("ann@example.com", 2000)
    lake.deliver("customer", ANN)
    lake.deliver("accelerometer", reading, {**reading, "x": "1"}, "{", {**reading, "user": "b@example.com"})
    run(lake)
    first = run(lake, READINGS)
    assert first.quarantined == {"malformed": 1, "wrong_type": 1}
    before = lake.rows("accelerometer_quarantine")
    lake.deliver("customer", {**CONSENTING, "lastUpdateDate": T + 1001})
    run(lake)
    second = run(lake, READINGS)
    assert (second.mode, second.read, second.quarantined, second.inserted) == ("incremental", 2, {}, 1)
    assert lake.rows("accelerometer_quarantine") == before


def test_rows_that_a_new_rule_can_use_leave_the_quarantine(lake, monkeypatch):
    """What the quarantine holds after a full run is what that run has put aside."""
    lake.deliver("customer", CONSENTING, {**CONSENTING, "email": "b@example.com", "lastUpdateDate": 1_700_000_100_000})
    real = contracts.load

    def strict(table):
        contract = real(table)
        times = tuple(replace(time, ahead=0) if time.column == "lastupdatedate" else time for time in contract.times)
        return replace(contract, times=times) if table == "customer_landing" else contract

    monkeypatch.setattr(contracts, "load", strict)
    assert run(lake).quarantined == {"future_time": 1}
    assert len(lake.rows("customer_quarantine")) == 1
    monkeypatch.setattr(contracts, "load", real)
    entry = run(lake, full_refresh=True)
    assert (entry.accepted, entry.quarantined) == (2, {})
    assert lake.rows("customer_quarantine") == []


# --- the limit ---


def versions(lake):
    return {table: lake.tables.version(table) for table in (*TARGETS, *KEEPS)}


def assert_no_drafts(lake):
    for table in (*TARGETS, *KEEPS):
        assert set(lake.load(table).refs()) <= {"main"}, table


def test_past_the_limit_a_run_fails_before_it_writes_and_says_where_to_look(lake):
    """One row in a hundred may be bad, of those read now."""
    lake.deliver("customer", *people(3), FUTURE, *people(95), {**NO_TIME, "last_update_date": 1}, name="a.json")
    with pytest.raises(LakehouseError) as caught:
        lake.run(JOB)
    assert str(caught.value).startswith(
        "customer_landing: 2 of 100 rows cannot be used, more than 1.00%: 1 future_time (lastUpdateDate: later than its file), "
        "1 missing_key (lastUpdateDate: missing, met last_update_date); for example line 4 of customer/landing/a.json. "
        "Nothing was written. Keys that the contract does not know, by rows: last_update_date 1. Correct the files; "
    )
    assert not any(word in str(caught.value) for word in ("Planted", "planted", "ann@", "5550100", "1900000000000"))
    assert set(versions(lake).values()) == {tables.NEVER_WRITTEN}
    assert_no_drafts(lake)

    # Not taken in: it is met again, until somebody corrects it or says that so many may pass.
    entry = lake.run(JOB, quarantined_share=0.02)[TABLE]
    assert (entry.read, entry.quarantined) == (100, {"future_time": 1, "missing_key": 1})
    assert [row[:2] for row in quarantined(lake)] == [("a.json", 4), ("a.json", 100)]

    lake.deliver("customer", *people(99), MISTYPED, name="b.json")
    before = versions(lake)
    wrong = r"1 of 100 rows cannot be used, more than 0\.00%: 1 wrong_type \(phone: number for string\)"
    with pytest.raises(LakehouseError, match=wrong):
        lake.run(JOB, quarantined_share=0.0)
    assert versions(lake) == before
    entry = lake.run(JOB)[TABLE]
    assert (entry.mode, entry.read, entry.quarantined) == ("incremental", 100, {"wrong_type": 1})


def test_a_file_that_cannot_be_used_at_all_stops_the_run(lake):
    file = lake.deliver("accelerometer", sample("ann@example.com", 2000), name="a.json.gz")
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(LakehouseError) as caught:
        lake.run(READINGS)
    assert str(caught.value).startswith(
        "accelerometer_landing: 1 files or lines hold an unknown number of rows (R14): "
        "the whole of accelerometer/landing/a.json.gz (a damaged gzip, or none). Nothing was written."
    )
    for table in (*TARGETS, *KEEPS):
        # A draft may have given a table a first version, without a row.
        assert all(snapshot.summary["total-records"] == "0" for snapshot in lake.load(table).snapshots()), table
        assert lake.rows(table) == []
    assert_no_drafts(lake)
