-- The current record (R1) of every person among the records read now, with or without consent, reduced to what the gates need.
-- One row a person. What was known before counts too: an older record that is delivered late changes nothing.
with records as (
    select
        email,
        max(
            struct(
                lastupdatedate,
                file_modified,
                file_path,
                fingerprint,
                serialnumber,
                sharewithresearchasofdate
            )
        ) as newest
    from customer_records
    group by email
),

known as (
    select
        email,
        struct(
            lastupdatedate,
            file_modified,
            file_path,
            fingerprint,
            serialnumber,
            sharewithresearchasofdate
        ) as record
    from customer_consent
),

-- The greatest lastupdatedate wins, then the file delivered last, then its path; the fingerprint only settles what is still
-- undecided, so that the answer is the same every time (R9).
compared as (
    select
        records.email,
        greatest(records.newest, known.record) as record
    from records
    left join known on records.email = known.email
),

final as (
    select
        compared.email,
        compared.record.serialnumber,
        compared.record.lastupdatedate,
        compared.record.sharewithresearchasofdate,
        compared.record.file_modified,
        compared.record.file_path,
        compared.record.fingerprint
    from compared
)

select * from final
