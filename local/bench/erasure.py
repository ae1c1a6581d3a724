"""What it costs to forget people: `PYTHONPATH=local python -m bench.erasure [SCALE]` (default: 100).

The public data set SCALE times, in a folder; one process on DuckDB. First all jobs run; then one person asks, then 1 % of those
who share, who are spread over all files: the step that erases, the five jobs after it, and the proof.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import datasets
from bench.errors import BenchError

REPO = Path(__file__).resolve().parents[2]
SHARE = 100  # one of so many


def main(scale: int = 100) -> None:
    sys.path[:0] = [str(REPO / "glue-scripts"), str(REPO / "glue-scripts" / "tests")]
    from lakehouse import erasure
    from support import Lake

    data = datasets.public_data(REPO)
    if data is None:
        raise BenchError("there is no public data set beside the project: set STEDI_DATA")
    with tempfile.TemporaryDirectory(prefix="stedi-erasure-") as folder:
        dataset = datasets.replicate(data, Path(folder), scale)
        lake = Lake(Path(folder, "measured"))
        for source in ("customer", "accelerometer", "step_trainer"):
            shutil.copytree(dataset.lake / source / "landing", lake.folder / source / "landing")
        lake.create_tables()
        print("| what | seconds | processor seconds |\n| --- | ---: | ---: |")
        _measured("full run", lake.run)
        everybody = sorted(row[1] for row in lake.rows("customer_trusted"))
        chosen = random.Random(1).sample(everybody, len(everybody) // SHARE + 1)
        for name, people in (("one person", chosen[:1]), (f"{len(chosen) - 1} people", chosen[1:])):
            asked = lake.folder / "erasure" / "requests" / "asked.json"
            asked.parent.mkdir(parents=True, exist_ok=True)
            asked.write_text("".join(json.dumps({"id": f"r{len(people)}", "email": email}) + "\n" for email in people))
            options = erasure.Options(lake.uri, lake.database)
            _measured(f"{name}: erase", erasure.erase, options)
            _measured(f"{name}: the five jobs", lake.run)
            _measured(f"{name}: proof", erasure.prove, options)


def _measured(what: str, run: Callable, *arguments: object) -> None:
    begun, before = time.perf_counter(), _processor()
    run(*arguments)
    print(f"| {what} | {time.perf_counter() - begun:.1f} | {_processor() - before:.1f} |", flush=True)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
