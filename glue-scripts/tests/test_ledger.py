"""What became of every row is counted, has to add up (R7), and is written down."""

import json
from dataclasses import replace

import pytest
from lakehouse import contracts, ledger, tables
from lakehouse.errors import DoesNotAddUp, LakehouseError
from lakehouse.intake import Ignored
from lakehouse.ledger import EXCLUSIONS, Entry, Gate, Gated, Tally
from support import create_table

STEPS = contracts.load("step_trainer_trusted")
NOTHING = dict.fromkeys((*EXCLUSIONS, "accepted"), 0)
FIRST = {**NOTHING, "accepted": 4, "no_consent": 2, "unknown_customer": 3}
LAST = {**NOTHING, "accepted": 3, "duplicate": 1, "null_key": 0}
ENTRY = Entry(
    job="step_trainer_trusted",
    run_id="run-1",
    table="step_trainer_trusted",
    mode="incremental",
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


@pytest.fixture
def rows_of(spark):
    def make(*rows):
        return spark.createDataFrame(rows, "sensorreadingtime bigint, serialnumber string, distancefromobject int, reason string")

    return make


def counted(counts):
    return {reason: number for reason, number in counts.items() if number}


# --- counting ---


def test_rows_are_counted_while_those_that_pass_are_used(rows_of):
    gate = Gate(rows_of((1, "a", 1, None), (2, "a", 1, "no_consent"), (3, "a", 1, "no_consent"), (4, "a", 1, "duplicate")))
    assert [tuple(row) for row in gate.passing.collect()] == [(1, "a", 1, None)]
    assert counted(gate.counts()) == {"accepted": 1, "no_consent": 2, "duplicate": 1}
    assert gate.recount() == gate.counts()
    assert gate.rows.count() == 4


def test_a_gate_without_rows_counts_nothing(rows_of):
    gate = Gate(rows_of())
    assert gate.passing.collect() == []
    assert counted(gate.counts()) == {}


def test_every_reason_is_counted_by_its_name(rows_of):
    rows = [(time, "a", 1, reason) for number, reason in enumerate(EXCLUSIONS, 1) for time in range(number)]
    gate = Gate(rows_of(*rows))
    gate.passing.collect()
    assert counted(gate.counts()) == {reason: number for number, reason in enumerate(EXCLUSIONS, 1)}


def test_accepted_rows_have_the_columns_of_the_contract(rows_of):
    gated = Gated(rows_of((1, "a", 1, None), (2, "a", 1, "no_consent")), STEPS)
    assert [tuple(row) for row in gated.accepted.collect()] == [(1, "a", 1)]
    assert gated.accepted.columns == STEPS.names


def test_column_that_the_select_does_not_give_is_null(rows_of):
    note = contracts.Column("note", "double", json_key="note", since=2)
    rows = Gated(rows_of((1, "a", 1, None)), replace(STEPS, columns=(*STEPS.columns, note))).accepted
    assert rows.schema["note"].dataType.simpleString() == "double"
    assert [tuple(row) for row in rows.collect()] == [(1, "a", 1, None)]


# --- adding up (R7) ---


def tally(read=11, quarantined=2, gates=(FIRST, LAST), published=3):
    return Tally(read, quarantined, gates, published)


def test_rows_that_go_through_two_gates_are_accepted_once_and_excluded_by_either():
    both = tally()
    assert both.accepted == 3
    assert both.excluded == {"no_consent": 2, "unknown_customer": 3, "duplicate": 1}
    assert both.adds_up()
    both.check("t")


def test_one_gate_is_enough():
    assert tally(read=4, quarantined=0, gates=(LAST,)).adds_up()


def test_rows_that_were_there_already_are_not_written():
    """Then what was written is not known, or fewer rows than were accepted: only the other numbers have to add up."""
    assert tally(published=None).adds_up()
    assert not tally(published=None, read=12).adds_up()


def test_the_same_reason_at_both_gates_is_added_up():
    assert tally(read=12, gates=({**FIRST, "duplicate": 2, "accepted": 4, "no_consent": 1}, LAST)).excluded["duplicate"] == 3


@pytest.mark.parametrize(
    ("wrong", "numbers"),
    [
        ({"read": 12}, "12 read, 3 accepted, 6 excluded, 2 quarantined, 3 written"),
        ({"read": 10}, "10 read, 3 accepted, 6 excluded, 2 quarantined, 3 written"),
        ({"quarantined": 1}, "11 read, 3 accepted, 6 excluded, 1 quarantined, 3 written"),
        ({"published": 4}, "11 read, 3 accepted, 6 excluded, 2 quarantined, 4 written"),
        ({"gates": ({**FIRST, "no_consent": 1}, LAST)}, "11 read, 3 accepted, 5 excluded, 2 quarantined, 3 written"),
        ({"gates": (FIRST, {**LAST, "accepted": 2}), "published": None}, "11 read, 2 accepted, 6 excluded, 2 quarantined"),
    ],
    ids=["vanished", "appeared", "quarantined", "published", "first gate", "second gate"],
)
def test_a_run_that_does_not_add_up_fails(wrong, numbers):
    with pytest.raises(LakehouseError) as caught:
        tally(**wrong).check("t")
    assert str(caught.value) == f"t: rows do not add up (R7): {numbers}; nothing was published"


def test_a_reason_the_ledger_does_not_know_does_not_add_up(rows_of):
    gated = Gated(rows_of((1, "a", 1, None), (2, "a", 1, "bad_mood")), STEPS)
    gated.accepted.collect()
    assert not Tally(2, 0, (gated.counts(),), 1).adds_up()


def test_accepted_rows_without_a_key_fail(rows_of):
    gated = Gated(rows_of((None, "a", 1, None), (1, None, 1, None), (None, "a", 1, "no_consent"), (1, "a", 1, None)), STEPS)
    gated.accepted.collect()
    keyless = Tally(4, 0, (gated.counts(),), 3)
    assert not keyless.adds_up()
    with pytest.raises(LakehouseError, match="t: 2 accepted rows have no key; nothing was published"):
        keyless.check("t")


# --- the entry ---


def test_entry_is_one_line_of_json():
    assert "\n" not in ENTRY.to_json()
    assert json.loads(ENTRY.to_json()) == {
        "job": "step_trainer_trusted",
        "run_id": "run-1",
        "table": "step_trainer_trusted",
        "mode": "incremental",
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


def test_every_reason_for_a_suspended_person_is_one_that_is_counted():
    """Else rows left out as suspended would not add up."""
    assert "suspended" in EXCLUSIONS
    assert len(set(EXCLUSIONS)) == len(EXCLUSIONS)


@pytest.mark.parametrize("version", [None, 1], ids=["new table", "table of the first contract"])
def test_entry_is_written_down_with_a_row_a_count(spark, version):
    name = "glue_catalog.ledger.run_ledger"
    spark.sql("create namespace glue_catalog.ledger")
    try:
        create_table(spark, name, contracts.load("run_ledger"), only_version=version)
        ledger.record(spark, name, ENTRY)
        ledger.record(spark, name, replace(ENTRY, run_id="run-2", drift={}, suspended=None))
        rows = spark.table(name).collect()
        first = [row for row in rows if row.run_id == "run-1"]
        assert {(row.outcome, row.reason, row.rows) for row in first} == set(ENTRY.counts())
        assert len(rows) == 2 * len(ENTRY.counts()) - 2
        assert {row.outcome for row in first} - {row.outcome for row in rows if row.run_id == "run-2"} == {"drift", "suspended"}
        assert {(row.reason, row.example) for row in first if row.example is not None} == {
            (reason, found.example) for reason, found in ENTRY.ignored.items()
        }
        assert {(row.job, row.table_name) for row in rows} == {("step_trainer_trusted", "step_trainer_trusted")}
        (recorded,) = {row.recorded_at for row in first}
        assert recorded > 1_700_000_000_000
        # Two entries, two files: a run that ends at the same time as another only adds.
        assert tables.iceberg(spark, name).currentSnapshot().operation() == "append"
    finally:
        spark.sql(f"drop table if exists {name} purge")
        spark.sql("drop namespace glue_catalog.ledger")


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
