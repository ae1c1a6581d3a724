-- Accelerometer readings against the consent of their person (R3). One row per reading; `reason` says why it does not pass.
-- :consent_gate is 'as-of' or 'ever'.
with readings as (
    select
        "user",
        "timestamp",
        x,
        y,
        z,
        file_path
    from accelerometer_landing
),

people as (
    select * from people
),

final as (
    select
        readings."user",
        readings."timestamp",
        readings.x,
        readings.y,
        readings.z,
        readings.file_path,
        case
            when people.subject is null then 'unknown_customer'
            when people.refusal is not null then people.refusal
            when :consent_gate = 'as-of' and readings."timestamp" < people.passes_from then people.early
        end as reason
    from readings
    left join people on readings."user" = people.subject
)

select * from final
