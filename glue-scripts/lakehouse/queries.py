"""The SELECTs that carry the rules: one file a rule, the same for every engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files

from lakehouse.contracts import Contract
from lakehouse.engines import Engine, Rows
from lakehouse.errors import LakehouseError

REASON = "reason"
_COMMENT = re.compile(r"--.*")
_SOURCES = re.compile(r"\b(?:from|join)\s+(\w+)", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)\b")


def text(zone: str, name: str, params: Mapping[str, str] | None = None) -> str:
    """A SELECT with its parameters filled in."""
    return _PARAMETER.sub(lambda found: literal((params or {})[found[1]]), _written(zone, name))


def _written(zone: str, name: str) -> str:
    """A SELECT without its comments."""
    resource = files("lakehouse").joinpath("sql", zone, f"{name}.sql")
    if not resource.is_file():
        raise LakehouseError(f"there is no SELECT for {name}: add sql/{zone}/{name}.sql")
    return _COMMENT.sub("", resource.read_text(encoding="utf-8"))


def literal(value: str) -> str:
    """A text in SQL."""
    if "'" in value or "\\" in value:
        raise LakehouseError("a parameter of a SELECT holds a quote or a backslash")
    return f"'{value}'"


def quoted(text: str) -> str:
    """A text in DuckDB's SQL, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"


def listed(names: Iterable[str], prefix: str = "") -> str:
    """Columns in SQL."""
    return ", ".join(f'{prefix}"{name}"' for name in names)


def null(name: str, kind: str) -> str:
    """A column without values in SQL."""
    return f'cast(null as {kind}) as "{name}"'


def same(key: Iterable[str], one: str, other: str) -> str:
    """SQL: whether rows of two relations have the same key."""
    return " and ".join(f'{one}."{name}" = {other}."{name}"' for name in key)


def select(engine: Engine, zone: str, name: str, params: Mapping[str, str] | None = None, **inputs: Rows) -> Rows:
    """The rows of a SELECT; `inputs` by the names that it knows them by."""
    return engine.sql(text(zone, name, params), **inputs)


def shared(zone: str, name: str) -> list[str]:
    """The other SELECTs of the zone that a SELECT reads, and those that they read: each after what it reads itself."""
    folder = files("lakehouse").joinpath("sql", zone)
    ordered: list[str] = []

    def visit(select: str) -> None:
        for other in _SOURCES.findall(_written(zone, select)):
            # A table has the name of the SELECT that makes it.
            if other not in (name, select, *ordered) and folder.joinpath(f"{other}.sql").is_file():
                visit(other)
                ordered.append(other)

    visit(name)
    return ordered


def with_shared(engine: Engine, zone: str, name: str, inputs: Mapping[str, Rows]) -> dict[str, Rows]:
    """What a SELECT reads: tables, and SELECTs of its zone over them."""
    known = dict(inputs)
    for other in shared(zone, name):
        if other not in known:
            known[other] = select(engine, zone, other, **known)
    return known


def gate(engine: Engine, contract: Contract, params: Mapping[str, str], **inputs: Rows) -> Rows:
    """The table's SELECT: one row per row of its main source, the contract's columns and `reason` (null: accepted)."""
    rows = select(engine, contract.zone, contract.table, params, **inputs)
    check_columns(rows.columns, contract)
    return rows


def check_columns(columns: Mapping[str, str], contract: Contract) -> None:
    """Fails unless the SELECT gives the contract's columns. A missing one that is not required is null."""
    where, given = f"sql/{contract.zone}/{contract.table}.sql", dict(columns)
    if given.pop(REASON, None) != "string":
        raise LakehouseError(f"{where}: the last column must be `{REASON}` of type string")
    for column in contract.columns:
        found = given.pop(column.name, None)
        if found is None and column.required:
            raise LakehouseError(f"{where}: column {column.name} is missing, the contract requires it")
        if found is not None and found != column.type:
            raise LakehouseError(f"{where}: column {column.name} has type {found}, the contract says {column.type}")
    if given:
        raise LakehouseError(f"{where}: column {min(given)} is not in the contract of {contract.table}")


def filled(rows: Rows, contract: Contract) -> str:
    """The contract's columns in SQL, null where the rows have none."""
    given = set(rows.columns)
    return ", ".join(
        f'"{column.name}"' if column.name in given else null(column.name, column.type) for column in contract.columns
    )
