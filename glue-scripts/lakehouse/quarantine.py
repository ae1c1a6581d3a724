"""The quarantine of a source: rows of its present landing files that cannot be used, raw, with reason and place (R8)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import contracts, publish, queries, tables
from lakehouse.delivery import Found
from lakehouse.publish import OP

if TYPE_CHECKING:
    from lakehouse.job import Run

# What a row has beside what was found: the run that put it aside, and when.
_ADDED = ("run_id", "quarantined_at")


def write(run: Run, found: Found) -> None:
    """Writes into the quarantine's draft what this run puts aside.

    Rows go that earlier runs have put aside of files that this one has read, and that are not bad any more; a run over everything
    also drops those of files that were removed.
    """
    contract = contracts.load(f"{found.contract.source}_quarantine")
    name = run.name(contract.table)
    if found.rejected is None and (
        not tables.rows(run.spark, name) or _of_files_read(run, tables.read(run.spark, name)).isEmpty()
    ):
        return
    present = _of_files_read(run, run.draft(contract.table).rows())
    compared = replace(contract, columns=tuple(column for column in contract.columns if column.name not in _ADDED))
    rejected = present.limit(0) if found.rejected is None else found.rejected
    changes = publish.difference(rejected.select(*compared.names), present.select(*compared.names), compared)
    added = {"run_id": F.lit(run.id), "quarantined_at": F.lit(int(time.time() * 1000))}
    run.change(contract.table, changes.withColumns(added).select(*contract.names, OP))


def _of_files_read(run: Run, rows: DataFrame) -> DataFrame:
    if run.plan.full:
        return rows
    files = queries.rows(run.spark, [(one.key,) for one in run.plan.new], "file string")
    return rows.join(F.broadcast(files), "file", "left_semi")
