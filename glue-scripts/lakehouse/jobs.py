"""The jobs, as the contracts of the tables that they make describe them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from lakehouse import contracts, customers, derived, process, readings
from lakehouse.errors import LakehouseError
from lakehouse.run import Job

# What a job of a kind does.
_KINDS = {"customers": customers.compute, "readings": readings.compute, "derived": derived.compute}


def main() -> None:
    """Runs the job that makes the table of --table as a process; see process.main."""
    arguments = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    arguments.add_argument("--table", required=True)
    given, others = arguments.parse_known_args()
    try:
        made_by = of(given.table)
    except LakehouseError as error:
        sys.exit(str(error))
    process.main(made_by, others)


def named(name: str) -> Job:
    """The job of a name."""
    return _first((job for job in contracts.jobs() if job.name == name), f"there is no job {name}")


def of(table: str) -> Job:
    """The job that makes a table."""
    contracts.load(table)
    made_by = (job for job in contracts.jobs() if job.target == table)
    return _first(made_by, f"no job makes {table}: its contract has no job")


def _first(found: Iterator[contracts.Job], none: str) -> Job:
    for job in found:
        return Job(**vars(job), compute=_KINDS[job.kind])
    raise LakehouseError(none)
