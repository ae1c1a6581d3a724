"""Readings of a landing table -> its trusted table: those of people who share with research, from when they do (R3, R4).

A run reads new files. When consent has changed since the last run, rows in the table that no longer pass are removed, and the
earlier files that hold readings of those who may now pass are read again; the table <source>_index knows which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse import delivery, publish, queries, tables
from lakehouse.delivery import Delivery
from lakehouse.job import Result, Run
from lakehouse.ledger import Gate, filled
from lakehouse.publish import DELETE, INSERT, OP, UPDATE
from lakehouse.queries import REASON

ALREADY_DECIDED = "already_decided"


@dataclass(frozen=True)
class Readings:
    """`subject` is the column that says whose reading it is; `subjects` the SELECT of what the gate asks about them."""

    source: str
    subject: str
    subjects: str

    def compute(self, run: Run) -> Result:
        changed = None if run.plan.full else self._changed_subjects(run)
        if changed is None:
            run.plan = run.plan.everything()
        run.view(self._subjects(run, run.table), self.subjects)
        new = Delivery(run)
        lines = self._write_index(run, new)
        return self._everything(run, new, lines) if changed is None else self._news(run, new, changed)

    def _everything(self, run: Run, new: Delivery, lines: int) -> Result:
        """All rows anew, in one pass from the files to the table."""
        gate = Gate(self._gate(run, new.rows))
        candidates = self._candidates(run, gate.passing, in_table=False)
        # One shuffle by subject serves the SELECT, which asks for each key once, and the files, which are sorted by subject.
        gated = self._each_once(run, candidates.repartition(publish.files_for(run.spark, lines), self.subject))
        return Result((gate, gated), run.make_equal(run.job.target, gated.accepted), delivery=new)

    def _news(self, run: Run, new: Delivery, changed: _Changed) -> Result:
        """Rows of new files, and what changed consent asks for."""
        rows, again = self._gate(run, new.rows), self._again(run, changed)
        gate = Gate(rows if again is None else rows.unionByName(again))
        passing = run.cache(self._candidates(run, gate.passing, in_table=False))
        key = list(run.contract.key)
        table = run.draft(run.job.target).rows()
        near = tables.near(table, passing, run.contract)
        present = near.join(passing.select(*key).distinct(), key, "left_semi").localCheckpoint()
        gated = self._each_once(run, passing.unionByName(self._candidates(run, present, in_table=True)))
        there = present.select(*key).withColumn("_there", F.lit(True))
        put = gated.accepted.join(there, key, "left")
        put = put.select(*run.contract.names, F.when(F.col("_there"), UPDATE).otherwise(INSERT).alias(OP))
        written = run.change(run.job.target, put.unionByName(self._gone(run, table, changed)))
        read = 0 if again is None else again.count()
        return Result((gate, gated), written, read, published=written.inserted + written.updated, delivery=new)

    def _gate(self, run: Run, readings: DataFrame) -> DataFrame:
        run.view(readings, f"{self.source}_landing")
        return queries.select(run.spark, "trusted", f"{self.source}_gated", run.parameters)

    def _candidates(self, run: Run, rows: DataFrame, in_table: bool) -> DataFrame:
        return rows.select(*filled(rows, run.contract), F.lit(in_table).alias("in_table"))

    def _each_once(self, run: Run, candidates: DataFrame):
        run.view(candidates, f"{self.source}_passing")
        return run.gate(run.contract)

    # --- consent over time (R10) ---

    def _subjects(self, run: Run, table: Callable[[str], DataFrame | None]) -> DataFrame | None:
        """The SELECT of subjects over tables that `table` gives by name; None when one of them is not to be had."""
        for name in run.job.tables:
            rows = table(name)
            if rows is None:
                return None
            run.view(rows, name)
        for name in queries.shared("trusted", self.subjects):
            run.view(queries.select(run.spark, "trusted", name), name)
        return queries.select(run.spark, "trusted", self.subjects)

    def _changed_subjects(self, run: Run) -> _Changed | None:
        """Subjects about whom the gate decides otherwise than in the last run; None when a version of that run has expired."""
        if all(run.plan.before.get(name) == run.inputs[name] for name in run.job.tables):
            return _Changed(None, 0, 0)
        before = self._subjects(run, run.table_before)
        if before is None:
            return None
        old, new = before.alias("old"), self._subjects(run, run.table).alias("new")
        passed, passes = _passes("old"), _passes("new")
        earlier = F.coalesce(F.col("new.passes_from") < F.col("old.passes_from"), F.lit(False))
        changed = old.join(new, F.col("old.subject") == F.col("new.subject"), "full_outer").select(
            F.coalesce("old.subject", "new.subject").alias("subject"),
            (passed & ~(passes & F.col("old.passes_from").eqNullSafe(F.col("new.passes_from")))).alias("had"),
            (passes & (~passed | earlier)).alias("may_gain"),
        )
        numbers = Observation()
        counts = [F.count_if(name).alias(name) for name in ("had", "may_gain")]
        changed = changed.where("had or may_gain").observe(numbers, *counts).localCheckpoint()
        return _Changed(changed, **numbers.get)

    def _again(self, run: Run, changed: _Changed) -> DataFrame | None:
        """Readings in earlier files of subjects who may now have more rows than before; all others were decided on then."""
        if not changed.may_gain:
            return None
        gaining = changed.subjects.where("may_gain").select("subject")
        index = run.table(self._index)
        wanted = gaining.select(F.sha2("subject", 256).alias("subject"))
        files = index.join(wanted, "subject", "left_semi").select("file").distinct().collect()
        keys = {row.file for row in files}
        if not keys:
            return None
        gains = gaining.select(F.col("subject").alias(self.subject), F.lit(True).alias("_gains"))
        rows = self._gate(run, delivery.again(run, keys).rows).join(gains, self.subject, "left")
        reason = F.when(F.col("_gains").isNull(), ALREADY_DECIDED).otherwise(F.col(REASON))
        # Bad rows among them were quarantined by the run that took the file in.
        return run.cache(rows.withColumn(REASON, reason).drop("_gains"))

    def _gone(self, run: Run, table: DataFrame, changed: _Changed) -> DataFrame:
        """Rows of the table that no longer pass."""
        nothing = F.lit(None).cast("string")
        if not changed.had:
            return table.limit(0).withColumn(OP, nothing)
        had = changed.subjects.where("had").select(F.col("subject").alias(self.subject))
        rows = table.join(F.broadcast(had), self.subject, "left_semi")
        out = self._gate(run, rows.withColumn("file_path", nothing)).where(F.col(REASON).isNotNull())
        return out.select(*filled(out, run.contract), F.lit(DELETE).alias(OP))

    # --- which files hold readings of whom ---

    @property
    def _index(self) -> str:
        return f"{self.source}_index"

    def _write_index(self, run: Run, new: Delivery) -> int:
        """Adds the new files; gives back how many lines they have."""
        if not run.plan.new:
            return 0
        found = new.landing.survey(self.subject, run.cache)
        named = found.where(F.col(self.subject).isNotNull())
        # Through the gate's SELECT, which says how a subject is written.
        rows = self._gate(run, named.select(*filled(named, run.landing), "file_path"))
        pairs = rows.select("file_path", self.subject).distinct()
        file = delivery.file_key(run, F.col("file_path")).alias("file")
        pairs = pairs.select(file, F.sha2(self.subject, 256).alias("subject"))
        if run.plan.full:
            run.make_equal(self._index, pairs, new.landing.lines // 100)
        else:
            run.add(self._index, pairs, new.landing.lines // 100)
        return new.landing.lines


@dataclass(frozen=True)
class _Changed:
    """Subjects who `had` rows in the table that may not pass now, or `may_gain` some, and how many of each."""

    subjects: DataFrame | None
    had: int
    may_gain: int


def _passes(side: str) -> Column:
    """Whether any reading of the subject passes."""
    return F.col(f"{side}.subject").isNotNull() & F.col(f"{side}.refusal").isNull()
