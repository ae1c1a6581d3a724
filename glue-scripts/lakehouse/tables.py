"""Iceberg's bookkeeping, for every engine: versions, drafts on branches, publication, and bringing a table in line with its
contract. Rows are read and written by an engine (engines/)."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationException
from pyiceberg.io import OutputFile
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.manifest import DataFile, DataFileContent, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update.snapshot import _FastAppendFiles, _OverwriteFiles
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import BooleanType, DoubleType, IcebergType, IntegerType, LongType, StringType

from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError

CATALOG = "glue_catalog"
TARGET_FILE_BYTES = 128 * 1024 * 1024
# Of readings, about as many as a data file is to hold.
ROWS_PER_FILE = 1_000_000
NEVER_WRITTEN = "none"
MAIN, DRAFT = "main", "run_"
# In the summary of a version that only puts rows into other files; it may say which versions had the same rows.
REARRANGED = "lakehouse.rearranged"
_COMMIT_ATTEMPTS = 6
# Seconds, as boto3 has them. PyArrow waits for one and three.
_PATIENCE = {"s3.connect-timeout": "60", "s3.request-timeout": "60"}
TYPES: dict[str, IcebergType] = {
    "string": StringType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
}

# Copy-on-write: readers (Athena) meet no delete files, and a row removed for want of consent is in no current file.
PROPERTIES = {
    "write.delete.mode": "copy-on-write",
    "write.update.mode": "copy-on-write",
    "write.merge.mode": "copy-on-write",
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(TARGET_FILE_BYTES),
    # Rows are ordered within a data file; to order them over all files Spark would read and shuffle them once more.
    "write.distribution-mode": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}
FORMAT_VERSION = 2
_T = TypeVar("_T")


class _NewFile(PyArrowFile):
    """A file whose name nobody else has: whether it is there already is not asked, which a job may not where it may not list."""

    def create(self, overwrite: bool = False) -> Any:
        return super().create(overwrite=True)


class LakeIO(PyArrowFileIO):
    """PyIceberg's access to a lake's files."""

    def new_output(self, location: str) -> OutputFile:
        file = super().new_output(location)
        return _NewFile(fs=file._filesystem, location=file.location, path=file._path, buffer_size=file._buffer_size)


class Tables:
    """The Iceberg tables of a database: in the Glue catalog, or, of a lake in a local folder, in a catalog beside it.

    `region`: of the Glue catalog and of S3; empty: as the environment says.
    """

    def __init__(self, lake_uri: str, database: str, region: str = "") -> None:
        self.database = database
        self.catalog = _open(lake_uri, region)

    def full_name(self, table: str) -> str:
        return f"{CATALOG}.{self.database}.{table}"

    def load(self, table: str) -> Table:
        """The table as it is now."""
        try:
            return self.catalog.load_table((self.database, table))
        except NoSuchTableError as error:
            raise LakehouseError(f"table {self.full_name(table)} does not exist: deploy the catalog stack first") from error

    def version(self, table: str) -> str:
        """Id of the table's current snapshot, `none` for a table that was never written."""
        return version(self.load(table).current_snapshot())

    def rows(self, table: str) -> int:
        """Rows of the table."""
        loaded = self.load(table)
        return rows(loaded, loaded.current_snapshot())

    def holds(self, table: str, wanted: str) -> bool:
        """True when the table's rows are those of the version `wanted`: since then its files were rearranged at most."""
        return holds(self.load(table), wanted)

    def retried(self, table: str, change: Callable[[Table], _T]) -> _T:
        """Makes a change that other changes of the table's metadata do no harm to."""
        for attempt in range(_COMMIT_ATTEMPTS):
            try:
                return change(_not_by_itself(self.load(table)))
            except (CommitFailedException, ValueError) as error:
                if not was_late(error):
                    raise
                failure = error
            time.sleep(random.uniform(0, 0.1 * 2**attempt))
        raise conflict(self.full_name(table)) from failure

    def reconcile(self, contract: Contract) -> Table:
        """The table after adding the contract's new columns, describing them, and setting the properties that writers rely on.

        Fails when the table has a column the contract does not know, or one of another type. Changes only what differs.
        """
        return self.retried(contract.table, lambda table: _in_line(table, contract, self.full_name(contract.table)))

    @contextmanager
    def draft(self, contract: Contract) -> Iterator[Draft]:
        """A draft that is gone afterwards, published or not."""
        made = Draft(self, contract)
        try:
            yield made
        except Exception as error:
            # Whatever went wrong: when another run was ahead, that is why.
            if is_conflict(error) or made.outdated():
                raise conflict(made.name) from error
            raise
        finally:
            # An error of the work itself matters more; the next publication removes what is left.
            with suppress(Exception):
                made.discard()


