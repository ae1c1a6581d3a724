"""One run of a job: see what is new, read, gate, write drafts, check, publish. The contracts say what is read and written."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from lakehouse import contracts, engines, erased, intake, ledger, quarantine, queries, storage, tables
from lakehouse.contracts import Contract
from lakehouse.delivery import Delivery
from lakehouse.drafts import Drafts, Written
from lakehouse.engines import Engine, Rows
from lakehouse.errors import FailedChecks, LakehouseError, describe
from lakehouse.gates import Gate, Gated, Tally
from lakehouse.intake import Inputs, Plan
from lakehouse.ledger import Entry
from lakehouse.storage import Store
from lakehouse.tables import Tables

GIB = 2**30
# A gzip of lines unpacks to about as many times its size.
_UNPACKED = 8


@dataclass(frozen=True, kw_only=True)
class Job(contracts.Job):
    """What a job reads and writes, and what it does."""

    compute: Callable[[Run], Result]


@dataclass(frozen=True)
class Options:
    """The arguments of a run, as the job definition gives them. Defaults are those of a run without AWS.

    `engine`: duckdb, spark, or auto: by what there is to read, Spark from `spark_from_gib` GiB on.
    """

    lake_uri: str
    database: str
    consent_gate: str = "as-of"
    run_id: str = ""
    full_refresh: bool = False
    quarantined_share: float | None = None
    metrics_namespace: str = ""
    lake_name: str = ""
    region: str = ""
    engine: str = engines.AUTO
    spark_from_gib: float = 4.0


@dataclass(frozen=True)
class Result:
    """What a computation found and wrote into the drafts of its run.

    `gates`: the SELECTs that the rows went through, the target's own last. `read`: rows of the source, or of earlier files;
    those of new files are counted by the `delivery`. `published`: see Tally. `suspended`: see Entry. `afterwards`: rows that a
    table has to have once all are published, where that must not be before.
    """

    gates: tuple[Gate, ...]
    written: Written
    read: int = 0
    published: int | None = None
    delivery: Delivery | None = None
    suspended: int | None = None
    afterwards: dict[str, Rows] = field(default_factory=dict)


class ReadEverything(Exception):
    """What is new does not do: the run has to begin again, with everything there is."""


@dataclass(frozen=True)
class Run:
    """What a computation is given. `plan`: what it reads; `inputs`: versions of all that it could read."""

    job: Job
    options: Options
    id: str
    store: Store
    tables: Tables
    plan: Plan
    inputs: Inputs
    engine: Engine
    drafts: Drafts

    @property
    def contract(self) -> Contract:
        return contracts.load(self.job.target)

    @property
    def landing(self) -> Contract:
        return contracts.load(self.job.landing)

    @property
    def parameters(self) -> dict[str, str]:
        return {"consent_gate": self.options.consent_gate}

    def erased(self, ledger: Rows, subjects: Rows) -> Rows:
        """Those of the `subject`s who were erased, and until when nothing of theirs passes: `subject`, `erased_at` (R17)."""
        return erased.among(self.engine, self.store, ledger, subjects)

    def delivered(self) -> Delivery:
        """What is new in landing."""
        return Delivery(self.engine, self.landing, self.store, self.plan.new, self.options.quarantined_share)

    def delivered_before(self, keys: set[str]) -> Delivery:
        """Objects that an earlier run has taken in, read once more."""
        objects = [one for one in self.plan.known if one.key in keys]
        if len(objects) < len(keys):
            raise LakehouseError(f"{self.landing.table}: files that were read are gone; run the job with --full_refresh")
        return Delivery(self.engine, self.landing, self.store, objects, 1.0)

    @property
    def has_new_tables(self) -> bool:
        """Whether a table that the job reads is another one than in the last finished run."""
        return _has_new_tables(self.job, self.plan, self.inputs)

    def table(self, table: str) -> Rows:
        """A table as it is now."""
        loaded = self.tables.load(table)
        return self.engine.table(loaded, loaded.current_snapshot())

    def read_tables(self) -> dict[str, Rows]:
        """The tables that the job reads, as they were when it began: what is recorded as read is what was read."""
        return {name: self._as_of(name, self.inputs[name]) for name in self.job.reads}

    def tables_before(self) -> dict[str, Rows] | None:
        """The same as the last finished run had read them; None when one of those versions has expired."""
        try:
            return {name: self._as_of(name, self.plan.before[name]) for name in self.job.reads}
        except KeyError:
            return None

    def _as_of(self, table: str, version: str) -> Rows:
        loaded = self.tables.load(table)
        return self.engine.table(loaded, tables.as_of(loaded, version))

    def gate(self, **inputs: Rows) -> Gated:
        """The rows of the target's own SELECT."""
        rows = queries.gate(self.engine, self.contract, self.parameters, **inputs)
        return Gated(self.engine, self.engine.keep(rows), self.contract)


def run(job: Job, options: Options) -> Entry:
    """Makes the target equal to what the rules accept of everything delivered. Readers see all of the change, or nothing."""
    run_id = options.run_id or f"local-{uuid.uuid4().hex}"
    store, of = storage.open_store(options.lake_uri), Tables(options.lake_uri, options.database, options.region)
    plan, inputs, ignored, seen = _look(job, options, store, of)
    if _nothing_new(job, plan, inputs, ignored):
        return Entry(job.name, run_id, job.target, mode="unchanged")

    def with_plan(plan: Plan) -> Entry:
        engine = engines.start(_engine(job, options, of, plan), options.lake_uri)
        this = Run(job, options, run_id, store, of, plan, inputs, engine, Drafts(engine, of, seen))
        try:
            return _run(this, ignored)
        except FailedChecks as error:
            _record_failed(this, error)
            raise
        finally:
            engine.close()

    try:
        return with_plan(plan)
    except ReadEverything:
        return with_plan(plan.everything())


