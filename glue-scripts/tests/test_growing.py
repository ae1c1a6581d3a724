"""Data that grows, as the generator delivers it: new files, replays, late readings, changed customers, consent given, withdrawn
and given again; as many deliveries as the environment variable DELIVERIES says (default: 2).

After each delivery the tables hold what the generator has planted, and in the end what one full refresh makes of everything, on
the other engine.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from lakehouse.engines import SPARK
from support import TARGETS, Lake

REPO = Path(__file__).resolve().parents[2]
SOURCES = ("customer", "accelerometer", "step_trainer")
DELIVERIES = int(os.environ.get("DELIVERIES", "2"))


@pytest.fixture
def history(tmp_path) -> list[Path]:
    out = tmp_path / "history"
    flags = ["-people", "150", "-readings", "10", "-seed", "11", "-deliveries", str(DELIVERIES), "-files", "2", "-out", str(out)]
    subprocess.run(["go", "run", "./data/generator", *flags], cwd=REPO, check=True, timeout=300)
    return sorted(out.iterdir())


def test_growing_data_equals_one_full_refresh_of_all(spark, lake, history, tmp_path):
    for delivery in history:
        for source in SOURCES:
            if (delivery / source / "landing").is_dir():
                shutil.copytree(delivery / source / "landing", lake.folder / source / "landing", dirs_exist_ok=True)
        lake.run()
        planted = json.loads((delivery / "expected.json").read_text())["as-of"]
        assert {table: len(lake.rows(table)) for table in TARGETS} == {table: planted[table] for table in TARGETS}, delivery.name
    whole = Lake(tmp_path / "whole", SPARK)
    for source in SOURCES:
        shutil.copytree(lake.folder / source / "landing", whole.folder / source / "landing")
    whole.create_tables()
    whole.run(full_refresh=True)
    for table in TARGETS:
        # Not compared by assert: pytest would print the rows that differ, and rows are about people.
        same = lake.rows(table) == whole.rows(table)
        assert same, f"{table} after {DELIVERIES} deliveries is not what one full refresh makes of them"
