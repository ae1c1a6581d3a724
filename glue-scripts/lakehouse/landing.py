"""Reads landing files as the contract says, and tells good rows from bad ones without raising on any row.

Files are read as lines, so that what is wrong with a line is known for that line. What a line is, `lines.Judge` says, in Python.
Nearly all lines are usual: one JSON object with the contract's keys as it spells them, and values in the form that programs give
them. A pattern knows those, and Spark's JSON reader takes them; only their times are left to be looked at. All other lines go to
the judge.

A first pass over the text (`survey`) tells files of usual lines from others: Spark reads the former as JSON from the start, which
takes half the time.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Observation, Row, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, StringType, StructType

from lakehouse import contracts, emails, queries
from lakehouse.contracts import Contract
from lakehouse.lines import LONGEST_LINE, MALFORMED, Judge
from lakehouse.storage import Object, open_store

_MOST_NAMES = 20

_REASON, _DRIFT, _VERDICT = "_reason", "_drift", "_verdict"
_SPACE = " \t\r\n"
# How files begin that are no text: gzip, zip, bzip2, xz, zstd, lz4, Parquet, Avro, UTF-16.
_NO_TEXT = ("1F8B", "504B0304", "425A68", "FD377A585A", "28B52FFD", "04224D18", "50415231", "4F626A01", "FFFE", "FEFF")
# For zlib: with the header and checksum of a gzip.
_AS_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1024 * 1024
_LINE = ("_line", "file_path", "file_modified")
_LINES = "_line binary, file_path string, file_modified bigint"
# What a usual line may hold: texts without escapes, numbers that surely fit into their type.
_TEXT, _NAMING = r'[^"\\\x00-\x1f]*+', r'[!#-\[\]-~][^"\\\x00-\x1f]*+'
_NUMBERS = {
    "int": r"-?(?:0|[1-9][0-9]{0,8})",
    "bigint": r"-?(?:0|[1-9][0-9]{0,17})",
    "double": r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?",
    "boolean": "(?:true|false)",
}


@dataclass(frozen=True)
class Counts:
    """What a read met: all rows, bad rows, rows with a key that the contract does not know, the files with bad rows."""

    read: int
    bad: int
    drifting: int
    files: tuple[str, ...]


class Landing:
    """Rows of landing files.

    `rows`: the good ones, with the contract's columns, `file_path` and `file_modified` (ms).
    `counts()`: of good and bad ones; known, without a pass of its own, once an action has consumed `rows`.
    `rejected()`: the bad ones, raw, in a second pass over the files that have any: they are rare, and the first pass stays fast.
    """

    def __init__(self, spark: SparkSession, contract: Contract, lake_uri: str, objects: Sequence[Object]) -> None:
        self.contract, self._spark, self._lake_uri = contract, spark, lake_uri
        store = open_store(lake_uri)
        uris = [store.uri(one.key) for one in objects if not strange(one)]
        self._strange = [one for one in objects if strange(one)]
        self._paths = _paths(uris)
        self._path_by_uri = dict(zip(uris, self._paths, strict=True))
        self._uniform: set[str] = set()
        self.lines = 0
        self._observation = Observation()

    @cached_property
    def rows(self) -> DataFrame:
        parts = [self._classified_by_file(sorted(self._uniform))] if self._uniform else []
        parts += self._rest()
        classified = reduce(DataFrame.unionByName, parts)
        observed = classified.observe(self._observation, *_count_columns())
        return observed.where(F.col(_REASON).isNull()).select(*self.contract.names, "file_path", "file_modified")

    def _rest(self) -> list[DataFrame]:
        """The rows of the files that are not known to be uniform: one or two parts, or none."""
        odd = [path for path in self._paths if path not in self._uniform]
        parts = [self._lines(odd)] if odd or not (self._uniform or self._strange) else []
        parts += [self._strange_lines()] if self._strange else []
        return [self._classified(lines) for lines in parts]

    def look(self) -> None:
        """Finds out which files have usual lines only. Asked before `rows`, where nobody needs a survey."""
        usual = F.when(_is_readable(), _text().rlike(self._usual())).otherwise(False)
        lines = self._lines(self._paths).select("file_path", usual.alias("_is_usual"))
        files = lines.groupBy("file_path").agg(F.count_if(~F.col("_is_usual")).alias("odd")).collect()
        self._uniform = {self._path(file) for file in files if not file.odd} - {None}

    def survey(self, name: str, cache: Callable[[DataFrame], DataFrame]) -> DataFrame:
        """Who is in which file: `file_path` and the values of a text column in its good rows. Asked before `rows`; knows `lines`
        then.

        Only a file in which some line is not usual is looked at carefully. `cache` keeps rows at hand.
        """
        # Of a line that is not usual the value is empty.
        usual = F.when(_is_readable(), F.regexp_extract(_text(), self._usual(name), 1)).otherwise("")
        lines = self._lines(self._paths).select("file_path", usual.alias(name))
        value = F.lower(name) if name == self.contract.address else F.col(name)
        values, files = _by_file(lines.select("file_path", value.alias(name), (F.col(name) == "").alias("_odd")), name, cache)
        self._uniform = {self._path(file) for file in files if not file.odd} - {None}
        self.lines = sum(file.lines for file in files)
        rest = self._rest() if files or self._strange else []
        if not rest:
            return values
        odd = [file.file_path for file in files if self._path(file) not in self._uniform]
        careful = reduce(DataFrame.unionByName, rest)
        careful, found = _by_file(careful.select("file_path", name, F.lit(True).alias("_odd")), name, cache)
        self.lines += sum(file.lines for file in found if file.file_path not in odd)
        return values.where(~F.col("file_path").isin(*odd)).unionByName(careful)

    def _path(self, file: Row) -> str | None:
        """The path of a file as Spark names it in its rows; None when it is another spelling of it."""
        return self._path_by_uri.get(unquote(file.file_path))

    def _classified_by_file(self, paths: list[str]) -> DataFrame:
        """Rows of files in which every line is usual. A bad one gets its reason from `rejected`."""
        rows = self._spark.read.format("json").schema(self.contract.landing_schema).load(paths)
        fields = [F.col(column.json_key).alias(column.name) for column in self.contract.columns]
        rows = rows.select(*fields, *_file_columns())
        # Every column is asked for: Spark does not parse those that a query does not use.
        empty = reduce(lambda a, b: a & b, [F.col(name).isNull() for name in self.contract.names])
        reason = F.when(empty | self._implausible(), MALFORMED).alias(_REASON)
        drift = F.lit(None).cast(ArrayType(StringType())).alias(_DRIFT)
        return rows.select(*self._values(), "file_path", "file_modified", reason, drift)

    def counts(self) -> Counts:
        return _to_counts(self._observation.get) if self._paths or self._strange else Counts(0, 0, 0, ())

    def recount(self) -> Counts:
        """The same, exact, at the price of a pass of its own."""
        parts = [self._lines(self._paths), *([self._strange_lines()] if self._strange else [])]
        classified = self._classified(reduce(DataFrame.unionByName, parts))
        return _to_counts(classified.agg(*_count_columns()).first().asDict())

    def rejected(self, counts: Counts) -> DataFrame:
        """The bad rows of the files in `counts`: `file_path`, `file_modified`, `position` (line, from 1), `reason`,
        `column_name`, `detail`, `many` (an unknown number of rows), `line`, `encoding`, and of the contract's columns what could
        be read.

        A file that is no text, or a gzip by another name, is one bad row, at position 0 and without a line.
        """
        more = ("_metadata.file_block_start", F.monotonically_increasing_id().alias("_order"))
        lines = self._lines(self._paths, *more, blank_too=True)
        if self._strange:
            start, order = F.lit(0).cast("bigint").alias("file_block_start"), F.col("_place").alias("_order")
            lines = lines.unionByName(self._strange_lines(blank_too=True).select(*_LINE, start, order))
        lines = lines.where(F.col("file_path").isin(*counts.files))
        # Rows of a split come in the file's order, splits by where they start.
        in_file = Window.partitionBy("file_path").orderBy("file_block_start", "_order")
        numbered = lines.select("*", F.row_number().over(in_file).alias("position"))
        numbered = numbered.where(~_blank(_text()))
        bad = self._classified(numbered, "position", "_line", _VERDICT).where(F.col(_REASON).isNotNull())
        begins = [F.startswith("_line", F.unhex(F.lit(magic))) for magic in _NO_TEXT]
        no_text = (F.col("position") == 1) & reduce(lambda a, b: a | b, begins)
        bad = bad.withColumn("_whole", F.max(no_text).over(Window.partitionBy("file_path")))
        text = F.is_valid_utf8(_text())
        line = F.when(text, _text()).otherwise(F.base64("_line"))
        told = [F.col(_VERDICT)[name].alias(name) for name in ("reason", "column_name", "detail", "many")]
        each = bad.where("not _whole").select(
            "file_path",
            "file_modified",
            F.col("position").cast("bigint").alias("position"),
            *told,
            line.alias("line"),
            F.when(text, "utf-8").otherwise("base64").alias("encoding"),
            *self.contract.names,
        )
        whole = bad.where("_whole").select("file_path", "file_modified").distinct()
        given = {"position": 0, "reason": MALFORMED, "detail": "no text, or packed and not named so", "many": True}
        missing = [F.lit(given.get(field.name)).cast(field.dataType).alias(field.name) for field in each.schema[2:]]
        return each.unionByName(whole.select("file_path", "file_modified", *missing))

    def drift(self) -> dict[str, int]:
        """How many rows have which key that the contract does not know, in a pass of its own; the most frequent names only."""
        names = reduce(DataFrame.unionByName, self._rest()).where(_drifting()).select(F.explode(_DRIFT).alias("name"))
        most = names.groupBy("name").count().orderBy(F.desc("count"), "name").limit(_MOST_NAMES)
        return {row["name"]: row["count"] for row in most.collect()}

    def _lines(self, paths: list[str], *more: Any, blank_too: bool = False) -> DataFrame:
        if not paths:
            columns = [f"{name} bigint" for name in ("file_block_start", "_order")[: len(more)]]
            return queries.rows(self._spark, [], ", ".join([_LINES, *columns]))
        lines = self._spark.read.text(paths).select(F.col("value").cast("binary").alias("_line"), *_file_columns(), *more)
        return lines if blank_too else lines.where(~_blank(_text()))

    def _strange_lines(self, blank_too: bool = False) -> DataFrame:
        """Lines of the files whose names Spark cannot read, by Python; `_place`: their order in the file."""
        objects = self._spark.sparkContext.parallelize(self._strange, len(self._strange))
        lines = objects.flatMap(_reader(self._lake_uri))
        lines = self._spark.createDataFrame(lines, f"{_LINES}, _place bigint", verifySchema=False)
        return lines if blank_too else lines.where(~_blank(_text())).select(*_LINE)

    def _classified(self, lines: DataFrame, *more: str) -> DataFrame:
        """Rows of any lines, each with its verdict; null for a good usual one."""
        parsed = lines.withColumn("_row", F.from_json(F.when(self._is_usual(), _text()), self.contract.landing_schema))
        fields = [F.col("_row")[column.json_key].alias(column.name) for column in self.contract.columns]
        others = [name for name in more if name not in ("_line", _VERDICT)]
        # Where the keys may come in any order, one may come twice: then another one is missing.
        every = [F.col("_row")[column.json_key].isNotNull() for column in self.contract.columns if self._fixed]
        usual = reduce(lambda a, b: a & b, every, F.col("_row").isNotNull()).alias("_usual")
        rows = parsed.select(*_LINE, usual, *fields, *others)
        # A column of its own, so that it is computed once.
        rows = rows.withColumn("_plain", F.col("_usual") & ~self._implausible())
        asked = F.when(~F.col("_plain"), F.col("_line"))
        rows = rows.withColumn(_VERDICT, _judge(self.contract)(asked, F.col("file_modified")))
        plain = F.col("_plain")
        judged = {name: F.col(_VERDICT)[name] for name in self.contract.names}
        values = [
            F.when(plain, value).otherwise(judged[name]).alias(name)
            for name, value in zip(self.contract.names, self._values(), strict=True)
        ]
        reason, drift = (F.col(_VERDICT)[name].alias(alias) for name, alias in (("reason", _REASON), ("drift", _DRIFT)))
        return rows.select(*values, "file_path", "file_modified", reason, drift, *more)

    def _values(self) -> list[Column]:
        """Values of usual lines as the judge gives them."""
        return [
            # -0.0 equals 0.0 but is not the same bytes: which of two equal rows is kept would make a difference.
            (F.col(column.name) + 0.0 if column.type == "double" else _lower(column)).alias(column.name)
            for column in self.contract.columns
        ]

    def _is_usual(self) -> Column:
        usual = _text().rlike(self._usual())
        if self._fixed:
            usual = usual | _text().rlike(self._in_any_order())
        return _is_readable() & usual

    @property
    def _fixed(self) -> bool:
        """Every column is required, so that all usual lines have the same shape."""
        return all(column.required for column in self.contract.columns)

    def _usual(self, name: str = "") -> str:
        """Pattern of an object with the keys of the contract in its order; the value of the text column `name` is a group.

        Nothing that it takes is bad, but for a time in it. A column that is not required may be null or absent.
        """
        entries = []
        for column in self.contract.columns:
            value = self._usual_value(column, name)
            if column.required:
                entries.append(f'"{re.escape(column.json_key)}": ?+{value}')
            else:
                entries.append(f'"{re.escape(column.json_key)}": ?+(?:{value}|null)')
        if self._fixed:
            return rf"^\{{{', ?+'.join(entries)}\}}\z"
        # Behind each entry another one, or the end.
        parts = [
            rf'(?:{entry}(?:, ?+(?=")|(?=\}})))' + ("" if column.required else "?+")
            for entry, column in zip(entries, self.contract.columns, strict=True)
        ]
        return rf"^\{{{''.join(parts)}\}}\z"

    def _usual_value(self, column: contracts.Column, name: str = "") -> str:
        if column.type != "string":
            return _NUMBERS[column.type]
        text = emails.USUAL if column.kind == "email" else _NAMING if column.required else _TEXT
        return f'"({text})"' if column.name == name else f'"{text}"'

    def _in_any_order(self) -> str:
        """Pattern of an object with as many of the contract's keys as there are, and white space where JSON allows it."""
        space = f"[{_SPACE}]*+"
        entries = [
            f'"{re.escape(column.json_key)}"{space}:{space}{self._usual_value(column)}' for column in self.contract.columns
        ]
        entry = f"{space}(?:{'|'.join(entries)}){space}"
        return rf"^\{{{entry}(?:,{entry}){{{len(entries) - 1}}}\}}\z"

    def _implausible(self) -> Column:
        """Whether a time of a usual line is outside its limits (R12)."""
        found = []
        for time in self.contract.times:
            value = F.col(time.column)
            early = (value < time.earliest) & (value > 0) if time.given else value < time.earliest
            found.append(F.coalesce(early | (value > F.col("file_modified") + time.ahead), F.lit(False)))
        return reduce(lambda a, b: a | b, found, F.lit(False))


