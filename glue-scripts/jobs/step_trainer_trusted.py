"""step_trainer_landing -> step_trainer_trusted: step readings of curated customers (R4, R5)."""

from lakehouse.job import Job, main

JOB = Job(
    name="step_trainer_trusted",
    target="step_trainer_trusted",
    source="step_trainer_landing",
    landing=("step_trainer_landing", "customer_landing"),
    tables=("customer_curated",),
    views=(("landing", "customer_current"),),
)

if __name__ == "__main__":
    main(JOB)
