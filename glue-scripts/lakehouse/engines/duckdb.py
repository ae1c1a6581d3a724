"""DuckDB in the job's own process: no JVM, no session. Bytes come and go through PyArrow and the store, never by DuckDB."""

from __future__ import annotations

import base64
import contextlib
import errno
import itertools
import json
import os
import re
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from fsspec.implementations.arrow import ArrowFile, ArrowFSWrapper
from pyiceberg.expressions import AlwaysTrue, And, GreaterThanOrEqual, LessThanOrEqual
from pyiceberg.io.pyarrow import PyArrowFileIO, schema_to_pyarrow, write_file
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, WriteTask
from pyiceberg.table.snapshots import Snapshot

from lakehouse import files, queries, tables, usual
from lakehouse.contracts import Contract
from lakehouse.engines import ARROW, DUCKDB, REJECTED, Landed, structs
from lakehouse.errors import LakehouseError, unreadable
from lakehouse.lines import LONGEST_LINE, MALFORMED, Judge, Verdict
from lakehouse.storage import Object, Store
from lakehouse.tables import ROWS_PER_FILE, Draft

# Data files that are in memory at once before they are written.
_AT_ONCE = 2
# The part of the machine's memory that rows may take before they go to scratch files.
_MEMORY_SHARE = 0.25
_SCRATCH = "lakehouse-"
_SCRATCH_OF = re.compile(rf"{_SCRATCH}(\d+)-\w+")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TYPES = {"VARCHAR": "string", "INTEGER": "int", "BIGINT": "bigint", "DOUBLE": "double", "BOOLEAN": "boolean"}
_LINES = pa.schema(
    [("object", pa.int32()), ("position", pa.int64()), ("modified", pa.int64()), ("text", pa.string()), ("raw", pa.binary())]
)
# What is told of a line that is not good and usual, as JSON, which is one column of nulls for all others.
_TOLD = ("reason", "drift", "column_name", "detail", "many", "line", "encoding")
_REJECTED = [name for name in REJECTED if name in _TOLD]


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
        self._scratch = _scratch()
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
        with _no_values():
            self._db.execute(f'create temp view "{view}" as {f"with {named} " if named else ""}select * from ({text})')
            return self._described(view)

    def _described(self, name: str) -> _Rows:
        described = self._db.execute(f'describe "{name}"').fetchall()
        return _Rows(name, {column: _TYPES.get(kind, kind.lower()) for column, kind, *_ in described})

    def fetch(self, text: str, **inputs: _Rows) -> list[tuple]:
        with _no_values():
            return self._db.execute(f'select * from "{self.sql(text, **inputs).name}"').fetchall()

    def hash(self, columns: str) -> str:
        return f"hash({columns})"

    def keep(self, rows: _Rows) -> _Rows:
        table = next(self._names)
        with _no_values():
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
            paths = ", ".join(_quoted(self._path(table, file.file_path)) for file in data)
            # By the columns' numbers, as Iceberg has it: a file that is older than a column has nulls in it.
            schema = ", ".join(
                f"{field.field_id}: {{name: {_quoted(field.name)}, type: {_quoted(fields[field.name])}, default_value: NULL}}"
                for field in table.schema().fields
            )
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
        source = _Source(store, objects, self._scratch)
        judge, lines = f"judge_{next(self._names)}", next(self._names)
        said = {**contract.types, "told": "string"}
        arguments, gives = ["VARCHAR", "BLOB", "BIGINT"], duckdb.struct_type(said)
        self._db.create_function(judge, _judging(contract, said), arguments, gives, type="arrow", null_handling="special")
        self._db.register(lines, pa.RecordBatchReader.from_batches(_LINES, source.batches()))
        landed = next(self._names)
        try:
            with _no_values():
                self._db.execute(f'create temp table "{landed}" as {_judged(contract, lines, judge)}')
        except Exception:
            if source.failure is not None:
                raise source.failure from None
            raise
        finally:
            self._db.unregister(lines)
        names = {"object": "int", "file_path": "string", "file_modified": "bigint", "whole": "string"}
        given = [(number, one.key, one.modified, source.whole.get(number)) for number, one in enumerate(objects)]
        of, own = self.rows(names, given), queries.listed(contract.names)
        lines = self.sql(
            "select * from landed join files using (object) where whole is null", landed=self._described(landed), files=of
        )
        told = ", ".join(
            f"case when told is not null then json_extract_string(told, '$.{name}') end as {name}" for name in _TOLD[:2]
        )
        rows = self.sql(f"select {own}, file_path, file_modified, {told} from lines", lines=lines)
        shape = "{" + ", ".join(f'"{name}": "{REJECTED.get(name, "string")}"' for name in _TOLD) + "}"
        nothing = ", ".join(queries.null(name, kind) for name, kind in contract.types.items())
        rejected = self.sql(
            f"select file_path as file, file_modified, position, {', '.join(f'said.{name}' for name in _REJECTED)}, {own} "
            f"from (select *, from_json(told, {_quoted(shape)}) as said from lines where told is not null) "
            "where said.reason is not null union all "
            f"select file_path, file_modified, 0, '{MALFORMED}', null, whole, true, null, null, {nothing} "
            "from files where whole is not null",
            lines=lines,
            files=of,
        )
        assert list(rejected.columns) == [*REJECTED, *contract.names]
        return Landed(rows, lambda: not source.whole, lambda: rejected)

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

        with _no_values(), ThreadPoolExecutor(1) as writer:
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


