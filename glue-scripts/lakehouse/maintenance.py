"""Takes out of the lake for good what is no longer current: old versions of tables with their files, files that no version knows,
and rows that were in quarantine for long enough."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table

from lakehouse import contracts, drafts, engines, process, storage, tables
from lakehouse.contracts import Contract
from lakehouse.drafts import OP, Drafts
from lakehouse.engines import Engine
from lakehouse.errors import LakehouseError
from lakehouse.run import GIB
from lakehouse.storage import Store
from lakehouse.tables import Conflict, Tables

NAME = "table_maintenance"
DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Options:
    """`engine`, `spark_from_gib`: see run.Options."""

    lake_uri: str
    database: str
    snapshot_days: int
    quarantine_days: int
    region: str = ""
    engine: str = engines.AUTO
    spark_from_gib: float = 4.0


@dataclass(frozen=True)
class Removed:
    """What went for good: data, manifest and metadata files; rows of a quarantine; drafts that dead runs left behind."""

    expired_files: int = 0
    orphan_files: int = 0
    rows: int = 0
    drafts: int = 0


def main(argv: Sequence[str] | None = None) -> None:
    """Runs maintenance as a process: prints what it removed as a line of JSON."""
    process.process(NAME, parse, _report, argv)


def parse(argv: Sequence[str]) -> Options:
    """The job's own arguments; those that Glue adds for itself are ignored."""
    given = process.arguments()
    given.add_argument("--snapshot_days", required=True, type=_days)
    given.add_argument("--quarantine_days", required=True, type=_days)
    values, _ = process.engine_arguments(given).parse_known_args(argv)
    process.require_place(values)
    return Options(**vars(values))


def _days(text: str) -> int:
    if (days := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return days


def _report(options: Options) -> None:
    now = int(time.time() * 1000)
    removed = maintain(options, now - options.snapshot_days * DAY_MS, now - options.quarantine_days * DAY_MS)
    print(json.dumps({"job": NAME, "removed": {table: asdict(what) for table, what in removed.items()}}), flush=True)


def maintain(options: Options, snapshots_before: int, quarantined_before: int) -> dict[str, Removed]:
    """Maintains every Iceberg table. Times in ms since epoch: what is older goes, but never a table's current version."""
    maintenance = _Maintenance(options, snapshots_before, quarantined_before)
    try:
        return {contract.table: maintenance.of(contract) for contract in contracts.load_all() if contract.format == "iceberg"}
    finally:
        maintenance.close()


class _Maintenance:
    def __init__(self, options: Options, snapshots_before: int, quarantined_before: int) -> None:
        self._options, self._before, self._quarantined_before = options, snapshots_before, quarantined_before
        self._tables = Tables(options.lake_uri, options.database, options.region)
        self._store = storage.open_store(options.lake_uri)
        self._engines: dict[str, Engine] = {}

    def close(self) -> None:
        for engine in self._engines.values():
            engine.close()

    def of(self, contract: Contract) -> Removed:
        table = contract.table
        rows = self._forget(contract) if contract.zone == "quarantine" else 0
        if tables.has_delete_files(self._tables.load(table).current_snapshot()):
            # Athena deletes a row by noting that it is gone: it is still in its data file, of the current version too.
            drafts.rearrange(self._engine(table), self._tables, contract)
            if tables.has_delete_files(self._tables.load(table).current_snapshot()):
                raise self._conflict(table)
        oldest = min((one.timestamp_ms for one in self._tables.load(table).snapshots()), default=None)
        if oldest is None or oldest >= self._before:
            return Removed(rows=rows)  # nothing of the table is old enough
        dropped = self._tables.retried(table, self._drop_drafts)
        expired = self._expire(table)
        return Removed(expired, self._remove_orphans(table), rows, dropped)

    def _engine(self, table: str) -> Engine:
        """The engine for a table of its size."""
        name = self._options.engine
        if name == engines.AUTO:
            large = tables.size(self._tables.load(table)) >= self._options.spark_from_gib * GIB
            name = engines.SPARK if large else engines.DUCKDB
        if name not in self._engines:
            self._engines[name] = engines.start(name, self._options.lake_uri)
        return self._engines[name]

    def _conflict(self, table: str) -> LakehouseError:
        name = self._tables.full_name(table)
        return LakehouseError(f"table {name}: a run writes to it; run {NAME} again when no other job runs")

    def _forget(self, contract: Contract) -> int:
        """Deletes rows that were put into a quarantine long ago. They are still in its older versions until those expire."""
        if not self._tables.rows(contract.table):
            return 0
        engine = self._engine(contract.table)
        try:
            with Drafts(engine, self._tables) as opened:
                old = f"select *, 'delete' as {OP} from present where quarantined_at < {self._quarantined_before}"
                written = opened.change(contract.table, engine.sql(old, present=opened.rows(contract.table)))
                opened.publish(())
                return written.removed
        except Conflict:
            raise self._conflict(contract.table) from None

    def _drop_drafts(self, loaded: Table) -> int:
        """Removes drafts of dead runs whose last version is older, and says how many.

        A draft that equals `main` stays: it may belong to a run that has just begun.
        """
        current = tables.version(loaded.current_snapshot())
        return tables.drop_drafts(loaded, lambda head: head.timestamp_ms < self._before and tables.version(head) != current)

    def _expire(self, table: str) -> int:
        """Removes old versions, and the files that only they know."""
        before = known(self._tables.load(table))

        def expire(loaded: Table) -> None:
            loaded.maintenance.expire_snapshots().older_than(datetime.fromtimestamp(self._before / 1000, UTC)).commit()

        self._tables.retried(table, expire)
        gone = before - known(self._tables.load(table))
        return self._remove(gone)

    def _remove_orphans(self, table: str) -> int:
        """Removes files that no version of the table knows. Younger ones than a day may belong to a run at work."""
        before = min(self._before, int(time.time() * 1000) - DAY_MS)
        loaded = self._tables.load(table)
        place = key_of(self._store, loaded.location()).rstrip("/") + "/"
        old = {one.key for one in self._store.list(place) if one.modified < before}
        # Asked for after the files were listed: what was committed in between is known.
        needed = {key_of(self._store, path) for path in known(self._tables.load(table))}
        orphans = sorted(old - needed)
        self._store.delete(orphans)
        return len(orphans)

    def _remove(self, paths: Iterable[str]) -> int:
        keys = sorted(key_of(self._store, path) for path in paths)
        self._store.delete(keys)
        return len(keys)


def known(table: Table) -> set[str]:
    """All files that versions of a table know, and its metadata."""
    found = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    found |= {one.statistics_path for one in table.metadata.statistics}
    found |= {one.statistics_path for one in table.metadata.partition_statistics}
    manifests: dict[str, ManifestFile] = {}
    for snapshot in table.snapshots():
        found.add(snapshot.manifest_list)
        manifests |= {one.manifest_path: one for one in snapshot.manifests(table.io)}
    for path, manifest in manifests.items():
        found.add(path)
        found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)}
    return found


def key_of(store: Store, path: str) -> str:
    """The key of an object that a table names by its place."""
    root, place = store.uri("").partition(":")[2].lstrip("/"), path.partition(":")[2].lstrip("/")
    if not place.startswith(root):
        raise LakehouseError("a table has files outside of the lake: nothing of it was removed")
    return place[len(root) :]
