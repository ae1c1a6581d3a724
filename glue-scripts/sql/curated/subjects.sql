-- Curated customers and the pseudonym that stands for them in place of e-mail and serial number (R6). Without a serial number
-- there is no device, and no pseudonym. An address holds no space (R11), so no two of them have the same text.
select
    email,
    serialnumber,
    sha2(email || ' ' || serialnumber, 256) as subject_id
from customer_curated
