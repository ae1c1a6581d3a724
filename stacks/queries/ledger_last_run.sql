-- What became of the rows in the last run of each job (R7): read = accepted + excluded + quarantined.
-- With `suspended` the number is of people (R13), with `ignored` of objects, and example is the key of one (R15).
with run_ledger as (
    select * from run_ledger
),

last_runs as (
    select
        job,
        max(recorded_at) as recorded_at
    from run_ledger
    group by job
),

final as (
    select
        run_ledger.job,
        run_ledger.table_name,
        run_ledger.outcome,
        run_ledger.reason,
        run_ledger."rows",
        run_ledger.example,
        run_ledger.run_id,
        run_ledger.engine,
        from_unixtime(run_ledger.recorded_at / 1000) as recorded_at
    from run_ledger
    inner join last_runs on run_ledger.job = last_runs.job and run_ledger.recorded_at = last_runs.recorded_at
)

select * from final
order by job, table_name, outcome, reason
