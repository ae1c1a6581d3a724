"""Iceberg tables: names, versions, drafts, and bringing a table in line with its contract before a job writes to it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pyspark.errors import AnalysisException, IllegalArgumentException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.contracts import Column, Contract
from lakehouse.errors import LakehouseError, condition, java_class

CATALOG = "glue_catalog"
TARGET_FILE_BYTES = 128 * 1024 * 1024
# Iceberg makes no smaller parts of a table to read at once.
SPLIT_BYTES = 16 * 1024 * 1024
NEVER_WRITTEN = "none"
MAIN, _DRAFT = "main", "run_"
_COMMIT_ATTEMPTS = 4

# Copy-on-write: readers (Athena) meet no delete files, and a row removed for want of consent is in no current file.
PROPERTIES = {
    "write.delete.mode": "copy-on-write",
    "write.update.mode": "copy-on-write",
    "write.merge.mode": "copy-on-write",
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(TARGET_FILE_BYTES),
    # Rows are ordered within a data file; to order them over all files Iceberg would read and shuffle them once more.
    "write.distribution-mode": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}
FORMAT_VERSION = 2


@dataclass(frozen=True)
class TableState:
    """What the catalog says of a table. `sort` names the columns that rows in data files are ordered by."""

    name: str
    schema: StructType
    properties: dict[str, str]
    sort: tuple[str, ...] = ()


def full_name(database: str, table: str) -> str:
    return f"{CATALOG}.{database}.{table}"


def read(spark: SparkSession, name: str) -> DataFrame:
    with _table_exists(name):
        return spark.table(name)


def iceberg(spark: SparkSession, name: str) -> Any:
    """Iceberg's own object of the table, in Java."""
    with _table_exists(name):
        table = spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, name)
    table.refresh()
    return table


@contextmanager
def _table_exists(name: str) -> Iterator[None]:
    try:
        yield
    except AnalysisException as error:
        if condition(error) in ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND") or "NoSuchTable" in str(type(error)):
            raise LakehouseError(f"table {name} does not exist: deploy the catalog stack first") from error
        raise


def version(spark: SparkSession, name: str) -> str:
    """Id of the table's current snapshot, `none` for a table that was never written."""
    return _id(iceberg(spark, name).currentSnapshot())


def _id(snapshot: Any) -> str:
    return NEVER_WRITTEN if snapshot is None else str(snapshot.snapshotId())


def rows(spark: SparkSession, name: str) -> int:
    """Rows of the table."""
    return _count(iceberg(spark, name).currentSnapshot(), lambda: read(spark, name))


def _count(snapshot: Any, rows: Callable[[], DataFrame]) -> int:
    """Rows of a snapshot, as it says itself. With delete files, which only others write, it says too many: they are counted."""
    if snapshot is None:
        return 0
    said = snapshot.summary().get("total-records")
    return rows().count() if said is None or has_delete_files(snapshot) else int(said)


def has_delete_files(snapshot: Any) -> bool:
    """Whether rows of a version are gone though they are in its data files."""
    return snapshot is not None and snapshot.summary().get("total-delete-files") not in (None, "0")


def oldest(spark: SparkSession, name: str) -> int | None:
    """Time of the oldest version that there still is, ms since epoch; None for a table that was never written."""
    return min((snapshot.timestampMillis() for snapshot in iceberg(spark, name).snapshots()), default=None)


def holds(spark: SparkSession, name: str, wanted: str) -> bool:
    """True when the table's rows are those of the version `wanted`: since then its files were rearranged at most."""
    table = iceberg(spark, name)
    snapshot = table.currentSnapshot()
    while snapshot is not None and str(snapshot.snapshotId()) != wanted and snapshot.operation() == "replace":
        parent = snapshot.parentId()
        snapshot = None if parent is None else table.snapshot(parent)
    return wanted == _id(snapshot)


def as_of(spark: SparkSession, name: str, wanted: str) -> DataFrame | None:
    """The table as it was at a version, with the columns that it has now; None when that version has expired."""
    present = read(spark, name)
    if wanted == NEVER_WRITTEN:
        return present.limit(0)
    if iceberg(spark, name).snapshot(_long(spark, wanted)) is None:
        return None
    then = spark.read.option("versionAsOf", wanted).table(name)
    missing = {field.name: F.lit(None).cast(field.dataType) for field in present.schema if field.name not in then.columns}
    return then.withColumns(missing).select(*present.columns)


def _long(spark: SparkSession, number: str) -> Any:
    # A small number would become a Java Integer, which no method here takes.
    return spark._jvm.java.lang.Long.valueOf(number)


