"""Data checks on what a run is about to publish, in dbt's vocabulary.

not_null follows from the contract's required columns and unique from its key; the others are written in the contract.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse import queries
from lakehouse.contracts import Check, Contract
from lakehouse.engines import Engine, Rows
from lakehouse.errors import FailedChecks

Outcomes = dict[str, int]
"""How often each check failed, by what it is called: 0 of one that held."""


def row_checks(contract: Contract) -> dict[str, str]:
    """For each check that looks at one row: what it is called, and, in SQL, what is true of a row that fails it."""
    found = {f"not_null({column.name})": f'"{column.name}" is null' for column in contract.columns if column.required}
    for check in contract.checks:
        if check.check == "accepted_range":
            found[f"accepted_range({check.column})"] = _outside(check)
        elif check.check == "accepted_values":
            values = ", ".join(map(queries.literal, check.values))
            found[f"accepted_values({check.column})"] = f'"{check.column}" not in ({values})'
    return found


def _outside(check: Check) -> str:
    bounds = [f'"{check.column}" < {check.min}'] if check.min is not None else []
    bounds += [f'"{check.column}" > {check.max}'] if check.max is not None else []
    return " or ".join(bounds)


def rows(engine: Engine, changed: Rows, contract: Contract) -> Outcomes:
    """What the checks that look at one row find in these."""
    failing = row_checks(contract)
    (found,) = engine.fetch(f"select {_counts(failing)} from changed", changed=changed) if failing else [()]
    return dict(zip(failing, found, strict=True))


def _counts(failing: Mapping[str, str]) -> str:
    return ", ".join(f"count(*) filter (where {condition})" for condition in failing.values())


def table(
    engine: Engine, whole: Rows, touched: Rows, contract: Contract, others: Mapping[str, Rows], with_rows: bool = False
) -> Outcomes:
    """What the checks that look at the whole table find. `touched`: the only rows of it whose key may be double; `others`: what
    relationships are to; `with_rows`: also what the checks that look at one row find in those that are touched."""
    of_rows = row_checks(contract) if with_rows else {}
    keys = queries.listed(contract.key)
    # Counting hashes is much cheaper than grouping by the key; two keys with one hash only lead to the exact look.
    asked = ", ".join(filter(None, ["count(*)", f"count(distinct {engine.hash(keys)})", _counts(of_rows)]))
    ((total, different, *failures),) = engine.fetch(f"select {asked} from touched", touched=touched)
    doubles = 0
    if total != different:
        ((doubles,),) = engine.fetch(
            f"select count(*) from (select {keys} from touched group by {keys} having count(*) > 1)", touched=touched
        )
    found = {**dict(zip(of_rows, failures, strict=True)), f"unique({', '.join(contract.key)})": doubles}
    for check in contract.checks:
        if check.check == "relationships":
            strangers = (
                f'select count(distinct "{check.column}") from whole anti join known '
                f'on whole."{check.column}" = known."{check.field}" where "{check.column}" is not null'
            )
            ((number,),) = engine.fetch(strangers, whole=whole, known=others[check.to])
            found[f"relationships({check.column})"] = number
    return found


def require(contract: Contract, found: Outcomes) -> None:
    """Fails when a check failed, with its name and how often; never with a value."""
    failed = ", ".join(f"{name} failed {count} times" for name, count in found.items() if count)
    if failed:
        raise FailedChecks(
            f"{contract.table}: checks of the contract: {failed}; nothing was published, readers see the old version"
        )
