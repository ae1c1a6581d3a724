"""Makes a table equal to the accepted rows, writing only what differs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import Contract
from lakehouse.tables import TableState

OP, INSERT, UPDATE, DELETE = "_op", "insert", "update", "delete"
ROWS_PER_FILE = 1_000_000


@dataclass(frozen=True)
class Changes:
    """Rows to insert, update and delete (cached), how many of each, and the table's row count `before` them."""

    rows: DataFrame
    before: int
    inserted: int
    updated: int
    deleted: int

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.deleted

    @property
    def after(self) -> int:
        return self.before + self.inserted - self.deleted


def compute(spark: SparkSession, target: TableState, accepted: DataFrame, contract: Contract) -> Changes:
    """The changes that make the target equal to the accepted rows. One action: it runs everything before it, once."""
    current = spark.table(target.name)
    before = current.count() if target.snapshot_id else 0
    rows = difference(accepted, current, contract) if before else accepted.withColumn(OP, F.lit(INSERT))
    rows = rows.persist()
    counts = {row[OP]: row["count"] for row in rows.groupBy(OP).count().collect()}
    return Changes(rows, before, *(counts.get(op, 0) for op in (INSERT, UPDATE, DELETE)))


def difference(accepted: DataFrame, current: DataFrame, contract: Contract) -> DataFrame:
    """What makes `current` equal to `accepted`, by key: the contract's columns and the operation, no equal rows."""
    new, old = accepted.alias("new"), current.alias("old")
    same_key = _all([F.col(f"new.{key}") == F.col(f"old.{key}") for key in contract.key])
    values = [name for name in contract.names if name not in contract.key]
    changed = reduce(lambda a, b: a | b, (~_equal(name) for name in values), F.lit(False))
    first = contract.key[0]
    op = F.when(F.col(f"old.{first}").isNull(), INSERT).when(F.col(f"new.{first}").isNull(), DELETE).when(changed, UPDATE)
    columns = [
        F.coalesce(f"new.{name}", f"old.{name}").alias(name) if name in contract.key else F.col(f"new.{name}")
        for name in contract.names
    ]
    return new.join(old, same_key, "full_outer").select(*columns, op.alias(OP)).where(f"{OP} is not null")


def apply(target: TableState, changes: Changes, contract: Contract) -> None:
    """Commits the changes: one new snapshot, or none when there is nothing to do."""
    if changes.total == 0:
        return
    if changes.before == 0:
        rows = changes.rows.coalesce(max(1, changes.total // ROWS_PER_FILE))
        rows.select(*contract.names).writeTo(target.name).append()
    else:
        _merge(target, changes, contract)


def _merge(target: TableState, changes: Changes, contract: Contract) -> None:
    """MERGE with only the clauses that have work to do: without updates and deletes no existing file is rewritten."""
    same_key = _all([F.col(f"{target.name}.{key}") == F.col(f"changes.{key}") for key in contract.key])
    source = {name: F.col(f"changes.{name}") for name in contract.names}
    # MERGE reads its source twice. The checkpoint makes that the cached rows and nothing else: Spark 4.1 does not find a plan
    # with CTEs again in its cache, and fails to optimise it there.
    merge = changes.rows.localCheckpoint().alias("changes").mergeInto(target.name, same_key)
    if changes.deleted:
        merge = merge.whenMatched(F.col(f"changes.{OP}") == DELETE).delete()
    if changes.updated:
        merge = merge.whenMatched(F.col(f"changes.{OP}") == UPDATE).update(source)
    if changes.inserted:
        merge = merge.whenNotMatched(F.col(f"changes.{OP}") == INSERT).insert(source)
    merge.merge()


def _equal(name: str) -> Column:
    return F.col(f"new.{name}").eqNullSafe(F.col(f"old.{name}"))


def _all(conditions: list[Column]) -> Column:
    return reduce(lambda a, b: a & b, conditions)
