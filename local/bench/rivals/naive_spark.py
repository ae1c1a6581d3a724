"""What people begin with: five plain Spark queries, joined on the time alone, that append Parquet. The program to beat.

naive_spark.py LANDING OUT [TABLE]: no table means all five, in one session. Prints `<table> <rows> <seconds>s`.
"""

import sys
import time

from pyspark.sql import SparkSession

SOURCES = ("customer", "accelerometer", "step_trainer")
# What each query reads, a source or a table that was made before, and the query.
TABLES = {
    "customer_trusted": (["customer"], "select * from customer where shareWithResearchAsOfDate is not null"),
    "accelerometer_trusted": (
        ["customer_trusted", "accelerometer"],
        "select a.* from accelerometer a join customer_trusted c on a.user = c.email",
    ),
    "customer_curated": (
        ["customer_trusted", "accelerometer_trusted"],
        "select distinct c.* from customer_trusted c join accelerometer_trusted a on a.user = c.email",
    ),
    "step_trainer_trusted": (
        ["customer_curated", "step_trainer"],
        "select * from step_trainer where serialNumber in (select serialNumber from customer_curated)",
    ),
    "machine_learning_curated": (
        ["accelerometer_trusted", "step_trainer_trusted"],
        "select a.*, s.sensorReadingTime, s.distanceFromObject "
        "from accelerometer_trusted a join step_trainer_trusted s on a.timestamp = s.sensorReadingTime",
    ),
}


def main(landing: str, out: str, *wanted: str) -> None:
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.driver.memory", "6g").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for table in wanted or TABLES:
        started = time.time()
        reads, query = TABLES[table]
        for name in reads:
            rows = spark.read.json(f"{landing}/{name}/landing/") if name in SOURCES else spark.read.parquet(f"{out}/{name}")
            rows.createOrReplaceTempView(name)
        spark.sql(query).write.mode("append").parquet(f"{out}/{table}")
        rows = spark.read.parquet(f"{out}/{table}").count()
        print(f"{table} {rows} {time.time() - started:.2f}s", flush=True)


main(*sys.argv[1:])
