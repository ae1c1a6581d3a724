"""Counts what became of every row, and checks that nothing vanished (R7)."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse import queries
from lakehouse.contracts import Contract
from lakehouse.engines import Engine, Rows
from lakehouse.errors import DoesNotAddUp, FailedChecks
from lakehouse.queries import REASON

EXCLUSIONS = (
    "no_consent",
    "before_consent",
    "unknown_customer",
    "ambiguous_device",
    "duplicate",
    "superseded",
    "suspended",
    "erased",
    "no_readings",
    "no_step_reading",
    "already_decided",
)
_ACCEPTED = "accepted"


class Gate:
    """Rows of a SELECT with the column `reason`. `passing`: those without one. `counts`: by reason, and `accepted`.

    `unfit`: of those that pass, how many `unfit_if` is true of, which is SQL.
    """

    def __init__(self, engine: Engine, rows: Rows, unfit_if: str = "false") -> None:
        self.rows = rows
        asked = f"select {REASON}, count(*), count(*) filter (where {unfit_if}) from gated group by {REASON}"
        counted = {_ACCEPTED if reason is None else reason: numbers for reason, *numbers in engine.fetch(asked, gated=rows)}
        self.counts = {reason: number for reason, (number, _) in counted.items()}
        _, self.unfit = counted.get(_ACCEPTED, (0, 0))
        self.passing = engine.sql(f"select * from gated where {REASON} is null", gated=rows)


class Gated(Gate):
    """The rows of a table's own SELECT. `accepted`: the rows to publish, with the contract's columns."""

    def __init__(self, engine: Engine, rows: Rows, contract: Contract) -> None:
        super().__init__(engine, rows, " or ".join(f'"{key}" is null' for key in contract.key))
        if self.unfit:
            raise FailedChecks(f"{contract.table}: {self.unfit} accepted rows have no key; nothing was published")
        self.accepted = engine.sql(f"select {queries.filled(rows, contract)} from passing", passing=self.passing)


@dataclass(frozen=True)
class Tally:
    """The numbers of R7 for one table: `read` counts at the source, `gates` at each SELECT that the rows went through, the
    target's own last.

    `published`: accepted rows as counted where they were written; None where rows that were there already are not written.
    """

    read: int
    quarantined: int
    gates: tuple[dict[str, int], ...]
    published: int | None

    @property
    def excluded(self) -> dict[str, int]:
        return {reason: count for reason in EXCLUSIONS if (count := sum(gate.get(reason, 0) for gate in self.gates))}

    @property
    def accepted(self) -> int:
        return self.gates[-1].get(_ACCEPTED, 0)

    def check(self, table: str) -> None:
        """Fails a run that does not add up (R7)."""
        excluded = sum(self.excluded.values())
        if self.read == self.accepted + excluded + self.quarantined and self.published in (None, self.accepted):
            return
        published = "" if self.published is None else f", {self.published} written"
        raise DoesNotAddUp(
            f"{table}: rows do not add up (R7): {self.read} read, {self.accepted} accepted, "
            f"{excluded} excluded, {self.quarantined} quarantined{published}; nothing was published"
        )
