"""step_trainer_landing -> step_trainer_trusted: step readings of curated customers (R4, R5)."""

from lakehouse.job import Job, main
from lakehouse.readings import Readings

JOB = Job(
    name="step_trainer_trusted",
    target="step_trainer_trusted",
    compute=Readings(source="step_trainer", subject="serialnumber", subjects="devices").compute,
    landing="step_trainer_landing",
    tables=("customer_consent", "customer_curated"),
    keeps=("step_trainer_index",),
)

if __name__ == "__main__":
    main(JOB)
