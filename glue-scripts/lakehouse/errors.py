"""Errors a job reports, and how to report the ones it did not expect.

A message of Spark may quote a value of a row (a failed cast does), and rows here are about people. So only our own
messages are passed on as they are; of any other error only its class and the place in the code come out.
"""

from __future__ import annotations

import traceback
from pathlib import PurePath


class LakehouseError(Exception):
    """A known failure. Its message says on one line what was wrong, where, what to do; it holds no value of a row.

    `metric`: what counts the runs that fail so; empty where no alarm wants to know.
    """

    metric = ""


class DoesNotAddUp(LakehouseError):
    """Rows vanished, or came out of nothing (R7)."""

    metric = "RunsNotAddingUp"


class TooManyQuarantined(LakehouseError):
    """More of the rows than the contract allows cannot be used (R8)."""

    metric = "RunsOverQuarantineLimit"


class FailedChecks(LakehouseError):
    """What was to be published is not as the contract says."""

    metric = "RunsFailingChecks"


def unreadable(what: str, error: Exception) -> LakehouseError:
    """Something that was delivered and cannot be read now, for whatever reason but its content."""
    return LakehouseError(
        f"{what} cannot be read now ({type(error).__name__}), so nothing was written; "
        "see that the job may read and decrypt what is delivered, and run it again"
    )


def describe(error: BaseException) -> str:
    """One line about any error, free of row values."""
    if isinstance(error, LakehouseError):
        return str(error)
    return f"unexpected {_kind(error)} at {_place(error)}; the message is withheld because it may quote personal data"


def condition(error: BaseException) -> str | None:
    """Spark's name for an error, such as `PATH_NOT_FOUND`; None when it has none."""
    named = getattr(error, "getCondition", None)
    return named() if callable(named) else None


def java_class(error: BaseException) -> str:
    """Class of the Java exception behind an error; of Python's own when there is none."""
    java = getattr(error, "java_exception", None)
    return java.getClass().getName() if java is not None else type(error).__name__


def _kind(error: BaseException) -> str:
    name = java_class(error)
    return f"{name} [{condition(error)}]" if condition(error) else name


def _place(error: BaseException) -> str:
    """The innermost frame of our own code: pyspark's frames say nothing about the cause."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if PurePath(f.filename).parent.name in ("lakehouse", "engines", "jobs")] or frames
    return f"{PurePath(own[-1].filename).name}:{own[-1].lineno} ({own[-1].name})" if own else "an unknown place"
