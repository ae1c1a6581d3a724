"""The quarantine of a source: rows of its present landing files that cannot be used, raw, with reason and place (R8)."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lakehouse import contracts, drafts, queries
from lakehouse.delivery import Found

if TYPE_CHECKING:
    from lakehouse.run import Run

# What a row has beside what was found: the run that put it aside, and when.
_ADDED = ("run_id", "quarantined_at")


def as_text(line: bytes) -> tuple[str, str]:
    """A line as a quarantine keeps it, and how it is written there."""
    try:
        return line.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(line).decode(), "base64"


def as_delivered(line: str, encoding: str) -> bytes:
    """The line of a row of a quarantine."""
    return base64.b64decode(line) if encoding == "base64" else line.encode()


def write(run: Run, found: Found) -> None:
    """Writes into the quarantine's draft what this run puts aside.

    Rows go that earlier runs have put aside of files that this one has read, and that are not bad any more; a run over everything
    also drops those of files that were removed.
    """
    contract, engine = contracts.load(run.job.quarantine), run.engine
    if found.rejected is None and not run.tables.rows(contract.table):
        return
    compared = replace(contract, columns=tuple(column for column in contract.columns if column.name not in _ADDED))
    columns = queries.listed(compared.names)
    present = run.drafts.rows(contract.table)
    if not run.plan.full:
        read = engine.rows({"file": "string"}, [(one.key,) for one in run.plan.new])
        of_read = "select present.* from present semi join read on present.file = read.file"
        present = engine.sql(of_read, present=present, read=read)
    rejected = present if found.rejected is None else found.rejected
    none = " where false" if found.rejected is None else ""
    rejected = engine.sql(f"select {columns} from rejected{none}", rejected=rejected)
    changes = drafts.difference(engine, rejected, engine.sql(f"select {columns} from present", present=present), compared)
    added = f"{queries.literal(run.id)} as run_id, cast({int(time.time() * 1000)} as bigint) as quarantined_at"
    run.drafts.change(contract.table, engine.sql(f"select *, {added} from changes", changes=changes))
