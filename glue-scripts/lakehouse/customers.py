"""customer_landing -> customer_trusted. Beside it: what is known of everybody's consent -> customer_consent (R1, R2), and what
suspends people -> customer_suspension (R13)."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import contracts, queries, tables
from lakehouse.delivery import Delivery
from lakehouse.job import Result, Run, Scope
from lakehouse.queries import REASON

CONSENT, SUSPENSION = "customer_consent", "customer_suspension"


def compute(run: Run) -> Result:
    """A run reads new files. Who was suspended and is not any more, without a record among them, makes it read everything."""
    full = run.plan.full
    read = Delivery(run)
    read.landing.look()
    run.view(read.rows, "customer_landing")
    records = run.cache(queries.select(run.spark, "landing", "customer_records"))
    # For the number of files of a table; and what was found beside the good rows is known then.
    count = records.count()
    rejected = read.settle().rejected
    run.view(records, "customer_records")
    known = run.draft(CONSENT).rows()
    known = known.limit(0) if full else known
    run.view(known, CONSENT)
    current = run.cache(queries.select(run.spark, "consent", CONSENT))
    run.view(current, "customer_current")
    had_suspending = tables.rows(run.spark, run.name(SUSPENSION)) > 0
    suspended = None
    if rejected is not None or (had_suspending and not full):
        suspended = _suspended(run, rejected, known, current)
    run.view(suspended.now if suspended else queries.rows(run.spark, [], "email string, serialnumber string"), "suspended")

    gated = run.gate(run.contract)
    decided = _decided_now(gated.rows)
    if suspended and not full:
        if not suspended.lifted.join(decided, "email", "left_anti").isEmpty():
            run.plan = run.plan.everything()
            return compute(run)
        decided = decided.unionByName(suspended.people_since).distinct()
    written = run.make_equal(run.job.target, gated.accepted, count, None if full else _of(decided))
    run.make_equal(CONSENT, current, count, None if full else _of(current.select("email")))
    if rejected is not None or (had_suspending and full):
        _write_suspending(run, suspended and suspended.by, count)
    return Result((gated,), written, delivery=read, suspended=suspended.people.count() if suspended else 0)


@dataclass(frozen=True)
class _Suspended:
    """`by`: what suspends, as the table is to hold it. `now`: people and devices. `people`: their addresses; `people_since`: of
    those who were not before this run; `lifted`: of those who were.
    """

    by: DataFrame
    now: DataFrame
    people: DataFrame
    people_since: DataFrame
    lifted: DataFrame


def _suspended(run: Run, rejected: DataFrame | None, known: DataFrame, current: DataFrame) -> _Suspended:
    by = run.draft(SUSPENSION).rows()
    by = by.limit(0) if run.plan.full else by
    run.view(by, SUSPENSION)
    before = run.cache(queries.select(run.spark, "trusted", "suspended").select("email").distinct())
    if rejected is not None:
        run.view(rejected, "customer_rejected")
        by = run.cache(queries.select(run.spark, "suspension", SUSPENSION))
    run.view(by, SUSPENSION)
    run.view(known.join(current.select("email"), "email", "left_anti").unionByName(current), CONSENT)
    now = run.cache(queries.select(run.spark, "trusted", "suspended"))
    people = now.select("email").distinct()
    return _Suspended(by, now, people, people.join(before, "email", "left_anti"), before.join(people, "email", "left_anti"))


def _of(people: DataFrame) -> Scope:
    return lambda table: table.join(people, "email", "left_semi")


def _write_suspending(run: Run, suspending: DataFrame | None, count: int) -> None:
    """Every run has all rows at hand: they are few. They are published before the consent, and what is to go from them goes after
    that: a run that dies in between leaves more people suspended, never less.
    """
    there = run.draft(SUSPENSION).rows()
    suspending = there.limit(0) if suspending is None else suspending
    key = list(contracts.load(SUSPENSION).key)
    going = there.join(suspending.select(*key), key, "left_anti")
    if going.isEmpty():
        run.make_equal(SUSPENSION, suspending, count)
    else:
        suspending = run.cache(suspending)
        run.make_equal(SUSPENSION, suspending.unionByName(run.cache(going)), count)
        run.afterwards[SUSPENSION] = suspending


def _decided_now(gated: DataFrame) -> DataFrame:
    """Persons whose current record is among those read."""
    return gated.where(F.coalesce(F.col(REASON), F.lit("")) != "superseded").select("email").distinct()
