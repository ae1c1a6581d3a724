"""For any history, after each run: nobody is in a table whose latest word, readable or not, is not a valid consent.

Held against the oracle's tables, a few hundred histories in every run; EXAMPLES says how many. The product is held against the
same in test_random_histories.py. And the third formulation itself: it hears who is meant, and objects to what is wrong.
"""

import json
import os
import tempfile
from collections import Counter

import heard
import pytest
from histories import START, Folder, T, apply, histories, play
from hypothesis import HealthCheck, Phase, given, settings
from oracle import GATES, compute

EXAMPLES = int(os.environ.get("EXAMPLES", "200"))
STEADY = settings(
    derandomize=True, database=None, deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow]
)
ANN = "ann@example.com"


@STEADY
@given(histories())
def test_nobody_passes_whose_latest_word_is_no_valid_consent(history):
    with tempfile.TemporaryDirectory() as root:
        for folder in play(history, root):
            closed = heard.closed(folder)
            for gate in GATES:
                assert heard.trespassers(closed, compute(root, gate).tables) == {}


@STEADY
@given(histories())
def test_what_is_nobodys_word_stops_the_run(history):
    """Else somebody might withdraw in it, and nobody would hear."""
    with tempfile.TemporaryDirectory() as root:
        for folder in play(history, root):
            _, lost = heard.words(folder)
            assert sorted(lost) == compute(root, "as-of").unnamed["customer"]


def test_people_are_closed_and_opened_often_enough_to_learn_from():
    found, count = Counter(), 0

    @settings(STEADY, max_examples=150, phases=[Phase.generate])
    @given(histories())
    def collect(history):
        nonlocal count
        count += 1
        with tempfile.TemporaryDirectory() as root:
            before, things = set(), set()
            for folder in play(history, root):
                closed = set(heard.closed(folder))
                passing = {row[1] for row in compute(root, "as-of").tables["customer_trusted"]}
                things |= {("closed", len(closed) > 0), ("passing", len(passing) > 0), ("opened", bool(before & passing))}
                before = closed
            found.update(things)

    collect()
    least = {"closed": 0.5, "passing": 0.5, "opened": 0.03}
    assert {what: found[what, True] for what, share in least.items() if found[what, True] < count * share} == {}


# --- the formulation itself ---


def said(tmp_path, *deliveries):
    """Who is closed after customer records were delivered, one file after the other."""
    folder = Folder(tmp_path)
    for number, rows in enumerate(deliveries):
        lines = [json.dumps(row) if isinstance(row, dict) else row for row in rows]
        operation = {"op": "deliver", "source": "customer", "name": "m", "ending": ".json", "lines": lines, "damage": None}
        apply([operation], folder, START + number)
    return set(heard.closed(folder))


def record(time=T + 500, research=T + 500, email=ANN, **other):
    return {"email": email, "lastUpdateDate": time, "shareWithResearchAsOfDate": research} | other


CLOSED = {
    "never": [[record(research=None)]],
    "withdrawn": [[record()], [record(T + 1000, None)]],
    "withdrawn at the same time": [[record(T + 500, None)], [record()]],
    "zero": [[record(research=0)]],
    "newer and bad": [[record()], [record(T + 1000, phone=5)]],
    "bad at the same time": [[record(phone=5)], [record()]],
    "a consent in seconds": [[record()], [record(T + 1000, T // 1000)]],
    "a change in seconds": [[record()], [record(T // 1000)]],
    "a change in seconds, the good record again": [
        [record()],
        [record(T // 1000)],
        [record(), record(email=f"\u200b{ANN.upper()}")],
    ],
    "a consent to come": [[record()], [record(T + 1000, 2_000_000_000_000)]],
    "two spellings": [[record()], [record(T + 1000, PHONE="1", phone="1")]],
    "only bad": [[record(phone=5)]],
    "together": [[record(), record(None)]],
}
OPEN = {
    "agreed": [[record()]],
    "agreed again": [[record(T + 500, None)], [record(T + 1000)]],
    "older and bad": [[record(T + 400, phone=5)], [record()]],
    "bad, and newer after": [[record(phone=5)], [record(T + 1000)]],
    "undated, and delivered after": [[record(T // 1000)], [record()]],
    "undated, and again": [[record(T // 1000)], [record()], [record(T // 1000)]],
    "numbers otherwise": [
        [record(float(T + 500), float(T + 500))],
        [json.dumps(record()).replace("650000000500", ".650000000500e12")],
    ],
}


@pytest.mark.parametrize("case", CLOSED)
def test_closed(tmp_path, case):
    assert said(tmp_path, *CLOSED[case]) == {ANN}


@pytest.mark.parametrize("case", OPEN)
def test_open(tmp_path, case):
    assert said(tmp_path, *OPEN[case]) == set()


def test_rows_of_somebody_closed_are_found_in_every_table(tmp_path):
    """With what the oracle lets pass before a withdrawal, looked at after it."""
    folder = Folder(tmp_path)
    reading = {"user": ANN, "timestamp": T + 1000, "x": 1, "y": 1, "z": 1}
    step = {"sensorReadingTime": T + 1000, "serialNumber": "s-1", "distanceFromObject": 1}
    rows = {"customer": record(serialNumber="s-1"), "accelerometer": reading, "step_trainer": step}
    form = {"op": "deliver", "name": "m", "ending": ".json", "damage": None}
    apply([form | {"source": source, "lines": [row]} for source, row in rows.items()], folder, START)
    tables = compute(tmp_path, "as-of").tables
    assert all(len(rows) == 1 for rows in tables.values())
    assert heard.trespassers(heard.closed(folder), tables) == {}
    apply([form | {"source": "customer", "lines": [record(T + 2000, None, serialNumber="s-1")]}], folder, START + 1)
    assert heard.trespassers(heard.closed(folder), tables) == tables
