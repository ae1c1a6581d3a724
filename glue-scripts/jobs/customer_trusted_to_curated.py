"""customer_trusted -> customer_curated: customers with at least one trusted reading (R5)."""

from lakehouse import derived
from lakehouse.job import Job, main

JOB = Job(
    name="customer_trusted_to_curated",
    target="customer_curated",
    compute=derived.customers,
    tables=("customer_trusted", "accelerometer_trusted"),
)

if __name__ == "__main__":
    main(JOB)
