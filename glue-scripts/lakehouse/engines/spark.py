"""Spark, for what outgrows one machine. Tables are read and written by Iceberg's own reader and writer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructField, StructType

from lakehouse import drafts, files, tables, usual
from lakehouse.contracts import Contract
from lakehouse.engines import REJECTED, SPARK, Landed
from lakehouse.errors import unreadable
from lakehouse.lines import LONGEST_LINE, MALFORMED, Judge
from lakehouse.storage import Object, Store, open_store
from lakehouse.tables import CATALOG, Draft

_TASKS_PER_CORE = 4
_BROADCAST_BYTES = 64 * 1024 * 1024
_ARROW_BATCH_BYTES = 16 * 1024 * 1024
_ROWS_PER_FILE = 1_000_000
_ARROW = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}
_SPACE = " \t\r\n"
_LINE = ("_line", "file_path", "file_modified")
_LINES = "_line binary, file_path string, file_modified bigint"


@dataclass(frozen=True)
class _Rows:
    frame: DataFrame

    @cached_property
    def columns(self) -> dict[str, str]:
        return {field.name: field.dataType.simpleString() for field in self.frame.schema}


def start(name: str = "lakehouse") -> SparkSession:
    """The process's session. What the job definition sets in `--conf` is left alone."""
    # Else half of what Python says to Java is where in the program it says it, for messages that are shown to nobody.
    quiet = {"spark.python.sql.dataFrameDebugging.enabled": "false"}
    spark = SparkSession.builder.appName(name).config(map=quiet).getOrCreate()
    # Below this level Spark logs plans and filters, and with them values of rows.
    spark.sparkContext.setLogLevel("ERROR")
    return spark


