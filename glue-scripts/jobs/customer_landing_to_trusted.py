"""customer_landing -> customer_trusted: the current record of every customer who shares with research (R1, R2)."""

from lakehouse import customers
from lakehouse.job import Job, main

JOB = Job(
    name="customer_landing_to_trusted",
    target="customer_trusted",
    compute=customers.compute,
    landing="customer_landing",
    keeps=("customer_consent",),
)

if __name__ == "__main__":
    main(JOB)
