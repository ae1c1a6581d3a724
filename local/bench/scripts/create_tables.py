"""What CloudFormation does on AWS: the Iceberg tables as of version 1 of their contracts, with no property of the jobs."""

import argparse

from lakehouse import contracts, session

parser = argparse.ArgumentParser()
parser.add_argument("--database", required=True)
database = parser.parse_known_args()[0].database

spark = session.start("create tables")
spark.sql(f"create namespace if not exists glue_catalog.{database}")
for contract in contracts.load_all():
    if contract.format == "iceberg":
        columns = [f"`{c.name}` {c.type}" for c in contract.columns if c.since == 1]
        spark.sql(f"create table glue_catalog.{database}.{contract.table} ({', '.join(columns)}) using iceberg")
spark.stop()
