"""The same deliveries, once on each engine: the same rows in all tables, the same reasons and the same counts in the ledger.

Runs by turns of one engine and the other over random histories: test_random_histories.py.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from compared import content
from histories import BROKEN_LINES, DAMAGES, ENDINGS, FAULTS, HIDDEN, NAMES, SEVERAL, START, UNREAD, Folder, apply
from lakehouse import tables
from lakehouse.engines import DUCKDB, SPARK
from line_examples import LINES, LINES_OF_JSON, MANY, MODIFIED, ONE, VALUES_OF_JSON
from support import KEEPS, TARGETS, Lake, customer, sample, step

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
SOURCES = ("customer", "accelerometer", "step_trainer")
ANN, BEN, CLEO, DORA, ELSE = (f"{name}@example.com" for name in ("ann", "ben", "cleo", "dora", "else"))


class Both:
    """Two lakes with the same landing files, each with an engine of its own."""

    def __init__(self, folder):
        self.lakes = [Lake(folder / engine, engine) for engine in (DUCKDB, SPARK)]
        for lake in self.lakes:
            lake.create_tables()

    def deliver(self, source, *rows, **how):
        for lake in self.lakes:
            lake.deliver(source, *rows, **how)

    def copy(self, folder):
        for lake in self.lakes:
            for source in SOURCES:
                shutil.copytree(folder / source / "landing", lake.folder / source / "landing", dirs_exist_ok=True)

    def run(self, *names, **options):
        """Runs jobs on both, compares what came of it, and gives the entries of the first."""
        first, second = [lake.run(*names, **options) for lake in self.lakes]
        for table, entry in first.items():
            other = second[table]
            assert entry.mode == "unchanged" or (entry.engine, other.engine) == (DUCKDB, SPARK)
            assert replace(entry, run_id="", engine="") == replace(other, run_id="", engine=""), table
        one, other = [content(lake, *TARGETS, *KEEPS) for lake in self.lakes]
        for table, rows in one.items():
            # Not compared by assert: pytest would print the rows that differ, and rows are about people.
            same = rows == other[table]
            assert same, f"{table} differs: {len(set(rows) - set(other[table]))} rows, {len(set(other[table]) - set(rows))} rows"
        return first


@pytest.fixture
def both(spark, tmp_path):
    return Both(tmp_path)


def assert_full_refresh_changes_nothing(both, **options):
    entries = both.run(full_refresh=True, **options)
    assert {entry.mode for entry in entries.values()} == {"full"}
    assert all(entry.inserted + entry.updated + entry.removed == 0 for entry in entries.values())


# --- whatever can be wrong with a file ---


def faulty(good, source):
    """A good row with each fault of its source, in every style of writing; several rows in a line, and lines that are no row."""
    rows = [good | fault for fault in FAULTS[source]]
    loud = [{key.upper(): value for key, value in row.items()} for row in rows]
    decimal = [{key: float(value) if type(value) is int else value for key, value in row.items()} for row in rows]
    several = [form.format(json.dumps(good), json.dumps(good)) for form in SEVERAL]
    return [*rows, *loud, *decimal, *several, *BROKEN_LINES, "", " \t", json.dumps(good) + "\r"]


def as_bytes(line):
    return (line if isinstance(line, str) else json.dumps(line)).encode("utf-8", "surrogateescape")


def of_json(source, key):
    """A line with each value that JSON allows or forbids, as that of a key and as that of one that no contract knows."""
    good = json.dumps(GOOD[source])
    for value in VALUES_OF_JSON.values():
        yield f'{good[:-1]}, "unknown": {value}}}'
        yield good.replace(json.dumps(GOOD[source][key]), value, 1)


GOOD = {
    "customer": customer(ANN, 500, research=500, serial="s-1"),
    "accelerometer": sample(ANN, 1000),
    "step_trainer": step("s-1", 1000),
}
KEYS = {"customer": "shareWithResearchAsOfDate", "accelerometer": "timestamp", "step_trainer": "sensorReadingTime"}


def test_faults(both):
    """Of people who had rows in all tables, and who has none of the faults keeps them."""
    people = (ANN, BEN, CLEO, DORA)
    both.deliver("customer", *(customer(email, 0, research=10, serial=f"s-{number}") for number, email in enumerate(people)))
    both.deliver("accelerometer", *(sample(email, time) for email in people for time in (5, 100, 1000)))
    both.deliver("step_trainer", *(step(f"s-{number}", time) for number in range(4) for time in (5, 100, 1000)))
    both.run()
    for source, good in GOOD.items():
        both.deliver(source, *map(as_bytes, faulty(good, source)), name="faulty.json")
        both.deliver(source, *map(as_bytes, faulty(good, source)), name="faulty.JSONL.GZ")
        both.deliver(source, *map(as_bytes, of_json(source, KEYS[source])), name="values:of.json")
        examples = [line if isinstance(line, bytes) else as_bytes(line) for line, _ in LINES[source].values()]
        # Long ones: test_landing.py.
        short = [line for line in examples if len(line) < 10_000]
        both.deliver(source, *short, name="examples.ndjson", modified=MODIFIED // 1000)
    both.deliver("step_trainer", *map(as_bytes, [*LINES_OF_JSON.values(), *MANY.values(), *ONE.values()]), name="more.json")
    entries = both.run(quarantined_share=1.0)
    reasons = {"malformed", "wrong_type", "missing_key", "implausible_time", "future_time"}
    assert set(entries["step_trainer_trusted"].quarantined) == reasons
    assert set(entries["customer_trusted"].quarantined) == reasons | {"malformed_email"}
    assert entries["customer_trusted"].suspended > 0
    assert {row[1] for row in both.lakes[0].rows("customer_trusted")} >= {BEN, CLEO, DORA}
    assert_full_refresh_changes_nothing(both, quarantined_share=1.0)


def test_files(both):
    """Every name, damaged in every way; and files that are empty, or no text at all."""
    lines = {source: [json.dumps(good)] * 2 for source, good in GOOD.items()}
    operations = [
        {"op": "deliver", "source": source, "name": name, "ending": ending, "lines": rows, "damage": damage}
        for source, rows in lines.items()
        for name, ending in [*((name, ending) for name in NAMES for ending in ENDINGS), *((name, ".json") for name in HIDDEN)]
        for damage in ([None, *DAMAGES] if name == "m" else [None])
    ]
    unread = [
        {"op": "deliver", "source": source, "name": "m", "ending": ending, "lines": rows, "damage": None}
        for source, rows in lines.items()
        for ending in UNREAD
    ]
    for lake in both.lakes:
        apply([*operations, *unread], Folder(lake.folder), START)
    both.deliver("customer", "\n".join(lines["customer"]).encode("utf-16"), name="utf-16.json")
    both.deliver("customer", b"\x28\xb5\x2f\xfd\x04\x58" + bytes(range(256)), name="zstd.json")
    both.deliver("customer", b"\xef\xbb\xbf" + json.dumps(GOOD["customer"]).encode(), name="mark.json")
    entry = both.run(quarantined_share=1.0)["customer_trusted"]
    assert entry.quarantined["malformed"] > len(ENDINGS)
    assert set(entry.ignored) == {"hidden", "folder_marker", "unknown_name"}
    assert {run.mode for run in both.run(quarantined_share=1.0).values()} == {"unchanged"}


def test_both_stop_for_the_same_reason(both):
    """Before anything is written, with the same words."""
    both.deliver("customer", GOOD["customer"])
    both.run("customer_landing_to_trusted")
    both.deliver("customer", *[GOOD["customer"]] * 3, {**GOOD["customer"], "phone": 5}, "[", name="bad.json")
    both.deliver("customer", b"\x1f\x8b no gzip", name="damaged.json.gz")
    for share in (None, 0.5):
        told = []
        for lake in both.lakes:
            with pytest.raises(Exception, match="Nothing was written") as caught:
                lake.run("customer_landing_to_trusted", quarantined_share=share)
            told.append(str(caught.value))
        assert told[0] == told[1]


# --- consent over several deliveries ---


def test_consent_over_several_deliveries(both):
    """Given, moved, withdrawn and given again; a new device, a shared one, a late reading, a replay, a file that is changed."""
    times = (500, 1000, 1500, 2000)
    devices = {ANN: "s-1", BEN: "s-2", CLEO: "s-2", DORA: "s-3"}
    both.deliver("customer", *(customer(email, 0, research=1000, serial=serial) for email, serial in devices.items()))
    both.deliver("customer", customer(ELSE, 0))
    both.deliver("accelerometer", *(sample(email, time) for email in devices for time in times), name="a.json")
    both.deliver("step_trainer", *(step(serial, time) for serial in ("s-1", "s-2", "s-3", "s-9") for time in times))
    both.run()
    assert len(both.lakes[0].rows("machine_learning_curated")) == 12
    deliveries = [
        [
            ("customer", customer(ANN, 10), customer(BEN, 10, research=1500, serial="s-2"), customer(ELSE, 10, research=1)),
            ("accelerometer", sample(ELSE, 1000, x=-0.0)),
        ],
        [
            ("customer", customer(ANN, 20, research=500, serial="s-3")),
            ("customer", {**customer(CLEO, 20, research=500, serial="s-2"), "phone": 5}),
            ("step_trainer", step("s-3", 1500, distance=3), step("s-1", 3000)),
            ("accelerometer", sample(BEN, 1500), sample(ANN, 3000)),
        ],
        [("customer", customer(CLEO, 30, research=500, serial="s-4"), customer(DORA, 5))],
    ]
    for delivery in deliveries:
        for source, *rows in delivery:
            both.deliver(source, *rows)
        entries = both.run(quarantined_share=1.0)
        assert {entry.mode for entry in entries.values()} == {"incremental"}
        assert all(entry.inserted + entry.updated + entry.removed for entry in entries.values())
    # A file that was read is put again, with less in it.
    both.deliver("accelerometer", *(sample(email, time) for email in (BEN, CLEO) for time in times), name="a.json")
    entries = both.run(quarantined_share=1.0)
    assert entries["accelerometer_trusted"].mode == "full"
    assert entries["accelerometer_trusted"].removed > 0
    assert_full_refresh_changes_nothing(both, quarantined_share=1.0)


# --- data sets ---


def test_sample(spark_of_glue, both):
    both.copy(SAMPLE)
    for gate in ("ever", "as-of"):
        assert {entry.mode for entry in both.run(gate=gate).values()} == {"full"}
    assert {entry.mode for entry in both.run().values()} == {"unchanged"}
    assert_full_refresh_changes_nothing(both)
    assert_tables_are_described_alike(both)


def assert_tables_are_described_alike(both):
    for table in (*TARGETS, *KEEPS):
        one, other = (lake.load(table) for lake in both.lakes)
        assert one.schema() == other.schema(), table
        assert one.sort_order() == other.sort_order(), table
        assert one.properties == other.properties, table
        assert tables.rows(one, one.current_snapshot()) == tables.rows(other, other.current_snapshot()), table


def test_public_data(spark_of_glue, both, public_data):
    both.copy(public_data)
    assert both.run()["machine_learning_curated"].accepted == 32_025
