"""Spark, for what outgrows one machine. Tables are read and written by Iceberg's own reader and writer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any, BinaryIO

import pyarrow as pa
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType

from lakehouse import drafts, files, tables, usual
from lakehouse.contracts import Contract
from lakehouse.engines import REJECTED, SPARK, Landed, structs
from lakehouse.errors import unreadable
from lakehouse.lines import LONGEST_LINE, MALFORMED, Judge
from lakehouse.storage import Object, Store, open_store
from lakehouse.tables import CATALOG, ROWS_PER_FILE, Draft

_TASKS_PER_CORE = 4
_BROADCAST_BYTES = 64 * 1024 * 1024
_ARROW_BATCH_BYTES = 16 * 1024 * 1024
_LINE = ("_line", "file_path", "file_modified")
_LINES = "_line binary, file_path string, file_modified bigint"


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
        rows = self._spark.read.option("versionAsOf", str(snapshot.snapshot_id)).table(name)
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
        whole = {one: files.IS_DAMAGED for one in objects if one.is_packed and _asked(store, one, files.is_damaged)}
        landing = _Landing(self._spark, contract, store, [one for one in objects if one not in whole])

        def keep(frame: DataFrame) -> DataFrame:
            return self.keep(_Rows(frame)).frame

        rows = landing.rows(keep)
        whole |= dict.fromkeys(landing.no_text, files.IS_NO_TEXT)
        columns = REJECTED | contract.types
        known = [(one.key, one.modified, 0, MALFORMED, None, why, True, None, None) for one, why in whole.items()]
        files_whole = self.rows(columns, [(*row, *[None] * (len(columns) - len(row))) for row in known]).frame
        return Landed(
            _Rows(rows),
            lambda: not whole,
            lambda: _Rows(landing.rejected(keep).select(*columns).unionByName(files_whole)),
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


def _asked(store: Store, one: Object, ask: Callable[[BinaryIO], Any]) -> Any:
    """What is asked of an object's content, as it was when it was listed."""
    try:
        with closing(store.open(one)) as file:
            return ask(file)
    except Exception as error:
        raise unreadable(one.key, error) from error