def _open(lake_uri: str, region: str) -> Catalog:
    io = {"py-io-impl": f"{LakeIO.__module__}.{LakeIO.__name__}", "warehouse": lake_uri}
    if lake_uri.startswith("file://"):
        # Only here: tests and measurements on folders.
        from pyiceberg.catalog.sql import SqlCatalog

        folder = lake_uri.removeprefix("file://")
        return SqlCatalog(CATALOG, uri=f"sqlite:///{folder}/catalog.db", **io)
    from pyiceberg.catalog.glue import GlueCatalog

    region = region or os.environ.get("AWS_REGION", "")
    given = {"s3.endpoint": os.environ.get("AWS_ENDPOINT_URL_S3"), "s3.region": region, "client.region": region, **_PATIENCE}
    return GlueCatalog(CATALOG, **io, **{key: value for key, value in given.items() if value})


# --- versions ---


def version(snapshot: Snapshot | None) -> str:
    return NEVER_WRITTEN if snapshot is None else str(snapshot.snapshot_id)


def said(snapshot: Snapshot | None, what: str) -> str | None:
    """An entry of a version's summary."""
    return None if snapshot is None or snapshot.summary is None else snapshot.summary.additional_properties.get(what)


def has_delete_files(snapshot: Snapshot | None) -> bool:
    """Whether rows of a version are gone though they are in its data files, which only others than the jobs do."""
    return said(snapshot, "total-delete-files") not in (None, "0")


def rows(table: Table, snapshot: Snapshot | None) -> int:
    """Rows of a version, as it says itself. With delete files it says too many: they are counted."""
    if snapshot is None:
        return 0
    total = said(snapshot, "total-records")
    if total is None or has_delete_files(snapshot):
        return table.scan(snapshot_id=snapshot.snapshot_id).count()
    return int(total)


def size(table: Table) -> int:
    """Bytes of the data files of the current version."""
    return int(said(table.current_snapshot(), "total-files-size") or 0)


def holds(table: Table, wanted: str) -> bool:
    """See Tables.holds."""
    return wanted in _same(table, table.current_snapshot())


def as_of(table: Table, wanted: str) -> Snapshot | None:
    """A version, or one with the same rows where it has expired. Raises KeyError when there is none."""
    if wanted == NEVER_WRITTEN:
        return None
    found = table.snapshot_by_id(int(wanted)) or next((one for one in table.snapshots() if wanted in _same(table, one)), None)
    if found is None:
        raise KeyError(wanted)
    return found


def _same(table: Table, snapshot: Snapshot | None) -> list[str]:
    """The versions whose rows a version has, itself first; also those that have expired, if it says so itself."""
    found = [version(snapshot)]
    while snapshot is not None and _is_rearranged(snapshot):
        found += (said(snapshot, REARRANGED) or "").split()
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else table.snapshot_by_id(parent)
        found.append(version(snapshot))
    return found


def _is_rearranged(snapshot: Snapshot) -> bool:
    return snapshot.summary.operation == Operation.REPLACE or said(snapshot, REARRANGED) is not None


def files(table: Table, snapshot: Snapshot | None, **how: Any) -> list[FileScanTask]:
    """The data files of a version, each with its delete files; `how`: see Table.scan."""
    return [] if snapshot is None else list(table.scan(snapshot_id=snapshot.snapshot_id, **how).plan_files())


# --- in line with the contract ---


def _in_line(table: Table, contract: Contract, name: str) -> Table:
    _check_types(table.schema(), contract, name)
    present = {field.name: field for field in table.schema().fields}
    wanted = {**PROPERTIES, **_no_bounds(contract)}
    differing = {key: value for key, value in wanted.items() if table.properties.get(key) != value}
    described = {column.name: column.description for column in contract.columns if column.name in present}
    described = {column: text for column, text in described.items() if (present[column].doc or "") != text}
    missing = [column for column in contract.columns if column.name not in present]
    sort = tuple(table.schema().find_column_name(field.source_id) for field in table.sort_order().fields)
    if not (differing or described or missing or sort != contract.sort or table.format_version < FORMAT_VERSION):
        return table
    with table.transaction() as change:
        if table.format_version < FORMAT_VERSION:
            change.upgrade_table_version(FORMAT_VERSION)
        if missing or described:
            with change.update_schema() as schema:
                for column in missing:
                    schema.add_column(column.name, TYPES[column.type], column.description)
                for column, text in described.items():
                    schema.update_column(column, doc=text)
        if differing:
            change.set_properties(differing)
        if contract.sort and sort != contract.sort:
            with change.update_sort_order() as order:
                for column in contract.sort:
                    order.asc(column, IdentityTransform())
    return table


