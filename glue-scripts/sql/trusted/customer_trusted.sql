-- Customers who share with research (R2) and are neither suspended (R13) nor erased (R17): of every person the current record
-- (R1).
-- One row per delivered customer record; `reason` says why it is left out.

-- distinct: several records may suspend one person.
with suspended_people as (
    select distinct email from suspended
),

compared as (
    select
        records.*,
        coalesce(records.fingerprint = customer_current.fingerprint, false) as is_current,
        suspended_people.email is not null as is_suspended
    from customer_records as records
    left join customer_current on records.email = customer_current.email
    left join suspended_people on records.email = suspended_people.email
),

-- Records with one fingerprint are deliveries of the same record: which of them stays is no matter.
numbered as (
    select
        *,
        row_number() over (partition by email, is_current order by lastupdatedate) as delivery
    from compared
)

select
    customername,
    email,
    phone,
    birthday,
    serialnumber,
    registrationdate,
    lastupdatedate,
    sharewithresearchasofdate,
    sharewithpublicasofdate,
    sharewithfriendsasofdate,
    case
        when is_erased then 'erased'
        when not is_current then 'superseded'
        when delivery > 1 then 'duplicate'
        when coalesce(sharewithresearchasofdate, 0) <= 0 then 'no_consent'
        when is_suspended then 'suspended'
    end as reason
from numbered
