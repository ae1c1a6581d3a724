"""What Athena of the embedded AWS writes: CREATE TABLE AS, UNLOAD, and DROP and ALTER of tables, with the caller's rights.

Only in databases that readers have for themselves, whose names end in _scratch, and never into a bucket that holds a table of
another database: whoever asks, the lake stays as it is.
"""

from __future__ import annotations

import datetime
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import duckdb
from ministack.core.responses import get_region
from ministack.services import glue
from pyarrow import orc
from pyiceberg.catalog import load_catalog
from sqlglot import exp

from embedded_aws import athena_catalog, athena_files
from embedded_aws.athena_files import Caller, folder, literal, quoted
from embedded_aws.athena_statements import (
    CreateTableAs,
    DropTable,
    Property,
    QueryError,
    RenameTable,
    SetProperties,
    Show,
    Statement,
    Unload,
    Write,
)


@dataclass(frozen=True)
class Engine:
    """DuckDB with the tables that a query reads, the query in its SQL, and the folder in which it may read and write."""

    connection: duckdb.DuckDBPyConnection
    sql: str
    folder: Path
    caller: Caller


SCRATCH = "_scratch"
OWNER = "hadoop"  # of every table that Athena makes
_HIVE = "org.apache.hadoop.hive.ql.io"
_TEXT_FILES = ("org.apache.hadoop.mapred.TextInputFormat", f"{_HIVE}.HiveIgnoreKeyTextOutputFormat")
# Input, output and SerDe of a format's tables.
_FORMATS = {
    "PARQUET": (f"{_HIVE}.parquet.MapredParquetInputFormat", f"{_HIVE}.parquet.MapredParquetOutputFormat", athena_files.PARQUET),
    "ORC": (f"{_HIVE}.orc.OrcInputFormat", f"{_HIVE}.orc.OrcOutputFormat", athena_files.ORC),
    "JSON": (*_TEXT_FILES, athena_files.JSON),
    "TEXTFILE": (*_TEXT_FILES, athena_files.TEXT),
}
# What a format's files may be compressed with, Athena's own choice in front, and DuckDB's or PyArrow's name of it.
_COMPRESSIONS = {
    "PARQUET": {"GZIP": "gzip", "SNAPPY": "snappy", "ZSTD": "zstd", "LZ4": "lz4_raw", "NONE": "uncompressed"},
    "ORC": {"ZLIB": "zlib", "SNAPPY": "snappy", "ZSTD": "zstd", "LZ4": "lz4", "NONE": "uncompressed"},
    "JSON": {"GZIP": "gzip", "NONE": "none"},
    "TEXTFILE": {"GZIP": "gzip", "NONE": "none"},
}
_HIVE_PROPERTIES = {
    *("format", "write_compression", "parquet_compression", "orc_compression", "compression", "external_location"),
    *("partitioned_by", "bucketed_by", "bucket_count", "field_delimiter", "table_type", "is_external"),
}
_ICEBERG_PROPERTIES = {"format", "write_compression", "location", "partitioning", "table_type", "is_external"}
# AWS's words, as https://github.com/dbt-labs/dbt-athena/issues/176 has them.
_ENFORCED = (
    "The Create Table As Select query failed because it was submitted with an 'external_location' property to an Athena "
    "Workgroup that enforces a centralized output location for all queries. Please remove the 'external_location' property and "
    "resubmit the query."
)

Engines = Callable[[exp.Query, str], AbstractContextManager[Engine]]


def unsubmittable(statement: Statement, database: str, enforced: bool) -> str:
    """What StartQueryExecution itself has against the statement; empty: nothing."""
    if not enforced or not isinstance(statement, CreateTableAs) or "external_location" not in statement.properties:
        return ""
    return _ENFORCED if _place(statement.table, database)[0].endswith(SCRATCH) else ""


def run(statement: Write, database: str, execution: dict[str, Any], caller: Caller, engine: Engines) -> int:
    """Rows written. `execution`: as GetQueryExecution answers it; is told where the list of written files is."""
    output = execution["ResultConfiguration"]["OutputLocation"].removesuffix(".csv")
    match statement:
        case Unload():
            location = _location(statement.location, statement.refusal)
            rows, files = _unload(statement, location, caller, engine(statement.query, database))
        case CreateTableAs():
            place = _writable(statement.table, database, statement.refusal)
            caller.demand("glue:CreateTable", *place)
            _must_be_new(*place)
            rows, files = _create(statement, place, output, caller, engine(statement.query, database))
        case _:
            _change(statement, database, caller)
            return 0
    manifest = f"{output}-manifest.csv"
    caller.write(manifest, "".join(f"{file}\n" for file in files).encode(), "text/csv")
    execution["Statistics"]["DataManifestLocation"] = manifest
    return rows


