"""Counts what became of every row, and checks that nothing vanished (R7)."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from lakehouse import contracts, publish, queries, tables
from lakehouse.contracts import Contract
from lakehouse.errors import DoesNotAddUp, FailedChecks
from lakehouse.intake import UNKNOWN_NAME, Ignored
from lakehouse.queries import REASON

EXCLUSIONS = (
    "no_consent",
    "before_consent",
    "unknown_customer",
    "ambiguous_device",
    "duplicate",
    "superseded",
    "suspended",
    "no_readings",
    "no_step_reading",
    "already_decided",
)
ALL = "all"
TABLE = "run_ledger"
# Every run adds a file of some lines.
MOST_FILES = 50
_ACCEPTED, _NULL_KEY = "accepted", "null_key"


@dataclass(frozen=True)
class Entry:
    """What a run did to its table. `drift`: rows with a key that the contract does not know, by key. `total`: rows of
    the table now. `suspended`: people of whom nothing passes because nobody can read what they delivered (R13); None where the
    job does not know. `ignored`: landing objects that are not read, by reason (R15).

    `mode`: `full` (everything was read), `incremental`, or `unchanged` (nothing new: nothing was read or written).
    """

    job: str
    run_id: str
    table: str
    mode: str
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


def record(spark: SparkSession, ledger: str, entry: Entry) -> None:
    """Appends the entry to the ledger table."""
    contract = contracts.load(TABLE)
    tables.reconcile(spark, ledger, contract)
    now = int(time.time() * 1000)
    examples = {("ignored", reason): found.example for reason, found in entry.ignored.items()}
    rows = [(entry.run_id, entry.job, entry.table, *count, now, examples.get(count[:2])) for count in entry.counts()]
    queries.rows(spark, rows, contract.schema).writeTo(ledger).append()
    publish.compact(spark, ledger, contract, MOST_FILES)


def put_metrics(cloudwatch: Any, namespace: str, lake: str, entry: Entry, reads_landing: bool) -> None:
    """The same numbers as CloudWatch metrics: `Rows` by lake, table, outcome and reason, and `TableRows` by lake and table.

    For alarms, which want one number: `RowsDelivered` (by a job that reads landing files), `RowsQuarantined` and `ObjectsIgnored`
    (those whose name says nothing) of the lake.
    """
    data = [
        _metric("Rows", rows, Lake=lake, Table=entry.table, Outcome=outcome, Reason=reason)
        for outcome, reason, rows in entry.counts()
    ]
    if entry.total is not None:
        data.append(_metric("TableRows", entry.total, Lake=lake, Table=entry.table))
    if reads_landing:
        data.append(_metric("RowsDelivered", entry.read, Lake=lake))
        data.append(_metric("RowsQuarantined", sum(entry.quarantined.values()), Lake=lake))
        unknown = entry.ignored.get(UNKNOWN_NAME)
        data.append(_metric("ObjectsIgnored", unknown.objects if unknown else 0, Lake=lake))
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def put_failure(cloudwatch: Any, namespace: str, lake: str, metric: str) -> None:
    """Counts a run that failed in a way that an alarm wants to know of."""
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[_metric(metric, 1, Lake=lake)])


def _metric(name: str, value: int, **dimensions: str) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
        "Value": value,
        "Unit": "Count",
    }


class Gate:
    """Rows of a SELECT with the column `reason`, counted by it while they flow on.

    `rows`: all of them. `passing`: those without a reason.
    `counts()`: known, without a pass of its own, once an action has consumed `passing`.
    """

    def __init__(self, rows: DataFrame, *more: Column) -> None:
        self.rows = rows
        self._observation = Observation()
        self._metrics = [
            F.count_if(F.col(REASON).isNull()).alias(_ACCEPTED),
            *(F.count_if(F.col(REASON) == name).alias(name) for name in EXCLUSIONS),
            *more,
        ]
        self.passing = rows.observe(self._observation, *self._metrics).where(F.col(REASON).isNull())

    def counts(self) -> dict[str, int]:
        return self._observation.get

    def recount(self) -> dict[str, int]:
        """The same, exact at the price of a pass of its own: an observation may count a repeated Spark task twice."""
        return self.rows.agg(*self._metrics).first().asDict()


class Gated(Gate):
    """The rows of a table's own SELECT. `accepted`: the rows to publish, with the contract's columns."""

    def __init__(self, rows: DataFrame, contract: Contract) -> None:
        no_key = reduce(lambda a, b: a | b, [F.col(key).isNull() for key in contract.key])
        super().__init__(rows, F.count_if(F.col(REASON).isNull() & no_key).alias(_NULL_KEY))
        self.accepted = self.passing.select(*filled(rows, contract))


def filled(rows: DataFrame, contract: Contract) -> list[Column]:
    """The contract's columns, null where the rows have none."""
    given = set(rows.columns)
    return [
        F.col(column.name) if column.name in given else F.lit(None).cast(column.spark_type).alias(column.name)
        for column in contract.columns
    ]


@dataclass(frozen=True)
class Tally:
    """The numbers of R7 for one table: `read` counts at the source, `gates` at each SELECT that the rows went through.

    `published`: accepted rows as counted where they were written; None where rows that were there already are not written.
    """

    read: int
    quarantined: int
    gates: tuple[dict[str, int], ...]
    published: int | None

    @property
    def excluded(self) -> dict[str, int]:
        return {reason: count for reason in EXCLUSIONS if (count := sum(gate[reason] for gate in self.gates))}

    @property
    def accepted(self) -> int:
        return self.gates[-1][_ACCEPTED]

    @property
    def without_key(self) -> int:
        return self.gates[-1].get(_NULL_KEY, 0)

    def adds_up(self) -> bool:
        total = self.accepted + sum(self.excluded.values()) + self.quarantined
        return self.read == total and self.published in (None, self.accepted) and not self.without_key

    def check(self, table: str) -> None:
        """Fails a run that does not add up (R7), or that would publish rows without a key."""
        if self.without_key:
            raise FailedChecks(f"{table}: {self.without_key} accepted rows have no key; nothing was published")
        if not self.adds_up():
            published = "" if self.published is None else f", {self.published} written"
            raise DoesNotAddUp(
                f"{table}: rows do not add up (R7): {self.read} read, {self.accepted} accepted, "
                f"{sum(self.excluded.values())} excluded, {self.quarantined} quarantined{published}; nothing was published"
            )
