"""Scratch files of DuckDB, which may hold personal data: they go with their process, however it ends."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import processes
import pytest
from lakehouse import run
from lakehouse.engines import duckdb
from lakehouse.engines.duckdb import DuckDB
from lakehouse.errors import LakehouseError, describe
from support import JOBS, customer, sample

ANN = "ann@example.com"
NOT_ENOUGH = "memory or scratch space is not enough for this run: "
# Stays in the middle of a query until it is ended, with a file of its own in the folder.
AT_WORK = """
from lakehouse.engines import duckdb
def read(self, *_):
    print(self._scratch, flush=True)
    (self._scratch / "unpacked").write_text("planted@example.com")
    self.keep(self.sql("select sha256(range::varchar) as n from range(1000000000) order by n"))
duckdb.DuckDB.read = read
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """Where scratch files are, in this process and in those that it starts."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def large(engine, rows=2_000_000):
    text = f"select 'planted-' || range as email, sha256(range::varchar) as noise from range({rows})"
    return engine.sql("select * from made order by noise", made=engine.sql(text))


@pytest.fixture
def small():
    """An engine with little memory."""
    engine = DuckDB(memory_bytes=64 * 2**20)
    yield engine
    engine.close()


def test_rows_that_do_not_fit_in_memory_are_in_scratch_files_until_the_engine_closes(small, scratch):
    kept = small.keep(large(small, 500_000))
    (folder,) = scratch.iterdir()
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) > 2**20
    assert small.fetch("select count(*), count(distinct noise) from kept", kept=kept) == [(500_000, 500_000)]
    small.close()
    assert list(scratch.iterdir()) == []


def test_too_little_memory_says_so_without_a_value(scratch):
    engine = DuckDB(memory_bytes=2**20)
    with pytest.raises(LakehouseError) as caught:
        engine.keep(large(engine))
    engine.close()
    assert str(caught.value).startswith(NOT_ENOUGH)
    assert list(scratch.iterdir()) == []


def test_scratch_files_that_may_not_grow_are_an_error_that_says_so_without_a_value(small):
    small._db.execute("set max_temp_directory_size = '1 MiB'")
    with pytest.raises(LakehouseError) as caught:
        small.keep(large(small))
    assert str(caught.value).startswith(NOT_ENOUGH)


FULL_DISK = """
import resource, sys
from lakehouse import process
from lakehouse.engines.duckdb import DuckDB
from test_scratch import large

def work(_):
    engine = DuckDB(memory_bytes=64 * 2**20)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    try:
        engine.keep(large(engine))
    finally:
        engine.close()

process.process("planned", lambda argv: None, work, [])
"""


def test_a_full_disk_is_an_error_that_says_so_without_a_value(scratch):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", FULL_DISK], env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"planned: {NOT_ENOUGH}")
    assert result.stderr.count("\n") == 1
    assert "planted" not in result.stderr
    assert list(scratch.iterdir()) == []


def test_an_error_of_reading_is_not_taken_for_a_full_disk(small, tmp_path):
    with pytest.raises(Exception) as caught:
        small.fetch(f"select * from read_parquet('{tmp_path}/missing.parquet')")
    assert not isinstance(caught.value, LakehouseError)
    assert "missing" not in describe(caught.value)


# --- whose folders they are ---


def test_folders_of_processes_that_are_gone_are_removed_and_no_others(scratch):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        stays = [
            f"lakehouse-{living.pid}-abc",
            f"lakehouse-{os.getpid()}-abc",
            "lakehouse-1-abc",
            "lakehouse-of-mine",
            "other-5-abc",
        ]
        for name in (f"lakehouse-{gone.pid}-abc", f"lakehouse-{gone.pid}-x_y", *stays):
            (scratch / name / "spill").mkdir(parents=True)
            (scratch / name / "spill" / "rows.tmp").write_text("planted@example.com")
        engine = DuckDB()
        (own,) = {path.name for path in scratch.iterdir()} - set(stays)
        assert own.startswith(f"lakehouse-{os.getpid()}-")
        engine.close()
        assert sorted(path.name for path in scratch.iterdir()) == sorted(stays)
        assert (scratch / stays[0] / "spill" / "rows.tmp").exists()
    finally:
        living.communicate(b"\n")


def test_nobody_else_can_read_scratch_files(scratch):
    engine = DuckDB()
    (folder,) = scratch.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    engine.close()


# --- however a process ends ---


@pytest.fixture
def delivered(lake):
    lake.deliver("customer", customer(ANN, 1, research=1000))
    lake.deliver("accelerometer", sample(ANN, 1500), name="a.json.gz")
    lake.run(JOBS[0])
    return lake


def test_a_run_leaves_no_scratch_files(delivered, scratch):
    delivered.run(JOBS[1])
    assert list(scratch.iterdir()) == []


def test_a_run_that_fails_leaves_no_scratch_files(delivered, scratch, monkeypatch):
    monkeypatch.setattr(run.Tally, "check", lambda *_: int("no number"))
    with pytest.raises(ValueError, match="no number"):
        delivered.run(JOBS[1])
    assert list(scratch.iterdir()) == []


def test_an_engine_that_does_not_start_leaves_no_scratch_files(scratch, monkeypatch):
    monkeypatch.setattr(duckdb, "_memory", lambda: int("no number"))
    with pytest.raises(ValueError, match="no number"):
        DuckDB()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_process_that_is_ended_removes_its_scratch_files_and_publishes_nothing(delivered, scratch, seconds):
    """Soon, also in the middle of a query that would take minutes."""
    process = processes.start(delivered, "accelerometer_trusted", before=AT_WORK)
    folder = process.stdout.readline().strip()
    there = [str(path) for path in scratch.iterdir()]
    time.sleep(seconds)
    began = time.monotonic()
    status, out, err = processes.kill(process, signal.SIGTERM)
    assert time.monotonic() - began < 30
    assert there == [folder]
    assert (status, out, err) == (128 + signal.SIGTERM, "", "")
    assert list(scratch.iterdir()) == []
    assert delivered.rows("accelerometer_trusted") == []
    assert set(delivered.load("accelerometer_trusted").refs()) <= {"main"}


def test_scratch_files_of_a_process_that_was_killed_go_with_the_next_run(delivered, scratch):
    process = processes.start(delivered, "accelerometer_trusted", before=AT_WORK)
    folder = process.stdout.readline().strip()
    processes.kill(process)
    assert [str(path) for path in scratch.iterdir()] == [folder]
    delivered.run(JOBS[1])
    assert list(scratch.iterdir()) == []
    assert len(delivered.rows("accelerometer_trusted")) == 1
