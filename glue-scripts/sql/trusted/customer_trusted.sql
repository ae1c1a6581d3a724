-- Customers who share with research (R2): of every person the current record (R1).
-- One row per delivered customer record; `reason` says why it is left out.
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
        sharewithfriendsasofdate
    from customer_landing
),

customer_current as (
    select * from customer_current
),

compared as (
    select
        landing.*,
        landing.customername <=> customer_current.customername
        and landing.phone <=> customer_current.phone
        and landing.birthday <=> customer_current.birthday
        and landing.serialnumber <=> customer_current.serialnumber
        and landing.registrationdate <=> customer_current.registrationdate
        and landing.lastupdatedate <=> customer_current.lastupdatedate
        and landing.sharewithresearchasofdate <=> customer_current.sharewithresearchasofdate
        and landing.sharewithpublicasofdate <=> customer_current.sharewithpublicasofdate
        and landing.sharewithfriendsasofdate <=> customer_current.sharewithfriendsasofdate as is_current
    from landing
    left join customer_current on landing.email = customer_current.email
),

-- Records equal to the current one in every column are deliveries of the same record: which of them stays is no matter.
numbered as (
    select
        *,
        row_number() over (partition by email, is_current order by lastupdatedate) as delivery
    from compared
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
        case
            when not is_current then 'superseded'
            when delivery > 1 then 'duplicate'
            when coalesce(sharewithresearchasofdate, 0) <= 0 then 'no_consent'
        end as reason
    from numbered
)

select * from final
