"""What a run did is written down, and put as metrics."""

import json
from dataclasses import replace
from functools import partial

import pytest
from lakehouse import contracts, engines, ledger
from lakehouse.errors import DoesNotAddUp
from lakehouse.intake import Ignored
from lakehouse.ledger import Entry
from pyiceberg.table.snapshots import Operation
from support import Lake, at_once, both_engines, create_table

CHECKED = {
    "step_trainer_trusted": {"not_null(serialnumber)": 0, "unique(serialnumber, sensorreadingtime)": 0},
    "step_trainer_index": {"not_null(file)": 0},
}
ENTRY = Entry(
    job="step_trainer_trusted",
    run_id="run-1",
    table="step_trainer_trusted",
    mode="incremental",
    engine="duckdb",
    read=6,
    accepted=3,
    excluded={"no_consent": 1, "duplicate": 1},
    quarantined={"malformed": 1},
    inserted=2,
    removed=4,
    drift={"firmware": 5},
    suspended=7,
    ignored={"hidden": Ignored(8, "step_trainer/landing/_SUCCESS"), "unknown_name": Ignored(9, "step_trainer/landing/a b.csv")},
)


# --- the entry ---


def test_entry_is_one_line_of_json():
    assert "\n" not in ENTRY.to_json()
    assert json.loads(ENTRY.to_json()) == {
        "job": "step_trainer_trusted",
        "run_id": "run-1",
        "table": "step_trainer_trusted",
        "mode": "incremental",
        "engine": "duckdb",
        "read": 6,
        "accepted": 3,
        "excluded": {"no_consent": 1, "duplicate": 1},
        "quarantined": {"malformed": 1},
        "inserted": 2,
        "updated": 0,
        "removed": 4,
        "drift": {"firmware": 5},
        "total": None,
        "suspended": 7,
        "ignored": {
            "hidden": {"objects": 8, "example": "step_trainer/landing/_SUCCESS"},
            "unknown_name": {"objects": 9, "example": "step_trainer/landing/a b.csv"},
        },
    }


def test_counts_of_an_entry_are_its_numbers_by_outcome_and_reason():
    assert ENTRY.counts() == [
        ("read", "all", 6),
        ("accepted", "all", 3),
        ("inserted", "all", 2),
        ("updated", "all", 0),
        ("removed", "all", 4),
        ("suspended", "all", 7),
        ("excluded", "duplicate", 1),
        ("excluded", "no_consent", 1),
        ("quarantined", "malformed", 1),
        ("drift", "firmware", 5),
        ("ignored", "hidden", 8),
        ("ignored", "unknown_name", 9),
    ]


def test_a_run_with_nothing_new_counts_zeros():
    counts = Entry("job", "run-1", "t", "unchanged").counts()
    assert [(outcome, rows) for outcome, _, rows in counts] == [
        (outcome, 0) for outcome in ("read", "accepted", "inserted", "updated", "removed")
    ]


def test_nobody_suspended_is_recorded_and_a_job_without_people_records_nothing_of_them():
    """A 0 says that somebody has looked."""
    nobody = replace(ENTRY, suspended=0).counts()
    assert ("suspended", "all", 0) in nobody
    assert replace(ENTRY, suspended=None).counts() == [count for count in nobody if count[0] != "suspended"]


@pytest.fixture
def written_to(engine, tmp_path, request):
    """A lake with a ledger and nothing else, and an engine; `record` writes entries down."""
    lake = Lake(tmp_path / "lake", engine)
    lake.tables.catalog.create_namespace(lake.database)
    create_table(lake.tables, contracts.load("run_ledger"), only_version=getattr(request, "param", None))
    started = engines.start(engine, lake.uri)
    lake.record = partial(ledger.record, started, lake.tables)
    lake.record_failed = partial(ledger.record_failed, started, lake.tables)
    yield lake
    started.close()


