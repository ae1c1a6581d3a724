"""One Spark session for all tests that ask for it, with an Iceberg catalog in a local folder, and lakes of their own."""

import os
import sys
import time
from pathlib import Path

import pytest
from lakehouse import session
from pyspark.sql import SparkSession
from support import Lake

REPO = Path(__file__).resolve().parents[2]
# For the Python processes that Spark starts.
os.environ |= {"PYTHONPATH": str(REPO / "glue-scripts"), "PYSPARK_PYTHON": sys.executable}
# The catalog's warehouse is fixed for the life of a session: every lake gets a database of its own in it.
CATALOG = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.glue_catalog": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.glue_catalog.type": "hadoop",
    "spark.sql.session.timeZone": "UTC",
}
LIMITS = {
    "spark.driver.memory": "2g",
    # Many small queries: Java's second compiler would take longer than it saves. Each leaves code behind, and without room for
    # it (48 MB by default) Java would stop to compile.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=512m -XX:+UseSerialGC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
}


def jars() -> Path:
    folder = Path(os.environ.get("STEDI_JARS", REPO / ".stedi" / "jars"))
    if not any(folder.glob("iceberg-spark-runtime-*.jar")) and not any(folder.glob("*iceberg-spark-runtime-*.jar")):
        pytest.exit(f"no Iceberg jar in {folder}: run `make setup`, or set STEDI_JARS to the folder that holds the jars", 1)
    return folder


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    os.environ["TZ"] = "America/Los_Angeles"  # no test may depend on the machine's time zone
    time.tzset()
    folder = tmp_path_factory.mktemp("spark")
    builder = SparkSession.builder.master("local[2]").config("spark.driver.extraClassPath", f"{jars()}/*")
    builder = builder.config("spark.sql.catalog.glue_catalog.warehouse", f"file://{folder}/warehouse")
    builder = builder.config("spark.local.dir", f"{folder}/scratch").config("spark.sql.warehouse.dir", f"{folder}/other")
    builder.config(map={**CATALOG, **LIMITS}).getOrCreate()
    started = session.start("tests")
    yield started
    started.stop()


@pytest.fixture
def lake(spark, tmp_path):
    """A lake with nothing delivered, and its empty tables."""
    lake = Lake(spark, tmp_path / "lake")
    lake.create_tables()
    yield lake
    lake.drop_tables()


@pytest.fixture(scope="session")
def public_data():
    """The public STEDI data set: never part of the project, used where it is at hand."""
    folder = Path(os.environ.get("STEDI_DATA", REPO.parent / "shared" / "data" / "stedi"))
    if not folder.is_dir():
        pytest.skip(f"no public data at {folder}: set STEDI_DATA")
    return folder
