-- Step trainer readings of curated customers (R4, R5), from the day they share with research (R3).
-- One row per delivered reading; `reason` says why it is left out. :consent_gate is 'as-of' or 'ever'.
with readings as (
    select
        sensorreadingtime,
        serialnumber,
        distancefromobject
    from step_trainer_landing
),

customer_current as (
    select * from customer_current
),

customer_curated as (
    select * from customer_curated
),

-- Everybody registered with a device, consenting or not.
registrations as (
    select
        customer_current.serialnumber,
        customer_current.sharewithresearchasofdate as shared_from,
        coalesce(customer_current.sharewithresearchasofdate, 0) > 0 as has_consent,
        customer_curated.email is not null as is_curated
    from customer_current
    left join customer_curated on customer_current.email = customer_curated.email
    where customer_current.serialnumber is not null
),

-- A reading passes only when all customers of its device pass (R4): the last of them to share decides the date.
devices as (
    select
        serialnumber,
        count(*) as customers,
        bool_and(has_consent) as all_consent,
        bool_and(has_consent and is_curated) as all_pass,
        max(shared_from) as all_shared_from
    from registrations
    group by serialnumber
),

gated as (
    select
        readings.*,
        case
            when devices.serialnumber is null then 'unknown_customer'
            when
                devices.all_pass
                and (:consent_gate = 'ever' or readings.sensorreadingtime >= devices.all_shared_from)
                then null
            when devices.customers > 1 then 'ambiguous_device'
            when not devices.all_consent then 'no_consent'
            when not devices.all_pass then 'no_readings'
            else 'before_consent'
        end as gate_reason
    from readings
    left join devices on readings.serialnumber = devices.serialnumber
),

-- Of several readings of a device at one time the smallest distance stays, whatever the order of delivery (R9).
numbered as (
    select
        *,
        row_number() over (partition by serialnumber, sensorreadingtime order by distancefromobject) as delivery
    from gated
),

final as (
    select
        sensorreadingtime,
        serialnumber,
        distancefromobject,
        coalesce(gate_reason, case when delivery > 1 then 'duplicate' end) as reason
    from numbered
)

select * from final
