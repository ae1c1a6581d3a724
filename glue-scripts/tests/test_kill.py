"""The pipeline killed in the middle of things, as often as the environment variable KILLS says (default: 2), at random moments.

Each time the tables must be readable, and the next run must make them what they would be had nothing happened.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import oracle
import pytest
from conftest import jars
from support import JOBS, SCRIPTS, TARGETS, customer, sample, step

KILLS = int(os.environ.get("KILLS", "2"))
# Runs all jobs on a lake of folders, in a process of its own. Its tables are those of the tests' session.
PIPELINE = """
import sys
from lakehouse import job, jobs, session
from pyspark.sql import SparkSession
from support import JOBS
warehouse, jars, lake, database = sys.argv[1:]
builder = SparkSession.builder.master("local[2]").config("spark.driver.extraClassPath", f"{jars}/*")
builder = builder.config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1").config("spark.ui.enabled", "false")
builder = builder.config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
for key, value in {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "hadoop", ".warehouse": warehouse}.items():
    builder = builder.config(f"spark.sql.catalog.glue_catalog{key}", value)
builder.getOrCreate()
spark = session.start("killed")
print("started", flush=True)
for name in JOBS:
    job.run(spark, jobs.named(name), job.Options(lake, database, quarantined_share=1.0))
"""


@pytest.fixture
def pipeline(spark, lake):
    def start():
        warehouse = spark.conf.get("spark.sql.catalog.glue_catalog.warehouse")
        command = [sys.executable, "-c", PIPELINE, warehouse, str(jars()), lake.uri, lake.database]
        environment = {**os.environ, "PYTHONPATH": f"{SCRIPTS}:{Path(__file__).parent}"}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert process.stdout.readline() == b"started\n"
        return process

    return start


def deliver(lake, number, rng):
    """Some new readings, and a few people who join, leave or move their date; now and then one whose record cannot be used."""
    people = [f"p{person}@example.com" for person in range(12)]
    records = [
        customer(email, number * 10 + rng.randrange(9), rng.choice((1000, 2000)) if rng.random() < 0.6 else None)
        | ({"phone": 5} if rng.random() < 0.2 else {})
        for email in rng.sample(people, 5)
    ]
    times = [rng.randrange(500, 3000) for _ in range(30)]
    lake.deliver("customer", *records)
    lake.deliver("accelerometer", *(sample(rng.choice(people), moment) for moment in times))
    lake.deliver("step_trainer", *(step(rng.choice(people)[:-12], moment, distance=moment % 7) for moment in times * 4))


def test_killed_at_a_random_moment_and_run_again(lake, pipeline):
    rng = random.Random(os.environ.get("SEED", "1"))
    deliver(lake, 0, rng)
    lake.run(quarantined_share=1.0)
    for number in range(1, KILLS + 1):
        deliver(lake, number, rng)
        process = pipeline()
        time.sleep(rng.uniform(0, 25))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        lake.spark.catalog.clearCache()
        for table in TARGETS:
            lake.spark.sql(f"refresh table {lake.name(table)}")
            lake.rows(table)
        lake.run(*JOBS, quarantined_share=1.0)
        expected = oracle.expected_tables(lake.folder, "as-of")
        assert all(lake.rows(table) == expected[table] for table in TARGETS), number
