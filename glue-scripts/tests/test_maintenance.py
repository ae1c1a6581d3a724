"""What was deleted is gone for good: from every version of a table, from its files, and from the quarantine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import others
import pyarrow.parquet as parquet
import pytest
from lakehouse import contracts, drafts, maintenance, tables
from lakehouse.engines import DUCKDB, SPARK
from lakehouse.errors import LakehouseError
from lakehouse.maintenance import Options, Removed, parse
from support import SCRIPTS, TARGETS, Desk, T, both_engines, sample, step

DAY = maintenance.DAY_MS
CUSTOMERS, READINGS = "customer_landing_to_trusted", "accelerometer_landing_to_trusted"
WITHDRAWN, OTHER = "withdrawn@example.com", "other@example.com"


def customer(email, serial, updated, consent=1_000):
    """Times count from T."""
    person = {
        "customerName": f"Name of {email}",
        "email": email,
        "phone": f"phone-{serial}",
        "birthDay": "1990-01-01",
        "serialNumber": serial,
        "registrationDate": T + 1_000,
        "lastUpdateDate": T + updated,
    }
    return person | ({"shareWithResearchAsOfDate": T + consent} if consent else {})


def deliver_two_people(lake):
    lake.deliver("customer", customer(WITHDRAWN, "serial-w", 1_000), customer(OTHER, "serial-o", 1_000))
    readings = [(user, moment) for user in (WITHDRAWN, OTHER) for moment in range(2_000, 2_010)]
    lake.deliver("accelerometer", *(sample(user, moment) for user, moment in readings))
    steps = [(serial, moment) for serial in ("serial-w", "serial-o") for moment in range(2_000, 2_010)]
    lake.deliver("step_trainer", *(step(serial, moment) for serial, moment in steps))


def files_of(lake, table):
    """All files below the table's place, current or not."""
    return [path for path in Path(urlsplit(lake.load(table).location()).path).rglob("*") if path.is_file()]


def files_that_hold(lake, text):
    """Files of trusted and curated tables with the text in them, compressed or not."""
    found = []
    for table in TARGETS:
        for path in files_of(lake, table):
            data = path.suffix == ".parquet"
            # Decoded, for the pages of a data file are compressed; and as it lies there, for what is beside the pages.
            content = path.read_bytes() + (str(parquet.read_table(path).to_pylist()).encode() if data else b"")
            if text.encode() in content:
                found.append(f"{table}: {path.name}")
    return found


def later(days=0):
    return int(time.time() * 1000) + days * DAY + 1000


def maintain(lake, snapshots_before, quarantined_before=0, engine=None):
    options = Options(lake.uri, lake.database, 7, 30, engine=engine or lake.engine)
    return maintenance.maintain(options, snapshots_before, quarantined_before)


def test_nobody_who_withdrew_is_in_any_file_once_old_versions_have_expired(lake):
    deliver_two_people(lake)
    lake.run()
    lake.deliver("customer", customer(WITHDRAWN, "serial-w", 3_000, consent=None))
    lake.run()
    for text in (WITHDRAWN, "serial-w", "phone-serial-w"):
        assert files_that_hold(lake, text), f"{text} should be in the files of an older version before these expire"
    before = {table: lake.rows(table) for table in TARGETS}

    removed = maintain(lake, later())

    for text in (WITHDRAWN, "serial-w", "phone-serial-w"):
        assert files_that_hold(lake, text) == []
    assert files_that_hold(lake, OTHER)
    assert removed["accelerometer_trusted"].expired_files > 0
    # What is current stays as it is, and the next run takes it for what it wrote itself.
    assert {table: lake.rows(table) for table in TARGETS} == before
    assert all(lake.snapshots(table) == 1 for table in TARGETS)
    assert {entry.mode for entry in lake.run().values()} == {"unchanged"}


def test_a_run_after_maintenance_goes_on_from_there(lake):
    deliver_two_people(lake)
    lake.run()
    maintain(lake, later())
    lake.deliver("accelerometer", sample(OTHER, 2_500))
    entries = lake.run()
    assert entries["accelerometer_trusted"].mode == "incremental"
    assert entries["accelerometer_trusted"].inserted == 1


