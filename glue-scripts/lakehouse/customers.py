"""customer_landing -> customer_trusted, and what is known of everybody's consent -> customer_consent (R1, R2)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import queries
from lakehouse.delivery import Delivery
from lakehouse.job import Result, Run
from lakehouse.queries import REASON

CONSENT = "customer_consent"


def compute(run: Run) -> Result:
    read = Delivery(run)
    run.view(read.rows, "customer_landing")
    records = run.cache(queries.select(run.spark, "landing", "customer_records"))
    # Only the first rows of a table are written without being counted before.
    count = records.count() if run.plan.full else None
    run.view(records, "customer_records")
    known = run.draft(CONSENT).rows()
    run.view(known.limit(0) if run.plan.full else known, CONSENT)
    current = run.cache(queries.select(run.spark, "consent", CONSENT))
    run.view(current, "customer_current")

    gated = run.gate(run.contract)
    written = run.make_equal(run.job.target, gated.accepted, count, None if run.plan.full else _decided_now(gated.rows))
    read_now = current.select("email")
    run.make_equal(CONSENT, current, count, None if run.plan.full else lambda table: table.join(read_now, "email", "left_semi"))
    return Result((gated,), written, delivery=read)


def _decided_now(gated: DataFrame):
    """Persons whose current record is among those read: only their rows can change."""
    superseded = F.coalesce(F.col(REASON), F.lit("")) == "superseded"
    people = gated.where(~superseded).select("email").distinct()
    return lambda table: table.join(people, "email", "left_semi")
