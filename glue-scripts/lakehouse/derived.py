"""Tables made of other tables: customer_curated (R5) and machine_learning_curated (R6)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import queries, tables
from lakehouse.job import Result, Run

SUBJECTS = "subjects"


def customers(run: Run) -> Result:
    """Customers are few: all of them are looked at whenever something has changed."""
    for name in run.job.tables:
        run.view(run.table(name), name)
    gated = run.gate(run.contract)
    read = run.table("customer_trusted").count()
    return Result((gated,), run.make_equal(run.job.target, gated.accepted, read), read)


def machine_learning(run: Run) -> Result:
    """Rows of the persons whose customer record, phone readings or step readings have changed since the last run; else of all."""
    inputs = {name: run.table(name) for name in run.job.tables}
    subjects = _subjects(run, inputs["customer_curated"])
    scope = None if run.plan.full else _changed_people(run, subjects)
    if scope is not None:
        people, devices, pseudonyms = scope
        inputs["accelerometer_trusted"] = run.cache(inputs["accelerometer_trusted"].join(people, "user", "left_semi"))
        inputs["step_trainer_trusted"] = inputs["step_trainer_trusted"].join(devices, "serialnumber", "left_semi")
    for name, rows in inputs.items():
        run.view(rows, name)
    run.view(subjects, SUBJECTS)
    read = inputs["accelerometer_trusted"].count()
    gated = run.gate(run.contract)
    of_them = None if scope is None else lambda table: table.join(pseudonyms, "subject_id", "left_semi")
    return Result((gated,), run.make_equal(run.job.target, gated.accepted, read, of_them), read)


def _subjects(run: Run, customers: DataFrame) -> DataFrame:
    run.view(customers, "customer_curated")
    return run.cache(queries.select(run.spark, "curated", SUBJECTS))


def _changed_people(run: Run, subjects: DataFrame) -> tuple[DataFrame, DataFrame, DataFrame] | None:
    """Users, serial numbers and pseudonyms, now and before, of everybody about whom something has changed.

    None when the version that the last run had read has expired.
    """
    curated = run.table_before("customer_curated")
    if curated is None:
        return None
    before = _subjects(run, curated)
    touched = []
    for name, column in (("accelerometer_trusted", "user"), ("step_trainer_trusted", "serialnumber")):
        values = changed_values(run.spark, run.name(name), column, run.plan.before[name])
        if values is None:
            return None
        touched.append(values)
    users, serials = touched
    everybody = run.cache(before.unionByName(subjects).distinct())
    moved = before.exceptAll(subjects).unionByName(subjects.exceptAll(before)).select("email")
    emails = users.withColumnRenamed("user", "email").unionByName(moved)
    emails = emails.unionByName(everybody.join(serials, "serialnumber", "left_semi").select("email"))
    affected = everybody.join(emails.distinct(), "email", "left_semi").localCheckpoint()
    return (
        affected.select(F.col("email").alias("user")).distinct(),
        affected.select("serialnumber").distinct(),
        affected.select("subject_id").distinct(),
    )


def changed_values(spark: SparkSession, table: str, column: str, before: str) -> DataFrame | None:
    """Values of a column whose rows are not the same as in the version `before`; None when that version has expired.

    Only data files that came or went since are read. What copy-on-write and compaction put from one file into another adds
    up to nothing: each row counts with its hash, once for and once against.
    """
    now = tables.data_files(spark, table)
    then = tables.data_files(spark, table, before)
    if then is None:
        return None
    rows = tables.read(spark, table)
    signed = [(sorted(now - then), 1), (sorted(then - now), -1)]
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