# --- lines ---


class _Source:
    """The lines of objects, as Arrow batches. `whole`: objects that hold no line, by number, and why; known when all are read.
    `failure`: what kept an object from being read."""

    def __init__(self, store: Store, objects: Sequence[Object], scratch: Path) -> None:
        self._store, self._objects, self._scratch = store, objects, scratch
        self.whole: dict[int, str] = {}
        self.failure: LakehouseError | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        for number, one in enumerate(self._objects):
            try:
                yield from self._lines(number, one)
            except files.Damaged:
                self.whole[number] = files.IS_DAMAGED
            except Exception as error:
                no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
                self.failure = _no_room() if no_room else unreadable(one.key, error)
                raise OSError from None

    def _lines(self, number: int, one: Object) -> Iterator[pa.RecordBatch]:
        position = 0
        for piece in files.whole_lines(self._pieces(one)):
            if not position and piece.startswith(files.NO_TEXT):
                self.whole[number] = files.IS_NO_TEXT
                return
            text, raw = _texts(piece)
            count = len(text)
            yield pa.record_batch(
                [
                    pa.repeat(pa.scalar(number, pa.int32()), count),
                    pa.array(np.arange(position + 1, position + count + 1)),
                    pa.repeat(pa.scalar(one.modified, pa.int64()), count),
                    text,
                    raw,
                ],
                schema=_LINES,
            )
            position += count

    def _pieces(self, one: Object) -> Iterator[bytes]:
        if not one.is_packed:
            yield from files.pieces(self._store.open(one), packed=False)
            return
        # Whether it ends well is known at its end, and before that nothing of it may be used.
        with tempfile.TemporaryFile(dir=self._scratch) as unpacked:
            for piece in files.pieces(self._store.open(one), packed=True):
                unpacked.write(piece)
            unpacked.seek(0)
            yield from files.pieces(unpacked, packed=False)


def _texts(piece: bytes) -> tuple[pa.Array, pa.Array]:
    """Lines as text, null where one is no UTF-8, and those as they are."""
    if b"\r" not in piece and (piece.isascii() or _is_utf8(piece)):
        # Nearly always: as the bytes lie there. A line's end is taken with it, and left out by SQL.
        ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n")).astype(np.int32) + 1
        last = [] if len(ends) and ends[-1] == len(piece) else [len(piece)]
        places = pa.py_buffer(np.concatenate(([0], ends, last)).astype(np.int32))
        count = len(ends) + len(last)
        return pa.Array.from_buffers(pa.string(), count, [None, places, pa.py_buffer(piece)]), pa.nulls(count, pa.binary())
    lines = files.split(piece)
    readable = [_is_utf8(line) for line in lines]
    text = [line if good else None for line, good in zip(lines, readable, strict=True)]
    raw = [None if good else line for line, good in zip(lines, readable, strict=True)]
    return pa.array(text, pa.binary()).view(pa.string()), pa.array(raw, pa.binary())


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _judging(contract: Contract, said: Mapping[str, str]) -> Any:
    """The judge as a function of DuckDB: of a line, as text or else as bytes, and of when its file was delivered."""
    judge = Judge(contract)

    def of(text: pa.Array, raw: pa.Array, modified: pa.Array) -> pa.StructArray:
        ended = (None if line is None else line.removesuffix("\n") for line in text.to_pylist())
        given = zip(ended, raw.to_pylist(), modified.to_pylist(), strict=True)
        rows = [_told(judge.judge(other if line is None else line.encode(), when), line, other) for line, other, when in given]
        return structs(rows, said)

    return of


