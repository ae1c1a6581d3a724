"""How much longer than DuckDB the embedded Athena takes for a SELECT: `PYTHONPATH=local python -m bench.athena`.

Of a table with the columns of machine_learning_curated, as many rows as it has at 100x, and as many people; their rows lie
together, one time after the other, and readings are random. DuckDB reads the same files from a folder, in a process that runs
already, and writes its answer to a file, as Athena does, whose seconds go from StartQueryExecution to the state SUCCEEDED.
"""

from __future__ import annotations

import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from bench.errors import BenchError

REPO = Path(__file__).resolve().parents[2]
ROWS, PEOPLE = 3_202_500, 46_400  # of 100x
FILES, TIMES, LIMIT = 4, 7, 3.0
DATABASE, BUCKET = "lake", "bench-lake"
QUERIES = {
    "count and averages": "select count(*) as n, avg(x) as x, avg(distancefromobject) as distance from {}",
    "one row a person": "select subject_id, count(*) as n, min(sensorreadingtime) as at, avg(x) as x from {} group by subject_id",
    "one person": "select * from {} where subject_id = '{person}' order by sensorreadingtime",
    "the hundred greatest": "select * from {} order by x desc, y desc limit 100",
    "all rows": "select * from {}",
}


def main() -> None:
    sys.path.insert(0, str(REPO / "local" / "tests"))
    from embedded import EmbeddedAWS

    with tempfile.TemporaryDirectory(prefix="stedi-athena-") as folder:
        work = Path(folder)
        aws = EmbeddedAWS(work)
        try:
            aws.wait_ready()
            files = _table(aws, work)
            athena = aws.client("athena")
            print("| query | DuckDB, seconds | Athena, seconds | times |\n| --- | ---: | ---: | ---: |")
            times = []
            for name, sql in QUERIES.items():
                there = sql.format("readings", person=_person(0))
                here = sql.format(f"read_parquet({files})", person=_person(0))
                pairs = [(_seconds(_ask, athena, there), _seconds(_copy, here, work / "answer.csv")) for _ in range(TIMES)]
                ours, duckdbs = (statistics.median(one) for one in zip(*pairs, strict=True))
                times.append(ours / duckdbs)
                print(f"| {name} | {duckdbs:.2f} | {ours:.2f} | {times[-1]:.1f} |")
            mean = statistics.geometric_mean(times)
            print(f"| geometric mean | | | {mean:.1f} |")
        finally:
            aws.stop()
    sys.exit(f"bench: Athena takes {mean:.1f} times as long as DuckDB, the limit is {LIMIT}" if mean > LIMIT else 0)


def _seconds(run: Callable[..., None], *arguments: object) -> float:
    begun = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begun


def _ask(athena, sql: str) -> None:
    started = athena.start_query_execution(QueryString=sql, QueryExecutionContext={"Database": DATABASE})
    query = {"QueryExecutionId": started["QueryExecutionId"]}
    while (status := athena.get_query_execution(**query)["QueryExecution"]["Status"])["State"] in ("QUEUED", "RUNNING"):
        time.sleep(0.01)
    if status["State"] != "SUCCEEDED":
        raise BenchError(f"{sql}: {status['StateChangeReason']}")


def _copy(sql: str, file: Path) -> None:
    """The answer as a file, as Athena gives it."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"copy ({sql}) to '{file}' (header, force_quote *)")


def _person(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _table(aws, work: Path) -> list[str]:
    """Makes the table in the embedded AWS; copies of its files."""
    from pyiceberg.catalog import load_catalog

    s3, glue = aws.client("s3"), aws.client("glue")
    s3.create_bucket(Bucket=BUCKET)
    glue.create_database(DatabaseInput={"Name": DATABASE})
    results = {"ResultConfigurationUpdates": {"OutputLocation": f"s3://{BUCKET}-results/"}}
    s3.create_bucket(Bucket=f"{BUCKET}-results")
    aws.client("athena").update_work_group(WorkGroup="primary", ConfigurationUpdates=results)
    access = {"access-key-id": "test", "secret-access-key": "test", "region": "us-east-1", "endpoint": aws.endpoint}
    catalog = load_catalog("glue", type="glue", **{f"{part}.{k}": v for part in ("glue", "s3") for k, v in access.items()})
    people = np.sort(np.array([_person(number) for number in range(PEOPLE)]))
    random = np.random.default_rng(1)
    rows = pa.table(
        {
            "subject_id": pa.array(np.sort(people[random.integers(0, PEOPLE, ROWS)])),
            "sensorreadingtime": 1_655_000_000_000 + 500 * np.arange(ROWS) + random.integers(0, 500, ROWS),
            "distancefromobject": random.integers(190, 260, ROWS).astype(np.int32),
            **{axis: random.integers(-20, 20, ROWS).astype(float) for axis in "xyz"},
        }
    )
    table = catalog.create_table((DATABASE, "readings"), rows.schema, location=f"s3://{BUCKET}/readings")
    for part in range(FILES):
        table.append(rows.slice(part * ROWS // FILES, (part + 1) * ROWS // FILES - part * ROWS // FILES))
    files = []
    for url in table.inspect.files()["file_path"].to_pylist():
        files.append(str(work / f"{len(files)}.parquet"))
        s3.download_file(BUCKET, url.removeprefix(f"s3://{BUCKET}/"), files[-1])
    return files


if __name__ == "__main__":
    main()
