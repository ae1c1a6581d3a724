"""What CloudFormation does on AWS: the Iceberg tables as of version 1 of their contracts, with no property of the jobs."""

import argparse
import json
from importlib.resources import files

from lakehouse import session

parser = argparse.ArgumentParser()
parser.add_argument("--database", required=True)
database = parser.parse_known_args()[0].database

spark = session.start("create tables")
spark.sql(f"create namespace if not exists glue_catalog.{database}")
for resource in files("lakehouse").joinpath("contracts").iterdir():
    contract = json.loads(resource.read_text(encoding="utf-8"))
    if contract["format"] == "iceberg":
        columns = [f"`{c['name']}` {c['type']}" for c in contract["columns"] if c.get("since", 1) == 1]
        spark.sql(f"create table glue_catalog.{database}.{contract['table']} ({', '.join(columns)}) using iceberg")
spark.stop()