def _told(verdict: Verdict, line: str | None, raw: bytes | None) -> tuple[Any, ...]:
    """The values of a line, and what is to be told of it."""
    *values, reason, column, detail, many, drift = verdict.flat()
    if reason is None:
        return *values, None if drift is None else json.dumps({"drift": drift})
    shown = (
        {"line": line, "encoding": "utf-8"}
        if line is not None
        else {"line": base64.b64encode(raw).decode(), "encoding": "base64"}
    )
    told = {"reason": reason, "drift": drift, "column_name": column, "detail": detail, "many": many, **shown}
    return *values, json.dumps(told)


def _judged(contract: Contract, lines: str, judge: str) -> str:
    """SQL: the lines but blank ones, each with its values and what is told of it."""
    shape = "{" + ", ".join(f'"{column.json_key}": "{column.type}"' for column in contract.columns) + "}"
    fields = [f'"row"."{column.json_key}" as "{column.name}"' for column in contract.columns]
    # Where the keys may come in any order, one may come twice: then another one is missing.
    every = [f'"{column.name}" is not null' for column in contract.columns if usual.is_fixed(contract)]
    plain = " and ".join(["usual", *every, f"not ({usual.implausible(contract)})"])
    values = [
        f'case when plain then {usual.as_judged(one)} else verdict."{one.name}" end as "{one.name}"' for one in contract.columns
    ]
    # Lines have their ends. To take them off costs as much as all the rest, and is needed only where keys may be absent.
    fixed = usual.is_fixed(contract)
    text, pattern = "text" if fixed else r"rtrim(text, chr(10))", usual.pattern(contract) + ("\\n?" if fixed else "")
    matches = f"strlen(text) <= {LONGEST_LINE} and regexp_full_match({usual.text(contract)}, {_quoted(pattern)})"
    return f"""
    with cut as (select object, position, modified as file_modified, {text} as text, raw from "{lines}"),
    lines as (
        select *, coalesce({matches}, false) as usual from cut
        where raw is not null or text like '%}}\n' or text like '%}}' or trim(text, '{usual.SPACE}') <> ''
    ),
    parsed as (select *, case when usual then from_json(text, {_quoted(shape)}) end as "row" from lines),
    typed as (select object, position, file_modified, text, raw, usual, {", ".join(fields)} from parsed),
    compared as (select *, {plain} as plain from typed),
    judged as (select *, case when not plain then "{judge}"(text, raw, file_modified) end as verdict from compared)
    select object, position, {", ".join(values)}, verdict.told as told from judged
    """


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# --- memory and scratch ---


@contextlib.contextmanager
def _no_values() -> Iterator[None]:
    """DuckDB's messages may quote values of rows; what an engine ran out of may be told."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise _no_room() from error
    except duckdb.IOException as error:
        # It writes scratch files only.
        if "could not write" in str(error).lower():
            raise _no_room() from error
        raise


def _no_room() -> LakehouseError:
    return LakehouseError("memory or scratch space is not enough for this run: give it more, or run it with --engine spark")


def _memory() -> int:
    """Bytes of memory that this process may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, ValueError):
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or not to be known
    return True


def _scratch() -> Path:
    """A folder of this process for scratch files. Those of processes that are gone are removed: they may hold personal data."""
    for other in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        if (named := _SCRATCH_OF.fullmatch(other.name)) and not _is_alive(int(named[1])):
            shutil.rmtree(other, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-"))
