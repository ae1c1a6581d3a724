"""Measures the pipeline and writes the report: `make bench`, or `PYTHONPATH=local python -m bench --help`."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import datasets, plot, report
from bench.contestants import LAKEHOUSE, LIMIT, NAIVE, NAIVE_APART, ON_SPARK, SINGLE_NODE, TOGETHER, Measurement, contestants
from bench.datasets import Dataset
from bench.errors import BenchError
from bench.figures import Figures

REPO = Path(__file__).resolve().parents[2]
# Landing data, the tables with all their versions, Spark's scratch files: measured, and room to spare.
DISK_BYTES_PER_SCALE = 60_000_000


def main() -> None:
    options = parse(sys.argv[1:])
    # Ended in whatever way, it leaves neither processes nor data behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))
    work, load = None, os.getloadavg()[0]
    if report.busy(load):
        _say(f"other programs are busy (load {load:.1f}): what is measured now will be too slow")
    try:
        work = _work_folder(options)
        sets = list(_datasets(options.scales, work))
        measurements = list(_measure(options, sets, work))
    except BenchError as error:
        sys.exit(f"bench: {error}")
    finally:
        if work:
            shutil.rmtree(work, ignore_errors=True)
    about = report.surroundings(options.driver_memory, options.n, sets[0].origin, load)
    _publish(options, Figures(measurements), about)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measure the pipeline; write docs/performance.md and .svg.")
    parser.add_argument("-n", type=_positive, default=3, help="repetitions, of which medians are taken (default: 3)")
    parser.add_argument("-scales", type=_positive, nargs="+", default=[1, 10, 100], help="sizes of the data (default: 1 10 100)")
    parser.add_argument("-work", type=Path, help="folder for the data, about 60 MB for each 1x (default: the system's)")
    parser.add_argument("-driver-memory", default="3g", help="of the jobs' Spark drivers (default: 3g)")
    parser.add_argument(
        "-only",
        nargs="+",
        choices=(LAKEHOUSE, TOGETHER, ON_SPARK, NAIVE, NAIVE_APART, SINGLE_NODE, LIMIT),
        help="programs to measure; prints, writes nothing",
    )
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _work_folder(options: argparse.Namespace) -> Path:
    """A folder of our own, removed at the end."""
    if not any((REPO / ".stedi" / "jars").glob("iceberg-spark-runtime-*.jar")):
        raise BenchError("there is no Iceberg jar in .stedi/jars: run `make spark`")
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="stedi-bench-", dir=options.work)).resolve()
    needed, free = sum(options.scales) * DISK_BYTES_PER_SCALE, shutil.disk_usage(work).free
    if free < needed:
        work.rmdir()
        raise BenchError(f"{needed / 1e9:.1f} GB of disk are needed, {free / 1e9:.1f} GB are free: choose another -work")
    return work


def _datasets(scales: list[int], work: Path) -> Iterator[Dataset]:
    data = datasets.public_data(REPO)
    for scale in sorted(set(scales)):
        folder = work / f"{scale}x"
        folder.mkdir()
        _say(f"making the data of {scale}x")
        if data:
            yield datasets.replicate(data, folder, scale)
        else:
            yield datasets.generate(REPO, folder, scale)


def _measure(options: argparse.Namespace, sets: list[Dataset], work: Path) -> Iterator[Measurement]:
    fields = []
    for dataset in sets:
        field = contestants(REPO, dataset, work / f"{dataset.scale}x", options.driver_memory, work / "classes")
        fields.append([one for name, one in field.items() if name in (options.only or field)])
        for one in fields[-1]:
            one.prepare()
    for repetition in range(options.n):
        for field in fields:
            # Each time another one begins: what a machine does by and by (heat, caches) is not always to the same one's account.
            first = repetition % len(field)
            for one in [*field[first:], *field[:first]]:
                for measurement in one.measure():
                    _say(_line(measurement))
                    yield dataclasses.replace(measurement, repetition=repetition)


def _line(m: Measurement) -> str:
    cost = f"{m.cost.seconds:.1f} s, {m.cost.processor_seconds:.1f} s of processors, {m.cost.peak_bytes / 1024**2:.0f} MiB"
    return f"{m.scale}x {m.contestant}, {m.scenario}, {m.step}: {cost}"


def _publish(options: argparse.Namespace, figures: Figures, about: str) -> None:
    if options.only:
        print(report.text(figures, about))
        return
    docs = REPO / "docs"
    report.write(docs / "performance.md", figures, about)
    plot.draw(docs / "performance.svg", figures)
    _say("wrote docs/performance.md and docs/performance.svg")


def _say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
