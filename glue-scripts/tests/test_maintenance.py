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


def test_a_version_whose_files_were_put_together_is_known_again(lake, monkeypatch):
    monkeypatch.setattr(publish, "MOST_FILES", 2)
    compact = publish.compact
    monkeypatch.setattr(publish, "compact", lambda spark, table, contract, *most_files: compact(spark, table, contract, 1))
    deliver_two_people(lake)
    lake.run()
    lake.deliver("accelerometer", sample(OTHER, 2_500))
    lake.run()
    assert tables.iceberg(lake.spark, lake.name("accelerometer_trusted")).currentSnapshot().operation() == "replace"
    maintain(lake, later())
    assert {entry.mode for entry in lake.run().values()} == {"unchanged"}


def test_versions_that_are_young_enough_stay(lake):
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    lake.deliver("customer", customer(WITHDRAWN, "serial-w", 3_000, consent=None))
    lake.run(CUSTOMERS)
    versions = {table: lake.snapshots(table) for table in TARGETS}
    removed = maintain(lake, later(days=-1))
    assert {table: lake.snapshots(table) for table in TARGETS} == versions
    assert set(removed.values()) == {Removed()}


def test_a_file_that_no_version_knows_goes_once_it_is_old(lake, monkeypatch):
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    (known, *_) = [path for path in files_of(lake, "customer_trusted") if path.suffix == ".parquet"]
    forgotten, fresh = known.with_name("forgotten.parquet"), known.with_name("fresh.parquet")
    for path in (forgotten, fresh):
        path.write_bytes(known.read_bytes())
    long_ago = time.time() - 3 * 24 * 60 * 60
    os.utime(forgotten, (long_ago, long_ago))
    # The table's only version is of this moment; Iceberg itself asks for a day at least, so the time is said to have come.
    monkeypatch.setattr(tables, "oldest", lambda spark, name: int(long_ago * 1000))
    removed = maintain(lake, later(days=-2), 0)
    assert removed["customer_trusted"] == Removed(orphan_files=1)
    assert (forgotten.exists(), fresh.exists(), known.exists()) == (False, True, True)


def test_a_draft_of_a_dead_run_goes_and_one_that_has_just_begun_stays(lake):
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    name = lake.name("customer_trusted")
    dead = tables.Draft(lake.spark, name)
    lake.spark.sql(f"delete from {dead.name} where email = '{OTHER}'")
    begun = tables.Draft(lake.spark, name)
    assert maintain(lake, later())["customer_trusted"].drafts == 1
    left = [row.name for row in lake.spark.table(f"{name}.refs").collect()]
    assert sorted(left) == sorted(["main", begun.branch])


def test_what_was_deleted_by_hand_is_in_no_file_either(lake):
    """As Athena deletes: the row is noted as gone, and its data file stays, also in the newest version."""
    deliver_two_people(lake)
    lake.run(CUSTOMERS)
    name = lake.name("customer_trusted")
    lake.spark.sql(f"alter table {name} set tblproperties ('write.delete.mode' = 'merge-on-read')")
    lake.spark.sql(f"delete from {name} where email = '{WITHDRAWN}'")
    assert any(place.startswith("customer_trusted") for place in files_that_hold(lake, WITHDRAWN))
    maintain(lake, later())
    left = files_that_hold(lake, WITHDRAWN)
    assert [place for place in left if place.startswith("customer_trusted")] == []
    assert [row[1] for row in lake.rows("customer_trusted")] == [OTHER]
    assert tables.rows(lake.spark, name) == 1


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
    assert sorted(removed) == sorted(c.table for c in contracts.load_all() if c.zone != "landing" and c.table != "intake_ledger")


# --- the process ---


def test_arguments():
    given = ["--database", "d", "--snapshot_days", "7", "--quarantine_days", "30"]
    assert parse([*given, "--full-refresh", "false", "--JOB_RUN_ID", "jr_1"]) == maintenance.Options("d", 7, 30)


@pytest.mark.parametrize("days", ["0", "-1", "soon"])
def test_bad_arguments_are_named(days):
    with pytest.raises(LakehouseError, match="--snapshot_days"):
        parse(["--database", "d", "--snapshot_days", days, "--quarantine_days", "30"])


def test_the_process_prints_what_was_removed_as_one_line(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(session, "start", lambda name: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(maintenance, "maintain", lambda *given: asked.append(given) or {"customer_trusted": Removed(3, 1)})
    maintenance.main(["--database", "d", "--snapshot_days", "7", "--quarantine_days", "30"])
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["removed"]["customer_trusted"] == {"expired_files": 3, "orphan_files": 1, "rows": 0, "drafts": 0}
    ((_, database, snapshots_before, quarantined_before),) = asked
    assert database == "d"
    assert snapshots_before - quarantined_before == 23 * DAY
    assert abs(time.time() * 1000 - 7 * DAY - snapshots_before) < 60_000


def test_script_ends_with_status_1_and_one_line_on_a_known_error():
    script = SCRIPTS / "jobs" / "table_maintenance.py"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    result = subprocess.run([sys.executable, script, "--database", "d"], env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("table_maintenance: the following arguments are required: --snapshot_days")
