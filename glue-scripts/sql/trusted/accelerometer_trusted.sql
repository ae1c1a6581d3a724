-- Accelerometer readings of customers who share with research, each once (R3).
-- One row per reading that passes accelerometer_gated and is not in the table yet; `reason` says why it is left out.

-- The key is the whole row: of equal rows the one that is in the table already stays, else any.
with numbered as (
    select
        *,
        row_number() over (partition by "user", "timestamp", x, y, z order by in_table desc) as place
    from accelerometer_passing
)

select
    "user",
    "timestamp",
    x,
    y,
    z,
    case when place > 1 then 'duplicate' end as reason
from numbered
where not in_table
