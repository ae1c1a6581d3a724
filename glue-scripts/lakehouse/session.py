"""The Spark session of a job. What the job definition sets in `--conf` is left alone."""

from __future__ import annotations

from pyspark.sql import SparkSession

TASKS_PER_CORE = 4
_EMPTY_RELATION = "org.apache.spark.sql.execution.adaptive.AQEPropagateEmptyRelation"
BROADCAST_BYTES = 64 * 1024 * 1024
ARROW_BATCH_BYTES = 16 * 1024 * 1024


def start(name: str) -> SparkSession:
    # Else half of what Python says to Java is where in the program it says it, for messages that are shown to nobody.
    quiet = {"spark.python.sql.dataFrameDebugging.enabled": "false"}
    spark = SparkSession.builder.appName(name).config(map=quiet).getOrCreate()
    # Below this level Spark logs plans and filters, and with them values of rows.
    spark.sparkContext.setLogLevel("ERROR")
    tasks = spark.sparkContext.defaultParallelism * TASKS_PER_CORE
    defaults = {
        # Spark's fixed 200 is mostly empty tasks at our sizes; adaptive execution merges these further.
        "spark.sql.shuffle.partitions": tasks,
        # Many files are looked up by a job; Spark's task for each of them takes longer than the look.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": tasks,
        # Iceberg's SQL parser drops the arguments that Spark 4.1 binds while it parses; this binds them after it.
        "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",
        # ICU's tables take a second to load, for letters that e-mail addresses do not have.
        "spark.sql.icu.caseMappings.enabled": "false",
        # Of lines for the judge, which may be long.
        "spark.sql.execution.arrow.maxBytesPerBatch": ARROW_BATCH_BYTES,
        # Customers are few beside readings: ship them to the readings instead of sorting both.
        "spark.sql.autoBroadcastJoinThreshold": BROADCAST_BYTES,
    }
    # Otherwise a plan with an empty result is cut short, and what was counted on the way to it (R7) is lost.
    spark.conf.set("spark.sql.adaptive.optimizer.excludedRules", _EMPTY_RELATION)
    given = spark.sparkContext.getConf()
    for key, value in defaults.items():
        if not given.contains(key):
            spark.conf.set(key, str(value))
    return spark
