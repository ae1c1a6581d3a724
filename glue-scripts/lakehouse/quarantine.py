"""The quarantine of a source: rows of its present landing files that cannot be used, raw, with reason and place (R8)."""

from __future__ import annotations

import time
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import contracts, tables
from lakehouse.contracts import Contract
from lakehouse.delivery import Found
from lakehouse.publish import DELETE, INSERT, OP, UPDATE, audit, change, compact

if TYPE_CHECKING:
    from lakehouse.job import Run


def publish(run: Run, found: Found) -> None:
    """Adds what this run put aside. A run over everything also drops rows of files that were replaced or removed since."""
    contract = contracts.load(f"{found.contract.source}_quarantine")
    name = run.name(contract.table)
    if found.rejected is None and not (run.plan.full and tables.version(run.spark, name) != tables.NEVER_WRITTEN):
        return
    tables.reconcile(run.spark, name, contract)
    with tables.draft(run.spark, name) as draft:
        written, rows = change(draft, _changes(run, found, draft.rows(), contract), contract)
        if written.total:
            audit(run.spark, draft, contract, rows)
            draft.publish()
            compact(run.spark, name, contract)


def _changes(run: Run, found: Found, present: DataFrame, contract: Contract) -> DataFrame:
    """What is new, and in a run over everything also what has another reason now, or is no longer bad."""
    columns = [name for name in contract.names if name not in ("run_id", "quarantined_at")]
    rejected = present.limit(0) if found.rejected is None else found.rejected
    new, old = rejected.select(*columns).alias("new"), present.alias("old")
    same = [F.col(f"new.{key}") == F.col(f"old.{key}") for key in contract.key]
    op = F.when(F.col("old.file").isNull(), INSERT)
    if run.plan.full:
        op = op.when(F.col("new.file").isNull(), DELETE).when(F.col("new.reason") != F.col("old.reason"), UPDATE)
    values = [F.coalesce(f"new.{name}", f"old.{name}") if name in contract.key else F.col(f"new.{name}") for name in columns]
    joined = new.join(old, reduce(lambda a, b: a & b, same), "full_outer")
    return joined.select(
        *[value.alias(name) for value, name in zip(values, columns, strict=True)],
        F.lit(run.id).alias("run_id"),
        F.lit(int(time.time() * 1000)).alias("quarantined_at"),
        op.alias(OP),
    ).where(f"{OP} is not null")
