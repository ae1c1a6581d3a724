"""Readings of a landing table -> its trusted table: those of people who share with research, from when they do (R3, R4).

A run reads new files. A subject is touched when consent about them has changed since the last run: what is in the table of those
who lost some is decided anew, and the earlier files that hold readings of those who may now have more are read again; the index,
the table that the job keeps, knows which.
"""

from __future__ import annotations

from lakehouse import drafts, erased, queries
from lakehouse.drafts import OP
from lakehouse.engines import Rows
from lakehouse.gates import Gate
from lakehouse.queries import REASON
from lakehouse.run import ReadEverything, Result, Run

ALREADY_DECIDED = "already_decided"
# Where people and devices are known from, and what they are known by.
_REGISTERS = ("customer_consent", "customer_suspension")
_REGISTERED = {"people": "email", "devices": "serialnumber"}
_SAME_PAIR = queries.same(("file", "subject"), "pairs", "known")
_NOBODY = "select cast(null as string) as subject, false as had, false as may_gain where false"


def compute(run: Run) -> Result:
    new = run.delivered()
    now = run.engine.keep(_subjects(run, run.read_tables(), new.rows))
    changed = None if run.plan.full else _changed(run, now)
    forgotten = _forgotten(run)
    _write_index(run, new.rows, forgotten)
    gate = Gate(run.engine, _gate(run, new.rows, now))
    if changed is None:
        gated = _each_once(run, _candidates(run, gate.passing, in_table=False))
        written = run.drafts.make_equal(run.job.target, gated.accepted)
        first = written.inserted if run.drafts[run.job.target].was_empty else None
        return Result((gate, gated), written, published=first, delivery=new)
    return _news(run, new, gate, now, changed, forgotten)


def _news(run: Run, new, gate: Gate, now: Rows, changed: Rows, forgotten: Rows | None) -> Result:
    """Makes the table equal for whoever is touched: the current rows are those with the key of a new one, and those of
    subjects who lost something."""
    engine, contract, table = run.engine, run.contract, run.job.target
    gates, incoming, read = [gate], gate.passing, 0
    again = _again(run, now, changed, forgotten)
    if again is not None:
        gates, read = [gate, again], sum(again.counts.values())
        columns = queries.filled(incoming, contract)
        both = f"select {columns} from one union all select {columns} from other"
        incoming = engine.sql(both, one=incoming, other=again.passing)
    incoming = engine.keep(_candidates(run, incoming, in_table=False))
    same = queries.same(contract.key, "present", "other")
    columns = queries.listed(contract.names, "present.")
    present = run.drafts.rows(table, drafts.bounds(engine, incoming, contract))
    current = engine.sql(f"select {columns} from present semi join other on {same}", present=present, other=incoming)
    if engine.fetch("select count(*) from changed where had", changed=changed) != [(0,)]:
        lost = engine.sql(
            f'select {columns} from present semi join changed on present."{run.job.subject}" = changed.subject and changed.had',
            present=run.drafts.rows(table),
            changed=changed,
        )
        current = engine.sql("select * from one union select * from other", one=current, other=lost)
    current = engine.keep(current)
    decided = engine.sql("select *, cast(null as string) as file_path from present", present=current)
    there = Gate(engine, _gate(run, decided, now))
    candidates = engine.sql(
        "select * from one union all select * from other",
        one=incoming,
        other=_candidates(run, there.passing, in_table=True),
    )
    gated = _each_once(run, candidates)
    wanted = engine.sql(
        f"select {queries.listed(contract.names)} from accepted union all "
        f"select {columns} from present anti join accepted as other on {same}",
        accepted=gated.accepted,
        # A later column may be one that the gate does not know yet.
        present=engine.sql(f"select {queries.filled(there.passing, contract)} from passing", passing=there.passing),
    )
    written = run.drafts.make_equal(table, wanted, current)
    return Result((*gates, gated), written, read, written.inserted + written.updated, delivery=new)


def _gate(run: Run, readings: Rows, subjects: Rows) -> Rows:
    inputs = {run.job.landing: readings, run.job.subjects: subjects}
    return queries.select(run.engine, "trusted", f"{run.job.source}_gated", run.parameters, **inputs)


def _candidates(run: Run, rows: Rows, in_table: bool) -> Rows:
    text = f"select {queries.filled(rows, run.contract)}, {str(in_table).lower()} as in_table from passing"
    return run.engine.sql(text, passing=rows)


def _each_once(run: Run, candidates: Rows):
    return run.gate(**{f"{run.job.source}_passing": candidates})


# --- consent over time (R10) ---


