"""Lines of landing objects, each judged: by DuckDB, in the job's own process or in the workers of Spark."""

from __future__ import annotations

import base64
import errno
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from lakehouse import files, queries, usual
from lakehouse.contracts import Contract
from lakehouse.engines import REJECTED, Engine, Landed, Rows, scratch, structs
from lakehouse.errors import LakehouseError, describe, unreadable
from lakehouse.lines import LONGEST_LINE, MALFORMED, Judge, Verdict
from lakehouse.storage import Object, Store, open_store

# Of a worker of Spark, beside the piece of a file that it has at hand.
_WORKER_MEMORY, _ROWS_AT_ONCE = "512 MiB", 10_000
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SOURCE, _JUDGE = "landing_lines", "landing_judge"
_LINES = pa.schema(
    [("object", pa.int32()), ("position", pa.int64()), ("modified", pa.int64()), ("text", pa.string()), ("raw", pa.binary())]
)
# What is told of a line that is not good and usual, as JSON, which is one column of nulls for all others.
_TOLD = {name: REJECTED.get(name, "string") for name in ("reason", "drift", "column_name", "detail", "many", "line", "encoding")}
# The same as Spark names it.
TOLD = f"struct<{', '.join(f'{name}: {kind}' for name, kind in _TOLD.items())}>"


def read(engine: Engine, contract: Contract, lines: Rows) -> Landed:
    """Lines that have been judged, as rows of an engine."""
    own = queries.listed(contract.names)
    told = ", ".join(f"told.{name} as {name}" for name in REJECTED if name in _TOLD)
    return Landed(
        engine.sql(f"select {own}, file_path, file_modified, told.reason as reason, told.drift as drift from lines", lines=lines),
        engine.sql(
            f"select file_path as file, file_modified, position, {told}, {own} from lines where told.reason is not null",
            lines=lines,
        ),
    )


@contextmanager
def judged(
    db: duckdb.DuckDBPyConnection, contract: Contract, store: Store, objects: Sequence[Object], folder: Path
) -> Iterator[str]:
    """A SELECT that may be asked once, as long as this lasts: a row for each line but blank ones, and for each object that is bad
    as a whole. It gives the number of the `object`, the `position` of the line, from 1 (0: the object as a whole), the contract's
    columns, and `told`. `folder`: for scratch files."""
    source = _Source(store, objects, folder)
    said = {**contract.types, "told": "string"}
    arguments, gives = ["VARCHAR", "BLOB", "BIGINT", "BIGINT"], duckdb.struct_type(said)
    db.create_function(_JUDGE, _judging(contract, said), arguments, gives, type="arrow", null_handling="special")
    db.register(_SOURCE, pa.RecordBatchReader.from_batches(_LINES, source.batches()))
    try:
        with scratch.no_values():
            yield _judged(contract)
    except Exception:
        if source.failure is not None:
            raise source.failure from None
        raise
    finally:
        db.unregister(_SOURCE)
        db.remove_function(_JUDGE)


def told(text: str) -> str:
    """SQL: what is told of a line, apart."""
    return f"case when {text} is not null then from_json({text}, {queries.quoted(json.dumps(_TOLD))}) end as told"


