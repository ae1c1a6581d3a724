"""Reads landing files as the contract says, and tells good rows from bad ones without raising on any row.

Files are read as lines, so that what is wrong with a line is known for that line. Nearly all lines are plain: one JSON object
with the contract's keys and no other. Whether a line is plain is asked in a cheap way; what is not gets a second, strict look.

Where every column is required all plain lines have the same shape. A first pass over the text (`survey`) then tells files of
such lines from others, and Spark's JSON reader, which takes half the time but overlooks much, reads the former.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, BinaryIO
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, Observation, Row, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lakehouse import queries
from lakehouse.contracts import Contract
from lakehouse.errors import TooManyQuarantined

MALFORMED, WRONG_TYPE, MISSING_KEY, FUTURE_TIME = "malformed", "wrong_type", "missing_key", "future_time"
REASONS = (MALFORMED, WRONG_TYPE, MISSING_KEY, FUTURE_TIME)
# A row has a few hundred bytes; what is longer is no row.
LONGEST_LINE = 1024 * 1024
# Names of unknown keys come from outside: only names that look like names are shown.
_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}\z"
_OTHER, _MOST_NAMES = "(other)", 20
_END = "end of line"
# An escape for one half of a surrogate pair without the other: no text.
_HALF = r"(?i)\\u(?:d[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2}\\u)d[c-f][0-9a-f]{2})"

_CORRUPT, _REASON, _PLAIN = "_corrupt", "_reason", "_plain"
_JSON = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": _CORRUPT,
    "allowNonNumericNumbers": "false",
    "allowSingleQuotes": "false",
}
_BYTE_ORDER_MARK, _SPACE = "\ufeff", " \t\r\n"
_GZIP = "1F8B"
# For zlib: with the header and checksum of a gzip.
_AS_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1024 * 1024


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

    def __init__(self, spark: SparkSession, contract: Contract, uris: Sequence[str]) -> None:
        """`uris` as Store.uri gives them."""
        self.contract, self._spark = contract, spark
        self._paths = _paths(uris)
        self._path_by_uri = dict(zip(uris, self._paths, strict=True))
        self._uniform: set[str] = set()
        self.lines = 0
        self._observation = Observation()

    @cached_property
    def rows(self) -> DataFrame:
        odd = [path for path in self._paths if path not in self._uniform]
        parts = [self._classified_by_file(sorted(self._uniform))] if self._uniform else []
        parts += [self._classified(self._lines(odd))] if odd or not parts else []
        classified = reduce(DataFrame.unionByName, parts)
        observed = classified.observe(self._observation, *_count_columns())
        return observed.where(F.col(_REASON).isNull()).select(*self.contract.names, "file_path", "file_modified")

    def survey(self, name: str, cache: Callable[[DataFrame], DataFrame]) -> DataFrame:
        """Who is in which file: `file_path` and the values of a text column in it. Asked before `rows`; knows `lines` then.

        Only a file in which some line has not the usual shape is looked at carefully. `cache` keeps rows at hand.
        """
        if self._fixed:
            values, files = _by_file(self._usual_values(name), name, cache)
            even = [file for file in files if not file.odd and self._path(file)]
            self._uniform = {self._path(file) for file in even}
            rest = [path for path in self._paths if path not in self._uniform]
            if rest:
                odd = [file.file_path for file in files if file.odd or not self._path(file)]
                careful, files = _by_file(self._careful_values(rest, name), name, cache)
                values = values.where(~F.col("file_path").isin(*odd)).unionByName(careful)
                self._uniform |= {self._path(file) for file in files if not file.odd} - {None}
                files = even + files
        else:
            values, files = _by_file(self._careful_values(self._paths, name), name, cache)
        self.lines = sum(file.lines for file in files)
        return values

    def _path(self, file: Row) -> str | None:
        """The path of a file as Spark names it in its rows; None when it is another spelling of it."""
        return self._path_by_uri.get(unquote(file.file_path))

    def _usual_values(self, name: str) -> DataFrame:
        """Of every line: `file_path`, the value of the text column, and `_odd`: the line has not the usual shape, or no value."""
        usual = F.regexp_extract("_line", self._usual_shape(name), 1).alias(name)
        lines = self._lines(self._paths).select("file_path", usual, _unreadable().alias("_unreadable"))
        return lines.select("file_path", name, ((F.col(name) == "") | F.col("_unreadable")).alias("_odd"))

    def _careful_values(self, paths: list[str], name: str) -> DataFrame:
        """The same for lines of any kind; `_odd`: the line does not have the keys of the contract, in any order."""
        lines = self._lines(paths).select("*", self._quick_value(name).alias("_quick"))
        value = F.when(F.col("_quick") != "", F.col("_quick")).otherwise(self._careful_value(name))
        return lines.select("file_path", value.alias(name), (~self._uniform_line()).alias("_odd"))

    def _json_key(self, name: str) -> str:
        (key,) = [column.json_key for column in self.contract.columns if column.name == name]
        return key

    def _quick_value(self, name: str) -> Column:
        """Value of a text column by the line's text, empty where that might mislead.

        No brace before the key: it is one of the outermost object. No backslash, before it or in the value: quotes are what they
        seem, and the value stands for itself.
        """
        return F.regexp_extract("_line", r'^\{[^{}\\]*?"' + self._json_key(name) + r'"\s*:\s*"([^"\\]*)"', 1)

    def _careful_value(self, name: str) -> Column:
        key = self._json_key(name)
        return F.from_json(_text(), StructType([StructField(key, StringType())]))[key]

    def _uniform_line(self) -> Column:
        line = F.col("_line")
        return ~_unreadable() & (line.rlike(self._usual_shape()) | line.rlike(self._shape()))

    def _classified_by_file(self, paths: list[str]) -> DataFrame:
        """Rows of files in which every line is uniform. A bad one gets its exact reason from `rejected`."""
        rows = self._spark.read.format("json").options(**_JSON).schema(self._file_schema()).load(paths)
        fields = [F.col(column.json_key).alias(column.name) for column in self.contract.columns]
        rows = rows.select(*fields, _CORRUPT, *_file_columns())
        mistyped = F.when(F.col(_CORRUPT).isNotNull(), WRONG_TYPE)
        # A row without any value is found below too; asking for every column here makes Spark parse every column, and so a row
        # is good or bad alike, whichever columns a query uses.
        empty = F.when(reduce(lambda a, b: a & b, [F.col(name).isNull() for name in self.contract.names]), MISSING_KEY)
        reason = F.coalesce(mistyped, empty, self._bad_values()).alias(_REASON)
        return rows.select(*self._values(), "file_path", "file_modified", reason, F.lit(False).alias("_drifting"))

    def counts(self) -> Counts:
        return _to_counts(self._observation.get) if self._paths else Counts(0, 0, 0, ())

    def recount(self) -> Counts:
        """The same, exact, at the price of a pass of its own."""
        return _to_counts(self._classified(self._lines(self._paths)).agg(*_count_columns()).first().asDict())

    def rejected(self, counts: Counts) -> DataFrame:
        """The bad rows of the files in `counts`: `file_path`, `position` (line, from 1), `reason`, `line`, `encoding`.

        A `.json` file that is a gzip is one bad row, at position 0 and without a line.
        """
        more = ("_metadata.file_block_start", F.monotonically_increasing_id().alias("_order"))
        lines = self._lines(self._paths, *more, blank_too=True)
        lines = lines.where(F.col("file_path").isin(*counts.files))
        # Rows of a split come in the file's order, splits by where they start.
        in_file = Window.partitionBy("file_path").orderBy("file_block_start", "_order")
        numbered = lines.select("*", F.row_number().over(in_file).alias("position"))
        numbered = numbered.where(~_blank(F.col("_line")))
        bad = self._classified(numbered, "position", "_line").where(F.col(_REASON).isNotNull())
        head = F.substring(F.col("_line").cast("binary"), 1, 2)
        packed = F.max((F.col("position") == 1) & (head == F.unhex(F.lit(_GZIP)))).over(Window.partitionBy("file_path"))
        bad = bad.withColumn("_gzip", packed & F.col("file_path").endswith(".json"))
        text = F.is_valid_utf8("_line")
        line = F.when(text, F.col("_line")).otherwise(F.base64(F.col("_line").cast("binary")))
        each = bad.where("not _gzip").select(
            "file_path",
            F.col("position").cast("bigint").alias("position"),
            F.col(_REASON).alias("reason"),
            line.alias("line"),
            F.when(text, "utf-8").otherwise("base64").alias("encoding"),
        )
        nothing = F.lit(None).cast("string")
        whole = bad.where("_gzip").groupBy("file_path").agg(F.lit(0).cast("bigint").alias("position"))
        whole = whole.select("*", F.lit(MALFORMED).alias("reason"), nothing.alias("line"), nothing.alias("encoding"))
        return each.unionByName(whole)

    def drift(self) -> dict[str, int]:
        """How many rows have which key that the contract does not know, in a pass of its own; the most frequent names only."""
        unknown = self._unknown(F.json_object_keys(_text()))
        rows = self._classified(self._lines(self._paths), "_line").where(F.coalesce(F.col(_REASON), F.lit("")) != MALFORMED)
        names = rows.select(F.explode(unknown).alias("name")).select(
            F.when(F.col("name").rlike(_NAME), F.col("name")).otherwise(_OTHER).alias("name")
        )
        most = names.groupBy("name").count().orderBy(F.desc("count"), "name").limit(_MOST_NAMES)
        return {row["name"]: row["count"] for row in most.collect()}

    def _lines(self, paths: list[str], *more: Any, blank_too: bool = False) -> DataFrame:
        if not paths:
            return queries.rows(self._spark, [], "_line string, file_path string, file_modified bigint")
        lines = self._spark.read.text(paths).select(F.col("value").alias("_line"), *_file_columns(), *more)
        return lines if blank_too else lines.where(~_blank(F.col("_line")))

    def _classified(self, lines: DataFrame, *more: str) -> DataFrame:
        parsed = lines.withColumn("_row", F.from_json(_text(), self._file_schema(), _JSON))
        fields = [F.col("_row")[column.json_key].alias(column.name) for column in self.contract.columns]
        others = [name for name in more if name != "_line"]
        corrupt = F.col("_row")[_CORRUPT].alias(_CORRUPT)
        rows = parsed.select("_line", "file_path", "file_modified", *fields, corrupt, *others)
        # A column of its own, so that it is computed once.
        rows = rows.withColumn(_PLAIN, self._plain())
        reason, drifting = self._reason().alias(_REASON), self._drifting().alias("_drifting")
        return rows.select(*self._values(), "file_path", "file_modified", reason, drifting, *more)

    def _values(self) -> list[Column]:
        return [
            # -0.0 equals 0.0 but is not the same bytes: which of two equal rows is kept would make a difference.
            (F.col(column.name) + 0.0 if column.type == "double" else F.col(column.name)).alias(column.name)
            for column in self.contract.columns
        ]

    def _file_schema(self) -> StructType:
        return StructType(self.contract.landing_schema.fields).add(_CORRUPT, StringType())

    def _plain(self) -> Column:
        """True for a line that is one object of the contract's keys, each of them once and with a value of its kind."""
        if not self._fixed:
            return F.col(_CORRUPT).isNull() & F.col("_line").rlike(self._usual_shape())
        given = _sum([F.col(column.name).isNotNull().cast("int") for column in self.contract.columns])
        return F.col(_CORRUPT).isNull() & self._uniform_line() & (given == len(self.contract.columns))

    @property
    def _fixed(self) -> bool:
        """Every column is required, so that all plain lines have the same shape."""
        return all(column.required for column in self.contract.columns)

    def _shape(self) -> str:
        """Pattern of an object with as many of the contract's keys as there are, and values of their kind; texts without
        escapes, so without surprises."""
        texts = "|".join(re.escape(c.json_key) for c in self.contract.columns if c.type == "string")
        numbers = "|".join(re.escape(c.json_key) for c in self.contract.columns if c.type != "string")
        entry = rf'\s*+(?:"(?:{texts})"\s*+:\s*+"[^"\\]*+"|"(?:{numbers})"\s*+:\s*+-?[0-9][0-9.eE+-]*+)\s*+'
        return rf"^\{{{entry}(?:,{entry}){{{len(self.contract.columns) - 1}}}\}}\z"

    def _usual_shape(self, name: str = "") -> str:
        """Pattern of an object with the keys of the contract in its order; the value of the text column `name` is a group.

        A third of the time that the pattern of any order takes. What is no text may be anything without a comma, quote or brace
        here: the JSON reader says whether it is a number. Where columns are optional, any key may be missing or null, and it is
        the JSON reader too that says whether the commas are right.
        """
        entries = []
        for column in self.contract.columns:
            text = r'"([^"\\]*+)"' if column.name == name else r'"[^"\\]*+"'
            if not self._fixed:
                text = f"(?:{text}|null)"
            value = text if column.type == "string" else r'[^",{}\[\]\\]++'
            entries.append(f'"{re.escape(column.json_key)}": ?+{value}')
        if self._fixed:
            return rf"^\{{{', ?+'.join(entries)}\}}\z"
        return rf"^\{{{''.join(f'(?:{entry}(?:, ?+)?+)?+' for entry in entries)}\}}\z"

    def _unknown(self, keys: Column) -> Column:
        return F.array_except(keys, F.array(*[F.lit(column.json_key) for column in self.contract.columns]))

    def _reason(self) -> Column:
        """Why a row is bad; null for a good one."""
        nothing = F.lit(None).cast("string")
        strict = F.when(F.col(_PLAIN), nothing).otherwise(self._strict_reason())
        return F.coalesce(F.when(_unreadable(), MALFORMED), strict, self._bad_values())

    def _bad_values(self) -> Column:
        columns = self.contract.columns
        infinite = [_not_finite(F.col(c.name)) for c in columns if c.type == "double"]
        missing = [_missing(c.type, F.col(c.name)) for c in columns if c.required]
        future = [F.col(name) > F.col("file_modified") + allowed for name, allowed in self.contract.limits.future_ms.items()]
        return F.when(_any(infinite), WRONG_TYPE).when(_any(missing), MISSING_KEY).when(_any(future), FUTURE_TIME)

    def _strict_reason(self) -> Column:
        """The second look: `malformed`, `wrong_type`, or null."""
        # What follows a complete document is overlooked; in an array with another element behind, it is not.
        document = F.try_parse_json(F.concat(F.lit("["), _text(), F.lit(f',"{_END}"]')))
        keys = F.transform(F.json_object_keys(_text()), F.lower)
        texts = [column.json_key for column in self.contract.columns if column.type == "string"]

        def judge(parsed: Column) -> Column:
            first = F.try_variant_get(parsed, "$[0]", "variant")
            kind = F.schema_of_variant(first)
            no_object = parsed.isNull() | ~F.startswith(F.coalesce(kind, F.lit("")), F.lit("OBJECT"))
            more = ~F.coalesce(F.try_variant_get(parsed, "$[1]", "string") == _END, F.lit(False))
            twice = F.size(F.array_distinct(keys)) < F.size(keys)
            mistyped = [F.col(_CORRUPT).isNotNull(), *(_no_text(first, field) for field in texts)]
            return F.when(no_object | more | twice | _text().rlike(_HALF), MALFORMED).when(_any(mistyped), WRONG_TYPE)

        return _let(document, judge)

    def _drifting(self) -> Column:
        unknown = F.size(self._unknown(F.json_object_keys(_text()))) > 0
        return F.when(F.col(_PLAIN), False).otherwise(F.coalesce(unknown, F.lit(False)))


