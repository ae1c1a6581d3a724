"""Runs a job: read, gate, check, publish. The five scripts in jobs/ only say what is read and what is written."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import SparkSession

from lakehouse import contracts, publish, queries, session, tables
from lakehouse.errors import LakehouseError, describe
from lakehouse.landing import Counts, Landing
from lakehouse.ledger import Entry, Gated, Tally

GATES = ("as-of", "ever")


@dataclass(frozen=True)
class Job:
    """What a job reads and writes.

    `source` is the main source of the target's SELECT: the table whose rows are accounted for (R7). `landing`, `tables`
    and `views` are what that SELECT may refer to: delivered files, Iceberg tables, and shared SELECTs as (zone, name).
    """

    name: str
    target: str
    source: str
    landing: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    views: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Options:
    """The arguments of a run, as the job definition gives them."""

    lake_uri: str
    database: str
    consent_gate: str
    run_id: str = "local"


def main(job: Job, argv: Sequence[str] | None = None) -> None:
    """Runs a job as a process: prints its ledger entry as a line of JSON, or exits with status 1 and an error of one line."""
    spark = None
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        spark = session.start(job.name)
        print(run(spark, job, options).to_json(), flush=True)
    except Exception as error:
        # Without the traceback: Spark's messages in it may quote values of rows.
        message = f"{job.name}: {describe(error)}"
    else:
        message = None
    finally:
        if spark is not None:
            spark.stop()
    if message:
        sys.exit(message)


def parse(argv: Sequence[str]) -> Options:
    """The job's own arguments; those that Glue adds for itself are ignored."""
    given = _Arguments(allow_abbrev=False, add_help=False)
    given.add_argument("--lake_uri", required=True)
    given.add_argument("--database", required=True)
    given.add_argument("--consent_gate", default="as-of", choices=GATES)
    given.add_argument("--JOB_RUN_ID", default="local")
    values, _ = given.parse_known_args(argv)
    if not re.fullmatch(r"[a-z0-9_]+", values.database):
        raise LakehouseError(f"--database is {values.database!r}, expected lower-case letters, digits and underscores")
    if not re.match(r"[a-z0-9]+://", values.lake_uri):
        raise LakehouseError(f"--lake_uri is {values.lake_uri!r}, expected a URI such as s3://bucket")
    return Options(values.lake_uri, values.database, values.consent_gate, values.JOB_RUN_ID)


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise LakehouseError(message)


def run(spark: SparkSession, job: Job, options: Options) -> Entry:
    """Makes the target equal to what the rules accept. Everything is checked before the one commit at the end."""
    contract = contracts.load(job.target)
    target = tables.reconcile(spark, tables.full_name(options.database, job.target), contract)
    landings = _register(spark, job, options)

    rows = queries.gate(spark, contract, {"consent_gate": options.consent_gate})
    gated = Gated(rows, contract)
    changes = publish.compute(spark, target, gated.accepted, contract)
    try:
        _check_landings(landings)
        tally = _tally(spark, job, landings, gated, changes)
        tally.check(job.target)
        publish.apply(target, changes, contract)
    finally:
        changes.rows.unpersist()
    return Entry(
        job=job.name,
        run_id=options.run_id,
        table=job.target,
        read=tally.read,
        accepted=tally.accepted,
        excluded=tally.excluded,
        inserted=changes.inserted,
        updated=changes.updated,
        deleted=changes.deleted,
    )


def _register(spark: SparkSession, job: Job, options: Options) -> dict[str, Landing]:
    """Everything the SELECTs refer to, as views under the names of the tables."""
    landings = {name: Landing(spark, contracts.load(name), options.lake_uri) for name in job.landing}
    for name, landing in landings.items():
        landing.rows.createOrReplaceTempView(name)
    for name in job.tables:
        tables.read(spark, tables.full_name(options.database, name)).createOrReplaceTempView(name)
    for zone, name in job.views:
        queries.view(spark, zone, name)
    return landings


def _check_landings(landings: dict[str, Landing]) -> None:
    for name, landing in landings.items():
        counts = landing.counts()
        if counts.bad:
            raise LakehouseError(_bad_rows(name, counts))


def _bad_rows(table: str, counts: Counts) -> str:
    found = ", ".join(f"{number} {reason} (for example in {counts.examples[reason]})" for reason, number in counts.bad.items())
    return f"{table}: {sum(counts.bad.values())} of {counts.read} rows cannot be used: {found}; nothing was written"


def _tally(spark: SparkSession, job: Job, landings: dict[str, Landing], gated: Gated, changes: publish.Changes) -> Tally:
    source = landings.get(job.source)
    read = source.counts().read if source else spark.table(job.source).count()
    tally = Tally(read, 0, gated.counts(), changes.after)
    if tally.adds_up():
        return tally
    # Counted while the rows flowed, which repeated Spark tasks can distort: count again before calling it an error.
    return Tally(source.recount().read if source else read, 0, gated.recount(), changes.after)
