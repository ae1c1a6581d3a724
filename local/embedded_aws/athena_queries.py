"""Athena of the embedded AWS: takes the place of the emulator's way of running a statement.

What is let through says athena_statements.py; this file answers it. A query is rewritten for DuckDB by sqlglot. Tables become
DuckDB relations with the names and types of the catalog: JSON tables from their objects, Iceberg tables from their current
snapshot, or the one of FOR VERSION AS OF and FOR TIMESTAMP AS OF, and "<table>$snapshots" and the like from the table's
metadata. All of it is read from the emulated S3 before DuckDB, which has no way out, sees the query. Results are text as Athena
writes it, in GetQueryResults and in the file of the result location.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import json
import logging
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

import duckdb
import pyarrow as pa
from ministack.core.responses import error_response_json, get_region
from ministack.services import athena, s3
from pyiceberg.table import StaticTable
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from embedded_aws import athena_catalog, athena_functions, athena_statements, openx_json
from embedded_aws.athena_statements import Deallocate, Execute, Explain, Prepare, QueryError, Select, Show

# Metadata tables of Iceberg that Athena knows.
_METADATA = ("files", "history", "manifests", "partitions", "refs", "snapshots")

_start = athena._start_query_execution
_execute = athena._execute_query
_workgroup = athena._get_workgroup
# A workgroup's own settings go before its callers', unless it says otherwise.
_ENFORCED = True
# What GetQueryExecution says of the statement that is being run.
_execution: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("execution")


def install() -> None:
    """Put these functions in the place of the emulator's."""
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    athena._start_query_execution = start
    athena._execute_query = execute
    athena._parse_ddl = lambda sql: None  # the emulator would run it
    athena._run_duckdb = run
    athena._save_query_results = save_results
    athena._get_workgroup = workgroup
    for name in ("_get_database", "_list_databases"):
        setattr(athena, name, _of_any_case(getattr(athena, name)))


def workgroup(request: dict[str, Any]) -> tuple:
    """GetWorkGroup, with the setting that clients look for and that AWS always gives."""
    status, headers, body = _workgroup(request)
    answer = json.loads(body)
    if status == 200:
        answer["WorkGroup"].setdefault("Configuration", {}).setdefault("EnforceWorkGroupConfiguration", _ENFORCED)
    return status, headers, json.dumps(answer).encode()


def _of_any_case(call: Callable[[dict[str, Any]], tuple]) -> Callable[[dict[str, Any]], tuple]:
    """The catalog's name is AwsDataCatalog, and awsdatacatalog to PyAthena."""
    names = {athena_catalog.CATALOG: "AwsDataCatalog"}

    def called(request: dict[str, Any]) -> tuple:
        given = request.get("CatalogName", "AwsDataCatalog")
        return call(request | {"CatalogName": names.get(given.lower(), given)})

    return called


def start(request: dict[str, Any]) -> tuple:
    """StartQueryExecution, with what the emulator leaves out of it: what the workgroup says goes first, and parameters."""
    name = request.get("WorkGroup", "primary")
    group = athena._workgroups.get(name)
    if group is None:
        return error_response_json("InvalidRequestException", f"WorkGroup {name} is not found.", 400)
    settings = group.get("Configuration") or {}
    given = dict(request.get("ResultConfiguration") or {})
    if settings.get("EnforceWorkGroupConfiguration", _ENFORCED):
        given |= settings.get("ResultConfiguration") or {}
    location = given.get("OutputLocation") or (settings.get("ResultConfiguration") or {}).get("OutputLocation")
    if location:
        given["OutputLocation"] = location.rstrip("/") + "/"
    context = dict(request.get("QueryExecutionContext") or {})
    if "Database" in context:
        context["Database"] = context["Database"].strip("`")  # awswrangler puts it in backticks
    status, headers, body = _start(request | {"ResultConfiguration": given, "QueryExecutionContext": context})
    if status == 200:
        execution = athena._executions[json.loads(body)["QueryExecutionId"]]
        execution["StatementType"] = athena_statements.kind(execution["Query"])
        if execution["StatementType"] != "DML":
            results = execution["ResultConfiguration"]
            results["OutputLocation"] = results["OutputLocation"].removesuffix(".csv") + ".txt"
        if request.get("ExecutionParameters"):
            execution["ExecutionParameters"] = request["ExecutionParameters"]
    return status, headers, body


async def execute(query_id: str, sql: str, database: str, ddl: None, catalog: str | None = None) -> None:
    """Runs the statement of an execution, which the functions below may ask for."""
    _execution.set(athena._executions[query_id])
    await _execute(query_id, sql, database, ddl, catalog)


async def run(sql: str, database: str, catalog: str | None = None) -> dict[str, list]:
    """Columns, their Athena types, and rows of text (None: null). Off the event loop: DuckDB and reading S3 block it."""
    try:
        return await asyncio.to_thread(_answer, sql, database or "default")
    except RecursionError:
        raise QueryError("SYNTAX_ERROR: the statement is nested too deeply") from None


