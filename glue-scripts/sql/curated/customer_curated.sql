-- Trusted customers with at least one trusted accelerometer reading (R5): customer columns only, one row a person.
-- One row per trusted customer; `reason` says why it is left out.

-- distinct: a person has many readings, and one is enough.
with people_with_readings as (
    select distinct "user" as email from accelerometer_trusted
)

select
    customer_trusted.customername,
    customer_trusted.email,
    customer_trusted.phone,
    customer_trusted.birthday,
    customer_trusted.serialnumber,
    customer_trusted.registrationdate,
    customer_trusted.lastupdatedate,
    customer_trusted.sharewithresearchasofdate,
    customer_trusted.sharewithpublicasofdate,
    customer_trusted.sharewithfriendsasofdate,
    case when people_with_readings.email is null then 'no_readings' end as reason
from customer_trusted
left join people_with_readings on customer_trusted.email = people_with_readings.email
