"""Reads what was delivered since the last run, and puts aside what cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse import contracts, landing, queries
from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError
from lakehouse.intake import Object
from lakehouse.landing import Landing

if TYPE_CHECKING:
    from lakehouse.job import Run


class Delivery:
    """The new objects of a landing table.

    `rows`: the good rows. `settle()`, once an action has consumed them: what was found on the way.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # To Spark an empty folder in a name is none: it would read another object, or find nothing.
        faulty = {one for one in run.plan.new if one.size == 0 or "//" in one.key}
        # A gzip that does not end well is not used at all: seen before anything of it is.
        faulty |= _damaged(run, [one for one in run.plan.new if one not in faulty])
        self._faulty = [one for one in run.plan.new if one in faulty]
        self.landing = Landing(run.spark, run.landing, [run.store.uri(one.key) for one in run.plan.new if one not in faulty])

    @property
    def rows(self) -> DataFrame:
        return self.landing.rows

    def settle(self, exact: bool = False) -> Found:
        """Fails when more rows are bad than the contract allows. `exact`: with a pass of its own to count the good ones."""
        run = self._run
        counts = self.landing.recount() if exact else self.landing.counts()
        good = counts.read - counts.bad
        drift = self.landing.drift() if counts.drifting else {}
        if not counts.bad and not self._faulty:
            return Found(run.landing, good, {}, None, drift)
        rejected = _rejected(run, self.landing, counts, self._faulty).localCheckpoint()
        quarantined = {row["reason"]: row["count"] for row in rejected.groupBy("reason").count().orderBy("reason").collect()}
        found = Found(run.landing, good, quarantined, rejected, drift)
        given = run.options.quarantined_share
        share = run.landing.limits.quarantined_share if given is None else given
        if sum(quarantined.values()) > share * found.read:
            first = rejected.orderBy("file", "position").first()
            where = f"line {first['position']} of {first['file']}" if first["position"] else f"the whole of {first['file']}"
            raise landing.too_many(run.landing.table, found.read, quarantined, where, share)
        return found


def _damaged(run: Run, files: list[Object]) -> set[Object]:
    """Those of the files that are no good gzip. Fails when something else keeps a file from being read: it may be read later."""
    compressed = [one for one in files if one.key.endswith(".gz")]
    if not compressed or landing.readable(run.spark, [run.store.uri(one.key) for one in compressed]):
        return set()
    found = set()
    for one in compressed:
        try:
            if landing.damaged(run.store.open(one.key)):
                found.add(one)
        except Exception as error:
            raise _unreadable(run, one.key, type(error).__name__) from error
    if not found:
        raise _unreadable(run, "a .json.gz file", "by Spark, and each of them is a good one")
    return found


def _unreadable(run: Run, what: str, why: str) -> LakehouseError:
    return LakehouseError(
        f"{run.landing.table}: {what} cannot be read now ({why}), so nothing was written; "
        "see that the job may read and decrypt what is delivered, and run it again"
    )


@dataclass(frozen=True)
class Found:
    """What a run met in its landing files.

    `good`: rows that can be used, `quarantined`: the others by reason, a file quarantined whole counting as one row.
    `rejected`: those rows as the quarantine table holds them, without the run's columns; None when there are none.
    """

    contract: Contract
    good: int
    quarantined: dict[str, int]
    rejected: DataFrame | None
    drift: dict[str, int]

    @property
    def read(self) -> int:
        return self.good + sum(self.quarantined.values())


def _rejected(run: Run, source: Landing, counts: landing.Counts, faulty: list[Object]) -> DataFrame:
    schema = contracts.load(f"{run.landing.source}_quarantine").schema
    whole = [(one.key, one.version, 0, landing.MALFORMED, None, None) for one in faulty]
    columns = "file string, version string, position bigint, reason string, line string, encoding string"
    rows = queries.rows(run.spark, whole, columns)
    if counts.bad:
        versions = [(one.key, one.version) for one in run.plan.new]
        versions = queries.rows(run.spark, versions, "file string, version string")
        lines = source.rejected(counts).withColumn("file", file_key(run, F.col("file_path"))).drop("file_path")
        rows = rows.unionByName(lines.join(F.broadcast(versions), "file", "left"))
    return rows.select(*[F.col(name) for name in schema.names if name in rows.columns])


def file_key(run: Run, path: Column) -> Column:
    """The object's key for the path that Spark gives for a row."""
    # url_decode takes a plus for a space; in a path it is a plus.
    decoded = F.url_decode(F.replace(path, F.lit("+"), F.lit("%2B")))
    root = run.store.root
    return F.substr(decoded, F.instr(decoded, root) + F.lit(len(root)))


def again(run: Run, keys: set[str]) -> Landing:
    """Objects that an earlier run has taken in, to be read once more."""
    objects = [one for one in run.plan.known if one.key in keys]
    if len(objects) < len(keys):
        raise LakehouseError(f"{run.landing.table}: files that were read are gone; run the job with --full-refresh")
    return Landing(run.spark, run.landing, [run.store.uri(one.key) for one in objects])
