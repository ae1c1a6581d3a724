"""A job as a process: its arguments, its exit and its one line of error."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from lakehouse import engines, ledger
from lakehouse.errors import LakehouseError, describe
from lakehouse.run import Job, Options, run

GATES = ("as-of", "ever")
# Of --full_refresh, for a release still.
_OLD = "--full-refresh"
_ENGINES = (engines.AUTO, engines.DUCKDB, engines.SPARK)


def main(job: Job, argv: Sequence[str] | None = None) -> None:
    """Runs a job as a process: prints its ledger entry as a line of JSON."""

    def work(options: Options) -> None:
        try:
            entry = run(job, options)
        except LakehouseError as error:
            if metric := error.metric:
                put(options, lambda *where: ledger.put_failure(*where, metric))
            raise
        print(entry.to_json(), flush=True)
        put(options, lambda *where: ledger.put_metrics(*where, entry, job.landing is not None))

    process(job.name, parse, work, argv)


def process(name: str, parse: Callable[[Sequence[str]], Any], work: Callable[[Any], None], argv=None) -> None:
    """Does the work of a process, or exits with status 1 and an error of one line. `work` gets what `parse` makes of `argv`."""
    ended: list[int] = []

    def end(number: int, _: Any) -> NoReturn:
        ended.append(number)
        engines.interrupt()
        sys.exit(128 + number)

    # What libraries log is shown where somebody wants to see it, and else not at all: an error is one line.
    logging.getLogger().addHandler(logging.NullHandler())
    # Ended by somebody, it still removes its scratch files.
    signal.signal(signal.SIGTERM, end)
    failed: int | str | None = None
    try:
        work(parse(sys.argv[1:] if argv is None else argv))
    except Exception as error:
        # Of being ended in the middle of a query DuckDB makes an error of its own.
        failed = 128 + ended[0] if ended else f"{name}: {describe(error)}"
    # Outside, so that the error is not told along with the exit: messages in it may quote values of rows.
    if failed is not None:
        sys.exit(failed)


def parse(argv: Sequence[str]) -> Options:
    """The job's own arguments; those that Glue adds for itself are ignored."""
    given = arguments()
    given.add_argument("--consent_gate", default="as-of", choices=GATES)
    given.add_argument("--JOB_RUN_ID", default="")
    # Glue's arguments have a value each; by hand the flag alone will do.
    given.add_argument("--full_refresh", _OLD, nargs="?", const="true", default="false", choices=("true", "false"))
    given.add_argument("--quarantined_share", type=_share)
    given.add_argument("--metrics_namespace", default="")
    given.add_argument("--lake_name", default="")
    if any(one.partition("=")[0] == _OLD for one in argv):
        print(f"{_OLD} is now --full_refresh; the next release will not know it", file=sys.stderr, flush=True)
    values, _ = engine_arguments(given).parse_known_args(argv)
    require_place(values)
    return Options(
        lake_uri=values.lake_uri,
        database=values.database,
        consent_gate=values.consent_gate,
        run_id=values.JOB_RUN_ID,
        full_refresh=values.full_refresh == "true",
        quarantined_share=values.quarantined_share,
        metrics_namespace=values.metrics_namespace,
        lake_name=values.lake_name,
        region=values.region,
        engine=values.engine,
        spark_from_gib=values.spark_from_gib,
    )


def arguments() -> Arguments:
    """What every job is told: where its lake is."""
    given = Arguments(allow_abbrev=False, add_help=False)
    given.add_argument("--lake_uri", required=True)
    given.add_argument("--database", required=True)
    given.add_argument("--region", default="")
    return given


def engine_arguments(given: argparse.ArgumentParser) -> argparse.ArgumentParser:
    given.add_argument("--engine", default=engines.AUTO, choices=_ENGINES)
    given.add_argument("--spark_from_gib", type=_gib, default=Options.spark_from_gib)
    return given


def require_place(values: argparse.Namespace) -> None:
    """Fails unless the lake and its database are named as they can be."""
    if not re.fullmatch(r"[a-z0-9_]+", values.database):
        raise LakehouseError(f"--database is {values.database!r}, expected lower-case letters, digits and underscores")
    if not re.match(r"[a-z0-9]+://", values.lake_uri):
        raise LakehouseError(f"--lake_uri is {values.lake_uri!r}, expected a URI such as s3://bucket")


class Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise LakehouseError(message)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


def _gib(text: str) -> float:
    gib = float(text)
    if not gib > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return gib


def put(options: Any, send: Callable[[Any, str, str], None]) -> None:
    """Puts metrics: `send` is given the client, the namespace and the lake. A missing metric is worth a line only."""
    if not options.metrics_namespace:
        return
    try:
        import boto3

        cloudwatch = boto3.client("cloudwatch", region_name=options.region or os.environ.get("AWS_REGION") or None)
        send(cloudwatch, options.metrics_namespace, options.lake_name)
    except Exception as error:
        print(f"metrics of the run are missing: {describe(error)}", file=sys.stderr, flush=True)
