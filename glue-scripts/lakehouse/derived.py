"""Tables made of other tables, such as customer_curated (R5) and machine_learning_curated (R6)."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from lakehouse import queries, tables
from lakehouse.job import Result, Run, Scope

SUBJECTS = "subjects"


@dataclass(frozen=True)
class Derived:
    """`rows_of`: the table or shared SELECT each of whose rows the SELECT gives once.

    `by_person`: by table, the column that names a person or a device and the column of customer_curated it equals. With it a run
    makes anew only the rows of the persons about whom something has changed since the last one; without it, all rows.
    """

    rows_of: str
    by_person: dict[str, dict[str, str]]

    def compute(self, run: Run) -> Result:
        inputs = {name: run.table(name) for name in run.job.tables}
        people = _changed_people(run, self.by_person) if self.by_person and not run.plan.full else None
        if people is not None:
            for name, column, identity in _identities(self.by_person):
                theirs = people.select(F.col(identity).alias(column)).distinct()
                inputs[name] = inputs[name].join(theirs, column, "left_semi")
        counted = Observation() if people is not None and self.rows_of in inputs else None
        if counted:
            # Kept at hand, so that they are counted once, however often the SELECT asks for them.
            inputs[self.rows_of] = run.cache(inputs[self.rows_of].observe(counted, F.count(F.lit(1)).alias("rows")))
        for name, rows in inputs.items():
            run.view(rows, name)
        for name in queries.shared(run.contract.zone, run.contract.table):
            if name not in inputs:
                run.view(run.cache(queries.select(run.spark, run.contract.zone, name)), name)
        gated = run.gate(run.contract)
        if people is None:
            read = self._read(run, None)
            return Result((gated,), run.make_equal(run.job.target, gated.accepted, read), read)
        written = run.make_equal(run.job.target, gated.accepted, scope=_of_them(people.select("subject_id").distinct()))
        return Result((gated,), written, self._read(run, counted))

    def _read(self, run: Run, counted: Observation | None) -> int:
        """How many rows the SELECT had to give once: counted on the way, or those of a whole table, which the catalog knows."""
        if counted:
            return counted.get["rows"]
        if self.rows_of in run.job.tables:
            return tables.rows(run.spark, run.name(self.rows_of))
        return run.spark.table(self.rows_of).count()


def _identities(by_person: dict[str, dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(name, column, identity) for name, columns in by_person.items() for column, identity in columns.items()]


def _of_them(pseudonyms: DataFrame) -> Scope:
    return lambda table: table.join(pseudonyms, "subject_id", "left_semi")


def _subjects(run: Run, customers: DataFrame) -> DataFrame:
    run.view(customers, "customer_curated")
    return queries.select(run.spark, "curated", SUBJECTS)


def _changed_people(run: Run, by_person: dict[str, dict[str, str]]) -> DataFrame | None:
    """E-mail, serial number and pseudonym, now and before, of everybody about whom something has changed since the last run.

    None when a version that the last run had read has expired.
    """
    then, today = run.table_before("customer_curated"), run.table("customer_curated")
    if then is None:
        return None
    before, now = _subjects(run, then), _subjects(run, today)
    everybody = run.cache(_compared(before, now))
    # A pseudonym, and who has one, follow from the whole table; the SELECT may ask for any column of it.
    changed = [rows.where("_rows <> 0").select("email") for rows in (everybody, _compared(then, today))]
    emails = changed[0].unionByName(changed[1])
    for name, column, identity in _identities(by_person):
        values = changed_values(run.spark, run.name(name), column, run.plan.before[name])
        if values is None:
            return None
        touched = values.withColumnRenamed(column, identity)
        emails = emails.unionByName(everybody.join(touched, identity, "left_semi").select("email"))
    return everybody.join(emails.distinct(), "email", "left_semi").drop("_rows").localCheckpoint()


def _compared(old: DataFrame, new: DataFrame) -> DataFrame:
    """Each row of the two once, and how often more the new ones have it (`_rows`)."""
    signed = old.withColumn("_sign", F.lit(-1)).unionByName(new.withColumn("_sign", F.lit(1)))
    return signed.groupBy(*new.columns).agg(F.sum("_sign").alias("_rows"))


def changed_values(spark: SparkSession, table: str, column: str, before: str) -> DataFrame | None:
    """Values of a column whose rows are not the same as in the version `before`.

    None when that version has expired, or when to find them is more work than to take all rows for changed.
    Only data files that came or went since are read. What copy-on-write and compaction put from one file into another adds
    up to nothing: each row counts with its hash, once for and once against.
    """
    files = tables.files_since(spark, table, before)
    if files is None:
        return None
    came, gone = files
    if sum(came.values()) + sum(gone.values()) > tables.rows(spark, table):
        return None
    rows = tables.read(spark, table)
    signed = [(sorted(came), 1), (sorted(gone), -1)]
    parts = [
        spark.read.schema(rows.schema).parquet(*paths).select(column, F.lit(sign).alias("_sign"), _hash(rows).alias("_hash"))
        for paths, sign in signed
        if paths
    ]
    if not parts:
        return rows.select(column).limit(0)
    union = parts[0] if len(parts) == 1 else parts[0].unionByName(parts[1])
    sums = union.groupBy(column).agg(F.sum("_sign").alias("_rows"), F.sum(F.col("_sign") * F.col("_hash")).alias("_hashes"))
    return sums.where("_rows <> 0 or _hashes <> 0").select(column)


def _hash(rows: DataFrame) -> Column:
    # Decimal: the sum of longs may overflow, which Spark takes for an error.
    return F.xxhash64(*rows.columns).cast("decimal(38, 0)")
