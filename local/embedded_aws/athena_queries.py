"""Athena of the embedded AWS: takes the place of the emulator's way of running a statement.

What is let through says athena_statements.py; this file answers it, but for what writes (athena_writes.py). A query is rewritten
for DuckDB by sqlglot. Tables become DuckDB relations (athena_files.py) with the names and types of the catalog: files of their
location, Iceberg tables from their current snapshot, or the one of FOR VERSION AS OF and FOR TIMESTAMP AS OF, and
"<table>$snapshots" and the like from the table's metadata. DuckDB has no way out but to copies of the tables' files. Results are
text as Athena writes it, in GetQueryResults and in the file of the result location.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import datetime
import io
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from ministack.core.responses import error_response_json
from ministack.services import athena
from pyarrow import compute, csv
from pyiceberg.table import StaticTable
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from embedded_aws import athena_catalog, athena_files, athena_functions, athena_statements, athena_writes
from embedded_aws.athena_statements import Deallocate, Execute, Explain, Prepare, QueryError, Select, Show, Write

# Metadata tables of Iceberg that Athena knows.
_METADATA = ("files", "history", "manifests", "partitions", "refs", "snapshots")

_start = athena._start_query_execution
_results = athena._get_query_results
_workgroup = athena._get_workgroup
_metadata = athena._get_table_metadata
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
    athena._get_query_results = results
    athena._get_workgroup = workgroup
    athena._get_table_metadata = table_metadata
    for name in ("_get_database", "_list_databases"):
        setattr(athena, name, _of_any_case(getattr(athena, name)))


def workgroup(request: dict[str, Any]) -> tuple:
    """GetWorkGroup, with the setting that clients look for and that AWS always gives."""
    status, headers, body = _workgroup(request)
    answer = json.loads(body)
    if status == 200:
        answer["WorkGroup"].setdefault("Configuration", {}).setdefault("EnforceWorkGroupConfiguration", _ENFORCED)
    return status, headers, json.dumps(answer).encode()


def table_metadata(request: dict[str, Any]) -> tuple:
    """GetTableMetadata, to those who may have the table from Glue."""
    try:
        athena_files.Caller().demand("glue:GetTable", request.get("DatabaseName", "default"), request.get("TableName", ""))
    except QueryError as error:
        return error_response_json("MetadataException", str(error), 400)
    return _metadata(request)


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
    enforced = settings.get("EnforceWorkGroupConfiguration", _ENFORCED)
    if enforced:
        given |= settings.get("ResultConfiguration") or {}
    location = given.get("OutputLocation") or (settings.get("ResultConfiguration") or {}).get("OutputLocation")
    if location:
        given["OutputLocation"] = location.rstrip("/") + "/"
    context = dict(request.get("QueryExecutionContext") or {})
    if "Database" in context:
        context["Database"] = context["Database"].strip("`")  # awswrangler puts it in backticks
    if refused := _unsubmittable(request, context.get("Database", ""), enforced):
        return error_response_json("InvalidRequestException", refused, 400)
    status, headers, body = _start(request | {"ResultConfiguration": given, "QueryExecutionContext": context})
    if status == 200:
        execution = athena._executions[json.loads(body)["QueryExecutionId"]]
        execution["StatementType"] = athena_statements.kind(execution["Query"])
        execution["ResultConfiguration"]["OutputLocation"] = _output(execution, given["OutputLocation"])
        if request.get("ExecutionParameters"):
            execution["ExecutionParameters"] = request["ExecutionParameters"]
    return status, headers, body


def _unsubmittable(request: dict[str, Any], database: str, enforced: bool) -> str:
    """Why the request is refused at once; empty: it is not. Other faults of a statement fail its execution."""
    if "external_location" not in request.get("QueryString", "").lower():
        return ""
    try:
        statement = athena_statements.parse(request["QueryString"], tuple(request.get("ExecutionParameters", ())))
    except (QueryError, RecursionError):
        return ""
    return athena_writes.unsubmittable(statement, database, enforced)


def _output(execution: dict[str, Any], location: str) -> str:
    """A query has its answer in a CSV file, CREATE TABLE AS its table in a folder, UNLOAD a list of files beside, others a text.

    https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
    """
    query_id = execution["QueryExecutionId"]
    match athena_statements.first_word(execution["Query"]), execution["StatementType"]:
        case "CREATE", "DML":
            return f"{location}tables/{query_id}"
        case "UNLOAD", _:
            return f"{location}{query_id}"
        case _, "DML":
            return f"{location}{query_id}.csv"
    return f"{location}{query_id}.txt"


def results(request: dict[str, Any]) -> tuple:
    """GetQueryResults, with the number of rows that were written."""
    status, headers, body = _results(request)
    updated = (athena._executions.get(request.get("QueryExecutionId")) or {}).get("_updated", 0)
    return status, headers, json.dumps(json.loads(body) | {"UpdateCount": updated}).encode() if status == 200 else body


async def execute(query_id: str, sql: str, database: str, ddl: None, catalog: str | None = None) -> None:
    """Runs the statement of an execution, off the event loop: DuckDB and reading S3 block it."""
    execution = athena._executions[query_id]
    status, statistics, begun = execution["Status"], execution["Statistics"], time.monotonic()
    _execution.set(execution)
    status["State"] = "RUNNING"
    try:
        answer = await asyncio.to_thread(_answer, sql, database or "default")
        await asyncio.to_thread(_save, execution, answer)
        state, reason = "SUCCEEDED", ""
    except RecursionError:
        state, reason = "FAILED", "SYNTAX_ERROR: the statement is nested too deeply"
    except Exception as error:
        state, reason = "FAILED", str(error)[:2000]
    milliseconds = int((time.monotonic() - begun) * 1000)
    statistics |= {"EngineExecutionTimeInMillis": milliseconds, "TotalExecutionTimeInMillis": milliseconds}
    if status["State"] == "RUNNING":  # not stopped
        status |= {"State": state, "StateChangeReason": reason, "CompletionDateTime": int(time.time())}


def _answer(sql: str, database: str) -> dict[str, Any]:
    """Columns, their Athena types, and rows of text (None: null)."""
    group = _execution.get()["WorkGroup"]
    values = tuple(_execution.get().get("ExecutionParameters", ()))
    statement = athena_statements.parse(sql, values)
    if isinstance(statement, Execute):
        name = statement.name
        statement = athena_statements.parse(_prepared(group, name), statement.values or values)
        if not isinstance(statement, Select | Write):
            raise QueryError(f"NOT_SUPPORTED: prepared statement {name} is no SELECT")
    match statement:
        case Select(query):
            return _select(query, database)
        case Explain(query):
            return _select(query, database, explain=True)
        case Show() as show:
            return athena_catalog.answer(show, database, athena_files.Caller())
        case Prepare(name, prepared):
            athena_files.Caller().demand_group("athena:CreatePreparedStatement", group)
            athena._prepared_statements.pop(f"{group}/{name}", None)
            athena._create_prepared_statement({"StatementName": name, "WorkGroup": group, "QueryStatement": prepared})
        case Deallocate(name):
            athena_files.Caller().demand_group("athena:DeletePreparedStatement", group)
            _prepared(group, name)
            athena._delete_prepared_statement({"StatementName": name, "WorkGroup": group})
        case _:
            caller = athena_files.Caller()
            rows = athena_writes.run(statement, database, _execution.get(), caller, engine)
            if athena_statements.kind(sql) == "DML":
                none = Rows(pa.table({"rows": pa.array([], pa.string())}))
                return {"columns": ["rows"], "column_types": ["bigint"], "rows": none, "updated": rows}
    return {"columns": [], "column_types": [], "rows": []}


def _prepared(group: str, name: str) -> str:
    athena_files.Caller().demand_group("athena:GetPreparedStatement", group)
    for key, one in athena._prepared_statements.items():
        if key.lower() == f"{group}/{name}".lower():
            return one["QueryStatement"]
    raise QueryError(f"NOT_FOUND: Prepared statement {name} was not found in workgroup {group}")


@contextlib.contextmanager
def engine(statement: exp.Query, database: str) -> Iterator[athena_writes.Engine]:
    """DuckDB for the statement; gone with its files when the query is answered."""
    _name_columns(statement)
    connection = duckdb.connect(":memory:")
    with contextlib.closing(connection), tempfile.TemporaryDirectory(prefix="query-") as folder:
        # Trino divides integers as integers, and gives times in UTC.
        connection.execute("set integer_division = true; set TimeZone = 'UTC'; set autoinstall_known_extensions = false")
        _lock(connection, folder)
        caller = athena_files.Caller()
        relations = athena_files.Relations(connection, Path(folder), caller)
        try:
            prefix = _unused(statement)
            for number, table in enumerate(_tables(statement)):
                name = f"{prefix}{number}"
                _define(connection, relations, caller, name, table, database)
                alias = table.args.get("alias") or exp.to_identifier(table.name)
                table.replace(exp.Table(this=exp.to_identifier(name), alias=alias))
            for column in statement.find_all(exp.Column):  # database.table.column
                column.set("db", None)
                column.set("catalog", None)
            yield athena_writes.Engine(connection, _in_duckdb(statement), Path(folder), caller)
        except duckdb.Error as error:
            raise QueryError(str(error).split("\n\nLINE ")[0]) from None


def _select(statement: exp.Query, database: str, explain: bool = False) -> dict[str, Any]:
    with engine(statement, database) as ready:
        if explain:
            lines = ready.connection.execute(f"explain {ready.sql}").fetchall()[0][1].splitlines()
            return {"columns": ["Query Plan"], "column_types": ["varchar"], "rows": [[line] for line in lines]}
        answer = ready.connection.sql(ready.sql)
        names, types = answer.columns, [_athena_type(str(kind)) for kind in answer.types]
        return {"columns": names, "column_types": types, "rows": Rows(_texts(ready.connection, answer.to_arrow_table()))}


class Rows(Sequence):
    """The rows of an answer as lists of text (None: null), made of a table of texts when they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, index):
        if isinstance(index, slice):
            start, stop, _ = index.indices(len(self))
            columns = [column.to_pylist() for column in self.table.slice(start, stop - start).columns]
            return [list(row) for row in zip(*columns, strict=True)]
        return self[index : index + 1][0]


