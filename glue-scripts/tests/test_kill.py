"""The pipeline killed in the middle of things, as often as the environment variables KILLS (default: 8) and, while people
are being erased, ERASURE_KILLS (default: 4) say, at random moments.

Each time the tables must be readable, and the next run must make them what they would be had nothing happened.
"""

import os
import random
import signal
import subprocess
import sys
import time

import oracle
import pytest
from histories import SOURCES
from lakehouse import erasure
from support import JOBS, KEEPS, SCRIPTS, TARGETS, customer, sample, step
from test_erasure import ask
from test_random_erasures import as_delivered

KILLS = int(os.environ.get("KILLS", "8"))
ERASURES = int(os.environ.get("ERASURE_KILLS", "4"))
# At most so long after it has begun.
SECONDS = float(os.environ.get("KILL_SECONDS", "3"))
# Runs all jobs in a process of its own.
PIPELINE = """
import sys
from lakehouse import erasure, jobs, run
from lakehouse.engines import duckdb
from support import JOBS
print("started", flush=True)
erasure.erase(erasure.Options(*sys.argv[1:]))
for name in JOBS:
    run.run(jobs.named(name), run.Options(*sys.argv[1:], quarantined_share=1.0))
erasure.prove(erasure.Options(*sys.argv[1:]))
print("done", flush=True)
"""


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def pipeline(lake, scratch):
    def start():
        command = [sys.executable, "-c", PIPELINE, lake.uri, lake.database]
        environment = {**os.environ, "PYTHONPATH": f"{SCRIPTS}:{SCRIPTS / 'tests'}", "TMPDIR": str(scratch)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True)
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


def test_killed_at_a_random_moment_and_run_again(lake, pipeline, scratch):
    rng = random.Random(os.environ.get("SEED", "1"))
    deliver(lake, 0, rng)
    lake.run(quarantined_share=1.0)
    for number in range(1, KILLS + 1):
        deliver(lake, number, rng)
        process = pipeline()
        time.sleep(rng.uniform(0, SECONDS))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        for table in (*TARGETS, *KEEPS):
            lake.rows(table)
        lake.run(*JOBS, quarantined_share=1.0)
        expected = oracle.expected_tables(lake.folder, "as-of")
        assert all(lake.rows(table) == expected[table] for table in TARGETS), number
        assert {entry.mode for entry in lake.run().values()} == {"unchanged"}
    # One that is left alone comes to its end, and removes the scratch files of those that were not.
    deliver(lake, KILLS + 1, rng)
    process = pipeline()
    assert (process.communicate()[0], process.returncode) == (b"done\n", 0)
    assert list(scratch.iterdir()) == []
    expected = oracle.expected_tables(lake.folder, "as-of")
    assert all(lake.rows(table) == expected[table] for table in TARGETS)


def test_killed_while_somebody_is_erased_and_run_again(lake, pipeline, tmp_path):
    """Whoever asked is gone, whenever that was interrupted, and no line of anybody else is (R17)."""
    rng = random.Random(os.environ.get("SEED", "1"))
    gone: list[str] = []
    for number in range(ERASURES):
        deliver(lake, number, rng)
        lake.run(quarantined_share=1.0)
        email = f"p{number}@example.com"
        gone.append(email)
        before = {source: [line for line in landed(lake, source) if not any(map(named(line), gone))] for source in SOURCES}
        ask(lake, {"id": f"r{number}", "email": email})
        process = pipeline()
        time.sleep(rng.uniform(0, SECONDS))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        erasure.erase(erasure.Options(lake.uri, lake.database))
        lake.run(*JOBS, quarantined_share=1.0)
        erasure.prove(erasure.Options(lake.uri, lake.database))
        # Some of who was erased before have been delivered again since, and are refused.
        now = {source: [line for line in landed(lake, source) if not any(map(named(line), gone))] for source in SOURCES}
        assert now == before
        assert not [line for source in SOURCES for line in landed(lake, source) if named(line)(email)]
        until = int(time.time() * 1000)
        erased = oracle.Erased(dict.fromkeys(gone, until), {one.split("@")[0]: until for one in gone})
        expected = oracle.compute(as_delivered(lake, tmp_path / f"copy-{number}"), "as-of", erased).tables
        assert all(lake.rows(table) == expected[table] for table in TARGETS), number
        assert len(list((lake.folder / f"erasure/certificates/r{number}").iterdir())) >= 1


def landed(lake, source):
    files = sorted(file for file in (lake.folder / source / "landing").iterdir())
    return [line for file in files for line in file.read_text().splitlines()]


def named(line):
    """Tells whether a line is of somebody, or of their device."""
    return lambda email: f'"{email}"' in line or f'"serialNumber": "{email.split("@")[0]}"' in line
