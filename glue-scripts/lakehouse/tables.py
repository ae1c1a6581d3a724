"""Iceberg tables: names, versions, drafts, and bringing a table in line with its contract before a job writes to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pyspark.errors import AnalysisException, IllegalArgumentException
from pyspark.sql import DataFrame, SparkSession
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
    """Rows of the table, from its metadata: there are no delete files."""
    snapshot = iceberg(spark, name).currentSnapshot()
    return 0 if snapshot is None else int(snapshot.summary()["total-records"])


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
    """The table as it was at a version; None when that version has expired."""
    if wanted == NEVER_WRITTEN:
        return read(spark, name).limit(0)
    if iceberg(spark, name).snapshot(_long(spark, wanted)) is None:
        return None
    return spark.read.option("versionAsOf", wanted).table(name)


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
        self.was_empty = current is None or current.summary().get("total-records") == "0"
        self.rows_before = 0 if self.was_empty else int(current.summary()["total-records"])
        change = loaded.manageSnapshots()
        if current is None:
            change.createBranch(self.branch)
        else:
            change.createBranch(self.branch, current.snapshotId())
        try:
            change.commit()
        except Exception as error:
            raise _conflict(table) from error

    @property
    def name(self) -> str:
        """What to read from and write to."""
        return f"{self.table}.branch_{self.branch}"

    def rows(self) -> DataFrame:
        # A task for each file, however small: what a draft holds is read while nothing else is to do.
        return self._spark.read.option("file-open-cost", SPLIT_BYTES).table(self.name)

    def rows_now(self) -> int:
        """Rows of the branch, from its metadata: there are no delete files."""
        head = iceberg(self._spark, self.table).snapshot(self.branch)
        if head is None:
            raise _conflict(self.table)
        return int(head.summary()["total-records"])

    def publish(self) -> None:
        """Makes the draft the table's current version, and removes the drafts that runs before left behind."""
        for attempt in range(_COMMIT_ATTEMPTS):
            loaded = iceberg(self._spark, self.table)
            head, current = loaded.snapshot(self.branch), loaded.currentSnapshot()
            # Fast-forwarding alone would not do: a write to a branch that another run has removed makes it anew, from `main`.
            if head is None or _id(current) != self.version:
                raise _conflict(self.table)
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
    current = loaded.currentSnapshot()
    change, dropped = loaded.manageSnapshots(), 0
    for name, ref in dict(loaded.refs()).items():
        head = loaded.snapshot(ref.snapshotId())
        if str(name).startswith(_DRAFT) and head.timestampMillis() < before and head.snapshotId() != current.snapshotId():
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
            raise _conflict(table) from error
        raise
    finally:
        # An error of the work itself matters more; the next publication removes what is left.
        with suppress(Exception):
            made.discard()


def is_conflict(error: BaseException) -> bool:
    """True for Iceberg's errors about a commit that another one was ahead of."""
    kind = java_class(error)
    if isinstance(error, IllegalArgumentException):
        return "fast-forward" in str(error) or "does not exist" in str(error)
    return kind.endswith(("CommitFailedException", "ValidationException", "AlreadyExistsException"))


def _conflict(table: str) -> LakehouseError:
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
    """The table's state after adding the contract's new columns and setting the properties writers rely on.

    Fails when the table has a column the contract does not know, or one of another type. Changes only what differs.
    """
    before = state(spark, name)
    statements = alterations(before, contract)
    for statement in statements:
        spark.sql(statement)
    return state(spark, name) if statements else before


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


def files_since(spark: SparkSession, name: str, before: str) -> tuple[dict[str, int], dict[str, int]] | None:
    """Data files that the table has and had not at a version, and those that it had and has not any more: rows by path.

    None when the table does not come from that version, or when a version in between has expired.
    """
    table = iceberg(spark, name)
    snapshot, later = table.currentSnapshot(), []
    while _id(snapshot) != before:
        if snapshot is None:
            return None
        later.append(snapshot)
        parent = snapshot.parentId()
        snapshot = None if parent is None else table.snapshot(parent)
        if snapshot is None and parent is not None:
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