def _change(statement: DropTable | RenameTable | SetProperties, database: str, caller: Caller) -> None:
    place = _writable(statement.table, database, statement.refusal)
    key = "/".join(place)
    match statement:
        case DropTable(_, if_exists):
            caller.demand("glue:DeleteTable", *place)
            if if_exists and key not in glue._tables:
                return
            entry = athena_catalog.table(*place, caller)
            if _is_iceberg(entry):  # its data are the table's own
                _delete_data(entry["StorageDescriptor"]["Location"], caller)
            glue._delete_table({"DatabaseName": place[0], "Name": place[1]})
        case RenameTable(_, new):
            to = _writable(new, place[0], statement.refusal)
            entry = athena_catalog.table(*place, caller)
            if not _is_iceberg(entry):
                raise QueryError("NOT_SUPPORTED: ALTER TABLE RENAME is for Iceberg tables only")
            caller.demand("glue:CreateTable", *to)
            caller.demand("glue:DeleteTable", *place)
            _must_be_new(*to)
            glue._tables["/".join(to)] = glue._tables.pop(key) | {"DatabaseName": to[0], "Name": to[1]}
        case SetProperties(_, properties):
            caller.demand("glue:UpdateTable", *place)
            entry = athena_catalog.table(*place, caller)
            entry["Parameters"] = (entry.get("Parameters") or {}) | {name: str(value) for name, value in properties.items()}


def _unload(statement: Unload, location: str, caller: Caller, opened: AbstractContextManager[Engine]) -> tuple[int, list[str]]:
    known = {"format", "compression", "field_delimiter", "partitioned_by"}
    chosen = _format(statement.properties, known, "compression")
    _must_be_empty(location, "Target directory", caller)
    with opened as ready:
        return _written(ready, _typed(ready), chosen, location)


def _create(
    statement: CreateTableAs, place: tuple[str, str], output: str, caller: Caller, opened: AbstractContextManager[Engine]
) -> tuple[int, list[str]]:
    properties = statement.properties
    for number, column in enumerate(statement.query.selects, 1):
        if not isinstance(column, exp.Alias | exp.Column | exp.Star):
            raise QueryError(f"SYNTAX_ERROR: Column name not specified at position {number}")
    if str(properties.get("table_type", "hive")).lower() == "iceberg":
        return _create_iceberg(statement, place, caller, opened)
    chosen = _format(properties, _HIVE_PROPERTIES, "write_compression", "parquet_compression", "orc_compression", "compression")
    location = _location(str(properties.get("external_location", f"{output}/")), statement.refusal)
    _must_be_empty(location, f"Target directory for table '{'.'.join(place)}'", caller)
    if chosen.partitions:
        caller.demand("glue:BatchCreatePartition", *place)
    with opened as ready:
        columns = _typed(ready)
        for name, kind in columns.items():
            if kind == "TIMESTAMP WITH TIME ZONE":
                raise QueryError(f"NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone, of column {name}")
        rows, files = _written(ready, columns, chosen, location) if statement.data else (0, [])
    listed = [{"Name": name, "Type": athena_files.hive_type(kind)} for name, kind in columns.items()]
    reads, writes, serde = _FORMATS[chosen.name]
    parameters = {"serialization.format": "1"} | ({"field.delim": chosen.delimiter} if chosen.name == "TEXTFILE" else {})
    storage = {
        "Columns": listed[: len(listed) - len(chosen.partitions)],
        "Location": location.rstrip("/"),
        "InputFormat": reads,
        "OutputFormat": writes,
        "SerdeInfo": {"SerializationLibrary": serde, "Parameters": parameters},
        "BucketColumns": properties.get("bucketed_by", []),
        "NumberOfBuckets": int(properties.get("bucket_count", -1)),
    }
    table = {
        "Name": place[1],
        "Owner": OWNER,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false"},
        "PartitionKeys": listed[len(listed) - len(chosen.partitions) :],
        "StorageDescriptor": storage,
    }
    named = {"DatabaseName": place[0], "TableName": place[1]}
    glue._create_table(named | {"TableInput": table})
    if chosen.partitions:
        folders = {file.rpartition("/")[0] for file in files}
        values = {one: [unquote(part.partition("=")[2]) for part in one.removeprefix(location).split("/")] for one in folders}
        made = [{"Values": values[one], "StorageDescriptor": storage | {"Location": one}} for one in sorted(folders)]
        glue._batch_create_partition(named | {"PartitionInputList": made})
    return rows, files


