"""Takes out of the lake for good what is no longer current: old versions of tables with their files, files that no version knows,
and rows that were in quarantine for long enough."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from lakehouse import contracts, job, tables
from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError

NAME = "table_maintenance"
DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Options:
    database: str
    snapshot_days: int
    quarantine_days: int


@dataclass(frozen=True)
class Removed:
    """What went for good: data, manifest and metadata files; rows of a quarantine; drafts that dead runs left behind."""

    expired_files: int = 0
    orphan_files: int = 0
    rows: int = 0
    drafts: int = 0


def main(argv: Sequence[str] | None = None) -> None:
    """Runs maintenance as a process: prints what it removed as a line of JSON."""
    job.process(NAME, parse, _report, argv)


def parse(argv: Sequence[str]) -> Options:
    """The job's own arguments; those that Glue adds for itself are ignored."""
    given = job.Arguments(allow_abbrev=False, add_help=False)
    given.add_argument("--database", required=True)
    given.add_argument("--snapshot_days", required=True, type=_days)
    given.add_argument("--quarantine_days", required=True, type=_days)
    values, _ = given.parse_known_args(argv)
    return Options(values.database, values.snapshot_days, values.quarantine_days)


def _days(text: str) -> int:
    if (days := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return days


def _report(spark: SparkSession, options: Options) -> None:
    now = int(time.time() * 1000)
    removed = maintain(spark, options.database, now - options.snapshot_days * DAY_MS, now - options.quarantine_days * DAY_MS)
    print(json.dumps({"job": NAME, "removed": {table: asdict(what) for table, what in removed.items()}}), flush=True)


def maintain(spark: SparkSession, database: str, snapshots_before: int, quarantined_before: int) -> dict[str, Removed]:
    """Maintains every Iceberg table. Times in ms since epoch: what is older goes, but never a table's current version."""
    return {
        contract.table: _maintain(spark, database, contract, snapshots_before, quarantined_before)
        for contract in contracts.load_all()
        if contract.format == "iceberg"
    }


def _maintain(spark: SparkSession, database: str, contract: Contract, snapshots_before: int, quarantined_before: int) -> Removed:
    name = tables.full_name(database, contract.table)
    rows = _forget(spark, name, quarantined_before) if contract.zone == "quarantine" else 0
    _take_out_deleted_rows(spark, name)
    oldest = tables.oldest(spark, name)
    if oldest is None or oldest >= snapshots_before:
        # Nothing of the table is old enough. Asking Iceberg takes seconds, also for that answer.
        return Removed(rows=rows)
    drafts = tables.drop_drafts(spark, name, snapshots_before)
    catalog, _, table = name.partition(".")
    old = _timestamp(snapshots_before)
    expired = spark.sql(
        f"call {catalog}.system.expire_snapshots(table => '{table}', older_than => {old}, retain_last => 1)"
    ).first()
    # Iceberg refuses to look for younger files: they may belong to a run at work. It lists them by its own access to S3, so that
    # they have the names which the table knows them by.
    forgotten = _timestamp(min(snapshots_before, int(time.time() * 1000) - DAY_MS))
    orphans = spark.sql(
        f"call {catalog}.system.remove_orphan_files(table => '{table}', older_than => {forgotten}, prefix_listing => true)"
    )
    return Removed(sum(number or 0 for number in expired), orphans.count(), rows, drafts)


def _timestamp(moment: int) -> str:
    return f"timestamp '{datetime.fromtimestamp(moment / 1000, UTC).isoformat(sep=' ')}'"


def _forget(spark: SparkSession, name: str, quarantined_before: int) -> int:
    """Deletes rows that were put into a quarantine before that time. They are still in its older versions until those expire."""
    old = f"quarantined_at < {quarantined_before}"
    rows = tables.read(spark, name).where(old).count()
    if rows:
        _write(spark, name, f"delete from {name} where {old}")
    return rows


def _take_out_deleted_rows(spark: SparkSession, name: str) -> None:
    """Athena deletes a row by noting that it is gone: it is still in its data file, of the current version too."""
    if tables.has_delete_files(tables.iceberg(spark, name).currentSnapshot()):
        catalog, _, table = name.partition(".")
        options = "options => map('delete-file-threshold', '1', 'remove-dangling-deletes', 'true')"
        _write(spark, name, f"call {catalog}.system.rewrite_data_files(table => '{table}', {options})")


def _write(spark: SparkSession, name: str, statement: str) -> None:
    try:
        spark.sql(statement).collect()
    except Exception as error:
        if tables.is_conflict(error):
            raise LakehouseError(f"table {name}: a run writes to it; run {NAME} again when no other job runs") from error
        raise
