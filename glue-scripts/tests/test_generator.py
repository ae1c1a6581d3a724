"""The generator's promise: what it says of its data is what the rules make of it."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from oracle import GATES, Result, compute, read_landing

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    """A set larger than the sample, from another seed."""
    out = tmp_path_factory.mktemp("generated")
    flags = ["-people", "800", "-readings", "12", "-seed", "20240229", "-files", "5", "-out", str(out)]
    subprocess.run(["go", "run", "./data/generator", *flags], cwd=REPO, check=True, timeout=300)
    return out


@pytest.fixture(scope="module", params=[1, 3])
def history(request, tmp_path_factory) -> list[Path]:
    """The folders of a growing history, with so many files a source and delivery."""
    out = tmp_path_factory.mktemp("history")
    flags = f"-people 400 -readings 10 -seed 7 -deliveries 8 -files {request.param} -out".split()
    subprocess.run(["go", "run", "./data/generator", *flags, str(out)], cwd=REPO, check=True, timeout=300)
    return sorted(out.iterdir())


@pytest.fixture(params=["sample", "generated"])
def landing(request) -> Path:
    return REPO / "data" / "sample" if request.param == "sample" else request.getfixturevalue("generated")


@pytest.mark.parametrize("gate", GATES)
def test_the_rules_give_the_expected_rows_and_reasons(landing, gate):
    result = compute(landing, gate)
    assert result.counts() == expected(landing, "expected.json", gate)
    assert {table: dict(found) for table, found in result.outcomes.items()} == expected(landing, "expected_reasons.json", gate)


def test_the_rules_give_the_expected_rows_and_reasons_after_every_delivery(history, tmp_path):
    """One folder laid over the other; a file that comes again replaces the earlier one."""
    assert len(history) == 8
    for delivery in history:
        shutil.copytree(delivery, tmp_path, dirs_exist_ok=True)
        for gate in GATES:
            result = compute(tmp_path, gate)
            assert result.counts() == expected(delivery, "expected.json", gate), delivery.name
            outcomes = {table: dict(found) for table, found in result.outcomes.items()}
            assert outcomes == expected(delivery, "expected_reasons.json", gate), delivery.name


def test_a_join_on_the_time_alone_would_be_noticed(landing):
    result = compute(landing, "as-of")
    assert pairs_at_one_time(result) > len(result.tables["machine_learning_curated"])


def test_a_device_delivers_different_distances_for_one_time_in_either_order(landing):
    distances: dict[tuple, list[int]] = {}
    for step in read_landing(landing).steps:
        distances.setdefault((step.serial, step.time), []).append(step.distance)
    differing = [found for found in distances.values() if len(set(found)) > 1]
    assert any(found[0] == min(found) for found in differing)
    assert any(found[0] != min(found) for found in differing)


def pairs_at_one_time(result: Result) -> int:
    steps = Counter(time for time, _, _ in result.tables["step_trainer_trusted"])
    return sum(steps[sample[1]] for sample in result.tables["accelerometer_trusted"])


def expected(landing: Path, name: str, gate: str) -> dict:
    return json.loads((landing / name).read_text())[gate]