@both_engines
def test_a_version_whose_files_were_put_together_is_known_again(lake, monkeypatch):
    compact = drafts.compact
    monkeypatch.setattr(drafts, "compact", lambda engine, of, contract, *most: compact(engine, of, contract, 1))
    deliver_two_people(lake)
    lake.run(CUSTOMERS, READINGS)
    lake.deliver("accelerometer", sample(OTHER, 2_500))
    lake.run(READINGS)
    table = lake.load("accelerometer_trusted")
    (written,) = {one.parent_snapshot_id for one in table.snapshots() if one == table.current_snapshot()}
    assert tables.holds(table, str(written))
    assert len(lake.data_files("accelerometer_trusted")) == 1
    maintain(lake, later())
    assert {entry.mode for entry in lake.run(CUSTOMERS, READINGS).values()} == {"unchanged"}


def test_versions_that_are_young_enough_stay(lake):
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    lake.deliver("customer", customer(WITHDRAWN, "serial-w", 3_000, consent=None))
    lake.run(CUSTOMERS)
    versions = {table: lake.snapshots(table) for table in TARGETS}
    removed = maintain(lake, later(days=-1))
    assert {table: lake.snapshots(table) for table in TARGETS} == versions
    assert set(removed.values()) == {Removed()}


def test_a_file_that_no_version_knows_goes_once_it_is_old(lake):
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    maintain(lake, later())
    (known,) = [path for path in files_of(lake, "customer_trusted") if path.suffix == ".parquet"]
    forgotten, fresh = known.with_name("forgotten.parquet"), known.with_name("fresh.parquet")
    for path, hours in ((forgotten, 25), (fresh, 23)):
        path.write_bytes(known.read_bytes())
        os.utime(path, (time.time() - hours * 3600,) * 2)
    removed = maintain(lake, later())
    assert removed.pop("customer_trusted") == Removed(orphan_files=1)
    assert set(removed.values()) == {Removed()}
    assert (forgotten.exists(), fresh.exists(), known.exists()) == (False, True, True)


def test_a_file_that_no_version_knows_stays_for_as_long_as_versions_do(lake, monkeypatch):
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    (known,) = [path for path in files_of(lake, "customer_trusted") if path.suffix == ".parquet"]
    forgotten, fresh = known.with_name("forgotten.parquet"), known.with_name("fresh.parquet")
    in_ten_days = time.time() + 10 * 24 * 3600
    for path, days in ((forgotten, 8), (fresh, 6)):
        path.write_bytes(known.read_bytes())
        os.utime(path, (in_ten_days - days * 24 * 3600,) * 2)
    monkeypatch.setattr(maintenance, "time", SimpleNamespace(time=lambda: in_ten_days))
    assert maintain(lake, int(in_ten_days * 1000) - 7 * DAY)["customer_trusted"].orphan_files == 1
    assert (forgotten.exists(), fresh.exists(), known.exists()) == (False, True, True)


def test_what_a_run_at_work_has_written_stays(lake):
    """A draft's files are known; those that are on their way to it are young."""
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    contract = contracts.load("customer_trusted")
    with lake.tables.draft(contract) as draft:
        loaded, head = draft.head()
        files = [task.file for task in tables.files(loaded, head)]
        draft.commit([], files)
        draft.commit(files)
        assert maintain(lake, later(days=-1))["customer_trusted"] == Removed()
        assert maintain(lake, 0)["customer_trusted"] == Removed()
        draft.publish()
    assert len(lake.rows("customer_trusted")) == 2


def test_a_table_with_files_outside_of_the_lake_is_refused(lake):
    """Whatever a table says, nothing is removed there: not in a folder beside the lake either whose name begins like its own."""
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    outside = Path(f"{lake.folder}-other")
    outside.mkdir()
    with lake.load("customer_trusted").transaction() as change:
        change.set_properties({"write.data.path": f"file://{outside}"})
    lake.deliver("customer", customer(WITHDRAWN, "serial-v", 2_000))
    lake.run(CUSTOMERS)
    lake.deliver("customer", customer(WITHDRAWN, "serial-v", 3_000, consent=None))
    lake.run(CUSTOMERS)
    there = sorted(outside.iterdir())
    with pytest.raises(LakehouseError, match="a table has files outside of the lake: nothing of it was removed"):
        maintain(lake, later())
    assert sorted(outside.iterdir()) == there
    assert len(there) > 0


