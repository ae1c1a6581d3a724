-- What the gate asks about a person (R2, R3). One row for each person we know: `refusal` says why none of their readings
-- passes, `passes_from` from when on they do (ms), `early` why an earlier one does not.
with customer_consent as (
    select * from customer_consent
),

final as (
    select
        email as subject,
        case when coalesce(sharewithresearchasofdate, 0) <= 0 then 'no_consent' end as refusal,
        sharewithresearchasofdate as passes_from,
        'before_consent' as early
    from customer_consent
)

select * from final
