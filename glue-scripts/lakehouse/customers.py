"""customer_landing -> customer_trusted. Beside it: what is known of everybody's consent -> customer_consent (R1, R2), and what
suspends people -> customer_suspension (R13). From all of them goes who was erased (R17)."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse import contracts, erased, queries
from lakehouse.engines import Rows
from lakehouse.run import ReadEverything, Result, Run

CONSENT, SUSPENSION = "customer_consent", "customer_suspension"
_NOBODY = "select cast(null as string) as email, cast(null as string) as serialnumber where false"


def compute(run: Run) -> Result:
    """A run reads new files. Who was suspended and is not any more, without a record among them, makes it read everything."""
    engine, drafts, full = run.engine, run.drafts, run.plan.full
    read = run.delivered()
    rejected = read.found.rejected
    before = _unless(run, full, drafts.rows(CONSENT))
    forgotten = _forgotten(run, read.rows, before)
    records = engine.keep(
        queries.select(engine, "landing", "customer_records", customer_landing=read.rows, erased=forgotten.erased)
    )
    known = engine.sql("select b.* from b anti join f on b.email = f.email", b=before, f=forgotten.consent)
    current = engine.keep(queries.select(engine, "consent", CONSENT, customer_records=records, customer_consent=known))
    suspended = None
    if rejected is not None or (not full and run.tables.rows(SUSPENSION)):
        suspended = _suspended(run, rejected, before, known, current, forgotten)
    nobody = engine.sql(_NOBODY)
    gated = run.gate(customer_records=records, customer_current=current, suspended=suspended.now if suspended else nobody)
    scope = None
    if not full:
        # Persons whose current record is among those read, who is erased and who is suspended since this run.
        decided = engine.sql(
            f"select email from gated where coalesce({queries.REASON}, '') not in ('superseded', 'erased') "
            "union all select email from forgotten",
            gated=gated.rows,
            forgotten=forgotten.people,
        )
        if suspended:
            lifted = "select count(*) from lifted anti join decided on lifted.email = decided.email"
            if engine.fetch(lifted, lifted=suspended.lifted, decided=decided) != [(0,)]:
                raise ReadEverything
            both = "select email from decided union all select email from since"
            decided = engine.sql(both, decided=decided, since=suspended.people_since)
        scope = _of(run, run.job.target, decided)
    written = drafts.make_equal(run.job.target, gated.accepted, scope)
    people = engine.sql("select email from current union all select email from gone", current=current, gone=forgotten.consent)
    drafts.make_equal(CONSENT, current, None if full else _of(run, CONSENT, people))
    afterwards = _write_suspending(run, suspended.by if suspended else None)
    suspended_people = _count(run, suspended.people) if suspended else 0
    return Result((gated,), written, delivery=read, suspended=suspended_people, afterwards=afterwards)


@dataclass(frozen=True)
class _Forgotten:
    """`erased`: see Run.erased. What is known of them, and was before they were erased: `consent`: by address; `suspending`: what
    suspends. `people`: those of whom nothing is known then.
    """

    erased: Rows
    consent: Rows
    suspending: Rows
    people: Rows


def _forgotten(run: Run, records: Rows, known: Rows) -> _Forgotten:
    engine, there = run.engine, run.drafts.rows(SUSPENSION)
    asked = " union all ".join(f"select email as subject from {name}" for name in ("records", "known", "there"))
    asked = engine.sql(asked, records=records, known=known, there=there)
    found = run.erased(run.read_tables()[erased.LEDGER], asked)
    # What is known of somebody's consent is judged as the record that it is of.
    columns = f"select {queries.filled(known, run.landing)}, file_path, file_modified from known"
    asked = engine.sql(columns, known=known)
    judged = queries.select(engine, "landing", "customer_records", customer_landing=asked, erased=found)
    consent = engine.keep(engine.sql("select email from judged where is_erased", judged=judged))
    text = "select there.* from there join erased on there.email = erased.subject where there.delivered <= erased.erased_at"
    suspending = engine.keep(engine.sql(text, there=there, erased=found))
    people = engine.sql(
        "select email from consent union all select suspending.email from suspending "
        "anti join known on suspending.email = known.email",
        consent=consent,
        suspending=suspending,
        known=known,
    )
    return _Forgotten(found, consent, suspending, people)


@dataclass(frozen=True)
class _Suspended:
    """`by`: what suspends, as the table is to hold it. `now`: people and devices. `people`: their addresses; `people_since`: of
    those who were not before this run; `lifted`: of those who were.
    """

    by: Rows
    now: Rows
    people: Rows
    people_since: Rows
    lifted: Rows


def _suspended(
    run: Run, rejected: Rows | None, consent_before: Rows, known: Rows, current: Rows, forgotten: _Forgotten
) -> _Suspended:
    engine = run.engine
    there = _unless(run, run.plan.full, run.drafts.rows(SUSPENSION))
    before = _people(run, there, consent_before)[1]
    same = queries.same(contracts.load(SUSPENSION).key, "there", "gone")
    there = engine.sql(f"select there.* from there anti join gone on {same}", there=there, gone=forgotten.suspending)
    by = there
    if rejected is not None:
        by = engine.keep(queries.select(engine, "suspension", SUSPENSION, customer_rejected=rejected, customer_suspension=there))
    everybody = engine.sql(
        f"select {_CONSENT_COLUMNS} from known anti join current on known.email = current.email "
        f"union all select {_CONSENT_COLUMNS} from current",
        known=known,
        current=current,
    )
    now, people = _people(run, by, everybody)
    but = "select a.email from a anti join b on a.email = b.email"
    return _Suspended(by, now, people, engine.sql(but, a=people, b=before), engine.sql(but, a=before, b=people))


_CONSENT_COLUMNS = queries.listed(contracts.load(CONSENT).names)


def _people(run: Run, by: Rows, consent: Rows) -> tuple[Rows, Rows]:
    """Who is suspended with which device, and the people alone."""
    engine = run.engine
    now = engine.keep(queries.select(engine, "trusted", "suspended", customer_suspension=by, customer_consent=consent))
    return now, engine.sql("select distinct email from now_suspended", now_suspended=now)


def _count(run: Run, rows: Rows) -> int:
    ((number,),) = run.engine.fetch("select count(*) from counted", counted=rows)
    return number


def _of(run: Run, table: str, people: Rows) -> Rows:
    """The rows of these people that there are in a table of theirs."""
    text = "select present.* from present semi join people on present.email = people.email"
    return run.engine.sql(text, present=run.drafts.rows(table), people=people)


def _unless(run: Run, full: bool, rows: Rows) -> Rows:
    """Nothing of an earlier run counts where everything is read anew."""
    return run.engine.sql("select * from present where false", present=rows) if full else rows


def _write_suspending(run: Run, suspending: Rows | None) -> dict[str, Rows]:
    """Every run has all rows at hand: they are few. They are published before the consent, and what is to go from them goes after
    that: a run that dies in between leaves more people suspended, never less. Gives what is written afterwards.
    """
    engine, drafts = run.engine, run.drafts
    there = drafts.rows(SUSPENSION)
    if suspending is None:
        if not run.plan.full or not run.tables.rows(SUSPENSION):
            return {}
        suspending = engine.sql("select * from present where false", present=there)
    same = queries.same(contracts.load(SUSPENSION).key, "there", "suspending")
    going = f"select there.* from there anti join suspending on {same}"
    going = engine.keep(engine.sql(going, there=there, suspending=suspending))
    if not _count(run, going):
        drafts.make_equal(SUSPENSION, suspending)
        return {}
    suspending = engine.keep(suspending)
    columns = queries.listed(contracts.load(SUSPENSION).names)
    both = f"select {columns} from suspending union all select {columns} from going"
    drafts.make_equal(SUSPENSION, engine.sql(both, suspending=suspending, going=going))
    return {SUSPENSION: suspending}
