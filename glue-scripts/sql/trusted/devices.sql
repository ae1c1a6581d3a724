-- What the gate asks about a device (R4, R5). One row for each device that somebody is registered with: `refusal` says why none
-- of its readings passes, `passes_from` from when on they do (ms), `early` why an earlier one does not.
with customer_consent as (
    select * from customer_consent
),

customer_curated as (
    select * from customer_curated
),

-- Everybody registered with a device, consenting or not.
registrations as (
    select
        customer_consent.serialnumber,
        customer_consent.sharewithresearchasofdate,
        coalesce(customer_consent.sharewithresearchasofdate, 0) > 0 as has_consent,
        customer_curated.email is not null as is_curated
    from customer_consent
    left join customer_curated on customer_consent.email = customer_curated.email
    where customer_consent.serialnumber is not null
),

-- A reading passes only when all customers of its device pass (R4): the last of them to share decides the date.
devices as (
    select
        serialnumber,
        count(*) as customers,
        bool_and(has_consent) as all_consent,
        bool_and(has_consent and is_curated) as all_pass,
        max(sharewithresearchasofdate) as passes_from
    from registrations
    group by serialnumber
),

final as (
    select
        serialnumber as subject,
        case
            when all_pass then null
            when customers > 1 then 'ambiguous_device'
            when not all_consent then 'no_consent'
            else 'no_readings'
        end as refusal,
        passes_from,
        case when customers > 1 then 'ambiguous_device' else 'before_consent' end as early
    from devices
)

select * from final
