-- The join that is often published against ours: on the time alone it pairs one person's phone with another person's device
-- (docs/decisions/0005-join-on-person-and-time.md).
with accelerometer_trusted as (
    select * from accelerometer_trusted
),

step_trainer_trusted as (
    select * from step_trainer_trusted
),

customer_curated as (
    select * from customer_curated
),

paired as (
    select
        customer_curated.serialnumber as own_device,
        step_trainer_trusted.serialnumber as device
    from accelerometer_trusted
    inner join step_trainer_trusted on accelerometer_trusted.timestamp = step_trainer_trusted.sensorreadingtime
    left join customer_curated on accelerometer_trusted.user = customer_curated.email
),

final as (
    select
        count(*) as on_time_alone,
        count_if(own_device = device) as on_person_and_time,
        count_if(own_device is distinct from device) as of_two_people
    from paired
)

select * from final