def _by_file(lines: DataFrame, name: str, cache: Callable[[DataFrame], DataFrame]) -> tuple[DataFrame, list[Row]]:
    """The values of a column in each file, and of each file the number of lines and of odd ones."""
    values = cache(lines.groupBy("file_path", name).agg(F.count(F.lit(1)).alias("_lines"), F.count_if("_odd").alias("_odd")))
    return values, values.groupBy("file_path").agg(F.sum("_lines").alias("lines"), F.sum("_odd").alias("odd")).collect()


def _let(value: Column, use: Callable[[Column], Column]) -> Column:
    """`use` of a value that is computed once."""
    return F.get(F.transform(F.array(value), use), F.lit(0))


def _file_columns() -> list[Column]:
    return [
        F.col("_metadata.file_path").alias("file_path"),
        F.unix_millis(F.col("_metadata.file_modification_time")).alias("file_modified"),
    ]


def _text() -> Column:
    """The line without the byte-order mark that some programs write in front of a file."""
    line, mark = F.col("_line"), F.lit(_BYTE_ORDER_MARK)
    return F.when(F.startswith(line, mark), F.substring(line, 2, LONGEST_LINE)).otherwise(line)


def _unreadable() -> Column:
    return (F.octet_length("_line") > LONGEST_LINE) | ~F.is_valid_utf8("_line")


