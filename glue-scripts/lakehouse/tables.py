"""Iceberg tables: names, state, and bringing a table in line with its contract before a job writes to it."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakehouse.contracts import Column, Contract
from lakehouse.errors import LakehouseError, condition

CATALOG = "glue_catalog"
TARGET_FILE_BYTES = 128 * 1024 * 1024

# Copy-on-write: readers (Athena) meet no delete files, and a row removed for want of consent is in no current file.
PROPERTIES = {
    "write.delete.mode": "copy-on-write",
    "write.update.mode": "copy-on-write",
    "write.merge.mode": "copy-on-write",
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(TARGET_FILE_BYTES),
}
FORMAT_VERSION = 2


@dataclass(frozen=True)
class TableState:
    """What the catalog says of a table. `snapshot_id` is None for a table that was never written."""

    name: str
    schema: StructType
    properties: dict[str, str]

    @property
    def snapshot_id(self) -> str | None:
        current = self.properties.get("current-snapshot-id", "none")
        return None if current == "none" else current


def full_name(database: str, table: str) -> str:
    return f"{CATALOG}.{database}.{table}"


def read(spark: SparkSession, name: str) -> DataFrame:
    try:
        return spark.table(name)
    except AnalysisException as error:
        if condition(error) in ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND"):
            raise LakehouseError(f"table {name} does not exist: deploy the catalog stack first") from error
        raise


def state(spark: SparkSession, name: str) -> TableState:
    schema = read(spark, name).schema
    rows = spark.sql(f"show tblproperties {name}").collect()
    return TableState(name, schema, {row["key"]: row["value"] for row in rows})


def reconcile(spark: SparkSession, name: str, contract: Contract) -> TableState:
    """The table's state after adding the contract's new columns and setting the properties writers rely on.

    Fails when the table has a column the contract does not know, or one of another type. Changes only what differs.
    """
    before = state(spark, name)
    statements = alterations(before, contract)
    for statement in statements:
        spark.sql(statement)
    return state(spark, name) if statements else before


def alterations(table: TableState, contract: Contract) -> list[str]:
    """The ALTER statements that bring a table in line with its contract."""
    _check_types(table, contract)
    present = set(table.schema.names)
    missing = [column for column in contract.columns if column.name not in present]
    wanted = {**PROPERTIES, **_no_bounds(contract)}
    differing = {key: value for key, value in wanted.items() if table.properties.get(key) != value}
    if int(table.properties.get("format-version", "1")) < FORMAT_VERSION:
        differing["format-version"] = str(FORMAT_VERSION)
    statements = []
    if missing:
        statements.append(f"alter table {table.name} add columns ({', '.join(map(_definition, missing))})")
    if differing:
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in sorted(differing.items()))
        statements.append(f"alter table {table.name} set tblproperties ({pairs})")
    return statements


def _check_types(table: TableState, contract: Contract) -> None:
    columns = {column.name: column for column in contract.columns}
    for field in table.schema:
        column = columns.get(field.name)
        if column is None:
            raise LakehouseError(f"table {table.name}: column {field.name} is not in the contract of {contract.table}")
        if field.dataType != column.spark_type:
            raise LakehouseError(
                f"table {table.name}: column {field.name} has type {field.dataType.simpleString()}, "
                f"the contract says {column.type}"
            )


def _no_bounds(contract: Contract) -> dict[str, str]:
    """No column statistics for personal columns: bounds in manifests would keep a prefix of the values."""
    return {f"write.metadata.metrics.column.{column.name}": "none" for column in contract.columns if column.personal}


def _definition(column: Column) -> str:
    comment = column.description.replace("\\", "\\\\").replace("'", "\\'")
    return f"`{column.name}` {column.type} comment '{comment}'"
