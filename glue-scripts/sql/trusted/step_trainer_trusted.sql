-- Step trainer readings of curated customers, one for each device and time (R4, R5).
-- One row per reading that passes step_trainer_gated and is not in the table yet; `reason` says why it is left out.

-- Of several readings of a device at one time the smallest distance stays, whatever the order of delivery (R9).
with numbered as (
    select
        *,
        row_number() over (
            partition by serialnumber, sensorreadingtime
            order by distancefromobject asc, in_table desc
        ) as place
    from step_trainer_passing
)

select
    sensorreadingtime,
    serialnumber,
    distancefromobject,
    case when place > 1 then 'duplicate' end as reason
from numbered
where not in_table