def _check_types(schema: Schema, contract: Contract, name: str) -> None:
    columns = {column.name: column for column in contract.columns}
    for field in schema.fields:
        column = columns.get(field.name)
        if column is None:
            raise LakehouseError(f"table {name}: column {field.name} is not in the contract of {contract.table}")
        if field.field_type != TYPES[column.type]:
            raise LakehouseError(
                f"table {name}: column {field.name} has type {type_name(field.field_type)}, the contract says {column.type}"
            )


def type_name(given: IcebergType) -> str:
    """A type as contracts name it; as Iceberg does where they know none."""
    return next((name for name, one in TYPES.items() if one == given), str(given))


def _no_bounds(contract: Contract) -> dict[str, str]:
    """No column statistics for personal columns: bounds in manifests would keep a prefix of the values."""
    return {f"write.metadata.metrics.column.{column.name}": "none" for column in contract.columns if column.personal}


# --- drafts ---


class Draft:
    """A branch of a table on which a run prepares its next version. Readers see it once it is published, and never half.

    `version`: of the table that the draft began with; once published, its own.
    Publishing moves `main` to the branch, in one commit, and fails when another run has moved `main` in between.
    """

    def __init__(self, tables: Tables, contract: Contract) -> None:
        self._tables, self.contract = tables, contract
        self.name = tables.full_name(contract.table)
        self.branch = f"{DRAFT}{uuid.uuid4().hex}"
        loaded = tables.reconcile(contract)
        if loaded.current_snapshot() is None:
            loaded = tables.retried(contract.table, _first_version)
        current = loaded.current_snapshot()
        self.version = version(current)
        self.rows_before = rows(loaded, current)
        self.was_empty = self.rows_before == 0
        tables.retried(contract.table, self._begin)

    def _begin(self, loaded: Table) -> None:
        if version(loaded.current_snapshot()) != self.version:
            raise conflict(self.name)
        loaded.manage_snapshots().create_branch(loaded.current_snapshot().snapshot_id, self.branch).commit()

    def head(self) -> tuple[Table, Snapshot]:
        """The table and the draft's own version."""
        return self._head(self._tables.load(self.contract.table))

    def _head(self, loaded: Table) -> tuple[Table, Snapshot]:
        head = loaded.snapshot_by_name(self.branch)
        if head is None:
            raise conflict(self.name)
        return loaded, head

    def rows_now(self) -> int:
        """Rows of the branch."""
        return rows(*self.head())

    def commit(self, added: Iterable[DataFile], removed: Iterable[DataFile] = (), rearranged: bool = False) -> None:
        """Puts data files into the draft, and takes others out of it. `rearranged`: with the same rows, and no file that stays
        has delete files."""
        put, taken = list(added), list(removed)
        self._tables.retried(self.contract.table, lambda loaded: self._commit(loaded, put, taken, rearranged))

    def _commit(self, loaded: Table, added: list[DataFile], removed: list[DataFile], rearranged: bool) -> None:
        loaded, head = self._head(loaded)
        said = {REARRANGED: "true"} if rearranged else {}
        with loaded.transaction() as transaction:
            change = transaction.update_snapshot(said, branch=self.branch)
            if rearranged and has_delete_files(head):
                how = {"branch": self.branch, "snapshot_properties": said}
                made = _WithoutDeleteFiles(Operation.OVERWRITE, transaction, loaded.io, **how)
            else:
                made = change.overwrite() if removed else change.fast_append()
            with made as files:
                for file in added:
                    files.append_data_file(file)
                for file in removed:
                    files.delete_data_file(file)

    def publish(self) -> None:
        """Makes the draft the table's current version, and removes the drafts that runs before left behind."""
        self.version = self._tables.retried(self.contract.table, self._publish)

    def _publish(self, loaded: Table) -> str:
        # Another run may have removed the branch.
        _, head = self._head(loaded)
        if version(loaded.current_snapshot()) != self.version:
            raise conflict(self.name)
        change = loaded.manage_snapshots().set_current_snapshot(head.snapshot_id)
        for name, ref in loaded.refs().items():
            if name.startswith(DRAFT) and ref.snapshot_ref_type == SnapshotRefType.BRANCH:
                change = change.remove_branch(name)
        change.commit()
        return version(head)

    def follow(self) -> None:
        """Takes for its version the one that the table has after its files were rearranged: it stays when older ones expire."""
        loaded = self._tables.load(self.contract.table)
        if holds(loaded, self.version):
            self.version = version(loaded.current_snapshot())

    def began_with(self, seen: str) -> bool:
        """True when the rows that the draft began with are those of a version."""
        was_first = seen == NEVER_WRITTEN and self.was_empty
        return seen == self.version or was_first or holds(self._tables.load(self.contract.table), seen)

    def outdated(self) -> bool:
        """True when `main` is no longer what the draft began with, or what it published."""
        return self._tables.version(self.contract.table) != self.version

    def discard(self) -> None:
        def remove(loaded: Table) -> None:
            if self.branch in loaded.refs():
                loaded.manage_snapshots().remove_branch(self.branch).commit()

        self._tables.retried(self.contract.table, remove)


