-- A row for each second in which somebody stepped: how far away things were, and how much the phone moved.
with readings as (

    select * from {{ source('lakehouse', 'machine_learning_curated') }}

),

seconds as (

    select
        subject_id,
        sensorreadingtime / 1000 as epoch_second,
        count(*) as readings,
        avg(distancefromobject) as mean_distance,
        avg(sqrt(x * x + y * y + z * z)) as mean_motion
    from readings
    group by subject_id, sensorreadingtime / 1000

)

select * from seconds
