-- Who is to go from what is known of consent: people who were erased after their current record was delivered, changed or agreed
-- to (R17).
select customer_consent.email
from customer_consent
inner join erased on customer_consent.email = erased.subject
where
    least(
        customer_consent.file_modified,
        customer_consent.lastupdatedate,
        case
            when customer_consent.sharewithresearchasofdate > 0 then customer_consent.sharewithresearchasofdate
            else customer_consent.lastupdatedate
        end
    ) <= erased.erased_at