def _subjects(run: Run, tables: dict[str, Rows], new: Rows | None = None) -> Rows:
    """What the gate asks about everybody whom the tables know, and about the erased among those of new readings."""
    engine, column = run.engine, _REGISTERED[run.job.subjects]
    known = {name: engine.sql(f"select {column} as subject from known", known=tables[name]) for name in _REGISTERS}
    if new is not None:
        known["readings"] = engine.sql(f'select "{run.job.subject}" as subject from known', known=new)
    asked = engine.sql(" union all ".join(f"select subject from {name}" for name in known), **known)
    tables = {**tables, "erased": run.erased(tables[erased.LEDGER], asked)}
    known = queries.with_shared(engine, "trusted", run.job.subjects, tables)
    return queries.select(run.engine, "trusted", run.job.subjects, **known)


def _changed(run: Run, now: Rows) -> Rows:
    """Subjects about whom the gate decides otherwise than in the last run: those who `had` rows in the table that may not
    pass now, and those who `may_gain` some."""
    if not run.has_new_tables:
        return run.engine.sql(_NOBODY)
    before = run.tables_before()
    if before is None:
        raise ReadEverything
    same = " and ".join(f"old.{name} is not distinct from new.{name}" for name in ("passes_from", "erased_at"))
    less = "(coalesce(new.passes_from < old.passes_from, false) or coalesce(new.erased_at, 0) < coalesce(old.erased_at, 0))"
    passed, passes = (f"({side}.subject is not null and {side}.refusal is null)" for side in ("old", "new"))
    changed = run.engine.sql(
        f"""select * from (
            select coalesce(old.subject, new.subject) as subject,
                {passed} and not ({passes} and {same}) as had,
                {passes} and (not {passed} or {less}) as may_gain
            from old full outer join new on old.subject = new.subject
        ) where had or may_gain""",
        old=_subjects(run, before),
        new=now,
    )
    return run.engine.keep(changed)


def _again(run: Run, now: Rows, changed: Rows, forgotten: Rows | None) -> Gate | None:
    """Readings in earlier files of subjects who may now have more rows than before; all others were decided on then."""
    engine = run.engine
    gaining = engine.sql("select subject from changed where may_gain", changed=changed)
    named = engine.sql("select sha2(subject, 256) as subject from gaining", gaining=gaining)
    in_files = "select distinct file from known semi join named on known.subject = named.subject"
    known = run.table(_index(run))
    if forgotten is not None:
        known = engine.sql(f"select known.* from known anti join pairs on {_SAME_PAIR}", known=known, pairs=forgotten)
    keys = {file for (file,) in engine.fetch(in_files, known=known, named=named)}
    if not keys:
        return None
    # Bad rows among them were quarantined by the run that took the file in.
    rows = _gate(run, run.delivered_before(keys).rows, now)
    others = ", ".join(f'readings."{name}"' for name in rows.columns if name != REASON)
    rows = engine.sql(
        f"select {others}, case when gaining.subject is null then '{ALREADY_DECIDED}' else readings.{REASON} end as {REASON} "
        f'from readings left join gaining on readings."{run.job.subject}" = gaining.subject',
        readings=rows,
        gaining=gaining,
    )
    return Gate(engine, engine.keep(rows))


# --- which files hold readings of whom ---


def _index(run: Run) -> str:
    (index,) = run.job.keeps
    return index


def _write_index(run: Run, rows: Rows, forgotten: Rows | None) -> None:
    engine = run.engine
    pairs = engine.sql(
        "select file_path as file, sha2(subject, 256) as subject "
        f'from (select distinct file_path, "{run.job.subject}" as subject from readings)',
        readings=rows,
    )
    pairs = run.engine.keep(pairs)
    if run.plan.full:
        run.drafts.make_equal(_index(run), pairs)
    elif forgotten is None:
        run.drafts.add(_index(run), pairs)
    else:
        # A file that was removed with their lines may have come again.
        changes = engine.sql(
            f"select file, subject, 'insert' as {OP} from pairs anti join known on {_SAME_PAIR} union all "
            f"select file, subject, 'delete' as {OP} from forgotten as known anti join pairs on {_SAME_PAIR}",
            pairs=pairs,
            known=run.table(_index(run)),
            forgotten=forgotten,
        )
        run.drafts.change(_index(run), changes)


def _forgotten(run: Run) -> Rows | None:
    """Rows of the index about subjects who were erased since the last run: their lines are gone from these files (R17).
    None where nobody was."""
    before = run.tables_before() if run.has_new_tables and not run.plan.full else None
    if before is None:
        return None
    engine, known, now = run.engine, run.table(_index(run)), run.read_tables()[erased.LEDGER]
    people = erased.since(engine, run.store, before[erased.LEDGER], now, known)
    if people is None:
        return None
    text = "select known.* from known semi join people on known.subject = people.subject"
    return engine.keep(engine.sql(text, known=known, people=people))
