-- What the gate asks about a device (R4, R5). One row for each device that somebody is registered with: `refusal` says why none
-- of its readings passes, `passes_from` from when on they do (ms), `early` why an earlier one does not, `erased_at` until when
-- none does, whoever else is registered with it (R17).

-- union: whom a record suspends that names the device they have already is registered with it once.
with registered as (
    select
        email,
        serialnumber
    from customer_consent
    where serialnumber is not null
    union
    select
        email,
        serialnumber
    from suspended
    where serialnumber is not null
),

-- distinct: several records may suspend one person.
suspended_people as (
    select distinct email from suspended
),

-- Everybody registered with a device, consenting or not, and whether a reading of theirs may pass at all.
registrations as (
    select
        registered.serialnumber,
        customer_consent.sharewithresearchasofdate,
        case
            when customer_consent.email is not null and coalesce(customer_consent.sharewithresearchasofdate, 0) <= 0
                then 'no_consent'
            when suspended_people.email is not null then 'suspended'
            when customer_curated.email is null then 'no_readings'
        end as refusal
    from registered
    left join customer_consent on registered.email = customer_consent.email
    left join suspended_people on registered.email = suspended_people.email
    left join customer_curated on registered.email = customer_curated.email
),

-- A reading passes only when all customers of its device pass (R4): the last of them to share decides the date.
by_device as (
    select
        serialnumber,
        count(*) as customers,
        max(refusal) as refusal,
        max(sharewithresearchasofdate) as passes_from
    from registrations
    group by serialnumber
)

select
    coalesce(by_device.serialnumber, erased.subject) as subject,
    case
        when by_device.serialnumber is null then 'erased'
        when by_device.customers > 1 and by_device.refusal is not null then 'ambiguous_device'
        else by_device.refusal
    end as refusal,
    by_device.passes_from,
    case when by_device.customers > 1 then 'ambiguous_device' else 'before_consent' end as early,
    erased.erased_at
from by_device
full outer join erased on by_device.serialnumber = erased.subject