def _lower(column: contracts.Column) -> Column:
    return F.lower(column.name) if column.kind == "email" else F.col(column.name)


def _judge(contract: Contract) -> Callable[..., Column]:
    """The judge as a function of Spark: of a line, null for a good usual one, and of when its file was delivered."""
    told = StructType(contract.schema.fields).add("reason", StringType()).add("column_name", StringType())
    told = told.add("detail", StringType()).add("many", BooleanType()).add("drift", ArrayType(StringType()))
    judge = Judge(contract)
    types = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}
    fields = [(column.name, types[column.type]) for column in contract.columns]
    fields += [("reason", pa.string()), ("column_name", pa.string()), ("detail", pa.string()), ("many", pa.bool_())]
    fields += [("drift", pa.list_(pa.string()))]
    nothing = (None,) * len(fields)

    def of(lines: pa.Array, modified: pa.Array) -> pa.Array:
        rows = [
            nothing if line is None else _flat(judge.judge(line, when))
            for line, when in zip(lines.to_pylist(), modified.to_pylist(), strict=True)
        ]
        columns = zip(*rows, strict=True) if rows else [()] * len(fields)
        arrays = [pa.array(column, kind) for column, (_, kind) in zip(columns, fields, strict=True)]
        return pa.StructArray.from_arrays(arrays, names=[name for name, _ in fields])

    # The annotations are read by Spark, which does not resolve those that this module postpones.
    of.__annotations__ = {"lines": pa.Array, "modified": pa.Array, "return": pa.Array}
    return F.arrow_udf(of, told)


