"""What Athena says of the catalog: SHOW, DESCRIBE and the tables of information_schema, from the emulated Glue catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from ministack.services import glue

from embedded_aws.athena_files import Caller
from embedded_aws.athena_statements import QueryError, Show

# A name is padded to this width in what Hive answers, as Athena does.
_WIDTH = 20
_INFORMATION = {
    "columns": (
        *("table_catalog", "table_schema", "table_name", "column_name", "ordinal_position"),
        *("column_default", "is_nullable", "data_type", "comment", "extra_info"),
    ),
    "schemata": ("catalog_name", "schema_name"),
    "tables": ("table_catalog", "table_schema", "table_name", "table_type"),
    "views": ("table_catalog", "table_schema", "table_name", "view_definition"),
}
CATALOG = "awsdatacatalog"


def tables(database: str, caller: Caller) -> dict[str, dict[str, Any]]:
    """The tables of a database that the caller may know, by name, in order."""
    prefix = f"{database}/"
    found = {key.removeprefix(prefix): glue._tables[key] for key in sorted(glue._tables) if key.startswith(prefix)}
    return {name: entry for name, entry in found.items() if caller.may("glue:GetTable", database, name)}


def table(database: str, name: str, caller: Caller) -> dict[str, Any]:
    """The table's entry. Raises QueryError when there is none, or none for the caller."""
    caller.demand("glue:GetTable", database, name)
    found = tables(database, caller)
    if name not in found:
        listed = f"tables of {database}: {', '.join(found)}" if found else f"there is no database {database}, or it has no tables"
        raise QueryError(f"TABLE_NOT_FOUND: Table '{CATALOG}.{database}.{name}' does not exist; {listed}")
    return found[name]