def _texts(connection: duckdb.DuckDBPyConnection, answer: pa.Table) -> pa.Table:
    """The values as Athena writes them: DuckDB's spelling where that is the same, else `_text`."""
    answer = answer.rename_columns([f"c{number}" for number in range(answer.num_columns)])
    selected = []
    unlike = {field.name: _unlike_java(answer[field.name]) for field in answer.schema if pa.types.is_floating(field.type)}
    for number, field in enumerate(answer.schema):
        kind = field.type
        if pa.types.is_timestamp(kind):
            selected.append(f"strftime({field.name}, '%Y-%m-%d %H:%M:%S.%g{' UTC' if kind.tz else ''}')")
        elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_time(kind) or pa.types.is_interval(kind):
            values = [_text(value) for value in answer.column(number).to_pylist(maps_as_pydicts="strict")]
            answer = answer.set_column(number, field.name, pa.array(values, pa.string()))
            selected.append(field.name)
        else:
            selected.append(f"cast({field.name} as varchar) as {field.name}")
    connection.register("answer", answer)
    texts = connection.sql(f"select {', '.join(selected)} from answer").to_arrow_table()
    for name, there in unlike.items():
        if compute.any(there).as_py():
            rewritten = pa.array(map(_java_text, texts[name].filter(there).to_pylist()), pa.string())
            column = compute.replace_with_mask(texts[name].combine_chunks(), there.fill_null(False).combine_chunks(), rewritten)
            texts = texts.set_column(texts.schema.get_field_index(name), name, column)
    return texts


