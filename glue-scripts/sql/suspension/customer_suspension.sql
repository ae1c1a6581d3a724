-- What could be read of customer records that cannot be used, and so suspends people (R13). One row for each address and line,
-- however often it was delivered: the first delivery counts, and a date that could be read once.
with delivered as (
    select
        email,
        sha2(line, 256) as fingerprint,
        lastupdatedate,
        serialnumber,
        file_modified as delivered
    from customer_rejected
    where email is not null
    union all
    select
        email,
        fingerprint,
        lastupdatedate,
        serialnumber,
        delivered
    from customer_suspension
)

select
    email,
    fingerprint,
    max(lastupdatedate) as lastupdatedate,
    max(serialnumber) as serialnumber,
    min(delivered) as delivered
from delivered
group by email, fingerprint
