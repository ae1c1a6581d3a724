"""What the pipeline costs: full and incremental runs at several sizes, beside a naive Spark program and DuckDB.

`make bench` measures and writes docs/performance.md. Jobs run as on Glue, one process each, on local folders instead of S3.
"""
