"""Writes a table's next version as a draft, checks it, and publishes it: readers never see a version that failed its checks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from lakehouse import checks, tables
from lakehouse.contracts import Contract
from lakehouse.errors import DoesNotAddUp
from lakehouse.tables import Draft

OP, INSERT, UPDATE, DELETE = "_op", "insert", "update", "delete"
ROWS_PER_FILE = 1_000_000
# So many data files more than a table of its size needs, and the small ones are put together.
MOST_FILES = 8


@dataclass(frozen=True)
class Written:
    """Rows that a draft has more, different and less than the version before."""

    inserted: int
    updated: int
    removed: int

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.removed


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


def append(draft: Draft, accepted: DataFrame, contract: Contract, at_most: int | None) -> Written:
    """Writes rows whose keys are not in the table, straight from where they are computed; `at_most` as in Run.make_equal."""
    observation = Observation()
    rows = accepted.select(*contract.names).observe(observation, *checks.count_columns(contract))
    if at_most is not None:
        rows = rows.coalesce(files_for(accepted.sparkSession, at_most))
    rows.writeTo(draft.name).append()
    checks.require(contract.table, observation.get)
    return Written(draft.rows_now() - draft.rows_before, 0, 0)


def files_for(spark: SparkSession, rows: int) -> int:
    """How many files to write at once; no more than a shuffle has partitions."""
    return min(1 + rows // ROWS_PER_FILE, int(spark.conf.get("spark.sql.shuffle.partitions")))


def change(draft: Draft, changes: DataFrame, contract: Contract) -> tuple[Written, DataFrame]:
    """Writes rows that are each marked with an operation; gives back what was written, and these rows, at hand.

    The checkpoint cuts them off from their plan: they are read several times, and MERGE in Spark 4.1 would compute them anew.
    """
    put, observation = F.col(OP) != DELETE, Observation()
    counted = changes.observe(
        observation,
        *(F.count_if(F.col(OP) == op).alias(op) for op in (INSERT, UPDATE, DELETE)),
        *(F.count_if(put & failing).alias(name) for name, failing in checks.row_checks(contract).items()),
    )
    # The rows are counted by the tasks that end the query: Spark takes each of these once, also when it repeats one.
    changes = counted.localCheckpoint()
    counts = dict(observation.get)
    written = Written(*(counts.pop(op) for op in (INSERT, UPDATE, DELETE)))
    checks.require(contract.table, counts)
    if written.total == 0:
        return written, changes
    if written.inserted == written.total:
        changes.select(*contract.names).coalesce(files_for(changes.sparkSession, written.total)).writeTo(draft.name).append()
    else:
        _merge(draft, changes, written, contract)
    if draft.rows_now() != draft.rows_before + written.inserted - written.removed:
        raise DoesNotAddUp(
            f"{contract.table}: {draft.rows_before} rows with {written.inserted} more and {written.removed} less "
            f"are {draft.rows_now()} in the draft; nothing was published"
        )
    return written, changes


def audit(spark: SparkSession, draft: Draft, contract: Contract, changes: DataFrame | None) -> None:
    """Reads the draft back and checks the table as a whole. `changes`: what was written to a table that had rows before."""
    touched = None if changes is None else changes.where(F.col(OP) != DELETE)
    checks.require(contract.table, checks.table_failures(spark, draft.rows(), contract, touched))


def compact(spark: SparkSession, table: str, contract: Contract, most_files: int = MOST_FILES) -> None:
    """Puts small data files together once there are that many more than the rows ask for. The table's rows stay the same."""
    summary = tables.iceberg(spark, table).currentSnapshot().summary()
    if int(summary["total-data-files"]) <= most_files + int(summary["total-records"]) // ROWS_PER_FILE:
        return
    catalog, _, name = table.partition(".")
    sort = f", strategy => 'sort', sort_order => '{', '.join(contract.sort)}'" if contract.sort else ""
    options = f"options => map('min-input-files', '{MOST_FILES}')"
    try:
        spark.sql(f"call {catalog}.system.rewrite_data_files(table => '{name}'{sort}, {options})").collect()
    except Exception as error:
        # Another run was ahead; it puts the files together as well.
        if not tables.is_conflict(error):
            raise


def _merge(draft: Draft, changes: DataFrame, written: Written, contract: Contract) -> None:
    """MERGE with only the clauses that have work to do: without updates and deletes no existing file is rewritten."""
    same_key = _all([F.col(f"{draft.name}.{key}") == F.col(f"changes.{key}") for key in contract.key])
    source = {name: F.col(f"changes.{name}") for name in contract.names}
    merge = changes.alias("changes").mergeInto(draft.name, same_key)
    if written.removed:
        merge = merge.whenMatched(F.col(f"changes.{OP}") == DELETE).delete()
    if written.updated:
        merge = merge.whenMatched(F.col(f"changes.{OP}") == UPDATE).update(source)
    if written.inserted:
        merge = merge.whenNotMatched(F.col(f"changes.{OP}") == INSERT).insert(source)
    merge.merge()


def _equal(name: str) -> Column:
    return F.col(f"new.{name}").eqNullSafe(F.col(f"old.{name}"))


def _all(conditions: list[Column]) -> Column:
    return reduce(lambda a, b: a & b, conditions)