def _create_iceberg(
    statement: CreateTableAs, place: tuple[str, str], caller: Caller, opened: AbstractContextManager[Engine]
) -> tuple[int, list[str]]:
    chosen = _format(statement.properties, _ICEBERG_PROPERTIES, "write_compression")
    if chosen.name != "PARQUET" or "location" not in statement.properties:
        raise QueryError("NOT_SUPPORTED: an Iceberg table needs a location, and the embedded AWS writes it as Parquet only")
    parts = statement.properties.get("partitioning", [])
    if any("(" in part for part in parts):
        raise QueryError("NOT_SUPPORTED: the embedded AWS makes partitions of an Iceberg table by columns only, not by functions")
    location = _location(str(statement.properties["location"]), statement.refusal)
    _must_be_empty(location, "Target directory", caller)
    for folder_of_it in ("data", "metadata"):
        caller.demand_object("s3:PutObject", f"{location}{folder_of_it}/*")
    with opened as ready:
        rows = ready.connection.sql(_select(ready, _typed(ready))).to_arrow_table()
    catalog = load_catalog("glue", type="glue", **{"s3.endpoint": os.environ["AWS_ENDPOINT_URL"], "s3.region": get_region()})
    table = catalog.create_table(
        place, rows.schema, location.rstrip("/"), properties={"write.parquet.compression-codec": chosen.codec}
    )
    glue._tables["/".join(place)]["Owner"] = OWNER
    with table.update_spec() as spec:
        for part in parts:
            spec.add_field(part, "identity")
    if statement.data:
        table.append(rows)
    return (rows.num_rows, table.inspect.files()["file_path"].to_pylist()) if statement.data else (0, [])


@dataclass(frozen=True)
class Format:
    name: str
    codec: str
    partitions: list[str]
    delimiter: str


def _format(properties: dict[str, Property], known: set[str], *compressions: str) -> Format:
    unknown = sorted(properties.keys() - known)
    if unknown:
        raise QueryError(f"INVALID_TABLE_PROPERTY: {unknown[0]} is not known here; known are {', '.join(sorted(known))}")
    name = str(properties.get("format", "PARQUET")).upper()
    if name not in _FORMATS:
        raise QueryError(f"NOT_SUPPORTED: Athena of the embedded AWS does not write {name}; it writes {', '.join(_FORMATS)}")
    codecs = _COMPRESSIONS[name]
    codec = next((str(properties[one]).upper() for one in compressions if one in properties), next(iter(codecs)))
    if codec not in codecs:
        raise QueryError(f"INVALID_TABLE_PROPERTY: {name} is not compressed with {codec}; with {', '.join(codecs)}")
    partitions = [one.lower() for one in properties.get("partitioned_by", [])]
    return Format(name, codecs[codec], partitions, str(properties.get("field_delimiter", "\x01")))


def _typed(ready: Engine) -> dict[str, str]:
    """DuckDB's types of the query's columns by name, in lower case as Athena makes them."""
    answer = ready.connection.sql(ready.sql)
    columns: dict[str, str] = {}
    for name, kind in zip(answer.columns, answer.types, strict=True):
        if name.lower() in columns:
            raise QueryError(f"DUPLICATE_COLUMN_NAME: Column name '{name.lower()}' specified more than once")
        if str(kind) == '"NULL"':
            raise QueryError(f"COLUMN_TYPE_UNKNOWN: Column type is unknown: {name}")
        # Types that Athena has not, and DuckDB's functions give.
        columns[name.lower()] = re.sub(r"\bTIMESTAMP_(S|MS|NS)\b", "TIMESTAMP", re.sub(r"\bHUGEINT\b", "BIGINT", str(kind)))
    return columns


def _select(ready: Engine, columns: dict[str, str]) -> str:
    selected = ", ".join(f"cast({quoted(name)} as {kind}) as {quoted(name)}" for name, kind in columns.items())
    return f"select {selected} from ({ready.sql}) as t({', '.join(map(quoted, columns))})"


