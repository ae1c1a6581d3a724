-- What the gate asks about a person (R2, R3). One row for each person we know: `refusal` says why none of their readings
-- passes, `passes_from` from when on they do (ms), `early` why an earlier one does not, `erased_at` until when none does (R17).

-- distinct: several records may suspend one person.
with suspended_people as (
    select distinct email from suspended
)

select
    coalesce(customer_consent.email, suspended_people.email, erased.subject) as subject,
    case
        when customer_consent.email is not null and coalesce(customer_consent.sharewithresearchasofdate, 0) <= 0
            then 'no_consent'
        when suspended_people.email is not null then 'suspended'
        when customer_consent.email is null then 'erased'
    end as refusal,
    customer_consent.sharewithresearchasofdate as passes_from,
    'before_consent' as early,
    erased.erased_at
from customer_consent
full outer join suspended_people on customer_consent.email = suspended_people.email
full outer join erased on coalesce(customer_consent.email, suspended_people.email) = erased.subject
