"""What the tests of the jobs share: lakes in local folders, tables made from contracts, rows from shorthand."""

import gzip
import json
import os
import threading
from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lakehouse import contracts, engines, jobs, queries, tables
from lakehouse.run import Options, run
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField

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
DATABASE = "lake"
both_engines = pytest.mark.parametrize("engine", [engines.DUCKDB, engines.SPARK], indirect=True)


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


def create_table(of, contract, only_version=None):
    """What CloudFormation does on AWS: the table as of a contract version, with no property of ours."""
    columns = [c for c in contract.columns if only_version is None or c.since <= only_version]
    fields = [NestedField(number, c.name, tables.TYPES[c.type], required=False) for number, c in enumerate(columns, 1)]
    of.catalog.create_table((of.database, contract.table), Schema(*fields))


def iceberg_contracts():
    return [contract for contract in contracts.load_all() if contract.format == "iceberg"]


class Lake:
    """A lake in a local folder: `deliver` writes landing files, `run` runs jobs on an engine, `rows` reads a table back."""

    def __init__(self, folder, engine=engines.DUCKDB):
        self.folder, self.engine, self.database = Path(folder), engine, DATABASE
        self.folder.mkdir(parents=True, exist_ok=True)
        self.uri = f"file://{folder}"
        self.tables = tables.Tables(self.uri, DATABASE)
        self.delivered = 0

    def create_tables(self):
        """Those of all contracts, also of a source that was added and that no test here knows."""
        self.tables.catalog.create_namespace(DATABASE)
        for contract in iceberg_contracts():
            create_table(self.tables, contract)

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

    def options(self, gate="as-of", **options):
        return Options(self.uri, DATABASE, gate, **{"engine": self.engine, **options})

    def run(self, *names, gate="as-of", **options):
        """Runs jobs (default: all, in order) and returns their ledger entries by table."""
        entries = [run(jobs.named(name), self.options(gate, **options)) for name in names or JOBS]
        return {entry.table: entry for entry in entries}

    def load(self, table):
        """PyIceberg's object of a table."""
        return self.tables.load(table)

    def arrow(self, table):
        return self.load(table).scan().to_arrow()

    def rows(self, table):
        """The table's rows as sorted tuples, nulls last."""
        rows = [tuple(row.values()) for row in self.arrow(table).to_pylist()]
        return sorted(rows, key=lambda row: tuple((value is None, value) for value in row))

    def snapshots(self, table):
        return len(self.load(table).snapshots())

    def expire(self, table):
        """Takes away all versions of a table but those that `main` and other branches are at."""
        self.load(table).maintenance.expire_snapshots().older_than(datetime.max.replace(tzinfo=UTC)).commit()

    def data_files(self, table):
        """Paths of the data files of a table's current version."""
        loaded = self.load(table)
        return {task.file.file_path for task in tables.files(loaded, loaded.current_snapshot())}


def at_once(*works):
    """Does all works in threads; what each gave back or raised."""
    outcomes = [None] * len(works)

    def do(place):
        try:
            outcomes[place] = works[place]()
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


class Desk:
    """An engine, and rows that it knows by name, as a SELECT reads them."""

    def __init__(self, engine, folder):
        self.engine = engines.start(engine, f"file://{folder}")
        self.named = {}
        self.rows("erased", {"subject": "string", "erased_at": "bigint"}, [])

    def rows(self, name, columns, values):
        """Rows given as tuples under a name; `columns`: types by name."""
        self.named[name] = self.engine.rows(columns, values)

    def view(self, name, rows, contract=None):
        """Rows given as dicts (missing columns are null) with the columns of a contract; of landing, also of the file."""
        contract = contract or contracts.load(name)
        columns = dict(contract.types)
        if contract.zone == "landing":
            columns |= {"file_path": "string", "file_modified": "bigint"}
        unknown = {key for row in rows for key in row} - set(columns)
        assert not unknown, f"not in {contract.table}: {unknown}"
        self.rows(name, columns, [tuple(row.get(column) for column in columns) for row in rows])

    def view_of(self, zone, name):
        """A SELECT over the rows that are here, under its name."""
        self.named[name] = queries.select(self.engine, zone, name, **self.named)

    def fetched(self, rows):
        """Rows of the engine, with their columns as attributes."""
        row = namedtuple("row", list(rows.columns), rename=True)
        return [row(*values) for values in self.engine.fetch("select * from fetched", fetched=rows)]

    def select(self, zone, name, params=None):
        return self.fetched(queries.select(self.engine, zone, name, params, **self.named))

    def gate(self, table, consent_gate="as-of"):
        """All rows that the table's SELECT gives for the rows that are here, accepted or not."""
        contract = contracts.load(table)
        rows = queries.gate(self.engine, contract, {"consent_gate": consent_gate}, **self.named)
        assert list(rows.columns) == [*contract.names, "reason"]
        return self.fetched(rows)