def test_a_draft_of_a_dead_run_goes_and_one_that_has_just_begun_stays(lake):
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    contract = contracts.load("customer_trusted")
    dead = tables.Draft(lake.tables, contract)
    loaded, head = dead.head()
    dead.commit([], [task.file for task in tables.files(loaded, head)])
    begun = tables.Draft(lake.tables, contract)
    assert maintain(lake, later())["customer_trusted"].drafts == 1
    assert sorted(lake.load("customer_trusted").refs()) == sorted(["main", begun.branch])


# --- what others do, and the other engine ---


def in_draft(lake, table):
    """Rows as the lake's engine reads them."""
    desk = Desk(lake.engine, lake.folder)
    try:
        loaded = lake.load(table)
        return desk.fetched(desk.engine.table(loaded, loaded.current_snapshot()))
    finally:
        desk.engine.close()


@both_engines
def test_what_was_deleted_by_hand_is_in_no_file_either(lake):
    """As Athena deletes: the row is noted as gone, and its data file stays, also in the newest version."""
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    others.delete(lake, "customer_trusted", email=WITHDRAWN)
    assert any(place.startswith("customer_trusted") for place in files_that_hold(lake, WITHDRAWN))
    assert [row.email for row in in_draft(lake, "customer_trusted")] == [OTHER]
    assert lake.tables.rows("customer_trusted") == 1
    maintain(lake, later())
    assert [place for place in files_that_hold(lake, WITHDRAWN) if place.startswith("customer_trusted")] == []
    assert [row[1] for row in lake.rows("customer_trusted")] == [OTHER]
    assert not tables.has_delete_files(lake.load("customer_trusted").current_snapshot())
    assert lake.tables.rows("customer_trusted") == 1


@both_engines
def test_what_was_deleted_by_hand_comes_again_with_the_next_run(lake):
    """The rules say who is in a table. Other rows of the file that holds it change as ever."""
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    before = lake.rows("customer_trusted")
    others.delete(lake, "customer_trusted", email=WITHDRAWN)
    lake.deliver("customer", customer(OTHER, "serial-p", 2_000))
    entry = lake.run(CUSTOMERS)["customer_trusted"]
    assert (entry.mode, entry.inserted, entry.updated, entry.removed, entry.total) == ("full", 1, 1, 0, 2)
    rows = lake.rows("customer_trusted")
    assert [row[1:5] for row in rows if row[1] == OTHER] == [(OTHER, "phone-serial-p", "1990-01-01", "serial-p")]
    assert [row for row in rows if row[1] == WITHDRAWN] == [row for row in before if row[1] == WITHDRAWN]
    # Spark leaves it to maintenance to take out what says of the old file that a row of it is gone.
    maintain(lake, later())
    assert not tables.has_delete_files(lake.load("customer_trusted").current_snapshot())
    assert lake.rows("customer_trusted") == rows


def test_what_spark_deletes_by_hand_is_gone_as_well(spark, lake):
    """With merge-on-read, which Athena writes as well."""
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    name = lake.tables.full_name("customer_trusted")
    session = Desk(SPARK, lake.folder).engine._spark
    session.sql(f"alter table {name} set tblproperties ('write.delete.mode' = 'merge-on-read')")
    session.sql(f"delete from {name} where email = '{WITHDRAWN}'")
    assert tables.has_delete_files(lake.load("customer_trusted").current_snapshot())
    assert [row.email for row in in_draft(lake, "customer_trusted")] == [OTHER]
    maintain(lake, later())
    assert [place for place in files_that_hold(lake, WITHDRAWN) if place.startswith("customer_trusted")] == []
    assert [row[1] for row in lake.rows("customer_trusted")] == [OTHER]


