"""The engines of the tests, and lakes of their own with an Iceberg catalog in their folder."""

import os
import sys
import time
from functools import wraps
from pathlib import Path

import pytest
from lakehouse import engines
from support import Desk, Lake

REPO = Path(__file__).resolve().parents[2]
LIMITS = {
    "spark.driver.memory": "2g",
    # Many small queries: Java's second compiler would take longer than it saves. Each leaves code behind, and without room for
    # it (48 MB by default) Java would stop to compile.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=512m -XX:+UseSerialGC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.session.timeZone": "UTC",
}

# Nearly all tests ask small questions, many of them: what pays on large data takes nearly half of their time.
SMALL = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


def jars() -> Path:
    folder = Path(os.environ.get("STEDI_JARS", REPO / ".stedi" / "jars"))
    if not any(folder.glob("*iceberg-spark-runtime-*.jar")):
        pytest.exit(f"no Iceberg jar in {folder}: run `make setup`, or set STEDI_JARS to the folder that holds the jars", 1)
    return folder


def pytest_collection_modifyitems(items):
    for item in items:
        given = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if "spark" in item.fixturenames or engines.SPARK in given:
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session", autouse=True)
def another_time_zone():
    os.environ["TZ"] = "America/Los_Angeles"  # no test may depend on the machine's time zone
    time.tzset()


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """The one Spark session of all tests that ask for it: the engine finds it."""
    from pyspark.sql import SparkSession

    # For the Python processes that Spark starts.
    os.environ |= {"PYTHONPATH": str(REPO / "glue-scripts"), "PYSPARK_PYTHON": sys.executable}
    folder = tmp_path_factory.mktemp("spark")
    builder = SparkSession.builder.master("local[2]").config("spark.driver.extraClassPath", f"{jars()}/*")
    builder = builder.config("spark.local.dir", f"{folder}/scratch").config("spark.sql.warehouse.dir", f"{folder}/other")
    started = builder.config(map=LIMITS).getOrCreate()
    started.sparkContext.setLogLevel("ERROR")
    from lakehouse.engines.spark import Spark

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Spark, "__init__", for_small_data(Spark.__init__))
        yield started
    started.stop()


def for_small_data(begin):
    """An engine's beginning, with SMALL."""

    @wraps(begin)
    def so(engine, lake_uri):
        begin(engine, lake_uri)
        for key, value in SMALL.items():
            engine._spark.conf.set(key, value)

    return so


@pytest.fixture
def spark_of_glue(spark, monkeypatch):
    """Engines that begin now work as Spark does by default: adaptive, and with code made for each question."""
    from lakehouse.engines.spark import Spark

    monkeypatch.setattr(Spark, "__init__", Spark.__init__.__wrapped__)


@pytest.fixture
def engine(request):
    """The name of the engine that a test is run on: DuckDB, or what `support.both_engines` says."""
    name = getattr(request, "param", engines.DUCKDB)
    if name == engines.SPARK:
        request.getfixturevalue("spark")
    return name


@pytest.fixture
def lake(engine, tmp_path):
    """A lake with nothing delivered, and its empty tables."""
    lake = Lake(tmp_path / "lake", engine)
    lake.create_tables()
    return lake


@pytest.fixture
def desk(engine, tmp_path):
    """An engine with rows by name, for single SELECTs."""
    desk = Desk(engine, tmp_path)
    yield desk
    desk.engine.close()


@pytest.fixture(scope="session")
def public_data():
    """The public STEDI data set: never part of the project, used where it is at hand."""
    folder = Path(os.environ.get("STEDI_DATA", REPO.parent / "shared" / "data" / "stedi"))
    if not folder.is_dir():
        pytest.skip(f"no public data at {folder}: set STEDI_DATA")
    return folder
