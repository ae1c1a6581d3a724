"""All jobs in one process, one after the other, to compare with programs that need only one; prints rows and seconds of each."""

import argparse
import time

from lakehouse import jobs, process, run

parser = argparse.ArgumentParser()
parser.add_argument("--table", required=True, help="the tables, with commas between them")
given, others = parser.parse_known_args()
options = process.parse(others)
for table in given.table.split(","):
    began = time.monotonic()
    accepted = run.run(jobs.of(table), options).accepted
    print(table, accepted, f"{time.monotonic() - began:.2f}s", flush=True)