class _WithoutDeleteFiles(_OverwriteFiles):
    """PyIceberg itself would keep delete files for ever, also those of data files that are gone."""

    def _existing_manifests(self) -> list[ManifestFile]:
        return [one for one in super()._existing_manifests() if one.content == ManifestContent.DATA]

    def _summary(self, *given: Any) -> Summary:
        summary = super()._summary(*given)
        for what in ("total-delete-files", "total-position-deletes", "total-equality-deletes"):
            summary[what] = "0"
        return summary


class _OfPresentFiles(_FastAppendFiles):
    """Adds nothing, and leaves out of the manifests what they say of data files that are gone, such as bounds of their values."""

    def _existing_manifests(self) -> list[ManifestFile]:
        return [self._of_present(one) if _tells_of_gone(one) else one for one in super()._existing_manifests()]

    def _of_present(self, manifest: ManifestFile) -> ManifestFile:
        with self.new_manifest_writer(self.spec(manifest.partition_spec_id)) as writer:
            for entry in manifest.fetch_manifest_entry(self._io, discard_deleted=True):
                numbers = {name: getattr(entry, name) for name in ("snapshot_id", "sequence_number", "file_sequence_number")}
                file = entry.data_file
                writer.add_entry(ManifestEntry.from_args(status=ManifestEntryStatus.EXISTING, data_file=file, **numbers))
        return writer.to_manifest_file()


def _tells_of_gone(manifest: ManifestFile) -> bool:
    return manifest.content == ManifestContent.DATA and manifest.deleted_files_count != 0


def forget_gone_files(loaded: Table) -> None:
    """Makes a version with the same rows whose manifests tell of no data file that is gone."""
    current = loaded.current_snapshot()
    if current is None or not any(map(_tells_of_gone, current.manifests(loaded.io))):
        return
    with loaded.transaction() as change:
        how = {"branch": MAIN, "snapshot_properties": {REARRANGED: " ".join(_same(loaded, current))}}
        with _OfPresentFiles(Operation.APPEND, change, loaded.io, **how):
            pass


def drop_drafts(loaded: Table, which: Callable[[Snapshot], bool] = lambda head: True) -> int:
    """Removes the drafts of which that is so, and says how many."""
    heads = {name: loaded.snapshot_by_id(ref.snapshot_id) for name, ref in loaded.refs().items() if name.startswith(DRAFT)}
    dropped, change = [name for name, head in heads.items() if which(head)], loaded.manage_snapshots()
    for name in dropped:
        change = change.remove_branch(name)
    if dropped:
        change.commit()
    return len(dropped)


def _first_version(loaded: Table) -> Table:
    """PyIceberg makes a branch from a version only: the first one has no rows."""
    if loaded.current_snapshot() is None:
        with loaded.transaction() as change, change.update_snapshot().fast_append():
            pass
    return loaded


def is_conflict(error: BaseException) -> bool:
    """True for errors about a commit that another one was ahead of, of PyIceberg and of Iceberg in Java."""
    java = getattr(error, "java_exception", None)
    kind = java.getClass().getName() if java is not None else type(error).__name__
    if kind.endswith("IllegalArgumentException"):
        return any(word in str(error).lower() for word in ("fast-forward", "branch does not exist", "ref does not exist"))
    is_known = isinstance(error, ValidationException) or was_late(error)
    return is_known or kind.endswith(("CommitFailedException", "ValidationException", "AlreadyExistsException"))


def was_late(error: BaseException) -> bool:
    """True for PyIceberg's errors about a commit that came after another one, and that may be made anew."""
    # The second is what it says when another branch of the table has got a version meanwhile.
    return isinstance(error, CommitFailedException) or "than last sequence number" in str(error)


def _not_by_itself(loaded: Table) -> Table:
    """PyIceberg would try again by itself, and put the change on top of what others did meanwhile, or make a branch anew."""
    # Of this object only: what is committed are changes, and this is none.
    loaded.metadata.properties["commit.retry.num-retries"] = "0"
    return loaded


class Conflict(LakehouseError):
    """Two runs at once, or somebody who writes by hand."""


def conflict(name: str) -> Conflict:
    return Conflict(
        f"table {name}: another run has written to it meanwhile, so this one published nothing; "
        "run the job again when no other is running"
    )


def delete_files(tasks: Iterable[FileScanTask]) -> bool:
    """Whether some of these data files have delete files."""
    return any(one.content != DataFileContent.DATA for task in tasks for one in task.delete_files)