def _flat(verdict: Any) -> tuple[Any, ...]:
    return (*verdict.values, verdict.reason, verdict.column, verdict.detail, verdict.many, list(verdict.drift))


def strange(one: Object) -> bool:
    """Whether Spark takes the name for another: an empty folder in it for none, a colon for a scheme, `.GZ` for no gzip."""
    return "//" in one.key or ":" in one.key or (one.is_packed and not one.key.endswith(".gz"))


def _reader(lake_uri: str) -> Callable[[Object], Iterator[tuple[bytes, str, int, int]]]:
    """Gives the lines of an object, each with where it is from and its place in there."""

    def read(one: Object) -> Iterator[tuple[bytes, str, int, int]]:
        store = open_store(lake_uri)
        path = f"{store.root}{quote(one.key)}"
        for place, line in enumerate(_split(_unpacked(store.open(one.key), one.is_packed))):
            yield line, path, one.modified, place

    return read


def _unpacked(file: BinaryIO, packed: bool) -> Iterator[bytes]:
    member = zlib.decompressobj(_AS_GZIP)
    with closing(file):
        while piece := file.read(_PIECE):
            while packed and piece:
                if member.eof:
                    member = zlib.decompressobj(_AS_GZIP)
                yield member.decompress(piece, _PIECE)
                piece = member.unconsumed_tail or member.unused_data
            if piece:
                yield piece


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines as Spark sees them: ended by LF, CRLF or CR, the first one without a byte-order mark."""
    rest, begun = b"", False
    for piece in pieces:
        rest += piece
        if not begun and len(rest) >= len(codecs.BOM_UTF8):
            rest, begun = rest.removeprefix(codecs.BOM_UTF8), True
        # A CR at the very end may be half of a CRLF; a line that is not ended waits for the rest of it.
        ended = max(rest.rfind(b"\n"), rest.rfind(b"\r", 0, -1)) + 1
        yield from rest[:ended].splitlines()
        rest = rest[ended:]
    yield from (rest if begun else rest.removeprefix(codecs.BOM_UTF8)).splitlines()


def _by_file(lines: DataFrame, name: str, cache: Callable[[DataFrame], DataFrame]) -> tuple[DataFrame, list[Row]]:
    """The values of a column in each file, and of each file the number of lines and of odd ones."""
    values = cache(lines.groupBy("file_path", name).agg(F.count(F.lit(1)).alias("_lines"), F.count_if("_odd").alias("_odd")))
    return values, values.groupBy("file_path").agg(F.sum("_lines").alias("lines"), F.sum("_odd").alias("odd")).collect()


def _file_columns() -> list[Column]:
    return [
        F.col("_metadata.file_path").alias("file_path"),
        F.unix_millis(F.col("_metadata.file_modification_time")).alias("file_modified"),
    ]


def _text() -> Column:
    return F.col("_line").cast("string")


def _blank(line: Column) -> Column:
    # Asked first: nearly every line ends like this.
    return ~F.endswith(line, F.lit("}")) & (F.btrim(line, F.lit(_SPACE)) == "")


def _is_readable() -> Column:
    return (F.octet_length("_line") <= LONGEST_LINE) & F.is_valid_utf8(_text())


def _drifting() -> Column:
    return F.coalesce(F.size(_DRIFT) > 0, F.lit(False))


def _count_columns() -> list[Column]:
    bad = F.col(_REASON).isNotNull()
    return [
        F.count(F.lit(1)).alias("read"),
        F.count_if(bad).alias("bad"),
        F.count_if(_drifting()).alias("drifting"),
        F.collect_set(F.when(bad, F.col("file_path"))).alias("files"),
    ]


def _to_counts(metrics: dict[str, Any]) -> Counts:
    return Counts(metrics["read"], metrics["bad"], metrics["drifting"], tuple(sorted(metrics["files"])))


def readable(spark: SparkSession, uris: Sequence[str]) -> bool:
    """False when Spark cannot read one of these files to its end, for whatever reason."""
    try:
        spark.read.text(_paths(uris)).count()
    except Exception as error:
        # The message names the file; it is shown to nobody.
        if "FAILED_READ_FILE" in str(error):
            return False
        raise
    return True


def damaged(file: BinaryIO) -> bool:
    """Whether what should be a gzip is none, or does not end well. What keeps its bytes from being read is raised.

    As strict as Spark: behind one gzip there may be another, and nothing else.
    """
    member = zlib.decompressobj(_AS_GZIP)
    with closing(file):
        while piece := file.read(_PIECE):
            while piece:
                if member.eof:
                    member = zlib.decompressobj(_AS_GZIP)
                try:
                    member.decompress(piece, _PIECE)
                except zlib.error:
                    return True
                piece = member.unconsumed_tail or member.unused_data
    return not member.eof


def _paths(uris: Sequence[str]) -> list[str]:
    """Spark takes a path for a pattern."""
    return [re.sub(r"([\[\]{}*?\\])", r"\\\1", uri) for uri in uris]
