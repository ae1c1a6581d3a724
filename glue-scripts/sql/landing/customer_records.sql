-- Delivered customer records, each with a fingerprint that tells it from every other one (R1): the SHA-256 of its values in the
-- order of the contract, each with its number of characters in front, or `-` where there is none. `is_erased`: of somebody who
-- was erased, and delivered, changed or agreed to no later than that (R17).
with records as (
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
        file_modified,
        file_path,
        sha2(
            coalesce(char_length(customername) || ':' || customername, '-')
            || coalesce(char_length(email) || ':' || email, '-')
            || coalesce(char_length(phone) || ':' || phone, '-')
            || coalesce(char_length(birthday) || ':' || birthday, '-')
            || coalesce(char_length(serialnumber) || ':' || serialnumber, '-')
            || coalesce(char_length(cast(registrationdate as string)) || ':' || registrationdate, '-')
            || coalesce(char_length(cast(lastupdatedate as string)) || ':' || lastupdatedate, '-')
            || coalesce(char_length(cast(sharewithresearchasofdate as string)) || ':' || sharewithresearchasofdate, '-')
            || coalesce(char_length(cast(sharewithpublicasofdate as string)) || ':' || sharewithpublicasofdate, '-')
            || coalesce(char_length(cast(sharewithfriendsasofdate as string)) || ':' || sharewithfriendsasofdate, '-'),
            256
        ) as fingerprint
    from customer_landing
)

select
    records.*,
    coalesce(
        least(
            records.file_modified,
            records.lastupdatedate,
            case
                when records.sharewithresearchasofdate > 0 then records.sharewithresearchasofdate
                else records.lastupdatedate
            end
        ) <= erased.erased_at,
        false
    ) as is_erased
from records
left join erased on records.email = erased.subject