def _blank(line: Column) -> Column:
    # Asked first: nearly every line ends like this.
    return ~F.endswith(line, F.lit("}")) & (F.btrim(line, F.lit(_SPACE)) == "")


def _no_text(document: Column, field: str) -> Column:
    kind = F.schema_of_variant(F.try_variant_get(document, f"$.{field}", "variant"))
    return ~F.coalesce(kind, F.lit("VOID")).isin("STRING", "VOID")


def _not_finite(column: Column) -> Column:
    """A number too large for a double is read as infinity."""
    return F.isnan(column) | (F.abs(column) == float("inf"))


def _missing(type_name: str, column: Column) -> Column:
    # The first character is looked at first: that is quick, and nearly always enough.
    blank = (F.ascii(column) <= ord(" ")) & (F.btrim(column, F.lit(_SPACE)) == "")
    return column.isNull() | blank if type_name == "string" else column.isNull()


def _any(conditions: list[Column]) -> Column:
    return reduce(lambda a, b: a | b, conditions, F.lit(False))


def _sum(numbers: list[Column]) -> Column:
    return reduce(lambda a, b: a + b, numbers, F.lit(0))


def _count_columns() -> list[Column]:
    bad = F.col(_REASON).isNotNull()
    return [
        F.count(F.lit(1)).alias("read"),
        F.count_if(bad).alias("bad"),
        F.count_if(F.col("_drifting") & (F.coalesce(F.col(_REASON), F.lit("")) != MALFORMED)).alias("drifting"),
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


def too_many(table: str, read: int, bad: dict[str, int], example: str, share: float) -> TooManyQuarantined:
    found = ", ".join(f"{number} {reason}" for reason, number in bad.items())
    return TooManyQuarantined(
        f"{table}: {sum(bad.values())} of {read} rows cannot be used, more than {share:.2%}: {found}; for example {example}. "
        "Nothing was written. Correct or remove the files; or run the job with --quarantined_share 1 to put these rows aside"
    )
