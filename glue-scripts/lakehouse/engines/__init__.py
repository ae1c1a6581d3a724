"""What an engine does for a run: read delivered lines, answer SELECTs, write rows to a draft. All else is written once.

SELECTs are written so that each engine takes them as they are: identifiers in double quotes, semi and anti joins by name, `||`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

import pyarrow as pa

from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError
from lakehouse.storage import Object, Store

if TYPE_CHECKING:  # workers of Spark have no need of PyIceberg, which takes half a second
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from lakehouse.tables import Draft

DUCKDB, SPARK, AUTO = "duckdb", "spark", "auto"
ARROW = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}
# Columns of a row that cannot be used, beside those of its contract.
REJECTED = {
    "file": "string",
    "file_modified": "bigint",
    "position": "bigint",
    "reason": "string",
    "column_name": "string",
    "detail": "string",
    "many": "boolean",
    "line": "string",
    "encoding": "string",
}


class Rows(Protocol):
    """Rows of an engine: a SELECT that has not run yet, or rows at hand. `columns`: their types, as contracts name them."""

    @property
    def columns(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Landed:
    """Lines of delivered files, judged as the contract says.

    `rows`: one for each line but blank ones, at hand: the contract's columns, `file_path` (the object's key), `file_modified`
    (ms), `reason` (why it cannot be used; null: it can) and `drift` (its keys that the contract does not know, joined by commas;
    null where there are none). A file that is no text, or a damaged gzip, is one row as a whole.
    `rejected`: those that cannot be used: REJECTED, and of the contract's columns what could be read; whole files at position 0.
    """

    rows: Rows
    rejected: Rows


class Engine(Protocol):
    """`name`: as the ledger tells it."""

    name: str

    def read(self, contract: Contract, store: Store, objects: Sequence[Object]) -> Landed:
        """The lines of landing objects, each read once, as it was listed. Fails when one cannot be read: with its key."""

    def table(self, table: Table, snapshot: Snapshot | None, between: Mapping[str, tuple[int, int]] | None = None) -> Rows:
        """Rows of a version of a table (None: no rows). `between`: values that columns of all rows asked for lie between."""

    def rows(self, columns: Mapping[str, str], values: Iterable[Sequence[Any]]) -> Rows:
        """Rows that the program itself has; `columns` as in Rows."""

    def sql(self, text: str, **inputs: Rows) -> Rows:
        """A SELECT over rows that it knows by these names."""

    def fetch(self, text: str, **inputs: Rows) -> list[tuple]:
        """The rows of a SELECT, to the program: few."""

    def hash(self, columns: str) -> str:
        """SQL: a number that tells rows of these columns from each other, nearly always."""

    def keep(self, rows: Rows) -> Rows:
        """The same rows at hand: computed once, however often they are asked for."""

    def append(self, draft: Draft, rows: Rows) -> None:
        """Writes rows to a draft, in the contract's order."""

    def change(self, draft: Draft, changes: Rows, only_inserts: bool) -> None:
        """Writes changes to a draft: the contract's columns and `_op`. Only files that hold a changed row are written anew."""

    def compact(self, draft: Draft) -> None:
        """Puts small data files together, and takes rows that others have deleted out of their files. The rows stay the same."""

    def interrupt(self) -> None:
        """Ends what it is computing: whoever has asked for that gets an error."""

    def close(self) -> None:
        """Gives back memory and scratch files."""


def structs(rows: Sequence[Sequence[Any]], types: Mapping[str, str]) -> pa.StructArray:
    """Rows as Arrow has them, for functions in Python; `types` by column, as contracts name them."""
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    arrays = [pa.array(column, ARROW[kind]) for column, kind in zip(columns, types.values(), strict=True)]
    return pa.StructArray.from_arrays(arrays, names=list(types))


_started: WeakSet[Engine] = WeakSet()


def start(name: str, lake_uri: str) -> Engine:
    """An engine by name. Only that one's packages are loaded; Spark's workers judge lines with DuckDB."""
    if name == DUCKDB:
        from lakehouse.engines.duckdb import DuckDB

        engine = DuckDB()
    elif name == SPARK:
        from lakehouse.engines.spark import Spark

        engine = Spark(lake_uri)
    else:
        raise LakehouseError(f"there is no engine {name}")
    _started.add(engine)
    return engine


def interrupt() -> None:
    """Ends what all engines are computing; a signal may come in the middle of a long query."""
    for engine in list(_started):
        engine.interrupt()
