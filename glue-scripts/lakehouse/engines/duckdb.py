"""DuckDB in the job's own process: no JVM, no session. Bytes come and go through PyArrow and the store, never by DuckDB."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from fsspec.implementations.arrow import ArrowFile, ArrowFSWrapper
from pyiceberg.expressions import AlwaysTrue, And, GreaterThanOrEqual, LessThanOrEqual
from pyiceberg.io.pyarrow import PyArrowFileIO, schema_to_pyarrow, write_file
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, WriteTask
from pyiceberg.table.snapshots import Snapshot

from lakehouse import queries, tables
from lakehouse.contracts import Contract
from lakehouse.engines import ARROW, DUCKDB, Landed, landing, scratch
from lakehouse.storage import Object, Store
from lakehouse.tables import ROWS_PER_FILE, Draft

# Data files that are in memory at once before they are written.
_AT_ONCE = 2
# The part of the machine's memory that rows may take before they go to scratch files.
_MEMORY_SHARE = 0.25
_TYPES = {"VARCHAR": "string", "INTEGER": "int", "BIGINT": "bigint", "DOUBLE": "double", "BOOLEAN": "boolean"}


@dataclass(frozen=True)
class _Rows:
    """`name`: of a view or a table of the connection."""

    name: str
    columns: Mapping[str, str]


class _File(ArrowFile):
    """DuckDB's threads seek and read in the same open file, so each has a place of its own in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._of_thread = threading.local()

    def seek(self, place: int) -> None:
        self._of_thread.place = place

    def read(self, size: int) -> bytes:
        return self.stream.read_at(size, self._of_thread.place)


class _Lake(ArrowFSWrapper):
    """PyArrow's access to S3, for DuckDB's Parquet reader."""

    protocol, cachable = "lake", False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        """Bucket and key, as PyArrow wants them."""
        return path.removeprefix("lake://")

    def _open(self, path: str, *_: Any, **__: Any) -> _File:
        return _File(self, self.fs.open_input_file(self._strip_protocol(path)), path, "rb")


