"""The ledger: what every run did to its table, by outcome and reason, and the same as metrics; and what its checks found."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow

from lakehouse import contracts, drafts
from lakehouse.checks import Outcomes
from lakehouse.engines import Engine
from lakehouse.intake import UNKNOWN_NAME, Ignored
from lakehouse.tables import Tables

ALL, CHECK = "all", "check"
TABLE = "run_ledger"
# Every run adds a file of some lines.
MOST_FILES = 50


@dataclass(frozen=True)
class Entry:
    """What a run did to its table. `drift`: rows with a key that the contract does not know, by key. `total`: rows of
    the table now. `suspended`: people of whom nothing passes because nobody can read what they delivered (R13); None where the
    job does not know. `ignored`: landing objects that are not read, by reason (R15).

    `engine`: what did it.
    `mode`: `full` (everything was read), `incremental`, or `unchanged` (nothing new: nothing was read or written).
    """

    job: str
    run_id: str
    table: str
    mode: str
    engine: str = ""
    read: int = 0
    accepted: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    inserted: int = 0
    updated: int = 0
    removed: int = 0
    drift: dict[str, int] = field(default_factory=dict)
    total: int | None = None
    suspended: int | None = None
    ignored: dict[str, Ignored] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def counts(self) -> list[tuple[str, str, int]]:
        """Outcome, reason and rows: what the ledger keeps. Single numbers also when they are 0."""
        names = ("read", "accepted", "inserted", "updated", "removed", "suspended")
        single = [(name, ALL, rows) for name in names if (rows := getattr(self, name)) is not None]
        by_reason = [
            (name, reason, rows)
            for name in ("excluded", "quarantined", "drift")
            for reason, rows in sorted(getattr(self, name).items())
        ]
        return [*single, *by_reason, *(("ignored", reason, found.objects) for reason, found in self.ignored.items())]


_Line = tuple[str, str, str, int, str | None]
"""Of the ledger: table, outcome, reason, rows and example."""


def record(engine: Engine, of: Tables, entry: Entry, checked: Mapping[str, Outcomes]) -> None:
    """Writes down what a run did, and what its checks found, by table."""
    examples = {("ignored", reason): found.example for reason, found in entry.ignored.items()}
    counts = [(entry.table, *count, examples.get(count[:2])) for count in entry.counts()]
    _append(engine, of, (entry.run_id, entry.job, entry.engine), [*counts, *_of_checks(checked)])


def record_failed(engine: Engine, of: Tables, job: str, run_id: str, checked: Mapping[str, Outcomes]) -> None:
    """Writes down why checks let a run publish nothing. Of the rows that it read nothing is written: nothing became of them."""
    _append(engine, of, (run_id, job, engine.name), _of_checks(checked))


def _of_checks(checked: Mapping[str, Outcomes]) -> list[_Line]:
    return [(table, CHECK, name, failed, None) for table, found in checked.items() for name, failed in found.items()]


def _append(engine: Engine, of: Tables, run: tuple[str, str, str], lines: Sequence[_Line]) -> None:
    """Appends lines of a run: its id, its job, its engine. Runs at once may: each line is of one of them alone."""
    now, (run_id, job, name) = int(time.time() * 1000), run
    append_rows(engine, of, TABLE, [(run_id, job, *line[:4], now, line[4], name) for line in lines])


def append_rows(engine: Engine, of: Tables, ledger: str, rows: Sequence[Sequence[Any]]) -> None:
    """Appends rows, their values in the contract's order, to a ledger. Runs at once may."""
    if not rows:
        return
    contract = contracts.load(ledger)
    loaded = of.reconcile(contract)
    columns = dict(zip(contract.names, zip(*rows, strict=True), strict=True))
    schema = schema_to_pyarrow(loaded.schema(), include_field_ids=False)
    of.retried(ledger, lambda table: table.append(pa.table({name: columns[name] for name in schema.names}, schema=schema)))
    drafts.compact(engine, of, contract, MOST_FILES)


def put_metrics(cloudwatch: Any, namespace: str, lake: str, entry: Entry, reads_landing: bool) -> None:
    """The same numbers as CloudWatch metrics: `Rows` by lake, table, outcome and reason, and `TableRows` by lake and table.

    For alarms, which want one number: `RowsDelivered` (by a job that reads landing files), `RowsQuarantined` and `ObjectsIgnored`
    (those whose name says nothing) of the lake.
    """
    data = [
        metric("Rows", rows, Lake=lake, Table=entry.table, Outcome=outcome, Reason=reason)
        for outcome, reason, rows in entry.counts()
    ]
    if entry.total is not None:
        data.append(metric("TableRows", entry.total, Lake=lake, Table=entry.table))
    if reads_landing:
        data.append(metric("RowsDelivered", entry.read, Lake=lake))
        data.append(metric("RowsQuarantined", sum(entry.quarantined.values()), Lake=lake))
        unknown = entry.ignored.get(UNKNOWN_NAME)
        data.append(metric("ObjectsIgnored", unknown.objects if unknown else 0, Lake=lake))
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def put_failure(cloudwatch: Any, namespace: str, lake: str, name: str) -> None:
    """Counts a run that failed in a way that an alarm wants to know of."""
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[metric(name, 1, Lake=lake)])


def metric(name: str, value: int, **dimensions: str) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
        "Value": value,
        "Unit": "Count",
    }
