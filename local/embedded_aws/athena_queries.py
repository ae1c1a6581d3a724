"""Athena queries on every table of the catalog, Iceberg too: replaces the emulator's way of running a SELECT.

A statement is read as Athena's dialect of SQL (Trino) and rewritten for DuckDB by sqlglot. Tables become DuckDB relations with
the names and types of the catalog: JSON tables from their objects, Iceberg tables from their current snapshot, or the one of
FOR VERSION AS OF and FOR TIMESTAMP AS OF, and "<table>$snapshots" and the like from the table's metadata. All of it is read from
the emulated S3. Results are text as Athena writes it, in GetQueryResults and in the CSV file of the result location.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
from typing import Any
from urllib.parse import urlparse

import duckdb
import pyarrow as pa
from ministack.core.responses import get_region
from ministack.services import athena, glue, s3
from pyiceberg.table import StaticTable
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from embedded_aws import openx_json

# Metadata tables of Iceberg that Athena knows.
_METADATA = ("files", "history", "manifests", "partitions", "refs", "snapshots")


class QueryError(Exception):
    """A statement that Athena would not run either, or that the embedded AWS cannot."""


def install() -> None:
    """Put these functions in the place of the emulator's."""
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    athena._run_duckdb = run
    athena._save_query_results = save_results


async def run(sql: str, database: str, catalog: str | None = None) -> dict[str, list]:
    """Columns, their Athena types, and rows of text (None: null). Off the event loop: DuckDB and reading S3 block it."""
    return await asyncio.to_thread(_answer, sql, database or "default")


def _answer(sql: str, database: str) -> dict[str, list]:
    statement = _parse(sql)
    connection = duckdb.connect(":memory:")
    try:
        # Trino divides integers as integers, and gives times in UTC.
        connection.execute("set integer_division = true; set TimeZone = 'UTC'; set autoinstall_known_extensions = false")
        for number, table in enumerate(_tables(statement)):
            name = f"table_{number}"
            _define(connection, name, table, database)
            table.replace(exp.Table(this=exp.to_identifier(name), alias=table.args.get("alias") or exp.to_identifier(table.name)))
        for column in statement.find_all(exp.Column):  # database.table.column
            column.set("db", None)
            column.set("catalog", None)
        # A statement reads tables of the catalog, not files of this machine.
        connection.execute("set enable_external_access = false")
        try:
            result = connection.execute(statement.sql(dialect="duckdb"))
            names = [column[0] for column in result.description]
            types = [_athena_type(str(column[1])) for column in result.description]
            columns = [column.to_pylist(maps_as_pydicts="strict") for column in result.to_arrow_table().columns]
        except duckdb.Error as error:
            raise QueryError(str(error).split("\n\nLINE ")[0]) from None
        rows = [[_text(value) for value in row] for row in zip(*columns, strict=True)]
        return {"columns": names, "column_types": types, "rows": rows}
    finally:
        connection.close()


def _parse(sql: str) -> exp.Expression:
    try:
        statement = parse_one(sql.strip().rstrip(";"), read="athena")
    except SqlglotError as error:
        first = error.errors[0] if getattr(error, "errors", None) else {"description": str(error), "line": 1, "col": 1}
        raise QueryError(f"SYNTAX_ERROR: line {first['line']}:{first['col']}: {first['description']}") from None
    if not isinstance(statement, exp.Query):
        raise QueryError("NOT_SUPPORTED: Athena of the embedded AWS answers SELECT only")
    for number, column in enumerate(statement.selects):
        if not isinstance(column, exp.Alias | exp.Column | exp.Star):
            column.replace(exp.alias_(column.copy(), f"_col{number}"))  # the name that Trino gives it
    return statement


def _tables(statement: exp.Expression) -> list[exp.Table]:
    """The tables of the catalog that the statement reads: not what it defines itself in WITH."""
    found = {}
    for scope in traverse_scope(statement):
        for source in scope.sources.values():
            if isinstance(source, exp.Table):
                found[id(source)] = source
    return list(found.values())


