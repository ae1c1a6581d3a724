-- Who is suspended now (R13): everybody of whom a record that cannot be used may be newer than the current one. One row for each
-- person and device that such a record names; null where it names none.

-- distinct: several lines may name one person and device. Where a line does not say when its record was changed, delivery
-- decides.
select distinct
    customer_suspension.email,
    customer_suspension.serialnumber
from customer_suspension
left join customer_consent on customer_suspension.email = customer_consent.email
where
    customer_consent.email is null
    or customer_consent.lastupdatedate <= customer_suspension.lastupdatedate
    or (customer_suspension.lastupdatedate is null and customer_consent.file_modified <= customer_suspension.delivered)
