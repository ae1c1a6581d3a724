"""The jobs, as the contracts of the tables that they make describe them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from lakehouse import contracts, customers, derived, process
from lakehouse.contracts import Contract
from lakehouse.errors import LakehouseError
from lakehouse.readings import Readings
from lakehouse.run import Job


def main() -> None:
    """Runs the job that makes the table of --table as a process; see process.main."""
    arguments = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    arguments.add_argument("--table", required=True)
    given, others = arguments.parse_known_args()
    try:
        made_by = of(contracts.load(given.table))
    except LakehouseError as error:
        sys.exit(str(error))
    process.main(made_by, others)


def named(name: str) -> Job:
    """The job of a name."""
    found = [of(contract) for contract in contracts.load_all() if contract.job and contract.job.name == name]
    if not found:
        raise LakehouseError(f"there is no job {name}")
    return found[0]


def of(contract: Contract) -> Job:
    """The job that makes a table."""
    if contract.job is None:
        raise LakehouseError(f"no job makes {contract.table}: its contract has no job")
    return _KINDS[contract.job.kind](contract)


def _customers(contract: Contract) -> Job:
    return Job(
        name=contract.job.name,
        target=contract.table,
        compute=customers.compute,
        landing=f"{contract.source}_landing",
        keeps=(customers.SUSPENSION, customers.CONSENT),
    )


def _readings(contract: Contract) -> Job:
    source, made = contract.source, contract.job
    return Job(
        name=made.name,
        target=contract.table,
        compute=Readings(source, made.subject, made.subjects).compute,
        landing=f"{source}_landing",
        tables=made.reads,
        keeps=(f"{source}_index",),
    )


def _derived(contract: Contract) -> Job:
    made = contract.job
    compute = derived.Derived(made.rows_of).compute
    return Job(name=made.name, target=contract.table, compute=compute, tables=made.reads)


_KINDS: dict[str, Callable[[Contract], Job]] = {"customers": _customers, "readings": _readings, "derived": _derived}