@pytest.mark.parametrize("written_to", [None, 1], indirect=True, ids=["new table", "table of the first contract"])
def test_entry_is_written_down_with_a_row_a_count(written_to):
    written_to.record(ENTRY, {})
    written_to.record(replace(ENTRY, run_id="run-2", drift={}, suspended=None, engine="spark"), {})
    rows = written_to.arrow("run_ledger").to_pylist()
    first = [row for row in rows if row["run_id"] == "run-1"]
    second = [row for row in rows if row["run_id"] == "run-2"]
    assert {(row["outcome"], row["reason"], row["rows"]) for row in first} == set(ENTRY.counts())
    assert len(rows) == 2 * len(ENTRY.counts()) - 2
    assert {row["outcome"] for row in first} - {row["outcome"] for row in second} == {"drift", "suspended"}
    assert {(row["reason"], row["example"]) for row in first if row["example"] is not None} == {
        (reason, found.example) for reason, found in ENTRY.ignored.items()
    }
    assert {(row["job"], row["table_name"]) for row in rows} == {("step_trainer_trusted", "step_trainer_trusted")}
    assert ({row["engine"] for row in first}, {row["engine"] for row in second}) == ({"duckdb"}, {"spark"})
    (recorded,) = {row["recorded_at"] for row in first}
    assert recorded > 1_700_000_000_000
    # Two entries, two files: a run that ends at the same time as another only adds.
    snapshots = written_to.load("run_ledger").snapshots()
    assert [snapshot.summary.operation for snapshot in snapshots] == [Operation.APPEND] * 2


def test_what_checks_found_is_written_down_beside_the_numbers(written_to):
    """Under the table that was checked; those that held have failed 0 times."""
    written_to.record(replace(ENTRY, ignored={}), CHECKED)
    rows = written_to.arrow("run_ledger").to_pylist()
    checked = [row for row in rows if row["outcome"] == "check"]
    assert {(row["table_name"], row["reason"], row["rows"]) for row in checked} == {
        (table, name, 0) for table, found in CHECKED.items() for name in found
    }
    assert {(row["run_id"], row["job"], row["engine"], row["example"]) for row in checked} == {
        ("run-1", "step_trainer_trusted", "duckdb", None)
    }
    assert len(rows) - len(checked) == len(ENTRY.counts()) - len(ENTRY.ignored)


@pytest.mark.parametrize("written_to", [None, 1], indirect=True, ids=["new table", "table of the first contract"])
def test_of_a_run_that_failed_only_what_its_checks_found_is_written_down(written_to):
    written_to.record_failed("step_trainer_trusted", "run-0", {})
    assert written_to.load("run_ledger").current_snapshot() is None, "a run without checks says nothing"
    written_to.record_failed("step_trainer_trusted", "run-1", {**CHECKED, "step_trainer_index": {"not_null(file)": 3}})
    rows = written_to.arrow("run_ledger").to_pylist()
    assert {(row["table_name"], row["outcome"], row["reason"], row["rows"]) for row in rows} == {
        ("step_trainer_trusted", "check", "not_null(serialnumber)", 0),
        ("step_trainer_trusted", "check", "unique(serialnumber, sensorreadingtime)", 0),
        ("step_trainer_index", "check", "not_null(file)", 3),
    }
    assert {(row["run_id"], row["job"], row["engine"]) for row in rows} == {("run-1", "step_trainer_trusted", written_to.engine)}


def test_of_runs_that_end_at_once_all_are_written_down_once(written_to):
    at_once(*[partial(written_to.record, replace(ENTRY, run_id=f"run-{number}"), {}) for number in range(4)])
    told = [(row["run_id"], row["outcome"], row["reason"]) for row in written_to.arrow("run_ledger").to_pylist()]
    assert len(told) == len(set(told)) == 4 * len(ENTRY.counts())


@both_engines
def test_the_files_of_many_runs_are_put_together(written_to, monkeypatch):
    monkeypatch.setattr(ledger, "MOST_FILES", 2)
    for number in range(4):
        written_to.record(replace(ENTRY, run_id=f"run-{number}"), {})
        assert len(written_to.data_files("run_ledger")) <= 2
    assert written_to.arrow("run_ledger").num_rows == 4 * len(ENTRY.counts())
    assert set(written_to.load("run_ledger").refs()) == {"main"}


# --- metrics ---


class CloudWatch:
    def __init__(self):
        self.calls = []

    def put_metric_data(self, **call):
        self.calls.append(call)


