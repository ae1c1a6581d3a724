"""What the tests of the Spark side share: lakes in local folders, tables made from contracts, rows from shorthand."""

import gzip
import itertools
import json
import os
import threading
from pathlib import Path

from lakehouse import contracts, job, jobs, queries, tables
from pyspark.sql.types import LongType, StringType, StructType

SCRIPTS = Path(__file__).resolve().parents[1]
LANDING = ("customer_landing", "accelerometer_landing", "step_trainer_landing")
KEEPS = (
    "customer_consent",
    "customer_suspension",
    "customer_quarantine",
    "accelerometer_index",
    "accelerometer_quarantine",
    "step_trainer_index",
    "step_trainer_quarantine",
    "run_ledger",
)
TARGETS = ("customer_trusted", "accelerometer_trusted", "customer_curated", "step_trainer_trusted", "machine_learning_curated")
# In the order of the state machine.
JOBS = (
    "customer_landing_to_trusted",
    "accelerometer_landing_to_trusted",
    "customer_trusted_to_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
)
# Time zero of the rows that tests deliver, in ms: plausible (R12), and before every landing file of theirs.
T = 1_650_000_000_000
_databases = (f"lake_{number}" for number in itertools.count(1))


def customer(email, updated, research=None, serial=None):
    """A delivered record. Times count from T, but for a consent of 0 or less, which is none (R2)."""
    row = {
        "customerName": "Planted",
        "email": email,
        "serialNumber": serial or email.split("@")[0],
        "lastUpdateDate": T + updated,
    }
    if research is None:
        return row
    return {**row, "shareWithResearchAsOfDate": T + research if research > 0 else research}


def sample(user, time, **other):
    """A delivered phone reading, its time counted from T."""
    return {"user": user, "timestamp": T + time, "x": 1, "y": 2, "z": 3, **other}


def step(serial, time, distance=9):
    """A delivered step trainer reading, its time counted from T."""
    return {"sensorReadingTime": T + time, "serialNumber": serial, "distanceFromObject": distance}


def create_table(spark, name, contract, only_version=None):
    """What CloudFormation does on AWS: the table as of a contract version, with no property of ours."""
    columns = [c for c in contract.columns if only_version is None or c.since <= only_version]
    spark.sql(f"create table {name} ({', '.join(f'`{c.name}` {c.type}' for c in columns)}) using iceberg")


def iceberg_contracts():
    return [contract for contract in contracts.load_all() if contract.format == "iceberg"]


class Lake:
    """A lake in a local folder: `deliver` writes landing files, `run` runs jobs, `rows` reads a table back."""

    def __init__(self, spark, folder):
        self.spark, self.folder, self.database = spark, Path(folder), next(_databases)
        self.uri = f"file://{folder}"
        self.delivered = 0

    def create_tables(self):
        """Those of all contracts, also of a source that was added and that no test here knows."""
        self.spark.sql(f"create namespace glue_catalog.{self.database}")
        for contract in iceberg_contracts():
            create_table(self.spark, self.name(contract.table), contract)

    def drop_tables(self):
        for contract in iceberg_contracts():
            self.spark.sql(f"drop table if exists {self.name(contract.table)} purge")
        self.spark.sql(f"drop namespace glue_catalog.{self.database}")

    def name(self, table):
        return tables.full_name(self.database, table)

    def deliver(self, source, *rows, name=None, modified=None):
        """A landing file, modified later than the one before. Rows are dicts, or lines as they are."""
        self.delivered += 1
        file = self.folder / source / "landing" / (name or f"{source}-{self.delivered:04}.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode() for row in rows]
        content = b"".join(line + b"\n" for line in lines)
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
        seconds = modified if modified is not None else 1_700_000_000 + self.delivered
        os.utime(file, (seconds, seconds))
        return file

    def run(self, *names, gate="as-of", **options):
        """Runs jobs (default: all, in order) and returns their ledger entries by table."""
        options = job.Options(self.uri, self.database, gate, **options)
        entries = [job.run(self.spark, jobs.named(name), options) for name in names or JOBS]
        return {entry.table: entry for entry in entries}

    def rows(self, table):
        """The table's rows as sorted tuples, nulls last."""
        rows = [tuple(row) for row in self.spark.table(self.name(table)).collect()]
        return sorted(rows, key=lambda row: tuple((value is None, value) for value in row))

    def snapshots(self, table):
        return self.spark.table(f"{self.name(table)}.snapshots").count()


def at_once(spark, *works):
    """Does all works in threads, each with a session of its own; what each gave back or raised."""
    outcomes = [None] * len(works)

    def do(place):
        session = spark.newSession()
        for key, value in spark.conf.getAll.items():
            if spark.conf.isModifiable(key) and session.conf.get(key, None) != value:
                session.conf.set(key, value)
        # Makes the session the thread's active one, which Iceberg looks for.
        session.createDataFrame([(1,)], "one int")
        try:
            outcomes[place] = works[place](session)
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def data_files(spark, name):
    """Paths of the data files of a table's current version."""
    return {row.file_path for row in spark.table(f"{name}.data_files").select("file_path").collect()}


def view(spark, name, rows, contract=None):
    """Rows given as dicts (missing columns are null) as a view with the columns of a contract; of landing, also of the file."""
    contract = contract or contracts.load(name)
    schema = StructType(contract.schema.fields)
    if contract.zone == "landing":
        schema = StructType([*schema.fields]).add("file_path", StringType()).add("file_modified", LongType())
    unknown = {key for row in rows for key in row} - set(schema.names)
    assert not unknown, f"not in {contract.table}: {unknown}"
    values = [tuple(row.get(field.name) for field in schema) for row in rows]
    spark.createDataFrame(values, schema).createOrReplaceTempView(name)


def view_of(spark, zone, name):
    """A SELECT over the present views, under its name."""
    queries.select(spark, zone, name).createOrReplaceTempView(name)


def gate(spark, table, consent_gate="as-of"):
    """All rows that the table's SELECT gives for the present views, accepted or not."""
    contract = contracts.load(table)
    rows = queries.gate(spark, contract, {"consent_gate": consent_gate})
    assert rows.columns == [*contract.names, "reason"]
    return rows.collect()
