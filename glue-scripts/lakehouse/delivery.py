"""Reads what was delivered since the last run, and puts aside what cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse import landing, queries
from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError, TooManyQuarantined
from lakehouse.landing import Landing
from lakehouse.lines import MALFORMED
from lakehouse.storage import Object

if TYPE_CHECKING:
    from lakehouse.job import Run

# Places and columns that a message names at most.
_MOST_PLACES, _MOST_DETAILS = 20, 5


class Delivery:
    """The new objects of a landing table.

    `rows`: the good rows. `settle()`, once an action has consumed them: what was found on the way.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # An object without bytes holds no row.
        files = [one for one in run.plan.new if one.size]
        # A gzip that does not end well is not used at all: seen before anything of it is.
        damaged = _damaged(run, files)
        self._damaged = [one for one in files if one in damaged]
        self.landing = Landing(run.spark, run.landing, run.options.lake_uri, [one for one in files if one not in damaged])
        self._found: Found | None = None

    @property
    def rows(self) -> DataFrame:
        return self.landing.rows

    def settle(self, exact: bool = False) -> Found:
        """Fails when more rows are bad than is allowed, also of an unknown number. `exact`: with a pass of its own to count the
        good ones."""
        if self._found and not exact:
            return self._found
        run = self._run
        counts = self.landing.recount() if exact else self.landing.counts()
        good = counts.read - counts.bad
        drift = self.landing.drift() if counts.drifting else {}
        if counts.bad or self._damaged:
            rejected = _rejected(run, self.landing, counts, self._damaged).localCheckpoint()
            reasons = {row["reason"]: row["count"] for row in rejected.groupBy("reason").count().orderBy("reason").collect()}
            found = Found(run.landing, good, reasons, rejected, drift)
            _require_few(found, run.options.quarantined_share)
        else:
            found = Found(run.landing, good, {}, None, drift)
        self._found = found
        return found


def _damaged(run: Run, files: list[Object]) -> set[Object]:
    """Those of the files that are no good gzip. Fails when something else keeps a file from being read: it may be read later."""
    compressed = [one for one in files if one.is_packed]
    readable = [run.store.uri(one.key) for one in compressed if not landing.strange(one)]
    if len(readable) == len(compressed) and (not readable or landing.readable(run.spark, readable)):
        return set()
    found = set()
    for one in compressed:
        try:
            if landing.damaged(run.store.open(one.key)):
                found.add(one)
        except Exception as error:
            raise _unreadable(run, one.key, type(error).__name__) from error
    if not found and not any(map(landing.strange, compressed)):
        raise _unreadable(run, "a .gz file", "by Spark, and each of them is a good one")
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
    `rejected`: those rows as Landing.rejected gives them, with `file` and `version`; None when there are none.
    """

    contract: Contract
    good: int
    quarantined: dict[str, int]
    rejected: DataFrame | None
    drift: dict[str, int]

    @property
    def read(self) -> int:
        return self.good + sum(self.quarantined.values())


def _rejected(run: Run, source: Landing, counts: landing.Counts, damaged: list[Object]) -> DataFrame:
    known = "file string, version string, file_modified bigint, position bigint, reason string, detail string, many boolean"
    schema = StructType.fromDDL(f"{known}, column_name string, line string, encoding string")
    schema = StructType([*schema.fields, *run.landing.schema.fields])
    whole = [(one.key, one.version, one.modified, 0, MALFORMED, "a damaged gzip, or none", True) for one in damaged]
    rows = queries.rows(run.spark, [(*row, *[None] * (len(schema) - len(row))) for row in whole], schema)
    if not counts.bad:
        return rows
    versions = queries.rows(run.spark, [(one.key, one.version) for one in run.plan.new], "file string, version string")
    lines = source.rejected(counts).withColumn("file", file_key(run, F.col("file_path"))).drop("file_path")
    return lines.join(F.broadcast(versions), "file", "left").select(*schema.names).unionByName(rows)


# --- how much may be put aside ---


def _require_few(found: Found, given: float | None) -> None:
    """Fails when more rows are bad than is allowed; `given`: the share that somebody has accepted for this run."""
    limits, rejected = found.contract.limits, found.rejected
    many = rejected.where("many")
    # Of all rows an unknown number is any share.
    if (given is None or given < 1) and (number := many.count()):
        places = _places(many.orderBy("file", "position").take(_MOST_PLACES), number)
        raise _too_many(found, f"{number} files or lines hold an unknown number of rows (R14): {places}")
    share = limits.unnamed_share if given is None else given
    if share is not None and found.contract.address:
        unnamed = rejected.where(F.col(found.contract.address).isNull())
        if (number := unnamed.count()) > share * found.read:
            places = _places(unnamed.orderBy("file", "position").take(_MOST_PLACES), number)
            raise _too_many(found, f"{number} of {found.read} rows cannot be used and do not say whose they are (R13): {places}")
    share = limits.quarantined_share if given is None else given
    if (bad := sum(found.quarantined.values())) > share * found.read:
        example = _place(rejected.orderBy("file", "position").first())
        raise _too_many(
            found,
            f"{bad} of {found.read} rows cannot be used, more than {share:.2%}: {_reasons(found)}; for example {example}",
        )


def _too_many(found: Found, what: str) -> TooManyQuarantined:
    drift = ", ".join(f"{name} {count}" for name, count in found.drift.items())
    unknown = f" Keys that the contract does not know, by rows: {drift}." if drift else ""
    # A customer record that is removed suspends nobody any more.
    mend = "Correct the files" if found.contract.limits.unnamed_share is not None else "Correct or remove the files"
    return TooManyQuarantined(
        f"{found.contract.table}: {what}. Nothing was written.{unknown} "
        f"{mend}; or run the job with --quarantined_share 1 to put these rows aside"
    )


def _reasons(found: Found) -> str:
    """How many rows for which reason, and what was wrong with their columns most often."""
    details = found.rejected.groupBy("reason", "detail").count().orderBy(F.desc("count"), "detail").collect()
    told = []
    for reason, number in found.quarantined.items():
        columns = dict.fromkeys(part for row in details if row["reason"] == reason for part in row["detail"].split(", "))
        shown = [*list(columns)[:_MOST_DETAILS], *["..."][: len(columns) > _MOST_DETAILS]]
        told.append(f"{number} {reason} ({', '.join(shown)})")
    return ", ".join(told)


def _places(rows: list[Row], number: int) -> str:
    more = f", and {number - len(rows)} more" if number > len(rows) else ""
    return "; ".join(f"{_place(row)} ({row['detail']})" for row in rows) + more


def _place(row: Row) -> str:
    return f"line {row['position']} of {row['file']}" if row["position"] else f"the whole of {row['file']}"


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
    return Landing(run.spark, run.landing, run.options.lake_uri, objects)
