"""customer_landing -> customer_trusted. Beside it: what is known of everybody's consent -> customer_consent (R1, R2), and what
suspends people -> customer_suspension (R13)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import contracts, queries
from lakehouse.delivery import Delivery
from lakehouse.job import Result, Run
from lakehouse.queries import REASON

CONSENT, SUSPENSION = "customer_consent", "customer_suspension"


def compute(run: Run) -> Result:
    """A run reads new files. Who was suspended and is not any more, without a record among them, makes it read everything."""
    full = run.plan.full
    read = Delivery(run)
    run.view(read.rows, "customer_landing")
    records = run.cache(queries.select(run.spark, "landing", "customer_records"))
    # Of a whole table, for the number of its files; and what was found beside the good rows is known then.
    count = records.count()
    rejected = read.settle().rejected
    run.view(records, "customer_records")
    before = {table: _known(run, table) for table in (CONSENT, SUSPENSION)}
    for table, rows in before.items():
        run.view(rows, table)
    suspended_before = run.cache(queries.select(run.spark, "trusted", "suspended").select("email").distinct())
    current = run.cache(queries.select(run.spark, "consent", CONSENT))
    run.view(current, "customer_current")
    suspending = before[SUSPENSION]
    if rejected is not None:
        run.view(rejected, "customer_rejected")
        suspending = run.cache(queries.select(run.spark, "suspension", SUSPENSION))

    now = current.select("email")
    run.view(before[CONSENT].join(now, "email", "left_anti").unionByName(current), CONSENT)
    run.view(suspending, SUSPENSION)
    suspended = run.cache(queries.select(run.spark, "trusted", "suspended"))
    run.view(suspended, "suspended")
    people = suspended.select("email").distinct()
    gated = run.gate(run.contract)
    decided = _decided_now(gated.rows)
    lifted = suspended_before.join(people, "email", "left_anti").join(decided, "email", "left_anti")
    if not full and not lifted.isEmpty():
        run.plan = run.plan.everything()
        return compute(run)

    # Besides, only rows of those can change who are suspended from now on.
    changed = decided.unionByName(people.join(suspended_before, "email", "left_anti")).distinct()
    scope = None if full else lambda table: table.join(changed, "email", "left_semi")
    written = run.make_equal(run.job.target, gated.accepted, count, scope)
    run.make_equal(CONSENT, current, count, None if full else lambda table: table.join(now, "email", "left_semi"))
    if rejected is not None or full:
        _write_suspending(run, suspending, count)
    return Result((gated,), written, delivery=read, suspended=people.count())


def _write_suspending(run: Run, suspending: DataFrame, count: int) -> None:
    """Every run has all rows at hand: they are few. They are published before the consent, and what is to go from them goes after
    that: a run that dies in between leaves more people suspended, never less.
    """
    key = list(contracts.load(SUSPENSION).key)
    going = run.draft(SUSPENSION).rows().join(suspending.select(*key), key, "left_anti")
    if going.isEmpty():
        run.make_equal(SUSPENSION, suspending, count)
    else:
        suspending = run.cache(suspending)
        run.make_equal(SUSPENSION, suspending.unionByName(run.cache(going)), count)
        run.afterwards[SUSPENSION] = suspending


def _known(run: Run, table: str) -> DataFrame:
    rows = run.draft(table).rows()
    return rows.limit(0) if run.plan.full else rows


def _decided_now(gated: DataFrame) -> DataFrame:
    """Persons whose current record is among those read."""
    return gated.where(F.coalesce(F.col(REASON), F.lit("")) != "superseded").select("email").distinct()