def in_worker(
    contract: Contract, lake_uri: str, objects: Sequence[Object], shares: int, numbers: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The lines of shares of objects, judged in a worker of Spark. Of so many shares, a share is every so-manieth object, from
    its own number on."""
    try:
        for batch in numbers:
            for share in batch.column(0).to_pylist():
                yield from _share(contract, open_store(lake_uri), objects, share, shares)
    except Exception as error:
        # Spark tells what an error says.
        raise LakehouseError(describe(error)) from None


def _share(contract: Contract, store: Store, objects: Sequence[Object], share: int, shares: int) -> Iterator[pa.RecordBatch]:
    folder = scratch.folder()
    settings = {"threads": 1, "memory_limit": _WORKER_MEMORY, "temp_directory": str(folder), "preserve_insertion_order": False}
    try:
        with duckdb.connect(config=settings) as db, judged(db, contract, store, objects[share::shares], folder) as lines:
            yield from db.sql(
                f"select object * {shares} + {share} as object, {queries.listed(contract.names)}, "
                f"case when told is not null then position end as position, {told('told')} from ({lines})"
            ).to_arrow_reader(_ROWS_AT_ONCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Source:
    """The lines of objects, as Arrow batches; an object that holds no line is one at position 0 that says why. `failure`: what
    kept an object from being read."""

    def __init__(self, store: Store, objects: Sequence[Object], folder: Path) -> None:
        self._store, self._objects, self._folder = store, objects, folder
        self.failure: LakehouseError | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        for number, one in enumerate(self._objects):
            try:
                yield from self._lines(number, one)
            except files.Damaged:
                yield _whole(number, one, files.IS_DAMAGED)
            except Exception as error:
                no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
                self.failure = scratch.no_room() if no_room else unreadable(one.key, error)
                raise OSError from None

    def _lines(self, number: int, one: Object) -> Iterator[pa.RecordBatch]:
        position = 0
        for piece in files.whole_lines(self._pieces(one)):
            if not position and piece.startswith(files.NO_TEXT):
                yield _whole(number, one, files.IS_NO_TEXT)
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
        with tempfile.TemporaryFile(dir=self._folder) as unpacked:
            for piece in files.pieces(self._store.open(one), packed=True):
                unpacked.write(piece)
            unpacked.seek(0)
            yield from files.pieces(unpacked, packed=False)


def _whole(number: int, one: Object, why: str) -> pa.RecordBatch:
    values = ([number], [0], [one.modified], [None], [why.encode()])
    return pa.record_batch([pa.array(*given) for given in zip(values, _LINES.types, strict=True)], schema=_LINES)


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
    """The judge as a function of DuckDB: of a line, as text or else as bytes, when its file was delivered, and its position."""
    judge, nothing = Judge(contract), (None,) * len(contract.columns)

    def one(line: str | None, raw: bytes, modified: int, position: int) -> tuple[Any, ...]:
        if not position:
            return _told(Verdict(nothing, MALFORMED, None, raw.decode(), many=True), None, None)
        line = None if line is None else line.removesuffix("\n")
        return _told(judge.judge(raw if line is None else line.encode(), modified), line, raw)

    def of(text: pa.Array, raw: pa.Array, modified: pa.Array, position: pa.Array) -> pa.StructArray:
        given = (column.to_pylist() for column in (text, raw, modified, position))
        return structs([one(*values) for values in zip(*given, strict=True)], said)

    return of


def _told(verdict: Verdict, line: str | None, raw: bytes | None) -> tuple[Any, ...]:
    """The values of a line, and what is to be told of it."""
    *values, reason, column, detail, many, drift = verdict.flat()
    if reason is None:
        return *values, None if drift is None else json.dumps({"drift": drift})
    shown = {}
    if line is not None:
        shown = {"line": line, "encoding": "utf-8"}
    elif raw is not None:
        shown = {"line": base64.b64encode(raw).decode(), "encoding": "base64"}
    told = {"reason": reason, "drift": drift, "column_name": column, "detail": detail, "many": many, **shown}
    return *values, json.dumps(told)


def _judged(contract: Contract) -> str:
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
    matches = f"strlen(text) <= {LONGEST_LINE} and regexp_full_match({usual.text(contract)}, {queries.quoted(pattern)})"
    return f"""
    with cut as (select object, position, modified as file_modified, {text} as text, raw from {_SOURCE}),
    lines as (
        select *, coalesce({matches}, false) as usual from cut
        where raw is not null or text like '%}}\n' or text like '%}}' or trim(text, '{usual.SPACE}') <> ''
    ),
    parsed as (select *, case when usual then from_json(text, {queries.quoted(shape)}) end as "row" from lines),
    typed as (select object, position, file_modified, text, raw, usual, {", ".join(fields)} from parsed),
    compared as (select *, {plain} as plain from typed),
    judged as (select *, case when not plain then {_JUDGE}(text, raw, file_modified, position) end as verdict from compared)
    select object, position, {", ".join(values)}, verdict.told as told from judged
    """
