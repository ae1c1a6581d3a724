"""About what the machine can do at best: the five tables with DuckDB in one process, from JSON to Parquet, and nothing else.

limit_duckdb.py LANDING OUT. Prints `<table> <rows> <seconds>s`.
"""

import sys
import time
from pathlib import Path

import duckdb

SOURCES = {
    "customer": {
        **dict.fromkeys(("customerName", "email", "phone", "birthDay", "serialNumber"), "varchar"),
        **dict.fromkeys(("registrationDate", "lastUpdateDate", "shareWithResearchAsOfDate"), "bigint"),
        **dict.fromkeys(("shareWithPublicAsOfDate", "shareWithFriendsAsOfDate"), "bigint"),
    },
    "accelerometer": {"user": "varchar", "timestamp": "bigint", "x": "double", "y": "double", "z": "double"},
    "step_trainer": {"sensorReadingTime": "bigint", "serialNumber": "varchar", "distanceFromObject": "integer"},
}
TABLES = {
    "customer_trusted": "select * from customer where shareWithResearchAsOfDate is not null",
    "accelerometer_trusted": """
        select a.* from accelerometer a
        join customer_trusted c on a."user" = c.email and a."timestamp" >= c.shareWithResearchAsOfDate""",
    "customer_curated": 'select * from customer_trusted where email in (select "user" from accelerometer_trusted)',
    "step_trainer_trusted": """
        select s.* from step_trainer s
        join customer_trusted c on s.serialNumber = c.serialNumber and s.sensorReadingTime >= c.shareWithResearchAsOfDate""",
    "machine_learning_curated": """
        select s.*, a.x, a.y, a.z from step_trainer_trusted s
        join customer_curated c using (serialNumber)
        join accelerometer_trusted a on a."user" = c.email and a."timestamp" = s.sensorReadingTime""",
}


def main(landing: str, out: str) -> None:
    Path(out).mkdir(exist_ok=True)
    db = duckdb.connect()
    db.execute("set preserve_insertion_order = false")
    for source, columns in SOURCES.items():
        files = f"'{landing}/{source}/landing/*.json*', columns = {columns}, format = 'newline_delimited', ignore_errors = true"
        db.execute(f"create view {source} as select * from read_json({files})")
    for table, query in TABLES.items():
        started, file = time.time(), f"{out}/{table}.parquet"
        db.execute(f"copy ({query}) to '{file}' (format parquet)")
        db.execute(f"create view {table} as select * from '{file}'")
        rows = db.sql(f"select count(*) from {table}").fetchall()[0][0]
        print(f"{table} {rows} {time.time() - started:.2f}s", flush=True)


main(*sys.argv[1:])