class Draft:
    """A branch of a table on which a run prepares its next version. Readers see it once it is published, and never half.

    `version`: of the table that the draft began with; once published, its own.
    Publishing moves `main` to the branch, in one commit, and fails when another run has moved `main` in between.
    """

    def __init__(self, spark: SparkSession, table: str) -> None:
        self._spark, self.table = spark, table
        self.branch = f"{_DRAFT}{uuid.uuid4().hex}"
        loaded = iceberg(spark, table)
        current = loaded.currentSnapshot()
        self.version = _id(current)
        self.rows_before = _count(current, lambda: read(spark, table))
        self.was_empty = self.rows_before == 0
        change = loaded.manageSnapshots()
        if current is None:
            change.createBranch(self.branch)
        else:
            change.createBranch(self.branch, current.snapshotId())
        try:
            change.commit()
        except Exception as error:
            if is_conflict(error):
                raise conflict(table) from error
            raise

    @property
    def name(self) -> str:
        """What to read from and write to."""
        return f"{self.table}.branch_{self.branch}"

    def rows(self) -> DataFrame:
        # A task for each file, however small: what a draft holds is read while nothing else is to do.
        return self._spark.read.option("file-open-cost", SPLIT_BYTES).table(self.name)

    def rows_now(self) -> int:
        """Rows of the branch."""
        head = iceberg(self._spark, self.table).snapshot(self.branch)
        if head is None:
            raise conflict(self.table)
        return _count(head, self.rows)

    def publish(self) -> None:
        """Makes the draft the table's current version, and removes the drafts that runs before left behind."""
        for attempt in range(_COMMIT_ATTEMPTS):
            loaded = iceberg(self._spark, self.table)
            head, current = loaded.snapshot(self.branch), loaded.currentSnapshot()
            # Fast-forwarding alone would not do: a write to a branch that another run has removed makes it anew, from `main`.
            if head is None or _id(current) != self.version:
                raise conflict(self.table)
            change = loaded.manageSnapshots().fastForwardBranch(MAIN, self.branch)
            for name in [str(ref) for ref in loaded.refs().keySet()]:
                if name.startswith(_DRAFT):
                    change = change.removeBranch(name)
            try:
                change.commit()
                self.version = str(head.snapshotId())
                return
            except Exception as error:
                # Somebody else changed something about the table; whether it was `main` is seen when trying again.
                if not java_class(error).endswith("CommitFailedException") or attempt == _COMMIT_ATTEMPTS - 1:
                    raise

    def follow(self) -> None:
        """Takes for its version the one that the table has after its files were rearranged: it stays when older ones expire."""
        if holds(self._spark, self.table, self.version):
            self.version = version(self._spark, self.table)

    def outdated(self) -> bool:
        """True when `main` is no longer what the draft began with, or what it published."""
        return version(self._spark, self.table) != self.version

    def discard(self) -> None:
        loaded = iceberg(self._spark, self.table)
        if self.branch in [str(ref) for ref in loaded.refs().keySet()]:
            loaded.manageSnapshots().removeBranch(self.branch).commit()


def drop_drafts(spark: SparkSession, table: str, before: int) -> int:
    """Removes drafts of dead runs whose last version is older (ms since epoch), and says how many.

    A draft that equals `main` stays: it may belong to a run that has just begun.
    """
    loaded = iceberg(spark, table)
    # None where nothing was ever published: a draft of an empty table has a version of its own.
    current = loaded.currentSnapshot()
    published = None if current is None else current.snapshotId()
    change, dropped = loaded.manageSnapshots(), 0
    for name, ref in dict(loaded.refs()).items():
        head = loaded.snapshot(ref.snapshotId())
        if str(name).startswith(_DRAFT) and head.timestampMillis() < before and head.snapshotId() != published:
            change, dropped = change.removeBranch(name), dropped + 1
    if dropped:
        change.commit()
    return dropped


@contextmanager
def draft(spark: SparkSession, table: str) -> Iterator[Draft]:
    """A draft that is gone afterwards, published or not."""
    made = Draft(spark, table)
    try:
        yield made
    except Exception as error:
        # Whatever went wrong: when another run was ahead, that is why.
        if is_conflict(error) or made.outdated():
            raise conflict(table) from error
        raise
    finally:
        # An error of the work itself matters more; the next publication removes what is left.
        with suppress(Exception):
            made.discard()


def is_conflict(error: BaseException) -> bool:
    """True for Iceberg's errors about a commit that another one was ahead of."""
    kind = java_class(error)
    if isinstance(error, IllegalArgumentException):
        return bool(re.search("fast-forward|(branch|ref) does not exist", str(error), re.IGNORECASE))
    return kind.endswith(("CommitFailedException", "ValidationException", "AlreadyExistsException"))


def conflict(table: str) -> LakehouseError:
    """Two runs at once, or somebody who writes by hand."""
    return LakehouseError(
        f"table {table}: another run has written to it meanwhile, so this one published nothing; "
        "run the job again when no other is running"
    )


def state(spark: SparkSession, name: str) -> TableState:
    loaded = iceberg(spark, name)
    properties = {str(key): str(value) for key, value in dict(loaded.properties()).items()}
    properties["format-version"] = str(loaded.operations().current().formatVersion())
    sort = tuple(str(loaded.schema().findColumnName(field.sourceId())) for field in loaded.sortOrder().fields())
    return TableState(name, read(spark, name).schema, properties, sort)


