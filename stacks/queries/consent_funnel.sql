-- How many people are left at each gate, from everybody we know to those of whom there are curated readings (R2, R5, R13).
with customer_consent as (
    select * from customer_consent
),

customer_trusted as (
    select * from customer_trusted
),

customer_curated as (
    select * from customer_curated
),

machine_learning_curated as (
    select * from machine_learning_curated
),

agreed as (
    select
        customer_consent.email,
        customer_trusted.email is null as is_suspended
    from customer_consent
    left join customer_trusted on customer_consent.email = customer_trusted.email
    where coalesce(customer_consent.sharewithresearchasofdate, 0) > 0
),

final as (
    select
        1 as step,
        'known' as people,
        count(*) as how_many
    from customer_consent
    union all
    select
        2 as step,
        'agreed to research' as people,
        count(*) as how_many
    from agreed
    union all
    select
        3 as step,
        'of these suspended' as people,
        count(*) as how_many
    from agreed
    where is_suspended
    union all
    select
        4 as step,
        'trusted' as people,
        count(*) as how_many
    from customer_trusted
    union all
    select
        5 as step,
        'with accelerometer readings' as people,
        count(*) as how_many
    from customer_curated
    union all
    select
        6 as step,
        'in the machine learning table' as people,
        count(distinct subject_id) as how_many
    from machine_learning_curated
)

select * from final
order by step
