-- Step trainer readings against the consent of everybody registered with their device (R4, R5). One row per reading; `reason`
-- says why it does not pass. :consent_gate is 'as-of' or 'ever'.
select
    readings.sensorreadingtime,
    readings.serialnumber,
    readings.distancefromobject,
    readings.file_path,
    case
        when devices.subject is null then 'unknown_customer'
        when devices.refusal is not null then devices.refusal
        when readings.sensorreadingtime <= devices.erased_at then 'erased'
        when :consent_gate = 'as-of' and readings.sensorreadingtime < devices.passes_from then devices.early
    end as reason
from step_trainer_landing as readings
left join devices on readings.serialnumber = devices.subject
