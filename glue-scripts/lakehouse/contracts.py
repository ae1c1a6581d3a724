"""Table contracts: the only place where a schema is written."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from lakehouse.errors import LakehouseError

TYPES = ("string", "int", "bigint", "double", "boolean")

# Tables that every source has, described once in contracts/each_source.
EACH_SOURCE = ("index", "quarantine")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    `json_key` is the JSON key in delivered files; `since` is the contract version that added the column. `kind` of a landing
    column: `email`, `event_time`, `consent_time` or empty; internal/contract/contract.go says what they mean.
    """

    name: str
    type: str
    json_key: str
    required: bool = False
    personal: bool = False
    since: int = 1
    description: str = ""
    kind: str = ""

    @property
    def is_time(self) -> bool:
        """A time (ms since epoch) or another whole number, whose bounds data files may tell."""
        return self.type == "bigint" and not self.personal


# 2000-01-01T00:00:00Z, and a day: what is plausible where a contract says nothing else (R12).
EARLIEST_MS, AHEAD_MS = 946_684_800_000, 24 * 60 * 60 * 1000


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

    `future_ms`, `earliest_ms`: by column, limits of its times other than the usual ones; see Time.
    `quarantined_share`: the part of the rows of a run that may be quarantined before the run fails.
    `unnamed_share`: the same of rows that do not even say whose they are; None: they count like others.
    `optional`: a source that has not delivered anything yet is no reason to fail.
    """

    future_ms: dict[str, int] = field(default_factory=dict)
    earliest_ms: dict[str, int] = field(default_factory=dict)
    quarantined_share: float = 0.01
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
class Job:
    """How a table is made; what the words mean is said in internal/contract/job.go, which checks them."""

    name: str
    kind: str
    reads: tuple[str, ...] = ()
    subject: str = ""
    subjects: str = ""
    rows_of: str = ""


@dataclass(frozen=True)
class Contract:
    """A table: its columns in order, the key that names one row, and what its rows must be like.

    `checks` are those beyond not_null (every required column) and unique (the key). `sort` is the order of rows in data files.
    `job` makes the table; None: it is delivered, or written beside another one.
    """

    table: str
    source: str
    zone: str
    format: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    limits: Limits = field(default_factory=Limits)
    checks: tuple[Check, ...] = ()
    sort: tuple[str, ...] = ()
    job: Job | None = None

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def types(self) -> dict[str, str]:
        """Type by column. Every column may be null: what is required is checked, not assumed."""
        return {column.name: column.type for column in self.columns}

    @property
    def times(self) -> list[Time]:
        """The limits of the columns of a landing table that hold times."""
        return [
            Time(
                column.name,
                self.limits.earliest_ms.get(column.name, EARLIEST_MS),
                self.limits.future_ms.get(column.name, AHEAD_MS),
                given=column.kind == "consent_time",
            )
            for column in self.columns
            if column.kind.endswith("_time")
        ]

    @property
    def address(self) -> str:
        """The column of a landing table that names the person by an e-mail address; empty where none does."""
        return next((column.name for column in self.columns if column.kind == "email"), "")

    @property
    def prefix(self) -> str:
        """The table's place in the lake, with a slash at the end."""
        return f"{self.source}/{self.zone}/"


def load(table: str) -> Contract:
    """The contract of a table, read from the package (a folder or a zip): its own file, or the one that each source shares."""
    folder = files("lakehouse").joinpath("contracts")
    resource, source = folder.joinpath(f"{table}.json"), ""
    for zone in EACH_SOURCE:
        if table.endswith(f"_{zone}") and not resource.is_file():
            resource, source = folder.joinpath("each_source", f"{zone}.json"), table.removesuffix(f"_{zone}")
    if not resource.is_file() or (source and not folder.joinpath(f"{source}_landing.json").is_file()):
        raise LakehouseError(f"there is no contract for table {table}: add contracts/{table}.json")
    return parse(json.loads(resource.read_text(encoding="utf-8").replace("<source>", source)))


def load_all() -> list[Contract]:
    """The contracts of all tables, by name: those with a file of their own, and those that follow from a source's."""
    folder = files("lakehouse").joinpath("contracts")
    written = [load(entry.name.removesuffix(".json")) for entry in folder.iterdir() if entry.name.endswith(".json")]
    followers = [load(f"{contract.source}_{zone}") for contract in written for zone in _followed_by(contract)]
    return sorted(written + followers, key=lambda contract: contract.table)


def _followed_by(contract: Contract) -> tuple[str, ...]:
    """The zones whose tables follow from a table: landing has a quarantine, readings have an index."""
    if contract.zone == "landing":
        return ("quarantine",)
    return ("index",) if contract.job and contract.job.kind == "readings" else ()


def parse(document: dict[str, Any]) -> Contract:
    """A contract from its JSON document. Its form is checked at build time; here only what the jobs cannot do without."""
    columns = tuple(_column(document["table"], entry) for entry in document["columns"])
    return Contract(
        table=document["table"],
        source=document["source"],
        zone=document["zone"],
        format=document["format"],
        key=tuple(document["key"]),
        columns=columns,
        limits=Limits(**document.get("limits", {})),
        checks=tuple(_check(entry) for entry in document.get("checks", ())),
        sort=tuple(document.get("layout", {}).get("sort", ())),
        job=_job(document["job"]) if "job" in document else None,
    )


def _job(entry: dict[str, Any]) -> Job:
    return Job(**{**entry, "reads": tuple(entry.get("reads", ()))})


def _check(entry: dict[str, Any]) -> Check:
    return Check(**{**entry, "values": tuple(entry.get("values", ()))})


def _column(table: str, entry: dict[str, Any]) -> Column:
    if entry["type"] not in TYPES:
        allowed = ", ".join(TYPES)
        raise LakehouseError(f"contract {table}: column {entry['name']} has type {entry['type']}, expected one of {allowed}")
    return Column(
        name=entry["name"],
        type=entry["type"],
        json_key=entry.get("field", entry["name"]),
        required=entry.get("required", False),
        personal=entry.get("personal", False),
        since=entry.get("since", 1),
        description=entry.get("description", ""),
        kind=entry.get("kind", ""),
    )
