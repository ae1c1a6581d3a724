"""accelerometer_landing -> accelerometer_trusted: readings of customers who share with research (R3)."""

from lakehouse.job import Job, main

JOB = Job(
    name="accelerometer_landing_to_trusted",
    target="accelerometer_trusted",
    source="accelerometer_landing",
    landing=("accelerometer_landing", "customer_landing"),
    tables=("customer_trusted",),
    views=(("landing", "customer_current"),),
)

if __name__ == "__main__":
    main(JOB)