class Spark:
    name = SPARK

    def __init__(self, lake_uri: str) -> None:
        session = start()
        given = session.sparkContext.getConf()
        # A session of its own: views and catalogs of others are not seen.
        self._spark = session.newSession()
        tasks = session.sparkContext.defaultParallelism * _TASKS_PER_CORE
        defaults = {
            # Spark's fixed 200 is mostly empty tasks at our sizes; adaptive execution merges these further.
            "spark.sql.shuffle.partitions": tasks,
            # Many files are looked up by a job; Spark's task for each of them takes longer than the look.
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": tasks,
            "spark.sql.ansi.doubleQuotedIdentifiers": "true",
            # ICU's tables take a second to load, for letters that e-mail addresses do not have.
            "spark.sql.icu.caseMappings.enabled": "false",
            # Of lines for the judge, which may be long.
            "spark.sql.execution.arrow.maxBytesPerBatch": _ARROW_BATCH_BYTES,
            # Customers are few beside readings: ship them to the readings instead of sorting both.
            "spark.sql.autoBroadcastJoinThreshold": _BROADCAST_BYTES,
            # PyIceberg commits to the same tables.
            f"spark.sql.catalog.{CATALOG}.cache-enabled": "false",
        }
        if lake_uri.startswith("file://"):
            defaults |= _local_catalog(lake_uri)
        for key, value in defaults.items():
            if not given.contains(key):
                self._spark.conf.set(key, str(value))
        self._kept: list[DataFrame] = []

    # --- rows ---

    def sql(self, text: str, **inputs: _Rows) -> _Rows:
        """CTEs are put in their places here. Left to the optimizer, which sees them again inside the SELECTs that use this one,
        Spark 4.1 fails with an internal error (InlineCTE, "exprId on unresolved object") when a query uses one of them twice."""
        for name, rows in inputs.items():
            rows.frame.createOrReplaceTempView(name)
        rows = self._spark.sql(text)
        sql = self._spark._jvm.org.apache.spark.sql
        plan = sql.catalyst.optimizer.InlineCTE(True, False).apply(rows._jdf.queryExecution().analyzed())
        return _Rows(DataFrame(sql.classic.Dataset.ofRows(self._spark._jsparkSession, plan), self._spark))

    def fetch(self, text: str, **inputs: _Rows) -> list[tuple]:
        return [tuple(row) for row in self.sql(text, **inputs).frame.collect()]

    def hash(self, columns: str) -> str:
        return f"xxhash64({columns})"

    def keep(self, rows: _Rows) -> _Rows:
        # Cut off from its plan: it is read several times, and MERGE in Spark 4.1 would compute it anew.
        kept = rows.frame.persist()
        self._kept.append(kept)
        return _Rows(kept)

    def rows(self, columns: Mapping[str, str], values: Iterable[Sequence[Any]]) -> _Rows:
        """For createDataFrame Spark starts a Python process: a second."""
        schema = StructType.fromDDL(", ".join(f"`{name}` {kind}" for name, kind in columns.items()))
        listed = json.dumps([dict(zip(schema.names, row, strict=True)) for row in values])
        return _Rows(self._spark.range(0, 1, 1, 1).select(F.inline(F.from_json(F.lit(listed), ArrayType(schema)))))

    # --- tables ---

    def table(self, table: Table, snapshot: Snapshot | None, between: Mapping[str, tuple[int, int]] | None = None) -> _Rows:
        name = ".".join((CATALOG, *table.name()))
        if snapshot is None:
            return _Rows(self._spark.table(name).limit(0))
        rows = self._spark.read.option("versionAsOf", str(snapshot.snapshot_id)).table(name)
        present = {field.name: tables.type_name(field.field_type) for field in table.schema().fields}
        missing = {column: F.lit(None).cast(kind) for column, kind in present.items() if column not in rows.columns}
        rows = rows.withColumns(missing).select(*present)
        for column, (least, most) in (between or {}).items():
            rows = rows.where(F.col(column).between(least, most))
        return _Rows(rows)

    def append(self, draft: Draft, rows: _Rows) -> None:
        frame = rows.frame.select(*draft.contract.names)
        number = min(1 + frame.count() // _ROWS_PER_FILE, int(self._spark.conf.get("spark.sql.shuffle.partitions")))
        frame.coalesce(number).writeTo(_branch(draft)).append()

    def change(self, draft: Draft, changes: _Rows, only_inserts: bool) -> None:
        if only_inserts:
            return self.append(draft, changes)
        contract, op = draft.contract, f"changes.{drafts.OP}"
        target = _branch(draft)
        same_key = reduce(lambda a, b: a & b, [F.col(f"{target}.{key}") == F.col(f"changes.{key}") for key in contract.key])
        source = {name: F.col(f"changes.{name}") for name in contract.names}
        # Read several times by MERGE, which would compute it anew.
        merge = changes.frame.localCheckpoint().alias("changes").mergeInto(target, same_key)
        merge = merge.whenMatched(F.col(op) == "delete").delete()
        merge = merge.whenMatched(F.col(op) == "update").update(source)
        merge.whenNotMatched(F.col(op) == "insert").insert(source).merge()
        return None

    def compact(self, draft: Draft) -> None:
        contract = draft.contract
        sort = f", strategy => 'sort', sort_order => '{', '.join(contract.sort)}'" if contract.sort else ""
        options = "map('min-input-files', '2', 'delete-file-threshold', '1', 'remove-dangling-deletes', 'true')"
        name = draft.name.partition(".")[2]
        self._spark.sql(
            f"call {CATALOG}.system.rewrite_data_files(table => '{name}', branch => '{draft.branch}'{sort}, options => {options})"
        ).collect()

    def close(self) -> None:
        for frame in self._kept:
            frame.unpersist()

    # --- landing files ---

    def read(self, contract: Contract, store: Store, objects: Sequence[Object]) -> Landed:
        damaged = [one for one in objects if one.is_packed and _is_damaged(store, one)]
        landing = _Landing(self._spark, contract, store, [one for one in objects if one not in damaged])
        columns = REJECTED | contract.types
        known = [(one.key, one.modified, 0, MALFORMED, None, files.IS_DAMAGED, True, None, None) for one in damaged]
        whole = [(*row, *[None] * (len(columns) - len(row))) for row in known]
        return Landed(
            _Rows(landing.rows()),
            lambda: not damaged,
            lambda: _Rows(landing.rejected().select(*columns).unionByName(self.rows(columns, whole).frame)),
        )


def _local_catalog(lake_uri: str) -> dict[str, str]:
    """The catalog of a lake in a local folder, as tables.Tables opens it."""
    name = f"spark.sql.catalog.{CATALOG}"
    return {
        name: "org.apache.iceberg.spark.SparkCatalog",
        f"{name}.type": "jdbc",
        f"{name}.uri": f"jdbc:sqlite:{lake_uri.removeprefix('file://')}/catalog.db",
        f"{name}.jdbc.schema-version": "V1",
        f"{name}.warehouse": lake_uri,
    }


def _branch(draft: Draft) -> str:
    return f"{draft.name}.branch_{draft.branch}"


def _is_damaged(store: Store, one: Object) -> bool:
    try:
        return files.is_damaged(store.open(one))
    except Exception as error:
        raise unreadable(one.key, error) from error


class _Landing:
    """Lines of landing files, judged. Nearly all are usual: a pattern knows those, and Spark's JSON reader takes them."""

    def __init__(self, spark: SparkSession, contract: Contract, store: Store, objects: Sequence[Object]) -> None:
        self._spark, self._contract, self._store = spark, contract, store
        # Spark takes a path for a pattern.
        uris = [store.uri(one.key) for one in objects if not _is_strange(one)]
        self._paths = [re.sub(r"([\[\]{}*?\\])", r"\\\1", uri) for uri in uris]
        self._strange = [one for one in objects if _is_strange(one)]

    def rows(self) -> DataFrame:
        rows = self._classified(self._lines())
        verdict = F.col("_verdict")
        first = self._is_no_text_file()
        reason = verdict["reason"].alias("reason")
        rows = rows if first is None else rows.join(F.broadcast(first), "file_path", "left_anti")
        return rows.select(*self._contract.names, "file_path", "file_modified", reason, verdict["drift"].alias("drift"))

    def rejected(self) -> DataFrame:
        raise NotImplementedError
