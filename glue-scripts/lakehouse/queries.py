"""Runs the SELECTs that carry the rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.resources import files

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructType

from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError

REASON = "reason"
_COMMENT = re.compile(r"--.*")
_SOURCES = re.compile(r"\b(?:from|join)\s+(\w+)", re.IGNORECASE)


def text(zone: str, name: str) -> str:
    resource = files("lakehouse").joinpath("sql", zone, f"{name}.sql")
    if not resource.is_file():
        raise LakehouseError(f"there is no SELECT for {name}: add sql/{zone}/{name}.sql")
    return resource.read_text(encoding="utf-8")


def select(spark: SparkSession, zone: str, name: str, params: dict[str, str] | None = None) -> DataFrame:
    """The rows of a SELECT over the present views.

    Its CTEs are put in their places here. Left to the optimizer, which sees them again inside the SELECTs that use this one,
    Spark 4.1 fails with an internal error (InlineCTE, "exprId on unresolved object") when a query uses one of them twice.
    """
    rows = spark.sql(text(zone, name), args=params)
    spark_sql = spark._jvm.org.apache.spark.sql
    plan = spark_sql.catalyst.optimizer.InlineCTE(True, False).apply(rows._jdf.queryExecution().analyzed())
    return DataFrame(spark_sql.classic.Dataset.ofRows(spark._jsparkSession, plan), spark)


def rows(spark: SparkSession, values: Iterable[tuple], columns: StructType | str) -> DataFrame:
    """Rows that the program itself has; `columns` may be in DDL. For createDataFrame Spark starts a Python process: a second."""
    schema = StructType.fromDDL(columns) if isinstance(columns, str) else columns
    listed = json.dumps([dict(zip(schema.names, row, strict=True)) for row in values])
    return spark.range(0, 1, 1, 1).select(F.inline(F.from_json(F.lit(listed), ArrayType(schema))))


def shared(zone: str, name: str) -> list[str]:
    """The other SELECTs of the zone that a SELECT reads, and those that they read: each after what it reads itself."""
    folder = files("lakehouse").joinpath("sql", zone)
    ordered: list[str] = []

    def visit(select: str) -> None:
        for other in _SOURCES.findall(_COMMENT.sub("", text(zone, select))):
            # A CTE may have the name of the SELECT that it is in, or of a table: neither is another SELECT.
            if other not in (name, select, *ordered) and folder.joinpath(f"{other}.sql").is_file():
                visit(other)
                ordered.append(other)

    visit(name)
    return ordered


def gate(spark: SparkSession, contract: Contract, params: dict[str, str]) -> DataFrame:
    """The table's SELECT: one row per row of its main source, the contract's columns and `reason` (null: accepted)."""
    rows = select(spark, contract.zone, contract.table, params)
    check_columns(rows.schema, contract)
    return rows


def check_columns(schema: StructType, contract: Contract) -> None:
    """Fails unless the SELECT gives the contract's columns. A missing one that is not required is null."""
    where = f"sql/{contract.zone}/{contract.table}.sql"
    given = {field.name: field.dataType for field in schema}
    if given.pop(REASON, None) != StringType():
        raise LakehouseError(f"{where}: the last column must be `{REASON}` of type string")
    for column in contract.columns:
        found = given.pop(column.name, None)
        if found is None and column.required:
            raise LakehouseError(f"{where}: column {column.name} is missing, the contract requires it")
        if found is not None and found != column.spark_type:
            raise LakehouseError(
                f"{where}: column {column.name} has type {found.simpleString()}, the contract says {column.type}"
            )
    if given:
        raise LakehouseError(f"{where}: column {min(given)} is not in the contract of {contract.table}")
