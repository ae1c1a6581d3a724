"""Tables made of other tables, such as customer_curated (R5) and machine_learning_curated (R6): computed anew, and the difference
written."""

from __future__ import annotations

from lakehouse import queries
from lakehouse.run import Result, Run


def compute(run: Run) -> Result:
    engine, contract = run.engine, run.contract
    known = queries.with_shared(engine, contract.zone, contract.table, run.read_tables())
    gated = run.gate(**known)
    # The table or shared SELECT each of whose rows the SELECT gives once.
    ((read,),) = engine.fetch("select count(*) from counted", counted=known[run.job.rows_of])
    return Result((gated,), run.drafts.make_equal(run.job.target, gated.accepted, others=known), read)
