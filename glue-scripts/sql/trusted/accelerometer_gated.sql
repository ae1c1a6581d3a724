-- Accelerometer readings against the consent of their person (R3). One row per reading; `reason` says why it does not pass.
-- :consent_gate is 'as-of' or 'ever'.
select
    readings."user",
    readings."timestamp",
    readings.x,
    readings.y,
    readings.z,
    readings.file_path,
    case
        when people.subject is null then 'unknown_customer'
        when people.refusal is not null then people.refusal
        when readings."timestamp" <= people.erased_at then 'erased'
        when :consent_gate = 'as-of' and readings."timestamp" < people.passes_from then people.early
    end as reason
from accelerometer_landing as readings
left join people on readings."user" = people.subject
