"""Runs a job: see what is new, read, gate, write a draft, check, publish. The contracts say what is read and written."""

from __future__ import annotations

import argparse
import re
import sys
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lakehouse import contracts, intake, ledger, publish, quarantine, queries, session, storage, tables
from lakehouse.contracts import Contract
from lakehouse.delivery import Delivery, Found
from lakehouse.errors import LakehouseError, describe
from lakehouse.intake import Inputs, Plan
from lakehouse.ledger import Entry, Gate, Gated, Tally
from lakehouse.tables import Draft

GATES = ("as-of", "ever")
Scope = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Job:
    """What a job reads and writes, and what it does.

    `target` is the table it makes; `keeps` are tables beside it that later runs need. `landing` is the landing table it reads;
    None for a job that reads tables only. `tables` are the Iceberg tables it reads.
    """

    name: str
    target: str
    compute: Callable[[Run], Result]
    landing: str | None = None
    tables: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """The arguments of a run, as the job definition gives them. Defaults are those of a run without AWS."""

    lake_uri: str
    database: str
    consent_gate: str = "as-of"
    run_id: str = ""
    full_refresh: bool = False
    quarantined_share: float | None = None
    metrics_namespace: str = ""
    lake_name: str = ""
    region: str = ""


@dataclass(frozen=True)
class Result:
    """What a computation found and wrote into the drafts of its run.

    `gates`: the SELECTs that the rows went through, the target's own last. `read`: rows of the source, or of earlier files;
    those of new files are counted by the `delivery`. `published`: see Tally. `suspended`: see Entry.
    """

    gates: tuple[Gate, ...]
    written: publish.Written
    read: int = 0
    published: int | None = None
    delivery: Delivery | None = None
    suspended: int | None = None


def main(job: Job, argv: Sequence[str] | None = None) -> None:
    """Runs a job as a process: prints its ledger entry as a line of JSON."""

    def work(spark: SparkSession, options: Options) -> None:
        try:
            entry = run(spark, job, options)
        except LakehouseError as error:
            if metric := error.metric:
                _put(options, lambda *where: ledger.put_failure(*where, metric))
            raise
        print(entry.to_json(), flush=True)
        _put(options, lambda *where: ledger.put_metrics(*where, entry, job.landing is not None))

    process(job.name, parse, work, argv)


def process(name: str, parse: Callable[[Sequence[str]], Any], work: Callable[[SparkSession, Any], None], argv=None) -> None:
    """Does the work of a process, or exits with status 1 and an error of one line. `work` gets what `parse` makes of `argv`."""
    spark = None
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        spark = session.start(name)
        work(spark, options)
    except Exception as error:
        # Without the traceback: Spark's messages in it may quote values of rows.
        message = f"{name}: {describe(error)}"
    else:
        message = None
    finally:
        if spark is not None:
            spark.stop()
    if message:
        sys.exit(message)


def parse(argv: Sequence[str]) -> Options:
    """The job's own arguments; those that Glue adds for itself are ignored."""
    given = Arguments(allow_abbrev=False, add_help=False)
    given.add_argument("--lake_uri", required=True)
    given.add_argument("--database", required=True)
    given.add_argument("--consent_gate", default="as-of", choices=GATES)
    given.add_argument("--JOB_RUN_ID", default="")
    # Glue's arguments have a value each; by hand the flag alone will do.
    given.add_argument("--full-refresh", nargs="?", const="true", default="false", choices=("true", "false"))
    given.add_argument("--quarantined_share", type=_share)
    given.add_argument("--metrics_namespace", default="")
    given.add_argument("--lake_name", default="")
    given.add_argument("--region", default="")
    values, _ = given.parse_known_args(argv)
    if not re.fullmatch(r"[a-z0-9_]+", values.database):
        raise LakehouseError(f"--database is {values.database!r}, expected lower-case letters, digits and underscores")
    if not re.match(r"[a-z0-9]+://", values.lake_uri):
        raise LakehouseError(f"--lake_uri is {values.lake_uri!r}, expected a URI such as s3://bucket")
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
    )


class Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise LakehouseError(message)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


