-- Fails with a row when the seconds hold other than all readings.
select made.readings, given.readings as expected
from (select sum(readings) as readings from {{ ref('activity_by_second') }}) as made
cross join (select count(*) as readings from {{ source('lakehouse', 'machine_learning_curated') }}) as given
where made.readings <> given.readings
