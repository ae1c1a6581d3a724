"""Data checks on what a run is about to publish, in dbt's vocabulary.

not_null follows from the contract's required columns and unique from its key; the others are written in the contract.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import tables
from lakehouse.contracts import Check, Contract
from lakehouse.errors import FailedChecks


def row_checks(contract: Contract) -> dict[str, Column]:
    """For each check that looks at one row: what it is called, and what is true of a row that fails it."""
    found = {f"not_null({column.name})": F.col(column.name).isNull() for column in contract.columns if column.required}
    for check in contract.checks:
        column = F.col(check.column)
        if check.check == "accepted_range":
            found[f"accepted_range({check.column})"] = _outside(column, check)
        elif check.check == "accepted_values":
            found[f"accepted_values({check.column})"] = ~column.isin(*check.values)
    return found


def _outside(column: Column, check: Check) -> Column:
    bounds = [column < check.min] if check.min is not None else []
    bounds += [column > check.max] if check.max is not None else []
    return reduce(lambda a, b: a | b, bounds)


def count_columns(contract: Contract) -> list[Column]:
    """Aggregates: how many rows fail each check, under the check's name."""
    return [F.count_if(failing).alias(name) for name, failing in row_checks(contract).items()]


def table_failures(spark: SparkSession, rows: DataFrame, contract: Contract, touched: DataFrame | None) -> dict[str, int]:
    """How many keys or values fail the checks that look at the whole table. `touched`: the only rows whose key may be double."""
    found = {f"unique({', '.join(contract.key)})": _doubles(rows, contract, touched)}
    for check in contract.checks:
        if check.check == "relationships":
            found[f"relationships({check.column})"] = _strangers(spark, rows, check)
    return found


def _doubles(rows: DataFrame, contract: Contract, touched: DataFrame | None) -> int:
    """How many keys there are twice. `touched`: the only rows whose key may be."""
    keys = rows.select(*contract.key)
    if touched is not None:
        keys = tables.near(keys, touched, contract).join(touched.select(*contract.key), list(contract.key), "left_semi")
    # Counting hashes is much cheaper than grouping by the key; two keys with one hash only lead to the exact look.
    total, different = keys.agg(F.count(F.lit(1)), F.count_distinct(F.xxhash64(*contract.key))).first()
    return 0 if total == different else keys.groupBy(*contract.key).count().where("count > 1").count()


def _strangers(spark: SparkSession, rows: DataFrame, check: Check) -> int:
    known = spark.table(check.to).select(F.col(check.field).alias(check.column))
    values = rows.select(check.column).where(F.col(check.column).isNotNull()).distinct()
    return values.join(known, check.column, "left_anti").count()


def require(table: str, failures: dict[str, int]) -> None:
    """Fails when a check failed, with its name and how often; never with a value."""
    failed = ", ".join(f"{name} failed {count} times" for name, count in failures.items() if count)
    if failed:
        raise FailedChecks(f"{table}: checks of the contract: {failed}; nothing was published, readers see the old version")
