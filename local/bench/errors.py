"""What stops a benchmark, in words for its user."""


class BenchError(Exception):
    """Its message says on one line what was wrong, where, what to do."""