def _written(ready: Engine, columns: dict[str, str], chosen: Format, location: str) -> tuple[int, list[str]]:
    """Writes the query's rows as files below the location, and says how many rows and which files."""
    if chosen.partitions and list(columns)[-len(chosen.partitions) :] != chosen.partitions:
        raise QueryError("HIVE_COLUMN_ORDER_MISMATCH: Partition keys must be the last columns in the table and in the same order "
                         f"as the table properties: {chosen.partitions}")  # fmt: skip
    if chosen.name == "ORC" and chosen.partitions:
        raise QueryError("NOT_SUPPORTED: Athena of the embedded AWS writes no partitions of ORC")
    made, select = ready.folder / "written", _select(ready, columns)
    if chosen.name == "ORC":
        answer = ready.connection.sql(select).to_arrow_table()
        orc.write_table(answer, str(made), compression=chosen.codec)
        rows = answer.num_rows
    else:
        options = {"PARQUET": "format parquet", "JSON": "format json"}.get(
            chosen.name, f"format csv, delimiter {literal(chosen.delimiter)}, quote '', escape '', header false, nullstr '\\N'"
        )
        parts = ", ".join(map(quoted, chosen.partitions))
        options += f", compression {chosen.codec}" + (f", partition_by ({parts})" if parts else "")
        rows = ready.connection.execute(f"copy ({select}) to '{made}' ({options})").fetchall()[0][0]
    stamp, files = f"{datetime.datetime.now(datetime.UTC):%Y%m%d_%H%M%S}", []
    for file in sorted(_files(made)) if rows else []:
        parts = "".join(f"{part}/" for part in file.relative_to(made).parts[:-1])
        name = f"{stamp}_{len(files):05}_{uuid.uuid4()}{'.gz' if chosen.codec == 'gzip' and chosen.name != 'PARQUET' else ''}"
        files.append(f"{location}{parts}{name}")
        ready.caller.write(files[-1], file.read_bytes(), "application/octet-stream")
    return rows, files


def _files(made: Path) -> Iterator[Path]:
    return (path for path in made.rglob("*") if path.is_file()) if made.is_dir() else iter([made])


def _place(named: Show, database: str) -> tuple[str, str]:
    return (named.database or database).lower(), named.table


def _writable(named: Show, database: str, refusal: str) -> tuple[str, str]:
    """Database and table. Raises QueryError when the database is not for writing."""
    place = _place(named, database)
    if not place[0].endswith(SCRATCH):
        raise QueryError(refusal)
    if place[0] not in glue._databases:
        raise QueryError(f"SCHEMA_NOT_FOUND: Database {place[0]} does not exist")
    return place


def _location(url: str, refusal: str) -> str:
    """A folder to write to. Raises QueryError when it is none, or in a bucket of the lake's."""
    bucket, *parts = url.removeprefix("s3://").rstrip("/").split("/")
    # Not every program takes .. for a folder of this name.
    if not url.startswith("s3://") or not parts or {"", ".", ".."} & {bucket, *parts}:
        raise QueryError(f"INVALID_LOCATION: {url} is no folder of a bucket: s3://BUCKET/FOLDER/")
    if bucket in _lake_buckets():
        raise QueryError(refusal)
    return folder(url)


def _lake_buckets() -> set[str]:
    """Those that hold a table of a database which is not for writing."""
    entries = [entry for key, entry in glue._tables.items() if not key.split("/")[0].endswith(SCRATCH)]
    return {urlparse(entry.get("StorageDescriptor", {}).get("Location", "")).netloc for entry in entries}


def _must_be_new(database: str, table: str) -> None:
    if f"{database}/{table}" in glue._tables:
        raise QueryError(f"TABLE_ALREADY_EXISTS: Table '{athena_catalog.CATALOG}.{database}.{table}' already exists")


def _must_be_empty(location: str, what: str, caller: Caller) -> None:
    if caller.list(location):
        raise QueryError(f"HIVE_PATH_ALREADY_EXISTS: {what} already exists: {location}. Athena does not delete what lies there")


def _is_iceberg(entry: dict[str, Any]) -> bool:
    return "metadata_location" in (entry.get("Parameters") or {})


def _delete_data(location: str, caller: Caller) -> None:
    if urlparse(location).netloc not in _lake_buckets():
        for part in ("data/", "metadata/"):
            for url in caller.list(folder(location) + part):
                caller.delete(url)
