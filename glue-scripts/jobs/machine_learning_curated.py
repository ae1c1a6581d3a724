"""accelerometer_trusted, step_trainer_trusted -> machine_learning_curated: both readings of a person at a time (R6)."""

from lakehouse import derived
from lakehouse.job import Job, main

JOB = Job(
    name="machine_learning_curated",
    target="machine_learning_curated",
    compute=derived.machine_learning,
    tables=("customer_curated", "accelerometer_trusted", "step_trainer_trusted"),
)

if __name__ == "__main__":
    main(JOB)
