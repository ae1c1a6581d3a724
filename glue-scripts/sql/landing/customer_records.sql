-- Delivered customer records, each with a fingerprint that tells it from every other one (R1): the SHA-256 of its values in the
-- order of the contract, each with its number of characters in front, or `-` where there is none.
with customer_landing as (
    select * from customer_landing
),

final as (
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
            concat(
                coalesce(concat(char_length(customername), ':', customername), '-'),
                coalesce(concat(char_length(email), ':', email), '-'),
                coalesce(concat(char_length(phone), ':', phone), '-'),
                coalesce(concat(char_length(birthday), ':', birthday), '-'),
                coalesce(concat(char_length(serialnumber), ':', serialnumber), '-'),
                coalesce(concat(char_length(registrationdate), ':', registrationdate), '-'),
                coalesce(concat(char_length(lastupdatedate), ':', lastupdatedate), '-'),
                coalesce(concat(char_length(sharewithresearchasofdate), ':', sharewithresearchasofdate), '-'),
                coalesce(concat(char_length(sharewithpublicasofdate), ':', sharewithpublicasofdate), '-'),
                coalesce(concat(char_length(sharewithfriendsasofdate), ':', sharewithfriendsasofdate), '-')
            ),
            256
        ) as fingerprint
    from customer_landing
)

select * from final
