"""Counts what became of every row, and checks that nothing vanished (R7)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import reduce

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError
from lakehouse.queries import REASON

EXCLUSIONS = (
    "no_consent",
    "before_consent",
    "unknown_customer",
    "ambiguous_device",
    "duplicate",
    "superseded",
    "no_readings",
    "no_step_reading",
)
_ACCEPTED, _NULL_KEY = "accepted", "null_key"


@dataclass(frozen=True)
class Entry:
    """A table's line in the ledger of a run."""

    job: str
    run_id: str
    table: str
    read: int
    accepted: int
    excluded: dict[str, int]
    quarantined: dict[str, int] = field(default_factory=dict)
    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Gated:
    """The rows of a table's SELECT, counted by reason while they flow to the target.

    `accepted`: the rows to publish, with the contract's columns.
    `counts()`: known, without a pass of its own, once an action has consumed `accepted`.
    """

    def __init__(self, rows: DataFrame, contract: Contract) -> None:
        self._rows = rows
        self._observation = Observation(f"{contract.table}_gated")
        self._metrics = _count_columns(contract)
        given = set(rows.columns)
        columns = [
            F.col(column.name) if column.name in given else F.lit(None).cast(column.spark_type).alias(column.name)
            for column in contract.columns
        ]
        observed = rows.observe(self._observation, *self._metrics)
        self.accepted = observed.where(F.col(REASON).isNull()).select(*columns)

    def counts(self) -> dict[str, int]:
        return self._observation.get

    def recount(self) -> dict[str, int]:
        """The same, exact at the price of a pass of its own: an observation may count a repeated Spark task twice."""
        return self._rows.agg(*self._metrics).first().asDict()


@dataclass(frozen=True)
class Tally:
    """The numbers of R7 for one table: `read` counts at the source, the others at the end of the gate."""

    read: int
    quarantined: int
    gated: dict[str, int]
    published: int

    @property
    def excluded(self) -> dict[str, int]:
        return {reason: self.gated[reason] for reason in EXCLUSIONS if self.gated[reason]}

    @property
    def accepted(self) -> int:
        return self.gated[_ACCEPTED]

    def adds_up(self) -> bool:
        total = self.accepted + sum(self.excluded.values()) + self.quarantined
        return self.read == total and self.accepted == self.published and not self.gated[_NULL_KEY]

    def check(self, table: str) -> None:
        """Fails a run that does not add up (R7), or that would publish rows without a key."""
        if self.gated[_NULL_KEY]:
            raise LakehouseError(f"{table}: {self.gated[_NULL_KEY]} accepted rows have no key; nothing was written")
        if not self.adds_up():
            raise LakehouseError(
                f"{table}: rows do not add up (R7): {self.read} read, {self.accepted} accepted, "
                f"{sum(self.excluded.values())} excluded, {self.quarantined} quarantined, "
                f"{self.published} to be in the table; nothing was written"
            )


def _count_columns(contract: Contract) -> list[Column]:
    reason = F.col(REASON)
    no_key = reduce(lambda a, b: a | b, [F.col(key).isNull() for key in contract.key])
    return [
        F.count_if(reason.isNull()).alias(_ACCEPTED),
        F.count_if(reason.isNull() & no_key).alias(_NULL_KEY),
        *(F.count_if(reason == name).alias(name) for name in EXCLUSIONS),
    ]