def _run(this: Run, ignored: dict[str, intake.Ignored]) -> Entry:
    job, of = this.job, this.tables
    with this.drafts as drafts:
        result = job.compute(this)
        found = result.delivery.found if result.delivery else None
        quarantined = found.quarantined if found else {}
        read = result.read + (found.read if found else 0)
        tally = Tally(read, sum(quarantined.values()), tuple(gate.counts for gate in result.gates), result.published)
        tally.check(job.target)
        if found:
            quarantine.write(this, found)
        _require_same_inputs(this)
        # The target after what is kept beside it: with it the run's work is visible. Then the quarantine: a run that dies in
        # between is known by the other tables' versions, and the next one, over all files, mends it.
        drafts.publish((*job.keeps, job.target))
        for table, rows in result.afterwards.items():
            drafts.publish_again(table, rows)
        entry = Entry(
            job=job.name,
            run_id=this.id,
            table=job.target,
            mode="full" if this.plan.full else "incremental",
            engine=this.engine.name,
            read=tally.read,
            accepted=tally.accepted,
            excluded=tally.excluded,
            quarantined=quarantined,
            inserted=result.written.inserted,
            updated=result.written.updated,
            removed=result.written.removed,
            drift=found.drift if found else {},
            suspended=result.suspended,
            ignored=ignored,
            total=of.rows(job.target),
        )
        ledger.record(this.engine, of, entry, drafts.checked)
        # Only from here on what was read counts as taken in.
        intake.save(this.store, job, {**this.inputs, **drafts.versions()}, this.id)
        return entry


def _record_failed(this: Run, error: FailedChecks) -> None:
    """Leaves in the ledger what the checks of a failed run have found. No run reads the ledger to know what is new, so that its
    lines change nothing for the next one."""
    try:
        ledger.record_failed(this.engine, this.tables, this.job.name, this.id, this.drafts.checked)
    except Exception as other:
        raise FailedChecks(f"{error}; {ledger.TABLE} does not say so: {describe(other)}") from error


def _look(job: Job, options: Options, store: Store, of: Tables) -> tuple[Plan, Inputs, dict[str, intake.Ignored], Inputs]:
    """Compares what there is to read with what the last finished run had read. The last: versions of the job's own tables."""
    # First: when another run is ahead of this one, from here on, it is seen by them.
    own = {name: of.load(name) for name in (job.target, *job.keeps)}
    landing = contracts.load(job.landing) if job.landing else None
    rewritten = intake.rewritten(store, landing.prefix) if landing else {}
    intake.require_finished(rewritten)
    before = intake.followed(intake.load(store, job), rewritten)
    objects, ignored = intake.delivered(store, landing.prefix, rewritten) if landing else ([], {})
    gone = any(one.version is None for one in rewritten.values())
    if landing and not objects and not gone and not (landing.limits.optional and not before):
        others = "".join(f"; {one.objects} {reason}, such as {one.example}" for reason, one in ignored.items())
        raise LakehouseError(
            f"{landing.table}: no object to read under {store.uri(landing.prefix)}; deliver data first, under names that "
            f"end in {', '.join(intake.SUFFIXES)}, each also with .gz{others}"
        )
    inputs = {intake.RULES: intake.rules(options.consent_gate), **{one.key: one.version for one in objects}}
    inputs |= {f"{intake.IGNORED}/{reason}": f"{one.objects} {one.example}" for reason, one in ignored.items()}
    inputs |= {name: of.version(name) for name in job.reads}
    full = options.full_refresh or before.get(intake.RULES) != inputs[intake.RULES]
    for name, table in own.items():
        # Restored, emptied, or written by a run that did not finish: what was read before is no longer what is in there.
        full = full or not tables.holds(table, before.get(name, ""))
    seen = {name: tables.version(table.current_snapshot()) for name, table in own.items()}
    return intake.plan(before, objects, landing.prefix if landing else "", full), inputs, ignored, seen


def _has_new_tables(job: Job, plan: Plan, inputs: Inputs) -> bool:
    return any(plan.before.get(name) != inputs[name] for name in job.reads)


def _nothing_new(job: Job, plan: Plan, inputs: Inputs, ignored: dict[str, intake.Ignored]) -> bool:
    if job.landing and not plan.new and not plan.known and not plan.before and not ignored:
        return True  # an optional source that has not delivered anything yet
    if plan.full or plan.new or _has_new_tables(job, plan, inputs):
        return False
    return intake.ignored(plan.before) == intake.ignored(inputs)


def _engine(job: Job, options: Options, of: Tables, plan: Plan) -> str:
    """The engine for what there is to read: new landing objects, and the tables."""
    if options.engine != engines.AUTO:
        return options.engine
    landed = sum(one.size * (_UNPACKED if one.is_packed else 1) for one in plan.new)
    read = landed + sum(tables.size(of.load(name)) for name in (*job.reads, job.target))
    return engines.SPARK if read >= options.spark_from_gib * GIB else engines.DUCKDB


def _require_same_inputs(this: Run) -> None:
    """Fails when a table that was read has changed since: consent in it may have been withdrawn."""
    for name in this.job.reads:
        if not this.tables.holds(name, this.inputs[name]):
            raise tables.conflict(this.tables.full_name(name))