class _Landing:
    """Lines of landing files, judged. Nearly all are usual: a pattern knows those, and Spark's JSON reader takes them."""

    def __init__(self, spark: SparkSession, contract: Contract, store: Store, objects: Sequence[Object]) -> None:
        self._spark, self._contract, self._store, self._objects = spark, contract, store, objects
        self.no_text: list[Object] = []
        # Spark takes a path for a pattern.
        uris = [store.uri(one.key) for one in objects if not _is_strange(one)]
        self._paths = [re.sub(r"([\[\]{}*?\\])", r"\\\1", uri) for uri in uris]
        self._strange = [one for one in objects if _is_strange(one)]

    def rows(self, keep: Callable[[DataFrame], DataFrame]) -> DataFrame:
        """Those that Spark read by itself and those that were judged, of which there may be none: no Python process then."""
        text = F.lit(None).cast("string")
        with self._as_listed():
            parsed = keep(self._parsed(self._lines()).withColumn("_line", F.when(~F.col("_plain"), F.col("_line"))))
            begins = reduce(lambda a, b: a | b, [F.startswith("_line", F.lit(magic)) for magic in files.NO_TEXT])
            # All files are read here, and only here.
            odd = parsed.where("not _plain").agg(F.count("*"), F.collect_set(F.when(begins, F.col("file_path"))))
            number, suspicious = odd.first()
        self.no_text = [
            one
            for one in self._objects
            if one.key in suspicious and _asked(self._store, one, partial(files.is_no_text, packed=one.is_packed))
        ]
        parsed = self._without_no_text(parsed)
        plain = parsed.where("_plain").select(*self._as_judged(), *_LINE[1:], text.alias("reason"), text.alias("drift"))
        if not number:
            return plain
        judged = keep(self._judged(parsed.where("not _plain")))
        drift = F.col("_verdict")["drift"].alias("drift")
        return plain.unionByName(judged.select(*self._contract.names, "file_path", "file_modified", "reason", drift))

    def _as_judged(self) -> list[Column]:
        """Values of plain lines as the judge gives them."""
        return [F.expr(f'{usual.as_judged(one)} as "{one.name}"') for one in self._contract.columns]

    def rejected(self, keep: Callable[[DataFrame], DataFrame]) -> DataFrame:
        """In a second pass over the files, which are few: line numbers need all lines of a file."""
        with self._as_listed():
            rejected = keep(self._rejected())
            rejected.count()
        return rejected

    def _rejected(self) -> DataFrame:
        more = ("_metadata.file_block_start", F.monotonically_increasing_id().alias("_order"))
        lines = self._text_lines(*more)
        if self._strange:
            start = F.lit(0).cast("bigint").alias("file_block_start")
            lines = lines.unionByName(self._strange_lines().select(*_LINE, start, F.col("_place").alias("_order")))
        lines = self._without_no_text(lines)
        # Rows of a split come in the file's order, splits by where they start.
        in_file = Window.partitionBy("file_path").orderBy("file_block_start", "_order")
        numbered = lines.select("*", F.row_number().over(in_file).cast("bigint").alias("position")).where(~_is_blank())
        odd = self._parsed(numbered, "position").where("not _plain")
        bad = self._judged(odd, "position", "_line").where(F.col("reason").isNotNull())
        text = F.is_valid_utf8(_text())
        # Spark cuts it into lines.
        raw = F.replace(F.base64("_line"), F.lit("\r\n"), F.lit(""))
        told = [F.col("_verdict")[name].alias(name) for name in ("column_name", "detail", "many")]
        return bad.select(
            F.col("file_path").alias("file"),
            "file_modified",
            "position",
            "reason",
            *told,
            F.when(text, _text()).otherwise(raw).alias("line"),
            F.when(text, "utf-8").otherwise("base64").alias("encoding"),
            *self._contract.names,
        )

    def _without_no_text(self, rows: DataFrame) -> DataFrame:
        return rows.where(~F.col("file_path").isin([one.key for one in self.no_text])) if self.no_text else rows

    @contextmanager
    def _as_listed(self) -> Iterator[None]:
        """Fails with the key of an object that cannot be read, or was put anew since it was listed."""
        try:
            yield
        except Exception:
            for one in self._objects:
                _asked(self._store, one, lambda file: None)
            raise
        there = {one.key: one.version for one in self._store.list(self._contract.prefix)}
        for one in self._objects:
            if there.get(one.key) != one.version:
                _asked(self._store, one, lambda file: None)

    # --- lines ---

    def _lines(self) -> DataFrame:
        lines = self._text_lines()
        if self._strange:
            lines = lines.unionByName(self._strange_lines().select(*_LINE))
        return lines.where(~_is_blank())

    def _text_lines(self, *more: Any) -> DataFrame:
        if not self._paths:
            names = [f"{name} bigint" for name in ("file_block_start", "_order")[: len(more)]]
            return self._spark.createDataFrame([], ", ".join([_LINES, *names]))
        path = F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B"))  # url_decode takes a plus for a space
        decoded, root = F.url_decode(path), self._store.root
        key = F.substr(decoded, F.instr(decoded, root) + F.lit(len(root)))
        modified = F.unix_millis(F.col("_metadata.file_modification_time"))
        delivered = {one.key: one.modified for one in self._objects if one.is_rewritten}
        if delivered:
            times = F.create_map(*(F.lit(part) for pair in delivered.items() for part in pair))
            modified = F.coalesce(times[key], modified)
        lines = self._spark.read.text(self._paths)
        line = F.col("value").cast("binary")
        return lines.select(line.alias("_line"), key.alias("file_path"), modified.alias("file_modified"), *more)

    def _strange_lines(self) -> DataFrame:
        """Lines of the files whose names Spark cannot read, by Python; `_place`: their order in the file."""
        objects = self._spark.sparkContext.parallelize(self._strange, len(self._strange))
        lines = objects.flatMap(_reader(self._store.uri("")))
        return self._spark.createDataFrame(lines, f"{_LINES}, _place bigint", verifySchema=False)

    def _parsed(self, lines: DataFrame, *more: str) -> DataFrame:
        """Lines with the values of usual ones; `_plain`: they are good for sure."""
        columns = self._contract.columns
        schema = StructType.fromDDL(", ".join(f"`{column.json_key}` {column.type}" for column in columns))
        matches = F.expr(usual.text(self._contract)).rlike(rf"\A(?:{usual.pattern(self._contract)})\z")
        is_usual = (F.octet_length("_line") <= LONGEST_LINE) & F.is_valid_utf8(_text()) & matches
        parsed = lines.withColumn("text", _text()).withColumn("_row", F.from_json(F.when(is_usual, F.col("text")), schema))
        # Where the keys may come in any order, one may come twice: then another one is missing.
        every = [F.col("_row")[column.json_key].isNotNull() for column in columns if usual.is_fixed(self._contract)]
        is_usual = reduce(lambda a, b: a & b, every, F.col("_row").isNotNull()).alias("_usual")
        values = [F.col("_row")[column.json_key].alias(column.name) for column in columns]
        rows = parsed.select(*_LINE, is_usual, *values, *more)
        return rows.withColumn("_plain", F.col("_usual") & ~F.expr(usual.implausible(self._contract)))

    def _judged(self, parsed: DataFrame, *more: str) -> DataFrame:
        """Rows of lines as the judge says."""
        rows = parsed.withColumn("_verdict", _judge(self._contract)(F.col("_line"), F.col("file_modified")))
        verdict = F.col("_verdict")
        values = [verdict[column.name].alias(column.name) for column in self._contract.columns]
        return rows.select(*values, "file_path", "file_modified", verdict["reason"].alias("reason"), "_verdict", *more)


