"""From measurements to the figures of the report: medians over the repetitions, shares and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from bench.contestants import (
    ALL,
    FULL,
    LAKEHOUSE,
    NAIVE,
    NAIVE_APART,
    NEW,
    NOTHING,
    ON_SPARK,
    SESSION,
    SINGLE_NODE,
    TOGETHER,
    WITHDRAWN,
    Measurement,
)
from bench.process import Cost
from bench.written import NOTHING_WRITTEN, Written

GIB = 1024**3


@dataclass(frozen=True)
class Run:
    """A contestant's run: medians over the repetitions, and the extremes. `work` is without the starts of sessions."""

    seconds: float
    fastest: float
    slowest: float
    session_starts: float
    work: float
    processor_seconds: float
    peak_bytes: int
    written: Written
    landing_rows: int

    @property
    def rows_per_second(self) -> float:
        return self.landing_rows / self.seconds


@dataclass(frozen=True)
class Step:
    """A step of a run. `work` and `processor_seconds` are without the start of the session."""

    work: float
    processor_seconds: float
    peak_bytes: int
    written: Written


Key = tuple[str, str, int]  # contestant, scenario, scale
Sessions = dict[tuple[str, int, int], Cost]  # by contestant, scale and repetition
NO_SESSION = Cost(0.0, 0.0, 0)


class Figures:
    """`runs` by contestant, scenario and scale; `steps` by the same and the table."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        repetitions: dict[Key, dict[int, list[Measurement]]] = {}
        sessions: Sessions = {}
        for m in measurements:
            if m.step == SESSION:
                sessions[m.contestant, m.scale, m.repetition] = m.cost
            else:
                of_run = repetitions.setdefault((m.contestant, m.scenario, m.scale), {})
                of_run.setdefault(m.repetition, []).append(m)
        self.runs = {key: _run(list(of_run.values()), sessions) for key, of_run in repetitions.items()}
        self.steps = {
            (*key, table): step for key, of_run in repetitions.items() for table, step in _steps(of_run.values(), sessions)
        }
        ours = [cost.seconds for (contestant, *_), cost in sessions.items() if contestant == LAKEHOUSE]
        self.session_seconds = median(ours) if ours else 0.0
        self.scales = sorted({scale for _, _, scale in self.runs})

    def ratio(self, one: Key, other: Key) -> float | None:
        """Wall time of one run as a multiple of another's; None when one of them was not measured."""
        if one not in self.runs or other not in self.runs:
            return None
        return self.runs[one].seconds / self.runs[other].seconds


def _session(m: Measurement, sessions: Sessions) -> Cost:
    """What of the step was the start of its session, as far as it is measured: the lakehouse starts one for every step."""
    return sessions.get((m.contestant, m.scale, m.repetition), NO_SESSION)


def _run(repetitions: list[list[Measurement]], sessions: Sessions) -> Run:
    totals = [_total(steps, sessions) for steps in repetitions]
    seconds = [total for total, _ in totals]
    measurements = [m for steps in repetitions for m in steps]
    return Run(
        seconds=median(seconds),
        fastest=min(seconds),
        slowest=max(seconds),
        session_starts=median(starts for _, starts in totals),
        work=median(total - starts for total, starts in totals),
        processor_seconds=median(sum(m.cost.processor_seconds for m in steps) for steps in repetitions),
        peak_bytes=max(m.cost.peak_bytes for m in measurements),
        written=sum((m.written for m in repetitions[0]), NOTHING_WRITTEN),
        landing_rows=max(m.landing_rows for m in measurements),
    )


def _total(steps: list[Measurement], sessions: Sessions) -> tuple[float, float]:
    """Seconds of a run, and how many of them were starts of sessions."""
    parts = sum(m.cost.seconds for m in steps if m.step != ALL)
    for m in steps:
        if m.step == ALL:  # one process for all tables: what no table took was the start
            return m.cost.seconds, m.cost.seconds - parts
    return parts, sum(_session(m, sessions).seconds for m in steps)


def _steps(repetitions: Iterable[list[Measurement]], sessions: Sessions) -> Iterator[tuple[str, Step]]:
    by_table: dict[str, list[Measurement]] = {}
    for steps in repetitions:
        for m in steps:
            if m.step != ALL:
                by_table.setdefault(m.step, []).append(m)
    for table, found in by_table.items():
        starts = [_session(m, sessions) for m in found]
        pairs = list(zip(found, starts, strict=True))
        yield (
            table,
            Step(
                work=median(m.cost.seconds - start.seconds for m, start in pairs),
                processor_seconds=median(m.cost.processor_seconds - start.processor_seconds for m, start in pairs),
                peak_bytes=max(m.cost.peak_bytes for m in found),
                written=found[0].written,
            ),
        )


@dataclass(frozen=True)
class Limit:
    """A promise about speed or memory, what was measured, and the limit it must not pass."""

    promise: str
    measured: float
    limit: float
    unit: str

    @property
    def holds(self) -> bool:
        return self.measured <= self.limit


def limits(figures: Figures) -> list[Limit]:
    """The promises that can be judged from these measurements, at the largest scale."""
    scale = figures.scales[-1]
    full = figures.runs.get((LAKEHOUSE, FULL, scale))
    if full is None:
        return []
    apart, program = "a process for each table", "the naive program"
    compared = (
        ((LAKEHOUSE, FULL, scale), NAIVE_APART, 0.4, f"full run at {scale}x, {apart}, against {program} with as many"),
        ((TOGETHER, FULL, scale), NAIVE, 0.7, f"full run at {scale}x, in one process, against {program} in one"),
        ((LAKEHOUSE, NEW, scale), NAIVE_APART, 0.2, f"1 % new at {scale}x, against {program}'s full run"),
        ((LAKEHOUSE, WITHDRAWN, scale), NAIVE_APART, 0.4, f"1 % withdrew at {scale}x, against {program}'s full run"),
        ((ON_SPARK, FULL, scale), NAIVE_APART, 1.3, f"full run at {scale}x on Spark, {apart}, against {program} with as many"),
    )
    found = []
    for ours, other, limit, promise in compared:
        ratio = figures.ratio(ours, (other, FULL, scale))
        if ratio is not None:
            found.append(Limit(promise, ratio, limit, "times"))
    for size in sorted({figures.scales[0], scale}):
        ratio = figures.ratio((LAKEHOUSE, FULL, size), (SINGLE_NODE, FULL, size))
        if ratio is not None:
            found.append(Limit(f"full run at {size}x, against the trial on one node, which does less", ratio, 1.8, "times"))
    nothing = figures.runs.get((LAKEHOUSE, NOTHING, scale))
    if nothing and full.session_starts:
        starts = nothing.seconds / nothing.session_starts
        found.append(Limit(f"nothing new at {scale}x, against processes that load packages and catalog", starts, 1.6, "times"))
    peak = max(run.peak_bytes for (name, _, _), run in figures.runs.items() if name == LAKEHOUSE)
    found.append(Limit("peak memory of any job on DuckDB", peak / GIB, 8 if scale > 100 else 2.5, "GiB"))
    if len(figures.scales) > 1:
        smaller = figures.scales[-2]
        growth = full.seconds / figures.runs[LAKEHOUSE, FULL, smaller].seconds
        found.append(Limit(f"full run from {smaller}x to {scale}x", growth, 1.3 * scale / smaller, "times"))
    return found