def _answer(sql: str, database: str) -> dict[str, list]:
    group = _execution.get()["WorkGroup"]
    values = tuple(_execution.get().get("ExecutionParameters", ()))
    match athena_statements.parse(sql, values):
        case Select(query):
            return _select(query, database)
        case Explain(query):
            return _select(query, database, explain=True)
        case Show() as show:
            return athena_catalog.answer(show, database)
        case Prepare(name, prepared):
            athena._prepared_statements.pop(f"{group}/{name}", None)
            athena._create_prepared_statement({"StatementName": name, "WorkGroup": group, "QueryStatement": prepared})
        case Execute(name, given):
            match athena_statements.parse(_prepared(group, name), given or values):
                case Select(query):
                    return _select(query, database)
            raise QueryError(f"NOT_SUPPORTED: prepared statement {name} is no SELECT")
        case Deallocate(name):
            _prepared(group, name)
            athena._delete_prepared_statement({"StatementName": name, "WorkGroup": group})
    return {"columns": [], "column_types": [], "rows": []}


def _prepared(group: str, name: str) -> str:
    for key, one in athena._prepared_statements.items():
        if key.lower() == f"{group}/{name}".lower():
            return one["QueryStatement"]
    raise QueryError(f"NOT_FOUND: Prepared statement {name} was not found in workgroup {group}")


def _select(statement: exp.Query, database: str, explain: bool = False) -> dict[str, list]:
    _name_columns(statement)
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
        _lock(connection)
        try:
            sql = _in_duckdb(statement)
            if explain:
                lines = connection.execute(f"explain {sql}").fetchall()[0][1].splitlines()
                return {"columns": ["Query Plan"], "column_types": ["varchar"], "rows": [[line] for line in lines]}
            result = connection.execute(sql)
            names = [column[0] for column in result.description]
            types = [_athena_type(str(column[1])) for column in result.description]
            columns = [column.to_pylist(maps_as_pydicts="strict") for column in result.to_arrow_table().columns]
        except duckdb.Error as error:
            raise QueryError(str(error).split("\n\nLINE ")[0]) from None
        rows = [[_text(value) for value in row] for row in zip(*columns, strict=True)]
        return {"columns": names, "column_types": types, "rows": rows}
    finally:
        connection.close()


def _in_duckdb(statement: exp.Query) -> str:
    try:
        return athena_functions.in_duckdb(statement).sql(dialect="duckdb")
    except athena_functions.NotAnswered as error:
        raise QueryError(
            f"NOT_SUPPORTED: Athena of the embedded AWS does not answer {error}; what it answers: docs/report.md"
        ) from None


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on the query sees the tables defined for it: no files, no network, no objects of this process, no settings."""
    connection.execute("""
        set python_enable_replacements = false;
        set temp_directory = '';
        set memory_limit = '2GB';
        set enable_external_access = false;
        set lock_configuration = true""")


def _name_columns(statement: exp.Query) -> None:
    for number, column in enumerate(statement.selects):
        if not isinstance(column, exp.Alias | exp.Column | exp.Star):
            column.replace(exp.alias_(column.copy(), f"_col{number}"))  # the name that Trino gives it


def _tables(statement: exp.Expression) -> list[exp.Table]:
    """The tables of the catalog that the statement reads: not what it defines itself in WITH.

    A name that no scope knows is one of the catalog as well, or nothing: what DuckDB might take it for is not to be seen.
    """
    found, named = {}, {cte.alias for cte in statement.find_all(exp.CTE)}
    for scope in traverse_scope(statement):
        for source in scope.sources.values():
            if isinstance(source, exp.Table):
                found[id(source)] = source
    for table in statement.find_all(exp.Table):
        if table.db or table.name not in named:
            found[id(table)] = table
    return list(found.values())


def _define(connection: duckdb.DuckDBPyConnection, name: str, table: exp.Table, database: str) -> None:
    database = (table.db or database).lower()
    wanted, _, metadata = table.name.lower().partition("$")
    if database == "information_schema":
        connection.register(name, athena_catalog.information(table.name.lower()))
        return
    entry = athena_catalog.table(database, table.name.lower() if metadata and metadata not in _METADATA else wanted)
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
            return "{" + ", ".join(f"{_inner(key)}={_inner(entry)}" for key, entry in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_inner(entry) for entry in value) + "]"
        case bytes() | bytearray():
            return value.hex(" ")
        case _:
            return str(value)


def _inner(value: Any) -> str:
    """Inside an array, a map or a row."""
    return "null" if value is None else str(_text(value))


async def save_results(query_id: str) -> None:
    """Writes the file to exactly the OutputLocation that GetQueryExecution names.

    A CSV with the names in front for a query: every value quoted, a null empty. The rows alone, as they are, for all else.
    """
    execution = athena._executions.get(query_id)
    results = execution["_results"]
    if execution["StatementType"] == "DML":
        rows = (results["columns"], *results["rows"])
        lines = [",".join("" if value is None else _quoted(value) for value in row) for row in rows]
        kind = "text/csv"
    else:
        lines, kind = ["\t".join(row) for row in results["rows"]], "text/plain"
    url = urlparse(execution["ResultConfiguration"]["OutputLocation"])
    body = "".join(f"{line}\n" for line in lines).encode()
    status, _, answer = s3._put_object(url.netloc, url.path.lstrip("/"), body, {"content-type": kind})
    if status >= 400:
        raise QueryError(f"{url.geturl()} cannot be written: {answer!r}")
