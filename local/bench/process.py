"""Runs a program and measures what it costs: wall time, processor time, and peak memory of the whole process tree."""

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

# Often enough for programs of seconds; each look takes a few milliseconds of a core the program could use.
SAMPLE_SECONDS = 0.2
# A process that was just forked shares its parent's memory, and would count it once more, until it becomes another program.
FORK_SECONDS = 1.0


@dataclass(frozen=True)
class Cost:
    """`processor_seconds`: of all processes and cores. `peak_bytes`: the largest sum of resident memory over all processes
    that were alive at one moment."""

    seconds: float
    processor_seconds: float
    peak_bytes: int


def measure(start: Callable[[], subprocess.Popen], timeout: float) -> tuple[int | None, Cost]:
    """Exit status (None: stopped after timeout seconds) and cost of a program that `start` starts in a session of its own.

    Nothing of the program is left behind, also when this is interrupted. No other child process may end meanwhile.
    """
    began, ended_before = time.monotonic(), _of_ended_children()
    process = start()
    tree = _Tree(process.pid)
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        seconds = time.monotonic() - began
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        tree.stop()
    # What was seen lacks the last moments of a process; what the system counts lacks processes that nobody waited for.
    processor_seconds = max(tree.processor_seconds, _of_ended_children() - ended_before)
    return status, Cost(seconds, processor_seconds, tree.peak_bytes)


def _of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Tree:
    """Looks at a process and its descendants in a thread until stopped."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._used: dict[tuple[int, float], float] = {}
        self._root = psutil.Process(pid)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    @property
    def processor_seconds(self) -> float:
        return sum(self._used.values())

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._look()
            if self._stopped.wait(SAMPLE_SECONDS):
                return

    def _look(self) -> None:
        resident, youngest = 0, time.time() - FORK_SECONDS
        for process in [self._root, *self._root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._used[process.pid, process.create_time()] = times.user + times.system
                if process == self._root or process.create_time() < youngest:
                    resident += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, resident)