def _judge(contract: Contract) -> Callable[..., Column]:
    """The judge as a function of Spark: of a line, and of when its file was delivered."""
    more = {"reason": "string", "column_name": "string", "detail": "string", "many": "boolean", "drift": "string"}
    types = {**contract.types, **more}
    judge = Judge(contract)

    def of(lines: pa.Array, modified: pa.Array) -> pa.Array:
        rows = [judge.judge(line, when).flat() for line, when in zip(lines.to_pylist(), modified.to_pylist(), strict=True)]
        return structs(rows, types)

    # The annotations are read by Spark, which does not resolve those that this module postpones.
    of.__annotations__ = {"lines": pa.Array, "modified": pa.Array, "return": pa.Array}
    return F.arrow_udf(of, StructType.fromDDL(", ".join(f"`{name}` {kind}" for name, kind in types.items())))


def _is_strange(one: Object) -> bool:
    """Whether Spark takes the name for another: an empty folder in it for none, a colon for a scheme, `.GZ` for no gzip."""
    return "//" in one.key or ":" in one.key or (one.is_packed and not one.key.endswith(".gz"))


def _reader(lake_uri: str) -> Callable[[Object], Iterator[tuple[bytes, str, int, int]]]:
    """Gives the lines of an object, each with where it is from and its place in there."""

    def read(one: Object) -> Iterator[tuple[bytes, str, int, int]]:
        place = 0
        for piece in files.whole_lines(files.pieces(open_store(lake_uri).open(one), one.is_packed)):
            for line in files.split(piece):
                yield line, one.key, one.modified, place
                place += 1

    return read


def _text() -> Column:
    return F.col("_line").cast("string")


def _is_blank() -> Column:
    # Asked first: nearly every line ends like this.
    return ~F.endswith(_text(), F.lit("}")) & (F.btrim(_text(), F.lit(usual.SPACE)) == "")
