"""All five jobs in order: the published counts, row by row against the oracle, again without change, consent over time.

That Spark gives the same for the data sets, and over time: test_both_engines.py.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import oracle
import pytest
from lakehouse import contracts
from support import TARGETS, both_engines, customer, sample, step

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
# Row counts of the public data set: the design's table.
PUBLIC = {
    "as-of": dict(zip(TARGETS, (482, 32_025, 464, 11_297, 32_025), strict=True)),
    "ever": dict(zip(TARGETS, (482, 40_981, 482, 14_460, 40_981), strict=True)),
}


@pytest.fixture
def lake_over(lake):
    """A lake whose landing files are copies of those of a folder."""

    def make(folder):
        for source in ("customer", "accelerometer", "step_trainer"):
            shutil.copytree(folder / source / "landing", lake.folder / source / "landing")
        return lake

    return make


def assert_equals_oracle(lake, folder, gate):
    for table, expected in oracle.expected_tables(folder, gate).items():
        # Not compared by assert: pytest would print the rows that differ, and rows are about people.
        same = lake.rows(table) == expected
        assert same, f"{table} differs from the oracle: {len(lake.rows(table))} rows, expected {len(expected)}"


def assert_adds_up(entries):
    for entry in entries.values():
        assert entry.read == entry.accepted + sum(entry.excluded.values()), entry


def test_public_data(lake_over, public_data):
    lake = lake_over(public_data)
    for gate, again in (("as-of", True), ("ever", False)):
        entries = lake.run(gate=gate)
        assert {table: entry.accepted for table, entry in entries.items()} == PUBLIC[gate]
        assert_adds_up(entries)
        assert_equals_oracle(lake, public_data, gate)
        if again:
            assert_second_run_changes_nothing(lake, gate)


def test_sample(lake_over):
    expected = json.loads((SAMPLE / "expected.json").read_text())
    reasons = json.loads((SAMPLE / "expected_reasons.json").read_text())
    lake = lake_over(SAMPLE)
    for gate in ("ever", "as-of"):
        entries = lake.run(gate=gate)
        assert {table: entry.accepted for table, entry in entries.items()} == {t: expected[gate][t] for t in TARGETS}
        for table, entry in entries.items():
            planted = {reason: number for reason, number in reasons[gate][table].items() if number and reason != "accepted"}
            assert entry.excluded == planted, table
        assert_equals_oracle(lake, SAMPLE, gate)
    assert_second_run_changes_nothing(lake, "as-of")


@both_engines
def test_a_later_column_that_no_select_knows_is_null_also_in_runs_of_what_is_new(lake, monkeypatch):
    tables, jobs = contracts._read()
    trusted = tables["accelerometer_trusted"]
    battery = contracts.Column("battery", "int", json_key="battery", since=2)
    wider = {**tables, trusted.table: replace(trusted, columns=(*trusted.columns, battery))}
    monkeypatch.setattr(contracts, "_read", lambda: (wider, jobs))
    for number, email in enumerate(("ann@example.com", "ben@example.com")):
        lake.deliver("customer", customer(email, 10, research=20))
        lake.deliver("accelerometer", sample(email, 100))
        lake.deliver("step_trainer", step(email, 100))
        entry = lake.run()["accelerometer_trusted"]
        assert entry.mode == ("incremental" if number else "full")
    assert [(row[0], row[-1]) for row in lake.rows("accelerometer_trusted")] == [
        ("ann@example.com", None),
        ("ben@example.com", None),
    ]


def assert_second_run_changes_nothing(lake, gate):
    before = {table: (lake.rows(table), lake.snapshots(table)) for table in TARGETS}
    entries = lake.run(gate=gate)
    assert {entry.mode for entry in entries.values()} == {"unchanged"}
    entries = lake.run(gate=gate, full_refresh=True)
    assert all(entry.inserted + entry.updated + entry.removed == 0 for entry in entries.values())
    for table in TARGETS:
        rows, snapshots = before[table]
        assert lake.rows(table) == rows, table
        assert lake.snapshots(table) == snapshots, table


def test_consent_over_time(lake):
    """R10: in the next run, in every table, also for readings that are already there."""
    ann, ben = "ann@example.com", "ben@example.com"
    lake.deliver("customer", customer(ann, 1, research=1000), customer(ben, 1))
    lake.deliver("accelerometer", *(sample(user, time) for user in (ann, ben) for time in (500, 1500)))
    lake.deliver("step_trainer", *(step(serial, time) for serial in ("ann", "ben") for time in (500, 1500)))
    first = lake.run()
    assert {table: entry.accepted for table, entry in first.items()} == dict.fromkeys(TARGETS, 1)

    lake.deliver("customer", customer(ann, 2), customer(ben, 2, research=500))
    second = lake.run()
    assert {entry.mode for entry in second.values()} == {"incremental"}
    assert [len(lake.rows(table)) for table in TARGETS] == [1, 2, 1, 2, 2]
    assert all(entry.removed == 1 for entry in second.values())
    for table in TARGETS[:-1]:
        assert not any("ann" in str(value) for row in lake.rows(table) for value in row), table

    lake.deliver("customer", customer(ben, 3))
    last = lake.run()
    assert [entry.removed for entry in last.values()] == [1, 2, 1, 2, 2]
    assert all(lake.rows(table) == [] for table in TARGETS)


@both_engines
def test_rows_that_change_are_updated(lake):
    lake.deliver("customer", customer("ann@example.com", 1, research=1000))
    lake.deliver("accelerometer", sample("ann@example.com", 1500))
    lake.deliver("step_trainer", step("ann", 1500))
    lake.run()
    lake.deliver("customer", customer("ann@example.com", 2, research=900))
    lake.deliver("step_trainer", step("ann", 1500, distance=8))
    entries = lake.run()
    assert {table: entry.updated for table, entry in entries.items()} == dict(zip(TARGETS, (1, 0, 1, 1, 1), strict=True))
    assert [row[2] for row in lake.rows("step_trainer_trusted")] == [8]
