"""Scratch files, which may hold personal data, and what it means that there is no room for them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from lakehouse.errors import LakehouseError

_PREFIX = "lakehouse-"
_OF_PROCESS = re.compile(rf"{_PREFIX}(\d+)-\w+")


@contextlib.contextmanager
def no_values() -> Iterator[None]:
    """DuckDB's messages may quote values of rows; what it ran out of may be told."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise no_room() from error
    except duckdb.IOException as error:
        # It writes scratch files only.
        if "could not write" in str(error).lower():
            raise no_room() from error
        raise


def no_room() -> LakehouseError:
    return LakehouseError("memory or scratch space is not enough for this run: give it more, or run it with --engine spark")


def folder() -> Path:
    """A folder of this process for scratch files. Those of processes that are gone are removed."""
    for other in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if (named := _OF_PROCESS.fullmatch(other.name)) and not _is_alive(int(named[1])):
            shutil.rmtree(other, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or not to be known
    return True
