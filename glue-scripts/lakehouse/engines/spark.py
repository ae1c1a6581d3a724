"""Spark, for what outgrows one machine. Tables are read and written by Iceberg's own reader and writer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any
from urllib.parse import quote

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyspark.errors import PythonException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType
from pyspark.sql.udf import UserDefinedFunction
from pyspark.util import PythonEvalType

from lakehouse import drafts, tables
from lakehouse.contracts import Contract
from lakehouse.engines import SPARK, Landed, landing
from lakehouse.errors import LakehouseError
from lakehouse.storage import Object, Store
from lakehouse.tables import CATALOG, ROWS_PER_FILE, Draft

_TASKS_PER_CORE = 4
_BROADCAST_BYTES = 64 * 1024 * 1024
# Of landing objects or of a table, for a task.
_LEAST_BYTES, _SHARE_BYTES = 1024 * 1024, 128 * 1024 * 1024
# What a worker says of an error.
_SAID = re.compile(rf"^{LakehouseError.__module__}.{LakehouseError.__name__}: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class _Rows:
    frame: DataFrame

    @cached_property
    def columns(self) -> dict[str, str]:
        return {field.name: field.dataType.simpleString() for field in self.frame.schema}


def start() -> SparkSession:
    """The process's session. What the job definition sets in `--conf` is left alone."""
    # Else half of what Python says to Java is where in the program it says it, for messages that are shown to nobody.
    quiet = {"spark.python.sql.dataFrameDebugging.enabled": "false"}
    spark = SparkSession.builder.appName("lakehouse").config(map=quiet).getOrCreate()
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
        self._cores = session.sparkContext.defaultParallelism
        tasks = self._cores * _TASKS_PER_CORE
        defaults = {
            # Spark's fixed 200 is mostly empty tasks at our sizes; adaptive execution merges these further.
            "spark.sql.shuffle.partitions": tasks,
            "spark.sql.ansi.doubleQuotedIdentifiers": "true",
            # ICU's tables take a second to load, for letters that e-mail addresses do not have.
            "spark.sql.icu.caseMappings.enabled": "false",
            # Customers are few beside readings: ship them to the readings instead of sorting both.
            "spark.sql.autoBroadcastJoinThreshold": _BROADCAST_BYTES,
            # To compress rows that are kept takes longer than to write what does not fit in memory.
            "spark.sql.inMemoryColumnarStorage.compressed": "false",
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
        for name, rows in inputs.items():
            rows.frame.createOrReplaceTempView(name)
        return _Rows(self._spark.sql(text))

    def _frame(self, plan: Any) -> DataFrame:
        dataset = self._spark._jvm.org.apache.spark.sql.classic.Dataset
        return DataFrame(dataset.ofRows(self._spark._jsparkSession, plan), self._spark)

    def fetch(self, text: str, **inputs: _Rows) -> list[tuple]:
        return [tuple(row) for row in self.sql(text, **inputs).frame.collect()]

    def hash(self, columns: str) -> str:
        return f"xxhash64({columns})"

    def keep(self, rows: _Rows) -> _Rows:
        # Cut off from its plan, which is in the plan of all that is made of it else: to analyze that takes many times as long as
        # to run it. And MERGE in Spark 4.1 would compute it anew.
        kept = rows.frame.persist()
        self._kept.append(kept)
        return _Rows(self._frame(kept._jdf.queryExecution().withCachedData()))

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
        # Iceberg would give a task 16 MiB at least; of packed rows that is much work.
        share = min(_SHARE_BYTES, max(_LEAST_BYTES, int(tables.said(snapshot, "total-files-size") or 0) // self._cores))
        reader = self._spark.read.option("versionAsOf", str(snapshot.snapshot_id)).option("split-size", str(share))
        rows = reader.table(name)
        present = {field.name: tables.type_name(field.field_type) for field in table.schema().fields}
        missing = {column: F.lit(None).cast(kind) for column, kind in present.items() if column not in rows.columns}
        rows = rows.withColumns(missing).select(*present)
        for column, (least, most) in (between or {}).items():
            rows = rows.where(F.col(column).between(least, most))
        return _Rows(rows)

    def append(self, draft: Draft, rows: _Rows) -> None:
        frame = rows.frame.select(*draft.contract.names)
        number = min(1 + frame.count() // ROWS_PER_FILE, int(self._spark.conf.get("spark.sql.shuffle.partitions")))
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
        # With a number of its own, delete files that others wrote before are not about a new file.
        options = "map('min-input-files', '2', 'delete-file-threshold', '1', 'use-starting-sequence-number', 'false')"
        name = draft.name.partition(".")[2]
        self._spark.sql(
            f"call {CATALOG}.system.rewrite_data_files(table => '{name}', branch => '{draft.branch}'{sort}, options => {options})"
        ).collect()
        table, head = draft.head()
        if tables.has_delete_files(head) and not tables.delete_files(tables.files(table, head)):
            # Those of files that are gone: Iceberg itself looks for them in `main` only.
            draft.commit([], rearranged=True)

    def interrupt(self) -> None:
        """Python waits for an answer only, and Java ends with it."""

    def close(self) -> None:
        for frame in self._kept:
            frame.unpersist()

    # --- landing files ---

    def read(self, contract: Contract, store: Store, objects: Sequence[Object]) -> Landed:
        shares = min(len(objects), max(self._cores * _TASKS_PER_CORE, sum(one.size for one in objects) // _SHARE_BYTES)) or 1
        objects = sorted(objects, key=lambda one: -one.size)
        work = partial(landing.in_worker, contract, quote(store.uri(""), safe=":/"), objects, shares)
        types = {"object": "int", **contract.types, "position": "bigint", "told": landing.TOLD}
        shape = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
        lines = self.keep(_Rows(_mapped(self._spark.range(0, shares, 1, shares), work, shape))).frame
        try:
            lines.count()
        except PythonException as error:
            if said := _SAID.search(str(error)):
                raise LakehouseError(said[1]) from error
            raise

        def of_object(values: list, kind: str) -> Column:
            return F.element_at(F.from_json(F.lit(json.dumps(values)), f"array<{kind}>"), F.col("object") + 1)

        # Not as values of the rows that are kept: of many rows they take more room than all else.
        paths, modified = [one.key for one in objects], [one.modified for one in objects]
        of = {"file_path": of_object(paths, "string"), "file_modified": of_object(modified, "bigint")}
        return landing.read(self, contract, _Rows(lines.withColumns(of)))


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


def _mapped(numbers: DataFrame, work: Callable[..., Any], shape: str) -> DataFrame:
    """DataFrame.mapInArrow, which wants Pandas to be there and has no use for it."""
    of = UserDefinedFunction(work, shape, evalType=PythonEvalType.SQL_MAP_ARROW_ITER_UDF)
    return DataFrame(numbers._jdf.mapInArrow(of(*numbers.columns)._jc, False, None), numbers.sparkSession)