@pytest.mark.parametrize(("one", "other"), [(DUCKDB, SPARK), (SPARK, DUCKDB)])
def test_an_engine_maintains_what_the_other_one_wrote_and_goes_on_from_there(spark, lake, one, other):
    deliver_two_people(lake)
    lake.run(CUSTOMERS, READINGS, engine=one)
    lake.deliver("customer", customer(WITHDRAWN, "serial-w", 3_000, consent=None), "no json")
    lake.run(CUSTOMERS, READINGS, engine=one, quarantined_share=1.0)
    others.delete(lake, "accelerometer_trusted", timestamp=T + 2_003)
    before = {table: lake.rows(table) for table in TARGETS}
    removed = maintain(lake, later(), later(), engine=other)
    assert removed["customer_quarantine"].rows == 1
    for text in (WITHDRAWN, "serial-w"):
        assert files_that_hold(lake, text) == []
    assert {table: lake.rows(table) for table in TARGETS} == before
    assert len(before["accelerometer_trusted"]) == 9
    lake.deliver("accelerometer", sample(OTHER, 2_500))
    entries = lake.run(CUSTOMERS, READINGS, engine=other)
    assert [entry.mode for entry in entries.values()] == ["unchanged", "full"]
    assert entries["accelerometer_trusted"].inserted == 2


def test_rows_in_quarantine_go_after_their_time(lake):
    deliver_two_people(lake)
    lake.deliver("customer", "no json", '{"email": "planted')
    lake.run(CUSTOMERS, quarantined_share=1.0)
    assert len(lake.rows("customer_quarantine")) == 2
    assert maintain(lake, 0, later(days=-1))["customer_quarantine"].rows == 0
    assert len(lake.rows("customer_quarantine")) == 2
    removed = maintain(lake, later(), later())
    assert removed["customer_quarantine"].rows == 2
    assert lake.rows("customer_quarantine") == []
    # Their files are gone as well.
    assert [path for path in files_of(lake, "customer_quarantine") if path.suffix == ".parquet"] == []


def test_every_iceberg_table_is_maintained(lake):
    removed = maintain(lake, 0, 0)
    assert sorted(removed) == sorted(c.table for c in contracts.load_all() if c.format == "iceberg")
    assert set(removed.values()) == {Removed()}


# --- the process ---

PLACE = ["--lake_uri", "file:///lake", "--database", "d"]


def test_arguments():
    given = [*PLACE, "--snapshot_days", "7", "--quarantine_days", "30"]
    assert parse([*given, "--full_refresh", "false", "--JOB_RUN_ID", "jr_1"]) == Options("file:///lake", "d", 7, 30)
    more = ["--region", "eu-west-1", "--engine", "spark", "--spark_from_gib", "2"]
    assert parse([*given, *more]) == Options("file:///lake", "d", 7, 30, "eu-west-1", "spark", 2.0)


@pytest.mark.parametrize("days", ["0", "-1", "soon"])
def test_bad_arguments_are_named(days):
    with pytest.raises(LakehouseError, match="--snapshot_days"):
        parse([*PLACE, "--snapshot_days", days, "--quarantine_days", "30"])


def test_the_process_prints_what_was_removed_as_one_line(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(maintenance, "maintain", lambda *given: asked.append(given) or {"customer_trusted": Removed(3, 1)})
    maintenance.main([*PLACE, "--snapshot_days", "7", "--quarantine_days", "30"])
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["removed"]["customer_trusted"] == {"expired_files": 3, "orphan_files": 1, "rows": 0, "drafts": 0}
    ((options, snapshots_before, quarantined_before),) = asked
    assert options == Options("file:///lake", "d", 7, 30)
    assert snapshots_before - quarantined_before == 23 * DAY
    assert abs(time.time() * 1000 - 7 * DAY - snapshots_before) < 60_000


def test_script_ends_with_status_1_and_one_line_on_a_known_error():
    script = SCRIPTS / "jobs" / "table_maintenance.py"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    result = subprocess.run([sys.executable, script, *PLACE], env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("table_maintenance: the following arguments are required: --snapshot_days")
