-- Step trainer reading and accelerometer reading of the same person at the same time (R6), without personal data.
-- One row per trusted accelerometer reading; `reason` says why it is left out.

-- Joining on the time alone would pair one person's phone with another person's device.
select
    subjects.subject_id,
    step_trainer_trusted.sensorreadingtime,
    step_trainer_trusted.distancefromobject,
    accelerometer_trusted.x,
    accelerometer_trusted.y,
    accelerometer_trusted.z,
    case when step_trainer_trusted.sensorreadingtime is null then 'no_step_reading' end as reason
from accelerometer_trusted
left join subjects on accelerometer_trusted."user" = subjects.email
left join step_trainer_trusted
    on
        subjects.serialnumber = step_trainer_trusted.serialnumber
        and accelerometer_trusted."timestamp" = step_trainer_trusted.sensorreadingtime
