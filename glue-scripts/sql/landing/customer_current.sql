-- The current record of every person (R1), with or without consent. One row a person.
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

-- The greatest lastupdatedate wins, then the file delivered last. The columns after it only settle what is still
-- undecided, so that the answer is the same every time (R9).
ranked as (
    select
        *,
        row_number() over (
            partition by email
            order by
                lastupdatedate desc,
                file_modified desc,
                file_path desc,
                customername desc,
                phone desc,
                birthday desc,
                serialnumber desc,
                registrationdate desc,
                sharewithresearchasofdate desc,
                sharewithpublicasofdate desc,
                sharewithfriendsasofdate desc
        ) as recency
    from landing
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
        sharewithfriendsasofdate
    from ranked
    where recency = 1
)

select * from final