class Run:
    """One run of a job: its tables, what it has to read, and the drafts it writes."""

    def __init__(self, spark: SparkSession, job: Job, options: Options) -> None:
        self.spark, self.job, self.options = spark, job, options
        self.id = options.run_id or f"local-{uuid.uuid4().hex}"
        self.contract = contracts.load(job.target)
        self.landing = contracts.load(job.landing) if job.landing else None
        self.store = storage.open_store(options.lake_uri)
        self.plan, self.inputs = self._look()
        self._open = ExitStack()
        self._drafts: dict[str, Draft] = {}
        self._versions = {name: tables.version(spark, self.name(name)) for name in (job.target, *job.keeps)}
        self._cached: list[DataFrame] = []
        self.changed: set[str] = set()
        # Rows that a table has to have once all are published, where that must not be before.
        self.afterwards: dict[str, DataFrame] = {}

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *failure) -> None:
        for frame in self._cached:
            frame.unpersist()
        self._open.__exit__(*failure)

    def _look(self) -> tuple[Plan, Inputs]:
        """Compares what there is to read with what the last finished run had read."""
        before = intake.load(self.store, self.job.name)
        prefix = self.landing.prefix if self.landing else ""
        objects, self.ignored = intake.delivered(self.store, prefix) if prefix else ([], {})
        if prefix and not objects and not (self.landing.limits.optional and not before):
            others = "".join(f"; {one.objects} {reason}, such as {one.example}" for reason, one in self.ignored.items())
            raise LakehouseError(
                f"{self.landing.table}: no object to read under {self.store.uri(prefix)}; deliver data first, under names that "
                f"end in {', '.join(intake.SUFFIXES)}, each also with .gz{others}"
            )
        inputs = {intake.RULES: intake.rules(self.options.consent_gate), **{one.key: one.version for one in objects}}
        inputs |= {f"{intake.IGNORED}/{reason}": f"{one.objects} {one.example}" for reason, one in self.ignored.items()}
        inputs |= {name: tables.version(self.spark, self.name(name)) for name in self.job.tables}
        full = self.options.full_refresh or before.get(intake.RULES) != inputs[intake.RULES]
        for name in (self.job.target, *self.job.keeps):
            # Restored, emptied, or written by a run that did not finish: what was read before is no longer what is in there.
            full = full or not tables.holds(self.spark, self.name(name), before.get(name, ""))
        return intake.plan(before, objects, prefix, full), inputs

    @property
    def nothing_new(self) -> bool:
        plan, upstream = self.plan, self.job.tables
        if self.landing and not plan.new and not plan.known and not plan.before and not self.ignored:
            return True  # an optional source that has not delivered anything yet
        if plan.full or plan.new or any(plan.before.get(name) != self.inputs[name] for name in upstream):
            return False
        return intake.ignored(plan.before) == intake.ignored(self.inputs)

    def name(self, table: str) -> str:
        return tables.full_name(self.options.database, table)

    def table(self, table: str) -> DataFrame:
        return tables.read(self.spark, self.name(table))

    def table_before(self, table: str) -> DataFrame | None:
        """A table that the job reads, as the last finished run had read it; None when that version has expired."""
        return tables.as_of(self.spark, self.name(table), self.plan.before[table])

    def draft(self, table: str) -> Draft:
        """The draft of a table of this job, made when it is asked for the first time."""
        if table not in self._drafts:
            tables.reconcile(self.spark, self.name(table), contracts.load(table))
            self._drafts[table] = self._open.enter_context(tables.draft(self.spark, self.name(table)))
        return self._drafts[table]

    def cache(self, rows: DataFrame) -> DataFrame:
        """Keeps rows at hand until the run ends."""
        self._cached.append(rows.persist())
        return rows

    def view(self, rows: DataFrame, name: str) -> None:
        rows.createOrReplaceTempView(name)

    def gate(self, contract: Contract) -> Gated:
        return Gated(queries.gate(self.spark, contract, self.parameters), contract)

    @property
    def parameters(self) -> dict[str, str]:
        return {"consent_gate": self.options.consent_gate}

    def make_equal(
        self, table: str, accepted: DataFrame, at_most: int | None = None, scope: Scope | None = None
    ) -> publish.Written:
        """Writes into the draft of a table what makes it, or the part of it that `scope` gives, equal to the accepted rows.

        `at_most`: how many these can be, which decides about the number of files; None: the rows are partitioned as wanted.
        """
        draft, contract = self.draft(table), contracts.load(table)
        if draft.was_empty:
            return self._wrote(table, publish.append(draft, accepted, contract, at_most), None)
        current = scope(draft.rows()) if scope else draft.rows()
        return self.change(table, publish.difference(accepted, current, contract), whole=scope is None)

    def add(self, table: str, rows: DataFrame, at_most: int) -> publish.Written:
        """Writes rows whose keys are not in the table, to a table that is not the job's target; `at_most` as in make_equal."""
        return self._wrote(table, publish.append(self.draft(table), rows, contracts.load(table), at_most), None)

    def change(self, table: str, changes: DataFrame, whole: bool = False) -> publish.Written:
        """Writes changed rows into the draft of a table. `whole`: the checks look at every row of it, not only at these."""
        written, rows = publish.change(self.draft(table), changes, contracts.load(table))
        return self._wrote(table, written, None if whole else rows)

    def _wrote(self, table: str, written: publish.Written, changes: DataFrame | None) -> publish.Written:
        if written.total:
            self.changed.add(table)
        if written.total and table not in self.job.keeps:
            publish.audit(self.spark, self.draft(table), contracts.load(table), changes)
        return written

    def require_same_inputs(self) -> None:
        """Fails when a table that was read has changed since: its version at the start would stand for rows of another one."""
        for name in self.job.tables:
            if not tables.holds(self.spark, self.name(name), self.inputs[name]):
                raise tables.conflict(self.name(name))

    def publish(self) -> None:
        """The target after what is kept beside it: with it the run's work is visible. Then the quarantine: a run that dies in
        between is known by the other tables' versions, and the next one, over all files, mends it.
        """
        own = (*self.job.keeps, self.job.target)
        for table in (*own, *(other for other in self._drafts if other not in own)):
            if table in self.changed:
                self._publish(table)
        for table, rows in self.afterwards.items():
            del self._drafts[table]
            self.make_equal(table, rows)
            self._publish(table)

    def _publish(self, table: str) -> None:
        self.draft(table).publish()
        publish.compact(self.spark, self.name(table), contracts.load(table))
        self.draft(table).follow()

    def finish(self) -> None:
        """Records what was read. Only from here on it counts as taken in."""
        own = {name: draft.version for name, draft in self._drafts.items()}
        intake.save(self.store, self.job.name, {**self.inputs, **self._versions, **own}, self.id)