class DuckDB:
    name = DUCKDB

    def __init__(self, memory_bytes: int = 0) -> None:
        self._db = duckdb.connect()
        self._names = (f"r{number}" for number in itertools.count(1))
        self._has_lake = False
        self._scratch = scratch.folder()
        try:
            self._set_up(memory_bytes or int(_memory() * _MEMORY_SHARE))
        except BaseException:
            self.close()
            raise

    def _set_up(self, memory_bytes: int) -> None:
        for setting, value in {
            "memory_limit": f"'{memory_bytes // 2**20} MiB'",
            "temp_directory": f"'{self._scratch}/spill'",
            "preserve_insertion_order": "false",
            # As Spark orders.
            "default_null_order": "'nulls_first_on_asc_last_on_desc'",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "enable_progress_bar": "false",
        }.items():
            self._db.execute(f"set {setting} = {value}")
        # What Spark names otherwise.
        self._db.execute("create macro sha2(value, bits) as sha256(value)")

    # --- rows ---

    def sql(self, text: str, **inputs: _Rows) -> _Rows:
        named = ", ".join(f'{name} as (select * from "{rows.name}")' for name, rows in inputs.items())
        view = next(self._names)
        with scratch.no_values():
            self._db.execute(f'create temp view "{view}" as {f"with {named} " if named else ""}select * from ({text})')
            return self._described(view)

    def _described(self, name: str) -> _Rows:
        described = self._db.execute(f'describe "{name}"').fetchall()
        return _Rows(name, {column: _TYPES.get(kind, kind.lower()) for column, kind, *_ in described})

    def fetch(self, text: str, **inputs: _Rows) -> list[tuple]:
        with scratch.no_values():
            return self._db.execute(f'select * from "{self.sql(text, **inputs).name}"').fetchall()

    def hash(self, columns: str) -> str:
        return f"hash({columns})"

    def keep(self, rows: _Rows) -> _Rows:
        table = next(self._names)
        with scratch.no_values():
            self._db.execute(f'create temp table "{table}" as select * from "{rows.name}"')
        return _Rows(table, rows.columns)

    def rows(self, columns: Mapping[str, str], values: Iterable[Sequence[Any]]) -> _Rows:
        listed = list(values)
        arrays = [pa.array([row[place] for row in listed], ARROW[kind]) for place, kind in enumerate(columns.values())]
        return self._arrow(pa.table(arrays, names=list(columns)))

    def _arrow(self, rows: pa.Table | pa.RecordBatchReader) -> _Rows:
        """Rows that PyArrow gives once."""
        source = next(self._names)
        self._db.register(source, rows)
        try:
            return self.keep(self._described(source))
        finally:
            self._db.unregister(source)

    # --- tables ---

    def table(self, table: Table, snapshot: Snapshot | None, between: Mapping[str, tuple[int, int]] | None = None) -> _Rows:
        wanted = AlwaysTrue()
        for name, (least, most) in (between or {}).items():
            wanted = And(wanted, GreaterThanOrEqual(name, least), LessThanOrEqual(name, most))
        tasks = tables.files(table, snapshot, row_filter=wanted)
        if tables.delete_files(tasks):
            return self._arrow(table.scan(snapshot_id=snapshot.snapshot_id).to_arrow_batch_reader())
        return self._files(table, [task.file for task in tasks])

    def _files(self, table: Table, data: Sequence[DataFile], with_name: bool = False) -> _Rows:
        """All rows of data files, `_file` being a file's name."""
        fields = {field.name: tables.type_name(field.field_type) for field in table.schema().fields}
        name = next(self._names)
        if not data:
            empty = ", ".join(queries.null(column, kind) for column, kind in {**fields, "_file": "string"}.items())
            self._db.execute(f'create temp view "{name}" as select {empty} where false')
        else:
            paths = ", ".join(queries.quoted(self._path(table, file.file_path)) for file in data)
            # By the columns' numbers, as Iceberg has it: a file that is older than a column has nulls in it.
            quoted, listed = queries.quoted, table.schema().fields
            named = ((field.field_id, quoted(field.name), quoted(fields[field.name])) for field in listed)
            schema = ", ".join(f"{number}: {{name: {name}, type: {kind}, default_value: NULL}}" for number, name, kind in named)
            self._db.execute(
                f'create temp view "{name}" as select * rename (filename as _file) '
                f"from read_parquet([{paths}], schema = map {{{schema}}}, filename = true)"
            )
        listed = ", ".join([*(f'"{column}"' for column in fields), *(["_file"] if with_name else [])])
        return self.sql(f"select {listed} from files", files=_Rows(name, fields))

    def _path(self, table: Table, path: str) -> str:
        """What the Parquet reader knows a data file by."""
        scheme, _, place = path.partition(":")
        if scheme == "file":
            return f"/{place.lstrip('/')}"  # Spark writes it with one slash
        place = place.removeprefix("//")
        if not self._has_lake:
            io = table.io
            assert isinstance(io, PyArrowFileIO)
            self._db.register_filesystem(_Lake(io.fs_by_scheme(scheme, place.partition("/")[0])))
            self._has_lake = True
        return f"lake://{place}"

    # --- landing files ---

    def read(self, contract: Contract, store: Store, objects: Sequence[Object]) -> Landed:
        lines = next(self._names)
        with landing.judged(self._db, contract, store, objects, self._scratch) as judged:
            self._db.execute(f'create temp table "{lines}" as {judged}')
        names = {"object": "int", "file_path": "string", "file_modified": "bigint"}
        of = self.rows(names, [(number, one.key, one.modified) for number, one in enumerate(objects)])
        known = self.sql(
            f"select * replace ({landing.told('told')}) from lines join files using (object)",
            lines=self._described(lines),
            files=of,
        )
        return landing.read(self, contract, known)

    # --- writing ---

    def append(self, draft: Draft, rows: _Rows) -> None:
        table, _ = draft.head()
        draft.commit(self._written(table, draft.contract, rows))

    def change(self, draft: Draft, changes: _Rows, only_inserts: bool) -> None:
        names = queries.listed(draft.contract.names)
        put = self.sql(f"select {names} from changes where _op <> 'delete'", changes=changes)
        table, head = draft.head()
        if only_inserts:
            return draft.commit(self._written(table, draft.contract, put))
        same = queries.same(draft.contract.key, "old", "changes")
        tasks = tables.files(table, head)
        if tables.delete_files(tasks):
            # What others have deleted is in the files still.
            self.compact(draft)
            table, head = draft.head()
            tasks = tables.files(table, head)
        old = self._files(table, [task.file for task in tasks], with_name=True)
        touched = self.sql(f"select _file from old semi join changes on {same}", old=old, changes=changes)
        held = {name for (name,) in self.fetch("select distinct _file from touched", touched=touched)}
        going = [task.file for task in tasks if self._path(table, task.file.file_path) in held]
        kept = self.sql(f"select {names} from old anti join changes on {same}", old=self._files(table, going), changes=changes)
        all_rows = self.sql("select * from kept union all select * from put", kept=kept, put=put)
        draft.commit(self._written(table, draft.contract, all_rows), going)

    def compact(self, draft: Draft) -> None:
        table, head = draft.head()
        tasks = tables.files(table, head)
        if tables.delete_files(tasks):
            rows, going = self.table(table, head), [task.file for task in tasks]
        else:
            going = [task.file for task in tasks if task.file.record_count < ROWS_PER_FILE // 2]
            rows = self._files(table, going)
        draft.commit(self._written(table, draft.contract, rows), going, rearranged=True)

    def _written(self, table: Table, contract: Contract, rows: _Rows) -> list[DataFile]:
        """Rows as data files of a table, sorted over all of them."""
        names = queries.listed(contract.names)
        order = f" order by {queries.listed(contract.sort)}" if contract.sort else ""
        schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
        schema = pa.schema([schema.field(name) for name in contract.names])
        write, numbers = uuid.uuid4(), itertools.count()

        def file(part: list[pa.RecordBatch]) -> list[DataFile]:
            cast = pa.Table.from_batches(part).cast(schema).to_batches()
            return list(write_file(table.io, table.metadata, iter([WriteTask(write, next(numbers), table.schema(), cast)])))

        with scratch.no_values(), ThreadPoolExecutor(1) as writer:
            reader = self._db.sql(f'select {names} from "{rows.name}"{order}').to_arrow_reader(100_000)
            written, waiting = [], []
            for part in _parts(reader):
                waiting.append(writer.submit(file, part))
                if len(waiting) == _AT_ONCE:
                    written += waiting.pop(0).result()
            return written + [one for future in waiting for one in future.result()]

    def interrupt(self) -> None:
        with contextlib.suppress(duckdb.Error):
            self._db.interrupt()

    def close(self) -> None:
        self._db.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def _parts(reader: pa.RecordBatchReader) -> Iterator[list[pa.RecordBatch]]:
    part: list[pa.RecordBatch] = []
    for batch in reader:
        part.append(batch)
        if sum(one.num_rows for one in part) >= ROWS_PER_FILE:
            yield part
            part = []
    if any(one.num_rows for one in part):
        yield part


def _memory() -> int:
    """Bytes of memory that this process may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, ValueError):
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits)
