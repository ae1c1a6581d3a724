"""Where a query of the embedded AWS gets its rows: objects of the emulated S3, read as the query's caller may read them.

Copies of the objects go to a folder of the query, in which DuckDB reads them itself: only what the query needs of a Parquet file.
"""

from __future__ import annotations

import contextvars
import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import duckdb
import pyarrow as pa
from ministack.core.responses import get_account_id, get_region
from ministack.services import s3
from pyarrow import orc
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import DataScan, StaticTable
from pyiceberg.types import DecimalType
from sqlglot import exp

from embedded_aws import openx_json, permissions
from embedded_aws.athena_statements import QueryError

PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
TEXT = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
ORC = "org.apache.hadoop.hive.ql.io.orc.OrcSerde"
JSON = "org.openx.data.jsonserde.JsonSerDe"
_NO_VALUE = "'__HIVE_DEFAULT_PARTITION__'"
# DuckDB's names of Iceberg's types; those that are not here are read by PyIceberg.
_TYPES = {
    **{name: name for name in ("boolean", "int", "float", "double", "date", "timestamp")},
    "long": "bigint",
    "string": "varchar",
    "binary": "blob",
    "timestamptz": "timestamptz",
}


class Caller(FileIO):
    """Who has sent the request that is being answered, with what IAM lets them do in S3 and in the catalog. PyIceberg reads
    through it too, in threads that know nothing of the request."""

    def __init__(self) -> None:
        super().__init__()
        self._request = contextvars.copy_context()

    def _demand(self, action: str, resource: str, context: dict | None = None) -> None:
        self._request.copy().run(permissions.demand, action, resource, context)

    def may(self, action: str, database: str, table: str) -> bool:
        try:
            self.demand(action, database, table)
        except QueryError:
            return False
        return True

    def demand(self, action: str, database: str, table: str) -> None:
        """Raises QueryError when the caller may not do this in the catalog; Glue asks for the right on all three."""
        self._require(action, "glue", "catalog", f"database/{database}", f"table/{database}/{table}")

    def demand_group(self, action: str, group: str) -> None:
        """Raises QueryError when the caller may not do this with what is kept in a workgroup."""
        self._require(action, "athena", f"workgroup/{group}")

    def _require(self, action: str, service: str, *resources: str) -> None:
        try:
            for resource in resources:
                self._demand(action, f"arn:aws:{service}:{get_region()}:{get_account_id()}:{resource}")
        except PermissionError as error:
            raise QueryError(f"Insufficient permissions to execute the query. {error}") from None

    def read(self, url: str) -> bytes:
        bucket, key = self.demand_object("s3:GetObject", url)
        data = s3._get_object_data(bucket, key)
        if data is None:
            raise QueryError(f"HIVE_CANNOT_OPEN_SPLIT: {url} does not exist")
        return data

    def write(self, url: str, body: bytes, content_type: str) -> None:
        bucket, key = self.demand_object("s3:PutObject", url)
        status, _, answer = s3._put_object(bucket, key, body, {"content-type": content_type})
        if status >= 400:
            raise QueryError(f"{url} cannot be written: {answer!r}")

    def delete(self, location: str | InputFile | OutputFile) -> None:
        bucket, key = self.demand_object("s3:DeleteObject", str(location))
        s3._delete_object(bucket, key)

    def list(self, folder: str) -> list[str]:
        """URLs of the objects below a folder, which ends in a slash."""
        place = urlparse(folder)
        prefix = place.path.removeprefix("/")
        try:
            self._demand("s3:ListBucket", f"arn:aws:s3:::{place.netloc}", {"s3:prefix": prefix})
        except PermissionError:
            raise QueryError(f"PERMISSION_DENIED: Permission denied on S3 path: {folder}") from None
        objects = s3._buckets.get(place.netloc, {"objects": {}})["objects"]
        return [f"s3://{place.netloc}/{key}" for key in sorted(objects) if key.startswith(prefix)]

    def demand_object(self, action: str, url: str) -> tuple[str, str]:
        """Bucket and key of an object that the caller may do this with. Raises QueryError otherwise."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            self._demand(action, f"arn:aws:s3:::{bucket}/{key}")
        except PermissionError:
            writes = action == "s3:PutObject"
            what = "Access denied when writing output to url:" if writes else "PERMISSION_DENIED: Permission denied on S3 path:"
            raise QueryError(f"{what} {url}") from None
        return bucket, key

    def new_input(self, location: str) -> InputFile:
        return _Input(location, self.read)

    def new_output(self, location: str) -> OutputFile:
        # PyIceberg asks for it of every FileIO. Tables are written through its own catalog (athena_writes.py).
        raise NotImplementedError("a query writes no table")


class _Input(InputFile):
    def __init__(self, location: str, read: Callable[[str], bytes]) -> None:
        super().__init__(location)
        self._read = read

    def __len__(self) -> int:
        return len(self._read(self.location))

    def exists(self) -> bool:
        return True

    def open(self, seekable: bool = True) -> pa.BufferReader:
        return pa.BufferReader(self._read(self.location))


def opened(location: str, caller: Caller) -> StaticTable:
    """The Iceberg table with this metadata."""
    metadata = FromInputFile.table_metadata(caller.new_input(location))
    return StaticTable(("table",), metadata, location, caller, NoopCatalog("none"))


def folder(location: str) -> str:
    return location.rstrip("/") + "/"


class Relations:
    """Makes tables into relations of a connection, with copies of their objects in a folder."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, copies: Path, caller: Caller) -> None:
        self._connection, self._folder, self._caller = connection, copies, caller
        self._numbers = itertools.count()

    def iceberg(self, name: str, scan: DataScan) -> None:
        """Columns are found by their ids: older files have one that was renamed by its old name, and one that was added not."""
        fields, tasks = scan.projection().fields, list(scan.plan_files())
        plain = all(isinstance(f.field_type, DecimalType) or str(f.field_type) in _TYPES for f in fields)
        if not tasks or not plain or any(task.delete_files or task.file.file_format != "PARQUET" for task in tasks):
            self._connection.register(name, scan.to_arrow())
            return
        types = [(f.field_id, literal(f.name), _TYPES.get(str(f.field_type), str(f.field_type))) for f in fields]
        schema = ", ".join(f"{number}: {{name: {column}, type: '{kind}', default_value: null}}" for number, column, kind in types)
        self._view(
            name, f"select * from read_parquet({self._copied(task.file.file_path for task in tasks)}, schema = map {{{schema}}})"
        )

    def files(self, name: str, entry: dict[str, Any]) -> None:
        """Of a table that is the objects below its location, whatever their suffix, but no hidden one, and none of a hidden
        folder. A folder KEY=VALUE has the rows with this value of a partition's column."""
        storage, keys = entry["StorageDescriptor"], [(one["Name"], one["Type"]) for one in entry.get("PartitionKeys") or []]
        location = folder(storage["Location"])
        groups: dict[tuple[str, ...], list[str]] = {}
        for url in self._caller.list(location):
            parts = url.removeprefix(location).split("/")
            if not any(part.startswith((".", "_")) for part in parts):
                named = dict(part.split("=", 1) for part in parts[:-1] if "=" in part)
                groups.setdefault(tuple(unquote(named.get(key, "")) for key, _ in keys), []).append(url)
        selects: list[str] = []
        for values, urls in groups.items():
            pairs = zip(keys, values, strict=True)
            of_folder = [
                f"cast(nullif({literal(value)}, {_NO_VALUE}) as {duckdb_type(kind)}) as {quoted(key)}"
                for (key, kind), value in pairs
            ]
            selects.append(f"select {', '.join(['*', *of_folder])} from {self._rows(storage, urls)}")
        if not selects:
            columns = [(one["Name"], one["Type"]) for one in storage["Columns"]]
            nulls = [f"cast(null as {duckdb_type(kind)}) as {quoted(column)}" for column, kind in (*columns, *keys)]
            selects = [f"select {', '.join(nulls)} where false"]
        self._view(name, " union all by name ".join(selects))

    def _rows(self, storage: dict[str, Any], urls: list[str]) -> str:
        """SQL of a relation with the rows of these objects."""
        serde = storage.get("SerdeInfo", {})
        parameters, columns = serde.get("Parameters", {}), {one["Name"]: one["Type"] for one in storage["Columns"]}
        match serde.get("SerializationLibrary"):
            case library if library == PARQUET:
                return f"read_parquet({self._copied(urls)}, union_by_name = true)"
            case library if library == TEXT:
                kinds = ", ".join(f"{literal(column)}: '{duckdb_type(kind)}'" for column, kind in columns.items())
                options = f"delim = {literal(parameters.get('field.delim', chr(1)))}, header = false, quote = '', escape = ''"
                return f"read_csv({self._copied(urls)}, {options}, nullstr = '\\N', columns = {{{kinds}}})"
            case library if library == JSON:
                try:
                    return self._registered(
                        openx_json.table(((url, self._caller.read(url)) for url in urls), columns, parameters)
                    )
                except openx_json.BadData as error:
                    raise QueryError(str(error)) from None
            case library if library == ORC:
                return self._registered(pa.concat_tables(orc.read_table(pa.BufferReader(self._caller.read(url))) for url in urls))
            case library:
                raise QueryError(f"NOT_SUPPORTED: Athena of the embedded AWS reads no table with {library or 'no SerDe'}")

    def _registered(self, rows: pa.Table) -> str:
        name = f"rows_{next(self._numbers)}"
        self._connection.register(name, rows)
        return name

    def _copied(self, urls: Iterable[str]) -> str:
        """SQL of the list of the copies of these objects. What goes below decides about is a number, and nothing of a URL."""
        copies = []
        for url in urls:
            copy = self._folder / f"{next(self._numbers)}{'.gz' if url.endswith('.gz') else ''}"
            copy.write_bytes(self._caller.read(url))
            copies.append(literal(str(copy)))
        return f"[{', '.join(copies)}]"

    def _view(self, name: str, select: str) -> None:
        self._connection.execute(f"create view {name} as {select}")


def duckdb_type(hive_type: str) -> str:
    return exp.DataType.build(hive_type, dialect="hive").sql("duckdb")


def hive_type(duckdb_type: str) -> str:
    """In the catalog's spelling: lower case, without blanks and quotes."""
    return re.sub("`|(?<=[,:]) ", "", exp.DataType.build(duckdb_type, dialect="duckdb").sql("hive").lower())


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