def run(spark: SparkSession, job: Job, options: Options) -> Entry:
    """Makes the target equal to what the rules accept of everything delivered. Readers see all of the change, or nothing."""
    with Run(spark, job, options) as this:
        if this.nothing_new:
            return Entry(job.name, this.id, job.target, mode="unchanged")
        result = job.compute(this)
        found = result.delivery.settle() if result.delivery else None
        tally = _tally(result, found)
        tally.check(job.target)
        if found:
            quarantine.write(this, found)
        this.require_same_inputs()
        this.publish()
        entry = Entry(
            job=job.name,
            run_id=this.id,
            table=job.target,
            mode="full" if this.plan.full else "incremental",
            read=tally.read,
            accepted=tally.accepted,
            excluded=tally.excluded,
            quarantined=found.quarantined if found else {},
            inserted=result.written.inserted,
            updated=result.written.updated,
            removed=result.written.removed,
            drift=found.drift if found else {},
            suspended=result.suspended,
            ignored=this.ignored,
            total=tables.rows(spark, this.name(job.target)),
        )
        ledger.record(spark, this.name(ledger.TABLE), entry)
        this.finish()
        return entry


def _tally(result: Result, found: Found | None) -> Tally:
    quarantined = sum(found.quarantined.values()) if found else 0
    read = result.read + (found.read if found else 0)
    tally = Tally(read, quarantined, tuple(gate.counts() for gate in result.gates), result.published)
    if tally.adds_up():
        return tally
    # Counted while the rows flowed, which repeated Spark tasks can distort: count again before calling it an error.
    read = result.read + (result.delivery.settle(exact=True).read if found else 0)
    return Tally(read, quarantined, tuple(gate.recount() for gate in result.gates), result.published)


def _put(options: Options, put: Callable[[Any, str, str], None]) -> None:
    """Puts metrics: `put` is given the client, the namespace and the lake. A missing metric is worth a line only."""
    if not options.metrics_namespace:
        return
    try:
        import boto3

        cloudwatch = boto3.client("cloudwatch", region_name=options.region or None)
        put(cloudwatch, options.metrics_namespace, options.lake_name)
    except Exception as error:
        print(f"metrics of the run are missing: {describe(error)}", file=sys.stderr, flush=True)
