"""accelerometer_landing -> accelerometer_trusted: readings of customers who share with research (R3)."""

from lakehouse.job import Job, main
from lakehouse.readings import Readings

JOB = Job(
    name="accelerometer_landing_to_trusted",
    target="accelerometer_trusted",
    compute=Readings(source="accelerometer", subject="user", subjects="people").compute,
    landing="accelerometer_landing",
    tables=("customer_consent",),
    keeps=("accelerometer_index",),
)

if __name__ == "__main__":
    main(JOB)