def reconcile(spark: SparkSession, name: str, contract: Contract) -> TableState:
    """The table's state after adding the contract's new columns, setting the properties writers rely on, and describing columns.

    Fails when the table has a column the contract does not know, or one of another type. Changes only what differs.
    """
    before = state(spark, name)
    statements = alterations(before, contract)
    for statement in statements:
        spark.sql(statement)
    described = descriptions(before, contract)
    if described:
        _describe(spark, name, described)
    return state(spark, name) if statements or described else before


def _describe(spark: SparkSession, name: str, described: dict[str, str]) -> None:
    change = iceberg(spark, name).updateSchema()
    for column, text in described.items():
        change = change.updateColumnDoc(column, text)
    try:
        change.commit()
    except Exception as error:
        # Another run is ahead, and says the same of the columns. Whether it has also written rows is seen on publication.
        if not is_conflict(error):
            raise


def descriptions(table: TableState, contract: Contract) -> dict[str, str]:
    """What is to be said anew of columns that the table has: its template says nothing (catalogtable.go)."""
    said = {field.name: field.metadata.get("comment", "") for field in table.schema}
    return {c.name: c.description for c in contract.columns if said.get(c.name, c.description) != c.description}


def alterations(table: TableState, contract: Contract) -> list[str]:
    """The ALTER statements that bring a table in line with its contract."""
    _check_types(table, contract)
    present = set(table.schema.names)
    missing = [column for column in contract.columns if column.name not in present]
    wanted = {**PROPERTIES, **_no_bounds(contract)}
    differing = {key: value for key, value in wanted.items() if table.properties.get(key) != value}
    if int(table.properties.get("format-version", "1")) < FORMAT_VERSION:
        differing["format-version"] = str(FORMAT_VERSION)
    statements = []
    if missing:
        statements.append(f"alter table {table.name} add columns ({', '.join(map(_definition, missing))})")
    if differing:
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in sorted(differing.items()))
        statements.append(f"alter table {table.name} set tblproperties ({pairs})")
    if contract.sort and table.sort != contract.sort:
        statements.append(f"alter table {table.name} write locally ordered by {', '.join(f'`{name}`' for name in contract.sort)}")
    return statements


def _check_types(table: TableState, contract: Contract) -> None:
    columns = {column.name: column for column in contract.columns}
    for field in table.schema:
        column = columns.get(field.name)
        if column is None:
            raise LakehouseError(f"table {table.name}: column {field.name} is not in the contract of {contract.table}")
        if field.dataType != column.spark_type:
            raise LakehouseError(
                f"table {table.name}: column {field.name} has type {field.dataType.simpleString()}, "
                f"the contract says {column.type}"
            )


def _no_bounds(contract: Contract) -> dict[str, str]:
    """No column statistics for personal columns: bounds in manifests would keep a prefix of the values."""
    return {f"write.metadata.metrics.column.{column.name}": "none" for column in contract.columns if column.personal}


def _definition(column: Column) -> str:
    comment = column.description.replace("\\", "\\\\").replace("'", "\\'")
    return f"`{column.name}` {column.type} comment '{comment}'"


def near(rows: DataFrame, others: DataFrame, contract: Contract) -> DataFrame:
    """Those rows of a table that may have the key of one of the others, by the times in it.

    Iceberg reads no data file whose bounds lie outside: to look for what has just arrived, nothing older is read. The others are
    asked for their times in a query of its own: keep them at hand.
    """
    times = [column.name for column in contract.columns if column.name in contract.key and column.is_time]
    if not times:
        return rows
    bounds = others.agg(*(bound(name).alias(f"{bound.__name__}_{name}") for name in times for bound in (F.min, F.max))).first()
    for name in times:
        rows = rows.where(F.col(name).between(bounds[f"min_{name}"], bounds[f"max_{name}"]))
    return rows


def files_since(spark: SparkSession, name: str, before: str) -> tuple[dict[str, int], dict[str, int]] | None:
    """Data files that the table has and had not at a version, and those that it had and has not any more: rows by path.

    None when the table does not come from that version, when a version in between has expired, or when somebody has deleted rows
    without taking them out of their files.
    """
    table = iceberg(spark, name)
    snapshot, later = table.currentSnapshot(), []
    while _id(snapshot) != before:
        if snapshot is None or has_delete_files(snapshot):
            return None
        later.append(snapshot)
        parent = snapshot.parentId()
        snapshot = None if parent is None else table.snapshot(parent)
        if snapshot is None and parent is not None:
            return None
    if has_delete_files(snapshot):
        return None
    came: dict[str, int] = {}
    gone: dict[str, int] = {}
    for one in reversed(later):
        for file in one.removedDataFiles(table.io()).iterator():
            path = str(file.location())
            if came.pop(path, None) is None:
                gone[path] = file.recordCount()
        came |= {str(file.location()): file.recordCount() for file in one.addedDataFiles(table.io()).iterator()}
    return came, gone
