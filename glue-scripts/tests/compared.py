"""What is in a lake, whoever wrote it, and when."""

from support import KEEPS, TARGETS

# Which run wrote a row, when, and by which engine.
WRITTEN = ("run_id", "quarantined_at", "recorded_at", "engine")


def content(lake, *tables):
    """Sorted rows by table (default: all but the ledger), as text: 0.0 and -0.0 differ."""
    return {table: rows(lake, table) for table in tables or (*TARGETS, *KEEPS[:-1])}


def rows(lake, table):
    found = lake.arrow(table)
    return sorted(map(str, found.drop([name for name in WRITTEN if name in found.column_names]).to_pylist()))
