"""Reads landing files as the contract says, and tells good rows from bad ones without raising on any row."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError, condition

MALFORMED, WRONG_TYPE, MISSING_KEY, FUTURE_TIME = "malformed", "wrong_type", "missing_key", "future_time"
REASONS = (MALFORMED, WRONG_TYPE, MISSING_KEY, FUTURE_TIME)

_CORRUPT, _REASON = "_corrupt", "_reason"
_JSON = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _CORRUPT, "allowNonNumericNumbers": "false"}
# Files in folders below are read as well, as Athena does.
_FILES = {"pathGlobFilter": "*.{json,json.gz}", "recursiveFileLookup": "true"}


@dataclass(frozen=True)
class Counts:
    """What a read met: all rows, bad rows by reason, and for each reason the path of one file that holds such a row."""

    read: int
    bad: dict[str, int]
    examples: dict[str, str]


class Landing:
    """The delivered rows of one landing table.

    `rows`: the good ones, with the contract's columns, `file_path` and `file_modified`.
    `counts()`: of good and bad ones; known, without a pass of its own, once an action has consumed `rows`.
    `rejected()`: the bad ones, raw, in a second pass over the files: they are rare, and the first pass stays fast.
    """

    def __init__(self, spark: SparkSession, contract: Contract, lake_uri: str, now_ms: int | None = None) -> None:
        self.contract = contract
        self._spark = spark
        self._uri = contract.location(lake_uri)
        self._now_ms = int(time.time() * 1000) if now_ms is None else now_ms
        self._observation = Observation(contract.table)

    @cached_property
    def rows(self) -> DataFrame:
        observed = self._classified().observe(self._observation, *_count_columns())
        return observed.where(F.col(_REASON).isNull()).select(*self.contract.names, "file_path", "file_modified")

    def counts(self) -> Counts:
        return _to_counts(self._observation.get)

    def recount(self) -> Counts:
        """The same, exact, at the price of a pass of its own."""
        return _to_counts(self._classified().agg(*_count_columns()).first().asDict())

    def rejected(self) -> DataFrame:
        """The bad rows: `reason`, `line` (as delivered), `file_path`."""
        lines = self._load(self._spark.read.format("text")).select(F.col("value").alias("_line"), *_file_columns())
        parsed = lines.withColumn("_parsed", F.from_json("_line", self._file_schema(), _JSON))
        # The file reader finds bytes that are not UTF-8 by itself, from_json does not.
        corrupt = F.when(F.is_valid_utf8("_line"), F.col("_parsed")[_CORRUPT]).otherwise(F.col("_line"))
        fields = [F.col("_parsed")[column.field].alias(column.name) for column in self.contract.columns]
        rows = parsed.select("_line", "file_path", *fields, corrupt.alias(_CORRUPT))
        reason = self._reason().alias("reason")
        return rows.select(reason, F.col("_line").alias("line"), "file_path").where("reason is not null")

    def _classified(self) -> DataFrame:
        rows = self._load(self._spark.read.format("json").options(**_JSON).schema(self._file_schema()))
        columns = [
            # -0.0 equals 0.0 but is not the same bytes: which of two equal rows is kept would make a difference.
            (F.col(column.field) + 0.0 if column.type == "double" else F.col(column.field)).alias(column.name)
            for column in self.contract.columns
        ]
        return rows.select(*columns, _CORRUPT, *_file_columns()).withColumn(_REASON, self._reason())

    def _load(self, reader: Any) -> DataFrame:
        try:
            rows = reader.options(**_FILES).load(self._uri)
        except AnalysisException as error:
            if condition(error) == "PATH_NOT_FOUND":
                raise self._no_files() from error
            raise
        if not rows.inputFiles():
            raise self._no_files()
        return rows

    def _no_files(self) -> LakehouseError:
        return LakehouseError(f"{self.contract.table}: no .json or .json.gz file under {self._uri}; deliver data first")

    def _file_schema(self) -> StructType:
        return StructType(self.contract.landing_schema.fields).add(_CORRUPT, StringType())

    def _reason(self) -> Column:
        """Why a row is bad; null for a good one."""
        corrupt = F.col(_CORRUPT)
        unreadable = corrupt.isNotNull() & (F.try_parse_json(corrupt).isNull() | ~F.is_valid_utf8(corrupt))
        columns = self.contract.columns
        mistyped = [corrupt.isNotNull(), *(_not_finite(F.col(c.name)) for c in columns if c.type == "double")]
        missing = [_missing(c.type, F.col(c.name)) for c in columns if c.required]
        ahead = self.contract.limits.get("future_ms", {})
        future = [F.col(name) > self._now_ms + allowed for name, allowed in ahead.items()]
        # A row without any value. It would be found below too; asking for every column here makes Spark parse every column,
        # and so a row is good or bad alike for all jobs, whichever columns they use.
        empty = reduce(lambda a, b: a & b, [F.col(name).isNull() for name in self.contract.names])
        reason = F.when(unreadable, MALFORMED).when(_any(mistyped), WRONG_TYPE).when(empty, MISSING_KEY)
        return reason.when(_any(missing), MISSING_KEY).when(_any(future), FUTURE_TIME)


def _file_columns() -> list[Column]:
    return [
        F.col("_metadata.file_path").alias("file_path"),
        F.col("_metadata.file_modification_time").alias("file_modified"),
    ]


def _not_finite(column: Column) -> Column:
    """A number too large for a double is read as infinity."""
    return F.isnan(column) | (F.abs(column) == float("inf"))


def _missing(type_name: str, column: Column) -> Column:
    return column.isNull() | (F.trim(column) == "") if type_name == "string" else column.isNull()


def _any(conditions: list[Column]) -> Column:
    return reduce(lambda a, b: a | b, conditions, F.lit(False))


def _count_columns() -> list[Column]:
    columns = [F.count(F.lit(1)).alias("read")]
    for reason in REASONS:
        columns.append(F.count_if(F.col(_REASON) == reason).alias(reason))
        columns.append(F.min(F.when(F.col(_REASON) == reason, F.col("file_path"))).alias(f"{reason}_file"))
    return columns


def _to_counts(metrics: dict[str, Any]) -> Counts:
    bad = {reason: metrics[reason] for reason in REASONS if metrics[reason]}
    return Counts(metrics["read"], bad, {reason: metrics[f"{reason}_file"] for reason in bad})