def columns(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a table, those that its writer dropped left out."""
    found = [*entry["StorageDescriptor"]["Columns"], *(entry.get("PartitionKeys") or [])]
    return [one for one in found if (one.get("Parameters") or {}).get("iceberg.field.current") != "false"]


def information(name: str, caller: Caller) -> pa.Table:
    """A table of information_schema."""
    if name not in _INFORMATION:
        known = ", ".join(_INFORMATION)
        raise QueryError(
            f"TABLE_NOT_FOUND: Table '{CATALOG}.information_schema.{name}' does not exist; information_schema has {known}"
        )
    rows = list(_information_rows(name, caller))
    texts = {heading: [row[number] for row in rows] for number, heading in enumerate(_INFORMATION[name])}
    kinds = {heading: pa.int64() if heading == "ordinal_position" else pa.string() for heading in texts}
    return pa.table({heading: pa.array(values, kinds[heading]) for heading, values in texts.items()})


def _information_rows(name: str, caller: Caller) -> Iterator[tuple]:
    for database in (*sorted(glue._databases), "information_schema"):
        if name == "schemata":
            yield CATALOG, database
        for table_name, entry in tables(database, caller).items():
            if name == "tables":
                yield CATALOG, database, table_name, "BASE TABLE"
            elif name == "columns":
                for number, one in enumerate(columns(entry), 1):
                    kind = _trino_type(one["Type"])
                    yield CATALOG, database, table_name, one["Name"], number, None, "YES", kind, one.get("Comment"), None


def _trino_type(hive_type: str) -> str:
    """Trino's name of a type of the catalog, those inside array<>, map<> and struct<> included."""
    name = re.sub(r"\bstring\b", "varchar", hive_type.lower())
    name = re.sub(r"\bint\b", "integer", name)
    name = re.sub(r"\bfloat\b", "real", name)
    name = re.sub(r"\bbinary\b", "varbinary", name)
    name = re.sub(r"\btimestamp\b", "timestamp(3)", name)
    name = re.sub(r"(\w+):", r"\1 ", name).replace("struct<", "row<")
    return name.replace("<", "(").replace(">", ")")


def answer(show: Show, database: str, caller: Caller) -> dict[str, list]:
    """Columns, types and rows of SHOW and DESCRIBE. `database`: of a statement that names none."""
    database = show.database or database
    match show.what:
        case "DATABASES":
            return _texts(["database_name"], [name for name in sorted(glue._databases) if _matches(name, show.pattern)])
        case "TABLES":
            _known(database)
            return _texts(["tab_name"], [name for name in tables(database, caller) if _matches(name, show.pattern)])
        case "VIEWS":
            _known(database)
            return _texts(["views"], [])
    entry = table(database, show.table, caller)
    match show.what:
        case "COLUMNS":
            return _texts(["field"], [f"{one['Name']:{_WIDTH}}" for one in columns(entry)])
        case "TBLPROPERTIES":
            return _texts(["prpt_name", "prpt_value"], [f"{name}\t{value}" for name, value in _properties(entry)])
        case "CREATE TABLE":
            return _texts(["createtab_stmt"], _create(database, show.table, entry))
    lines = [(one["Name"], one["Type"], one.get("Comment") or "") for one in columns(entry)]
    return _texts(["col_name", "data_type", "comment"], ["\t".join(f"{part:{_WIDTH}}" for part in line) for line in lines])


def _texts(names: list[str], lines: list[str]) -> dict[str, list]:
    """As Athena answers these: a row is one text, also where there are more columns, which are parted by tabs in it."""
    return {"columns": names, "column_types": ["string"] * len(names), "rows": [[line] for line in lines]}


def _known(database: str) -> None:
    if database not in glue._databases:
        raise QueryError(f"SCHEMA_NOT_FOUND: Database {database} does not exist; there are {', '.join(sorted(glue._databases))}")


def _matches(name: str, pattern: str) -> bool:
    """Athena's patterns of SHOW: * is any text, | parts choices. Nothing else is special."""
    choices = ["".join(".*" if part == "*" else re.escape(part) for part in one) for one in pattern.split("|")]
    return not pattern or any(re.fullmatch(choice, name, re.IGNORECASE) for choice in choices)


def _properties(entry: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((entry.get("Parameters") or {}).items())


def _create(database: str, name: str, entry: dict[str, Any]) -> list[str]:
    """The lines of the statement that makes the table, in the form of its kind: an Iceberg table, or files with a SerDe."""
    storage = entry["StorageDescriptor"]
    iceberg = "metadata_location" in (entry.get("Parameters") or {})
    listed = [f"  {one['Name']} {one['Type']}" if iceberg else f"  `{one['Name']}` {one['Type']}" for one in columns(entry)]
    heads = [f"CREATE TABLE {database}.{name} ("] if iceberg else [f"CREATE EXTERNAL TABLE `{name}`("]
    head = [*heads, *(f"{line}," for line in listed[:-1]), f"{listed[-1]})"]
    if iceberg:
        return [*head, f"LOCATION '{storage['Location']}'", "TBLPROPERTIES (", "  'table_type'='iceberg'", ")"]
    serde = storage.get("SerdeInfo") or {}
    given = _listed(sorted((serde.get("Parameters") or {}).items()))
    serde_lines = ["ROW FORMAT SERDE ", f"  '{serde.get('SerializationLibrary', '')}' "]
    formats = [("STORED AS INPUTFORMAT ", "InputFormat"), ("OUTPUTFORMAT ", "OutputFormat")]
    formats = [part for words, key in formats if storage.get(key) for part in (words, f"  '{storage[key]}'")]
    properties = _listed(_properties(entry))
    return [
        *head,
        *serde_lines,
        *(["WITH SERDEPROPERTIES ( ", *given] if given else []),
        *formats,
        *("LOCATION", f"  '{storage['Location']}'"),
        *(["TBLPROPERTIES (", *properties] if properties else []),
    ]


def _listed(pairs: list[tuple[str, str]]) -> list[str]:
    lines = [f"  '{name}'='{value}'" for name, value in pairs]
    return [*(f"{line}, " for line in lines[:-1]), f"{lines[-1]})"] if lines else []
