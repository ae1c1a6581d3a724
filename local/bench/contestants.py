"""The programs that are measured on a data set: the five jobs on each engine, apart and in one process, the naive Spark program,
the rules on one node as a trial, and DuckDB's limit."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from embedded_aws.job_processes import JobProcesses, Launch

from bench.datasets import Dataset
from bench.errors import BenchError
from bench.process import Cost, measure
from bench.written import NOTHING_WRITTEN, Written, difference, listing

LAKEHOUSE, TOGETHER, ON_SPARK = "lakehouse", "lakehouse_together", "lakehouse_spark"
NAIVE, NAIVE_APART, LIMIT, SINGLE_NODE = "naive_spark", "naive_spark_apart", "limit_duckdb", "single_node"
FULL, NOTHING, NEW, WITHDRAWN = "full", "nothing new", "1 % new", "1 % withdrawn"
SESSION, ALL = "session start", "all"
DATABASE, DUCKDB, SPARK = "bench", "duckdb", "spark"
TIMEOUT = 1800  # seconds a program may take
# The tables that all programs make, in the order of the state machine, and their rows of the public data set with gate as-of
# (README). A pipeline that gives others is not worth measuring.
PUBLIC_ROWS = {
    "customer_trusted": 482,
    "accelerometer_trusted": 32_025,
    "customer_curated": 464,
    "step_trainer_trusted": 11_297,
    "machine_learning_curated": 32_025,
}
TABLES = tuple(PUBLIC_ROWS)


@dataclass(frozen=True)
class Measurement:
    """One run of one step: of a table, SESSION (what a process costs that does nothing) or ALL (the whole process).

    `landing_rows`: rows there were to read. A part of a process has no processor time and memory of its own: 0.
    """

    contestant: str
    scenario: str
    scale: int
    step: str
    cost: Cost
    written: Written = NOTHING_WRITTEN
    landing_rows: int = 0
    repetition: int = 0


# A job lives for half a minute: Java's second compiler is to take up only what is really called often, and the collector that
# stops the program is the cheaper one.
JAVA_OPTIONS = (
    "-XX:+UseParallelGC -XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 "
    "-XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
)


class FolderJobs(JobProcesses):
    """Runs jobs as the embedded AWS does, on local folders: script and packages are files, there is no S3 and no Glue catalog."""

    def _fetch(self, location: str, folder: Path) -> Path:
        return Path(location)

    def _local_conf(self, conf: dict[str, str], run_id: str) -> dict[str, str]:
        options = f"{JAVA_OPTIONS} {self._java_options(run_id)}"
        return self._driver_conf(run_id) | {"spark.driver.extraJavaOptions": options}

    @property
    def has_classes(self) -> bool:
        return self._archive().exists()


SCRIPTS, RIVALS = Path(__file__).parent / "scripts", Path(__file__).parent / "rivals"
ALL_TABLES = SCRIPTS / "make_all_tables.py"


class Jobs:
    """What runs the five jobs on a data set, in a lake of its own: links to the landing data, and tables with their catalog.
    `classes`: where the class archive is kept."""

    def __init__(
        self, name: str, engine: str, repo: Path, dataset: Dataset, work: Path, driver_memory: str, classes: Path
    ) -> None:
        self._name, self._engine = name, engine
        self._repo, self._dataset, self._work = repo, dataset, work
        self._lake, self._empty = work / "lake", work / "empty"
        self._processes = FolderJobs("", repo / ".stedi" / "jars", work / "runs", classes, driver_memory)
        self._runs = 0
        self._package = work / "lakehouse.zip"

    def prepare(self) -> None:
        """Empty tables, made once and kept to begin each full run with; and the class archive, of a run of all jobs."""
        self._work.mkdir(parents=True)
        pack(self._repo / "glue-scripts", self._package)
        for landing in self._dataset.lake.glob("*/landing"):
            link = self._lake / landing.parent.name / landing.name
            link.parent.mkdir(parents=True)
            link.symlink_to(landing)
        self._submit(SCRIPTS / "create_tables.py")
        shutil.copytree(self._lake, self._empty, symlinks=True)
        if self._engine == SPARK and not self._processes.has_classes:
            self._leave_classes()

    def _empty_tables(self) -> None:
        shutil.rmtree(self._lake)
        shutil.copytree(self._empty, self._lake, symlinks=True)

    def _check(self, table: str, rows: int) -> None:
        wanted = PUBLIC_ROWS[table] * self._dataset.scale
        if self._dataset.origin == "public" and rows != wanted:
            raise BenchError(f"{table} has {rows} rows, expected {wanted}: repair the pipeline before measuring it")

    def _submit(self, script: Path, tables: str = "") -> tuple[str, Cost]:
        """Runs a script, for the tables that it makes if it makes any; gives back what it printed, and what it cost."""
        run_id, launch = self._prepare(script, tables)
        status, cost = measure(lambda: self._processes.start(run_id, launch), TIMEOUT)
        return self._finish(run_id, status), cost

    def _make_all(self) -> tuple[str, Cost]:
        return self._submit(ALL_TABLES, ",".join(TABLES))

    def _leave_classes(self) -> None:
        """Makes all tables, not measured, and lets Java write down the classes that took."""
        run_id, launch = self._prepare(ALL_TABLES, ",".join(TABLES))
        process = self._processes.start(run_id, launch)
        try:
            status = process.wait(TIMEOUT)
            self._processes.wait_for_classes(run_id)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._finish(run_id, status, leaves_classes=True)

    def _prepare(self, script: Path, tables: str) -> tuple[str, Launch]:
        self._runs += 1
        run_id = f"{self._runs:03}-{script.stem}"
        return run_id, self._processes.prepare(run_id, str(script), self._arguments(tables, run_id))

    def _finish(self, run_id: str, status: int | None, leaves_classes: bool = False) -> str:
        """What a run that has ended printed; BenchError if it failed."""
        self._processes.finish(run_id, succeeded=status == 0 and leaves_classes)
        folder = self._work / "runs" / run_id
        if status != 0:
            raise BenchError(_failure(run_id, status, (folder / "stderr.log").read_text(errors="replace")))
        return (folder / "stdout.log").read_text(errors="replace")

    def _arguments(self, tables: str, run_id: str) -> dict[str, str]:
        """As in the job definition; only the catalog is another one."""
        conf = {
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            "spark.sql.session.timeZone": "UTC",
        }
        return {
            "--extra-py-files": str(self._package),
            "--conf": " --conf ".join(f"{key}={value}" for key, value in conf.items()),
            "--lake_uri": f"file://{self._lake}",
            "--engine": self._engine,
            "--database": DATABASE,
            "--consent_gate": "as-of",
            **({"--table": tables} if tables else {}),
            "--JOB_RUN_ID": run_id,
        }


class Lakehouse(Jobs):
    """The five jobs, each a process of its own as on Glue."""

    def measure(self) -> Iterator[Measurement]:
        """A full run into empty tables, and, on DuckDB, on its result one incremental run after the other."""
        self._empty_tables()
        yield self._session()
        try:
            yield from self._pipeline(FULL)
            if self._engine == SPARK:
                return
            yield from self._pipeline(NOTHING)
            self._dataset.deliver(self._dataset.new)
            yield from self._pipeline(NEW)
            self._dataset.deliver(self._dataset.withdrawn)
            yield from self._pipeline(WITHDRAWN)
        finally:
            self._dataset.take_back()

    def _session(self) -> Measurement:
        _, cost = self._submit(SCRIPTS / "start.py")
        return Measurement(self._name, FULL, self._dataset.scale, SESSION, cost)

    def _pipeline(self, scenario: str) -> Iterator[Measurement]:
        landing_rows = self._dataset.rows()
        for table in TABLES:
            before = listing(self._lake / DATABASE)
            stdout, cost = self._submit(self._repo / "glue-scripts" / "jobs" / "make_table.py", table)
            written = difference(before, listing(self._lake / DATABASE))
            if scenario == FULL:
                self._check(table, ledger_entry(stdout, table)["accepted"])
            yield Measurement(self._name, scenario, self._dataset.scale, table, cost, written, landing_rows)


class Together(Jobs):
    """The five jobs one after the other in one session, as nobody runs them: against programs that need one session only."""

    def measure(self) -> Iterator[Measurement]:
        self._empty_tables()
        landing_rows = self._dataset.rows()
        before = listing(self._lake / DATABASE)
        stdout, cost = self._make_all()
        written = difference(before, listing(self._lake / DATABASE))
        for table, rows, seconds in said(stdout):
            self._check(table, rows)
            yield Measurement(TOGETHER, FULL, self._dataset.scale, table, Cost(seconds, 0, 0))
        yield Measurement(TOGETHER, FULL, self._dataset.scale, ALL, cost, written, landing_rows)


class Apart:
    """Another program as Glue would run it: each table in a process of its own."""

    def __init__(self, name: str, script: Path, dataset: Dataset, work: Path) -> None:
        self._name, self._script, self._dataset, self._work = name, script, dataset, work

    def prepare(self) -> None:
        self._work.mkdir(parents=True)

    def measure(self) -> Iterator[Measurement]:
        out = self._work / "out"
        landing_rows = self._dataset.rows()
        out.mkdir()
        for table in TABLES:
            before = listing(out)
            _, cost = _run_script(self._script, [str(self._dataset.lake), str(out), table], self._work)
            written = difference(before, listing(out))
            yield Measurement(self._name, FULL, self._dataset.scale, table, cost, written, landing_rows)
        shutil.rmtree(out)


class Script:
    """A program that makes all five tables of a landing folder in an output folder, and prints rows and seconds per table."""

    def __init__(self, name: str, script: Path, dataset: Dataset, work: Path) -> None:
        self._name, self._script, self._dataset, self._work = name, script, dataset, work

    def prepare(self) -> None:
        self._work.mkdir(parents=True)

    def measure(self) -> Iterator[Measurement]:
        out = self._work / "out"
        landing_rows = self._dataset.rows()
        text, cost = _run_script(self._script, [str(self._dataset.lake), str(out)], self._work)
        written = difference({}, listing(out))
        shutil.rmtree(out)
        scale = self._dataset.scale
        for table, _, seconds in said(text):
            yield Measurement(self._name, FULL, scale, table, Cost(seconds, 0, 0))
        yield Measurement(self._name, FULL, scale, ALL, cost, written, landing_rows)


def contestants(repo: Path, dataset: Dataset, work: Path, driver_memory: str, classes: Path) -> dict[str, Jobs | Apart | Script]:
    return {
        LAKEHOUSE: Lakehouse(LAKEHOUSE, DUCKDB, repo, dataset, work / LAKEHOUSE, driver_memory, classes),
        TOGETHER: Together(TOGETHER, DUCKDB, repo, dataset, work / TOGETHER, driver_memory, classes),
        ON_SPARK: Lakehouse(ON_SPARK, SPARK, repo, dataset, work / ON_SPARK, driver_memory, classes),
        NAIVE_APART: Apart(NAIVE_APART, RIVALS / "naive_spark.py", dataset, work / NAIVE_APART),
        SINGLE_NODE: Apart(SINGLE_NODE, RIVALS / "single_node.py", dataset, work / SINGLE_NODE),
        NAIVE: Script(NAIVE, RIVALS / "naive_spark.py", dataset, work / NAIVE),
        LIMIT: Script(LIMIT, RIVALS / "limit_duckdb.py", dataset, work / LIMIT),
    }


def pack(scripts: Path, package: Path) -> None:
    """The zip that jobs import from: the folder lakehouse with its links followed."""

    def add(folder: Path, name: str) -> None:
        for path in sorted(folder.iterdir()):
            if path.name == "__pycache__":
                continue
            if path.is_dir():
                add(path, f"{name}/{path.name}")
            else:
                archive.write(path, f"{name}/{path.name}")

    with zipfile.ZipFile(package, "w") as archive:
        add(scripts / "lakehouse", "lakehouse")


def ledger_entry(stdout: str, table: str) -> dict:
    """What the job of a table said about it: the last line that is a JSON object with a table."""
    for line in reversed(stdout.splitlines()):
        if line.startswith("{"):
            entry = json.loads(line)
            if "table" in entry:
                return entry
    raise BenchError(f"the job of {table} printed no ledger entry (a line of JSON with a table)")


def said(stdout: str) -> list[tuple[str, int, float]]:
    """The lines `<table> <rows> <seconds>s` of a program that makes all tables."""
    found = re.findall(r"^(\w+) (\d+) ([\d.]+)s$", stdout, flags=re.MULTILINE)
    return [(table, int(rows), float(seconds)) for table, rows, seconds in found]


def _run_script(script: Path, arguments: list[str], work: Path) -> tuple[str, Cost]:
    """What a rival printed, and what it cost."""
    log = work / "output.log"
    with log.open("wb") as output:
        status, cost = measure(lambda: _start([sys.executable, str(script), *arguments], work, output), TIMEOUT)
    text = log.read_text(errors="replace")
    if status != 0:
        raise BenchError(_failure(script.name, status, text))
    return text, cost


def _start(command: list[str], folder: Path, output) -> subprocess.Popen:
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _failure(name: str, status: int | None, output: str) -> str:
    ended = f"ended with status {status}" if status is not None else f"was stopped after {TIMEOUT} s"
    lines = [line for line in output.splitlines() if line.strip()]
    return f"{name} {ended}; its last line: {lines[-1] if lines else '(nothing)'}"
