-- Delivered customer records: the e-mail as the person's name (R1), and a fingerprint that tells one record from another.
with landing as (
    select
        customername,
        lower(trim(email)) as email,
        phone,
        birthday,
        serialnumber,
        registrationdate,
        lastupdatedate,
        sharewithresearchasofdate,
        sharewithpublicasofdate,
        sharewithfriendsasofdate,
        file_modified,
        file_path
    from customer_landing
),

final as (
    select
        *,
        sha2(
            concat_ws(
                char(31),
                coalesce(customername, '\\N'),
                email,
                coalesce(phone, '\\N'),
                coalesce(birthday, '\\N'),
                coalesce(serialnumber, '\\N'),
                coalesce(cast(registrationdate as string), '\\N'),
                lastupdatedate,
                coalesce(cast(sharewithresearchasofdate as string), '\\N'),
                coalesce(cast(sharewithpublicasofdate as string), '\\N'),
                coalesce(cast(sharewithfriendsasofdate as string), '\\N')
            ),
            256
        ) as fingerprint
    from landing
)

select * from final
