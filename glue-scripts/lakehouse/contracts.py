"""What the table contracts say and imply. internal/contract checks and derives it, and says what the words mean; here it is read
from contracts.json, which `make contracts` makes of data/contracts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lakehouse.errors import LakehouseError


@dataclass(frozen=True)
class Column:
    """A column of a table. `json_key`: its key in delivered files; `since`: the contract version that added it."""

    name: str
    type: str
    json_key: str
    since: int
    required: bool = False
    personal: bool = False
    pseudonym: bool = False
    description: str = ""
    kind: str = ""

    @property
    def is_time(self) -> bool:
        """A time (ms since epoch) or another whole number, whose bounds data files may tell."""
        return self.type == "bigint" and not self.personal


@dataclass(frozen=True)
class Time:
    """The limits of a column that holds a time, in ms (R12). `ahead`: how much later than its file a value may be.

    `given`: a value of 0 or less says that nothing was given, and is plausible.
    """

    column: str
    earliest: int
    ahead: int
    given: bool

    def is_early(self, value: int) -> bool:
        return value < self.earliest and not (self.given and value <= 0)


@dataclass(frozen=True)
class Limits:
    """What may arrive in a landing table.

    `quarantined_share`: the part of the rows of a run that may be quarantined before the run fails.
    `unnamed_share`: the same of rows that do not even say whose they are; None: they count like others.
    `optional`: a source that has not delivered anything yet is no reason to fail.
    """

    quarantined_share: float
    unnamed_share: float | None = None
    optional: bool = False


@dataclass(frozen=True)
class Check:
    """A data check in dbt's vocabulary: `accepted_range`, `accepted_values` or `relationships`, of one column."""

    check: str
    column: str
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] = ()
    to: str = ""
    field: str = ""


@dataclass(frozen=True)
class Contract:
    """A table: its columns in order, the key that names one row, and what its rows must be like.

    `checks` are those beyond not_null (every required column) and unique (the key). `sort` is the order of rows in data files.
    `prefix`: its place in the lake, with a slash at the end. Of landing tables: `limits`, `times` and `address`, the column that
    names the person by an e-mail address, empty where none does.
    """

    table: str
    zone: str
    format: str
    prefix: str
    personal_data: bool
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    sort: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    limits: Limits | None = None
    times: tuple[Time, ...] = ()
    address: str = ""

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def types(self) -> dict[str, str]:
        """Type by column. Every column may be null: what is required is checked, not assumed."""
        return {column.name: column.type for column in self.columns}


@dataclass(frozen=True)
class Job:
    """How a table, its `target`, is made. `landing` is the landing table that the job reads, None for one that reads tables only;
    `reads` are the Iceberg tables. `keeps` are tables beside the target that later runs need, in the order of their publication.
    """

    name: str
    kind: str
    source: str
    target: str
    intake: str
    landing: str | None = None
    quarantine: str = ""
    reads: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    subject: str = ""
    subjects: str = ""
    rows_of: str = ""


def load(table: str) -> Contract:
    """The contract of a table."""
    if table not in _read()[0]:
        raise LakehouseError(f"there is no contract for table {table}: add data/contracts/{table}.json and run `make contracts`")
    return _read()[0][table]


def load_all() -> list[Contract]:
    """The contracts of all tables, by name."""
    return list(_read()[0].values())


def jobs() -> tuple[Job, ...]:
    """All jobs, in the order in which they run."""
    return _read()[1]


@cache
def _read() -> tuple[dict[str, Contract], tuple[Job, ...]]:
    document = json.loads(files("lakehouse").joinpath("contracts.json").read_text(encoding="utf-8"))
    parts = {"columns": Column, "checks": Check, "limits": Limits, "times": Time}
    return (
        {entry["table"]: _made(Contract, entry, parts) for entry in document["tables"]},
        tuple(_made(Job, entry, {}) for entry in document["jobs"]),
    )


def _made(kind: type, entry: dict[str, Any], parts: dict[str, type]) -> Any:
    """An object of its JSON, lists as tuples; `parts`: what the objects in it are, by their key."""

    def made(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(made(key, one) for one in value)
        return _made(parts[key], value, {}) if isinstance(value, dict) else value

    return kind(**{key: made(key, value) for key, value in entry.items()})
