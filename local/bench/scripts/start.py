"""A job that does nothing: its packages, and the catalog with one table. With Spark also the start of its session."""

import argparse

from lakehouse import engines, process, tables

parser = argparse.ArgumentParser()
parser.add_argument("--table", default="")
options = process.parse(parser.parse_known_args()[1])
tables.Tables(options.lake_uri, options.database).load("run_ledger")
engines.start(options.engine, options.lake_uri).close()
