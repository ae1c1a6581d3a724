"""DuckDB reads data files on S3 through PyArrow, from several threads in the same open file."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from lakehouse.engines.duckdb import _Lake
from pyarrow.fs import LocalFileSystem

_ROWS = 2_000_000


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_each_thread_reads_where_it_has_sought(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    file = _Lake(LocalFileSystem()).open(f"lake://{tmp_path}/file")
    file.seek(2)
    other = threading.Thread(target=file.seek, args=(7,))
    other.start()
    other.join()
    assert file.read(3) == b"234"


def test_many_threads_read_the_rows_of_one_file(tmp_path: Path, hasty: None) -> None:
    path = tmp_path / "rows.parquet"
    with duckdb.connect() as db:
        db.execute("set threads = 8")
        db.execute(f"copy (select range as a, hash(range) as b from range({_ROWS})) to '{path}' (row_group_size 20000)")
        db.register_filesystem(_Lake(LocalFileSystem()))
        ask = "select count(*), sum(a), sum(b) from read_parquet(['{}'])"
        expected = db.execute(ask.format(path)).fetchall()
        for _ in range(10):
            assert db.execute(ask.format(f"lake://{path}")).fetchall() == expected
