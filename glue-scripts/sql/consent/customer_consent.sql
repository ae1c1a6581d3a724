-- The current record (R1) of every person among the records read now, with or without consent, reduced to what the gates need.
-- One row a person. What was known before counts too: an older record that is delivered late changes nothing.

-- distinct: a person may have many records.
with people as (
    select distinct email from customer_records
),

known as (
    select
        customer_consent.email,
        customer_consent.fingerprint,
        customer_consent.serialnumber,
        customer_consent.lastupdatedate,
        customer_consent.sharewithresearchasofdate,
        customer_consent.file_modified,
        customer_consent.file_path
    from customer_consent
    semi join people on customer_consent.email = people.email
),

delivered as (
    select
        email,
        fingerprint,
        serialnumber,
        lastupdatedate,
        sharewithresearchasofdate,
        file_modified,
        file_path
    from customer_records
    where not is_erased
    union all
    select * from known
),

-- The greatest lastupdatedate wins. Ties are decided by the content alone, so that no delivery of a copy changes anything (R9):
-- no consent before consent, the later date, the greater fingerprint. Of one record the first delivery counts (R13).
ranked as (
    select
        *,
        row_number() over (
            partition by email
            order by
                lastupdatedate desc,
                case when coalesce(sharewithresearchasofdate, 0) <= 0 then 0 else 1 end asc,
                sharewithresearchasofdate desc nulls last,
                fingerprint desc,
                file_modified asc,
                file_path asc
        ) as place
    from delivered
)

select
    email,
    serialnumber,
    lastupdatedate,
    sharewithresearchasofdate,
    file_modified,
    file_path,
    fingerprint
from ranked
where place = 1
