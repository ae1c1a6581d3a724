-- Accelerometer readings of customers who share with research, from the day they do (R3).
-- One row per delivered reading; `reason` says why it is left out. :consent_gate is 'as-of' or 'ever'.
with readings as (
    select
        lower(trim(`user`)) as `user`,
        timestamp,
        x,
        y,
        z
    from accelerometer_landing
),

customer_current as (
    select * from customer_current
),

customer_trusted as (
    select * from customer_trusted
),

-- Everybody we know; shared_from is null for those who do not share.
people as (
    select
        customer_current.email,
        customer_trusted.sharewithresearchasofdate as shared_from
    from customer_current
    left join customer_trusted on customer_current.email = customer_trusted.email
),

gated as (
    select
        readings.*,
        case
            when people.email is null then 'unknown_customer'
            when people.shared_from is null then 'no_consent'
            when :consent_gate = 'as-of' and readings.timestamp < people.shared_from then 'before_consent'
        end as gate_reason
    from readings
    left join people on readings.`user` = people.email
),

-- The key is the whole row: which of several equal rows stays is no matter.
numbered as (
    select
        *,
        row_number() over (partition by `user`, timestamp, x, y, z order by timestamp) as delivery
    from gated
),

final as (
    select
        `user`,
        timestamp,
        x,
        y,
        z,
        coalesce(gate_reason, case when delivery > 1 then 'duplicate' end) as reason
    from numbered
)

select * from final
