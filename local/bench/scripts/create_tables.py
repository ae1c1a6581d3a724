"""What CloudFormation does on AWS: the Iceberg tables as of version 1 of their contracts, with no property of the jobs."""

import argparse

from lakehouse import contracts, tables
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField

parser = argparse.ArgumentParser()
parser.add_argument("--lake_uri", required=True)
parser.add_argument("--database", required=True)
given = parser.parse_known_args()[0]
lake = tables.Tables(given.lake_uri, given.database)
lake.catalog.create_namespace(given.database)
for contract in contracts.load_all():
    if contract.format == "iceberg":
        columns = [column for column in contract.columns if column.since == 1]
        fields = [NestedField(number, c.name, tables.TYPES[c.type], required=False) for number, c in enumerate(columns, 1)]
        lake.catalog.create_table((given.database, contract.table), Schema(*fields))