def _unlike_java(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where the numbers are that DuckDB and Java write differently: the large, the small, and what is none."""
    size = compute.abs(numbers)
    small = compute.and_(compute.less(size, 1e-3), compute.greater(size, 0))
    return compute.or_(compute.or_(compute.greater_equal(size, 1e7), small), compute.invert(compute.is_finite(numbers)))


def _java_text(number: str) -> str:
    """Of a text of DuckDB or Python: with an exponent from 10^7 on and below 10^-3, and words for what is no number."""
    if number.lstrip("-")[0] not in "0123456789":
        return {"inf": "Infinity", "-inf": "-Infinity"}.get(number, "NaN")
    if number.lstrip("-0.") == "" or 1e-3 <= abs(float(number)) < 1e7:
        return number
    sign, digits, exponent = Decimal(number).normalize().as_tuple()
    first, rest = str(digits[0]), "".join(map(str, digits[1:])) or "0"
    return f"{'-' * sign}{first}.{rest}E{exponent + len(digits) - 1}"


def _in_duckdb(statement: exp.Query) -> str:
    try:
        return athena_functions.in_duckdb(statement).sql(dialect="duckdb")
    except athena_functions.NotAnswered as error:
        raise QueryError(
            f"NOT_SUPPORTED: Athena of the embedded AWS does not answer {error}; what it answers: docs/report.md"
        ) from None


def _lock(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    """From here on the query sees the tables defined for it, whose files lie in the folder: no other files, no network, no
    objects of this process, no settings."""
    connection.execute(f"""
        set python_enable_replacements = false;
        set temp_directory = '';
        set memory_limit = '2GB';
        set allowed_directories = ['{folder}'];
        set enable_external_access = false;
        set lock_configuration = true""")


def _name_columns(statement: exp.Query) -> None:
    for number, column in enumerate(statement.selects):
        if not isinstance(column, exp.Alias | exp.Column | exp.Star):
            column.replace(exp.alias_(column.copy(), f"_col{number}"))  # the name that Trino gives it


def _unused(statement: exp.Expression) -> str:
    """What no name in the statement begins with: its WITH may not stand for a table of ours."""
    names, found = [one.name.lower() for one in statement.find_all(exp.Identifier)], "table_"
    while any(name.startswith(found) for name in names):
        found = f"_{found}"
    return found


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


def _define(
    connection: duckdb.DuckDBPyConnection,
    relations: athena_files.Relations,
    caller: athena_files.Caller,
    name: str,
    table: exp.Table,
    database: str,
) -> None:
    database = (table.db or database).lower()
    wanted, _, metadata = table.name.lower().partition("$")
    if database == "information_schema":
        connection.register(name, athena_catalog.information(table.name.lower(), caller))
        return
    entry = athena_catalog.table(database, table.name.lower() if metadata and metadata not in _METADATA else wanted, caller)
    location = (entry.get("Parameters") or {}).get("metadata_location")
    version = table.args.get("version")
    if location is None:
        if metadata or version:
            raise QueryError(f"NOT_SUPPORTED: {wanted} is no Iceberg table: it has neither versions nor metadata tables")
        if entry.get("TableType") == "VIRTUAL_VIEW":
            raise QueryError(f"NOT_SUPPORTED: {wanted} is a view, of which Athena of the embedded AWS knows none")
        relations.files(name, entry)
        return
    rows = athena_files.opened(location, caller)
    if metadata:
        connection.register(name, _in_utc(getattr(rows.inspect, metadata)()))
    else:
        relations.iceberg(name, rows.scan(snapshot_id=_snapshot(connection, rows, version)))


def _in_utc(rows: pa.Table) -> pa.Table:
    """Times of metadata tables as Athena gives them: with their zone."""
    for number, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(number, field.name, rows[field.name].cast(pa.timestamp("ms", "UTC")))
    return rows


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


# Names of DuckDB's types beside those that the emulator knows.
_TYPES = {
    **{name: "timestamp" for name in ("TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S")},
    **{name: "bigint" for name in ("UBIGINT", "UINTEGER", "USMALLINT", "UTINYINT")},
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}


def _athena_type(duckdb_type: str) -> str:
    if duckdb_type.endswith("[]"):
        return "array"
    name = duckdb_type.upper().split("(")[0].strip()
    return _TYPES.get(name) or athena._DUCKDB_TYPE_MAP.get(name, "varchar")


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
        case float():
            return _java_text(str(value))
        case _:
            return str(value)


def _inner(value: Any) -> str:
    """Inside an array, a map or a row."""
    return "null" if value is None else str(_text(value))


def _save(execution: dict[str, Any], answer: dict[str, Any]) -> None:
    """Keeps the answer, and writes its file to exactly the OutputLocation that GetQueryExecution names.

    A CSV with the names in front for a query: every value quoted, a null empty. The rows alone, as they are, for all else; and no
    file for a statement that has written files of its own.
    """
    rows, names = answer["rows"], answer["columns"]
    execution["_updated"] = answer.get("updated", 0)
    execution["_results"], execution["_column_types"] = {"columns": names, "rows": rows}, answer["column_types"]
    caller, location = athena_files.Caller(), execution["ResultConfiguration"]["OutputLocation"]
    if location.endswith(".csv"):
        body = io.BytesIO(",".join('"' + name.replace('"', '""') + '"' for name in names).encode() + b"\n")
        body.seek(0, io.SEEK_END)
        csv.write_csv(rows.table, body, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
        caller.write(location, body.getvalue(), "text/csv")
    elif location.endswith(".txt"):
        caller.write(location, "".join("\t".join(row) + "\n" for row in rows).encode(), "text/plain")