def test_metrics_are_the_counts_of_the_entry_by_lake_and_table():
    cloudwatch = CloudWatch()
    ledger.put_metrics(cloudwatch, "StediLakehouse", "stedi-dev", ENTRY, reads_landing=False)
    (call,) = cloudwatch.calls
    assert call["Namespace"] == "StediLakehouse"
    found = []
    for metric in call["MetricData"]:
        names = [one["Name"] for one in metric["Dimensions"]]
        lake, table, outcome, reason = (one["Value"] for one in metric["Dimensions"])
        assert (metric["MetricName"], metric["Unit"], names) == ("Rows", "Count", ["Lake", "Table", "Outcome", "Reason"])
        assert (lake, table) == ("stedi-dev", "step_trainer_trusted")
        found.append((outcome, reason, metric["Value"]))
    assert found == ENTRY.counts()


def test_metrics_for_alarms_have_the_lake_alone():
    cloudwatch = CloudWatch()
    ledger.put_metrics(cloudwatch, "StediLakehouse", "stedi-dev", replace(ENTRY, total=9), reads_landing=True)
    ledger.put_failure(cloudwatch, "StediLakehouse", "stedi-dev", DoesNotAddUp.metric)
    found = {
        (metric["MetricName"], *((one["Name"], one["Value"]) for one in metric["Dimensions"])): metric["Value"]
        for call in cloudwatch.calls
        for metric in call["MetricData"]
        if metric["MetricName"] != "Rows"
    }
    lake = ("Lake", "stedi-dev")
    assert found == {
        ("TableRows", lake, ("Table", "step_trainer_trusted")): 9,
        ("RowsDelivered", lake): 6,
        ("RowsQuarantined", lake): 1,
        ("ObjectsIgnored", lake): 9,
        ("RunsNotAddingUp", lake): 1,
    }


@pytest.mark.parametrize(
    ("ignored", "number"),
    [({}, 0), ({"hidden": Ignored(8, "k"), "folder_marker": Ignored(2, "k")}, 0), ({"unknown_name": Ignored(9, "k")}, 9)],
    ids=["none", "by rule", "by name"],
)
def test_the_alarm_of_ignored_objects_is_about_names_that_say_nothing(ignored, number):
    """And hears of it when there is none any more."""
    cloudwatch = CloudWatch()
    ledger.put_metrics(cloudwatch, "StediLakehouse", "stedi-dev", replace(ENTRY, ignored=ignored), reads_landing=True)
    assert values(cloudwatch, "ObjectsIgnored") == [number]


def test_a_job_that_reads_no_landing_files_says_nothing_for_their_alarms():
    cloudwatch = CloudWatch()
    ledger.put_metrics(cloudwatch, "StediLakehouse", "stedi-dev", ENTRY, reads_landing=False)
    assert [values(cloudwatch, name) for name in ("RowsDelivered", "RowsQuarantined", "ObjectsIgnored")] == [[], [], []]


def values(cloudwatch, name):
    """What was put of a metric that has the lake alone."""
    data = [metric for call in cloudwatch.calls for metric in call["MetricData"] if metric["MetricName"] == name]
    assert all(metric["Dimensions"] == [{"Name": "Lake", "Value": "stedi-dev"}] for metric in data)
    return [metric["Value"] for metric in data]


def test_no_metric_shows_the_key_of_an_object():
    cloudwatch = CloudWatch()
    ledger.put_metrics(cloudwatch, "StediLakehouse", "stedi-dev", ENTRY, reads_landing=True)
    assert "landing/" not in json.dumps(cloudwatch.calls)


def test_metrics_are_as_cloudwatch_takes_them():
    """By the client's own model of the call: numbers, at most 1000 metrics, dimensions without empty values."""
    import boto3
    from botocore.stub import ANY, Stubber

    client = boto3.client("cloudwatch", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("put_metric_data", {}, {"Namespace": "StediLakehouse", "MetricData": ANY})
        ledger.put_metrics(client, "StediLakehouse", "stedi-dev", replace(ENTRY, total=7), reads_landing=True)
        stub.assert_no_pending_responses()