def _define(connection: duckdb.DuckDBPyConnection, name: str, table: exp.Table, database: str) -> None:
    database = (table.db or database).lower()
    wanted, _, metadata = table.name.lower().partition("$")
    entry = glue._tables.get(f"{database}/{wanted}")
    if entry is None or (metadata and metadata not in _METADATA):
        there = sorted(key.split("/", 1)[1] for key in glue._tables if key.startswith(f"{database}/"))
        listed = f"tables of {database}: {', '.join(there)}" if there else f"there is no database {database}, or it has no tables"
        raise QueryError(f"TABLE_NOT_FOUND: Table 'awsdatacatalog.{database}.{table.name}' does not exist; {listed}")
    location = (entry.get("Parameters") or {}).get("metadata_location")
    version = table.args.get("version")
    if location is None:
        if metadata or version:
            raise QueryError(f"NOT_SUPPORTED: {wanted} is no Iceberg table: it has neither versions nor metadata tables")
        connection.register(name, _json_rows(entry))
        return
    rows = _open(location)
    if metadata:
        arrow = _in_utc(getattr(rows.inspect, metadata)())
    else:
        arrow = rows.scan(snapshot_id=_snapshot(connection, rows, version)).to_arrow()
    connection.register(name, arrow)


def _in_utc(rows: pa.Table) -> pa.Table:
    """Times of metadata tables as Athena gives them: with their zone."""
    for number, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(number, field.name, rows[field.name].cast(pa.timestamp("ms", "UTC")))
    return rows


def _open(location: str) -> StaticTable:
    endpoint = {"s3.endpoint": os.environ["AWS_ENDPOINT_URL"], "s3.region": get_region()}
    return StaticTable.from_metadata(location, endpoint | {"s3.access-key-id": "test", "s3.secret-access-key": "test"})


def _snapshot(connection: duckdb.DuckDBPyConnection, table: StaticTable, version: exp.Version | None) -> int | None:
    """The snapshot that the statement asks for; None: the current one."""
    if version is None:
        return None
    asked = version.expression
    if version.name.upper() == "VERSION":
        if not asked.is_number or table.snapshot_by_id(int(asked.name)) is None:
            raise QueryError(f"INVALID_ARGUMENTS: the table has no snapshot {asked.name}")
        return int(asked.name)
    (at,) = connection.execute(f"select epoch_ms({asked.sql(dialect='duckdb')})").fetchall()[0]
    snapshot = table.snapshot_as_of_timestamp(at)
    if snapshot is None:
        raise QueryError("INVALID_ARGUMENTS: the table had no snapshot at that time")
    return snapshot.snapshot_id


def _json_rows(entry: dict[str, Any]) -> pa.Table:
    """The table's rows: every object below its location, whatever its suffix, but no hidden one, and none of a hidden folder."""
    storage = entry["StorageDescriptor"]
    columns = {column["Name"]: column["Type"] for column in storage["Columns"]}
    location = urlparse(storage["Location"])
    prefix = location.path.strip("/") + "/"
    bucket = s3._buckets.get(location.netloc, {"objects": {}})
    keys = [
        key
        for key in sorted(bucket["objects"])
        if key.startswith(prefix) and not any(part.startswith((".", "_")) for part in key.removeprefix(prefix).split("/"))
    ]
    objects = ((f"s3://{location.netloc}/{key}", s3._get_object_data(location.netloc, key) or b"") for key in keys)
    try:
        return openx_json.table(objects, columns, storage.get("SerdeInfo", {}).get("Parameters", {}))
    except openx_json.BadData as error:
        raise QueryError(str(error)) from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _athena_type(duckdb_type: str) -> str:
    if duckdb_type.endswith("[]"):
        return "array"
    name = duckdb_type.upper().split("(")[0].strip()
    return {"TIMESTAMP_NS": "timestamp", "TIMESTAMP_MS": "timestamp", "TIMESTAMP WITH TIME ZONE": "timestamp with time zone"}.get(
        name
    ) or athena._DUCKDB_TYPE_MAP.get(name, "varchar")


def _text(value: Any) -> str | None:
    """The value as Athena writes it."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case datetime.datetime():
            zone = " UTC" if value.tzinfo else ""
            return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}{zone}"
        case dict():
            return "{" + ", ".join(f"{key}={_text(entry)}" for key, entry in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(str(_text(entry)) for entry in value) + "]"
        case bytes() | bytearray():
            return value.hex(" ")
        case _:
            return str(value)


async def save_results(query_id: str) -> None:
    """Writes the CSV file to exactly the OutputLocation that GetQueryExecution names: every value quoted, a null empty."""
    execution = athena._executions.get(query_id)
    results = execution["_results"]
    lines = [",".join("" if value is None else _quoted(value) for value in row) for row in (results["columns"], *results["rows"])]
    url = urlparse(execution["ResultConfiguration"]["OutputLocation"])
    body = "".join(f"{line}\n" for line in lines).encode()
    status, _, answer = s3._put_object(url.netloc, url.path.lstrip("/"), body, {"content-type": "text/csv"})
    if status >= 400:
        raise QueryError(f"{url.geturl()} cannot be written: {answer!r}")
