"""The pipeline killed in the middle of things, as often as the environment variable KILLS says (default: 8), at random moments.

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
from support import JOBS, KEEPS, SCRIPTS, TARGETS, customer, sample, step

KILLS = int(os.environ.get("KILLS", "8"))
# At most so long after it has begun.
SECONDS = float(os.environ.get("KILL_SECONDS", "3"))
# Runs all jobs in a process of its own.
PIPELINE = """
import sys
from lakehouse import jobs, run
from lakehouse.engines import duckdb
from support import JOBS
print("started", flush=True)
for name in JOBS:
    run.run(jobs.named(name), run.Options(*sys.argv[1:], quarantined_share=1.0))
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
