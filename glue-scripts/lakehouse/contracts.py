"""Table contracts: the only place where a schema is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from pyspark.sql.types import (
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from lakehouse.errors import LakehouseError

SPARK_TYPES: dict[str, type[DataType]] = {
    "string": StringType,
    "int": IntegerType,
    "bigint": LongType,
    "double": DoubleType,
    "boolean": BooleanType,
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    `field` is the JSON key in delivered files; `since` is the contract version that added the column.
    """

    name: str
    type: str
    field: str
    required: bool = False
    personal: bool = False
    since: int = 1
    description: str = ""

    @property
    def spark_type(self) -> DataType:
        return SPARK_TYPES[self.type]()


@dataclass(frozen=True)
class Contract:
    """A table: its columns in order and the key that names one row. `limits` holds optional bounds for values."""

    table: str
    source: str
    zone: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    limits: dict[str, Any]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def schema(self) -> StructType:
        """Spark schema of the table. Every column is nullable: what is required is checked, not assumed."""
        return StructType([StructField(column.name, column.spark_type) for column in self.columns])

    @property
    def landing_schema(self) -> StructType:
        """Spark schema of the delivered JSON: the same columns under the names they have in the files."""
        return StructType([StructField(column.field, column.spark_type) for column in self.columns])

    def location(self, lake_uri: str) -> str:
        return f"{lake_uri.rstrip('/')}/{self.source}/{self.zone}/"


def load(table: str) -> Contract:
    """The contract of a table, read from the package (a folder or a zip)."""
    resource = files("lakehouse").joinpath("contracts", f"{table}.json")
    if not resource.is_file():
        raise LakehouseError(f"there is no contract for table {table}: add contracts/{table}.json")
    return parse(json.loads(resource.read_text(encoding="utf-8")))


def parse(document: dict[str, Any]) -> Contract:
    """A contract from its JSON document. Its form is checked at build time; here only what Spark cannot do without."""
    columns = tuple(_column(document["table"], entry) for entry in document["columns"])
    return Contract(
        table=document["table"],
        source=document["source"],
        zone=document["zone"],
        key=tuple(document["key"]),
        columns=columns,
        limits=document.get("limits", {}),
    )


def _column(table: str, entry: dict[str, Any]) -> Column:
    if entry["type"] not in SPARK_TYPES:
        allowed = ", ".join(SPARK_TYPES)
        raise LakehouseError(f"contract {table}: column {entry['name']} has type {entry['type']}, expected one of {allowed}")
    return Column(
        name=entry["name"],
        type=entry["type"],
        field=entry.get("field", entry["name"]),
        required=entry.get("required", False),
        personal=entry.get("personal", False),
        since=entry.get("since", 1),
        description=entry.get("description", ""),
    )
