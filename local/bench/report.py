"""docs/performance.md: the text between two markers, made from the figures."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil
from embedded_aws.job_processes import java

from bench.contestants import (
    FULL,
    LAKEHOUSE,
    LIMIT,
    NAIVE,
    NAIVE_APART,
    NEW,
    NOTHING,
    ON_SPARK,
    SINGLE_NODE,
    TABLES,
    TOGETHER,
    WITHDRAWN,
)
from bench.errors import BenchError
from bench.figures import Figures, Limit, limits
from bench.written import Written

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
NAMES = {
    LAKEHOUSE: "lakehouse",
    TOGETHER: "lakehouse, in one process",
    ON_SPARK: "lakehouse on Spark",
    SINGLE_NODE: "trial on one node",
    NAIVE_APART: "naive Spark, table by table",
    NAIVE: "naive Spark, in one session",
    LIMIT: "DuckDB",
}
LATER = (NOTHING, NEW, WITHDRAWN)
ORIGINS = {"public": "the public STEDI data set", "generated": "data of the project's generator"}


def busy(load: float) -> bool:
    """Whether so many processes wanting a core disturb a measurement."""
    return load > psutil.cpu_count() / 4


def surroundings(driver_memory: str, repetitions: int, origin: str, load: float) -> str:
    """Where the figures come from. `load`: how many processes wanted a core before the first measurement."""
    said = subprocess.run([java(), "-version"], capture_output=True, text=True).stderr.split('"')
    memory = psutil.virtual_memory().total / 1024**3
    warning = (
        f" **The machine was busy with something else (load {load:.1f}): these seconds are too many.**" if busy(load) else ""
    )
    return (
        f"Measured on {date.today()}: {psutil.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()}, "
        f"Java {said[1] if len(said) > 1 else '(unknown)'}, Spark {version('pyspark')}, "
        f"driver memory {driver_memory}; 1x is {ORIGINS[origin]}; medians of {repetitions} "
        f"{'run' if repetitions == 1 else 'runs'}.{warning}"
    )


def text(figures: Figures, about: str) -> str:
    """The whole part between the markers."""
    parts = [about, "![Seconds by size of data](performance.svg)"]
    found = limits(figures)
    if found:
        parts += ["### Promises", _table(("promise", "measured", "limit", "kept"), [_promise(limit) for limit in found])]
    parts += ["### Full run", _full_runs(figures)]
    for scale in figures.scales:
        parts += [f"### Steps of the full run at {scale}x", _steps(figures, scale)]
    parts += ["### Incremental runs", _later_runs(figures)]
    scale = figures.scales[-1]
    if any((LAKEHOUSE, scenario, scale) in figures.runs for scenario in LATER):
        parts += [f"### Steps of the incremental runs at {scale}x: work, seconds", _later_steps(figures, scale)]
    return "\n\n".join(parts)


def _promise(limit: Limit) -> tuple[str, ...]:
    kept = "yes" if limit.holds else "**no**"
    return limit.promise, f"{limit.measured:.2f} {limit.unit}", f"{limit.limit:g} {limit.unit}", kept


WRITTEN = ("data files", "other files", "MB written")


def _full_runs(figures: Figures) -> str:
    header = ("data", "landing rows", "program", "seconds", "fastest to slowest", "session starts", "work")
    header += ("processor seconds", "rows/s", "peak memory, MiB", *WRITTEN)
    rows = []
    for scale in figures.scales:
        for name, label in NAMES.items():
            run = figures.runs.get((name, FULL, scale))
            if run:
                cells = [f"{scale}x", f"{run.landing_rows:,}", label, f"{run.seconds:.1f}"]
                cells += [f"{run.fastest:.1f} to {run.slowest:.1f}"]
                # Of its five session starts nobody knows how long they take.
                cells += ["", ""] if name in (NAIVE_APART, SINGLE_NODE) else [f"{run.session_starts:.1f}", f"{run.work:.1f}"]
                cells += [f"{run.processor_seconds:.1f}", f"{run.rows_per_second:,.0f}", _mebibytes(run.peak_bytes)]
                rows.append([*cells, *_written(run.written)])
    return _table(header, rows)


def _steps(figures: Figures, scale: int) -> str:
    header = ("table", "work", "share", "processor seconds", "peak memory, MiB", *WRITTEN)
    header += tuple(NAMES[name] for name in (TOGETHER, NAIVE, LIMIT))
    rows = []
    for table in TABLES:
        step = figures.steps.get((LAKEHOUSE, FULL, scale, table))
        if step:
            share = step.work / figures.runs[LAKEHOUSE, FULL, scale].work
            cells = [f"`{table}`", f"{step.work:.1f}", f"{share:.0%}", f"{step.processor_seconds:.1f}"]
            others = [figures.steps.get((name, FULL, scale, table)) for name in (TOGETHER, NAIVE, LIMIT)]
            compared = [f"{other.work:.1f}" if other else "" for other in others]
            rows.append([*cells, _mebibytes(step.peak_bytes), *_written(step.written), *compared])
    start = f"Seconds; the lakehouse's without the start of each job's session ({figures.session_seconds:.1f} s)."
    return f"{start}\n\n{_table(header, rows)}"


def _later_runs(figures: Figures) -> str:
    header = ("data", "run", "seconds", "of the full run", "work", "of the full run's work", "processor seconds")
    header += ("peak memory, MiB", *WRITTEN)
    rows = []
    for scale in figures.scales:
        full = figures.runs.get((LAKEHOUSE, FULL, scale))
        for scenario in LATER:
            run = figures.runs.get((LAKEHOUSE, scenario, scale))
            if run and full:
                cells = [f"{scale}x", scenario, f"{run.seconds:.1f}", f"{run.seconds / full.seconds:.0%}"]
                cells += [f"{run.work:.1f}", f"{run.work / full.work:.1%}", f"{run.processor_seconds:.1f}"]
                rows.append([*cells, _mebibytes(run.peak_bytes), *_written(run.written)])
    return _table(header, rows)


def _later_steps(figures: Figures, scale: int) -> str:
    scenarios = (FULL, *LATER)
    rows = []
    for table in TABLES:
        steps = [figures.steps.get((LAKEHOUSE, scenario, scale, table)) for scenario in scenarios]
        rows.append([f"`{table}`", *(f"{step.work:.1f}" if step else "" for step in steps)])
    return _table(("table", *scenarios), rows)


def _mebibytes(number: int) -> str:
    return f"{number / 1024**2:,.0f}"


def _written(written: Written) -> tuple[str, str, str]:
    return f"{written.data_files:,}", f"{written.other_files:,}", f"{written.bytes / 1e6:,.1f}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Markdown; all columns but the first are set to the right, as numbers are."""
    header = list(header)
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def insert(document: str, made: str) -> str:
    """The document with the part between the markers replaced."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"docs/performance.md has no {BEGIN} followed by {END}: put them where the figures belong")
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def write(file: Path, figures: Figures, about: str) -> None:
    file.write_text(insert(file.read_text(encoding="utf-8"), text(figures, about)), encoding="utf-8")
