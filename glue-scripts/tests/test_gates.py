"""What became of every row is counted, and has to add up (R7)."""

from dataclasses import replace

import pytest
from lakehouse import contracts
from lakehouse.errors import DoesNotAddUp, FailedChecks, LakehouseError
from lakehouse.gates import EXCLUSIONS, Gate, Gated, Tally
from support import both_engines

STEPS = contracts.load("step_trainer_trusted")
FIRST = {"accepted": 4, "no_consent": 2, "unknown_customer": 3}
LAST = {"accepted": 3, "duplicate": 1}


@pytest.fixture
def rows_of(desk):
    def make(*rows):
        columns = {"sensorreadingtime": "bigint", "serialnumber": "string", "distancefromobject": "int", "reason": "string"}
        return desk.engine.rows(columns, rows)

    return make


# --- counting ---


@both_engines
def test_rows_are_counted_and_those_that_pass_are_used(desk, rows_of):
    rows = rows_of((1, "a", 1, None), (2, "a", 1, "no_consent"), (3, "a", 1, "no_consent"), (4, "a", 1, "duplicate"))
    gate = Gate(desk.engine, rows)
    assert desk.fetched(gate.passing) == [(1, "a", 1, None)]
    assert gate.counts == {"accepted": 1, "no_consent": 2, "duplicate": 1}
    assert len(desk.fetched(gate.rows)) == 4


@both_engines
def test_a_gate_without_rows_counts_nothing(desk, rows_of):
    gate = Gate(desk.engine, rows_of())
    assert desk.fetched(gate.passing) == []
    assert gate.counts == {}


def test_every_reason_is_counted_by_its_name(desk, rows_of):
    rows = [(time, "a", 1, reason) for number, reason in enumerate(EXCLUSIONS, 1) for time in range(number)]
    assert Gate(desk.engine, rows_of(*rows)).counts == {reason: number for number, reason in enumerate(EXCLUSIONS, 1)}


@both_engines
def test_accepted_rows_have_the_columns_of_the_contract(desk, rows_of):
    gated = Gated(desk.engine, rows_of((1, "a", 1, None), (2, "a", 1, "no_consent")), STEPS)
    assert desk.fetched(gated.accepted) == [(1, "a", 1)]
    assert list(gated.accepted.columns) == STEPS.names


@both_engines
def test_column_that_the_select_does_not_give_is_null(desk, rows_of):
    note = contracts.Column("note", "double", json_key="note", since=2)
    rows = Gated(desk.engine, rows_of((1, "a", 1, None)), replace(STEPS, columns=(*STEPS.columns, note))).accepted
    assert rows.columns["note"] == "double"
    assert desk.fetched(rows) == [(1, "a", 1, None)]


@both_engines
def test_accepted_rows_without_a_key_fail(desk, rows_of):
    rows = rows_of((None, "a", 1, None), (1, None, 1, None), (None, "a", 1, "no_consent"), (1, "a", 1, None))
    with pytest.raises(FailedChecks) as caught:
        Gated(desk.engine, rows, STEPS)
    assert str(caught.value) == "step_trainer_trusted: 2 accepted rows have no key; nothing was published"


def test_rows_that_are_not_accepted_need_no_key(desk, rows_of):
    assert Gated(desk.engine, rows_of((None, None, 1, "no_consent")), STEPS).counts == {"no_consent": 1}


# --- adding up (R7) ---


def tally(read=11, quarantined=2, gates=(FIRST, LAST), published=3):
    return Tally(read, quarantined, gates, published)


def test_rows_that_go_through_two_gates_are_accepted_once_and_excluded_by_either():
    both = tally()
    assert both.accepted == 3
    assert both.excluded == {"no_consent": 2, "unknown_customer": 3, "duplicate": 1}
    both.check("t")


def test_one_gate_is_enough():
    tally(read=4, quarantined=0, gates=(LAST,)).check("t")


def test_rows_that_were_there_already_are_not_written():
    """Then what was written is not known, or fewer rows than were accepted: only the other numbers have to add up."""
    tally(published=None).check("t")
    with pytest.raises(DoesNotAddUp):
        tally(published=None, read=12).check("t")


def test_the_same_reason_at_both_gates_is_added_up():
    assert tally(read=12, gates=({**FIRST, "duplicate": 2, "accepted": 4, "no_consent": 1}, LAST)).excluded["duplicate"] == 3


@pytest.mark.parametrize(
    ("wrong", "numbers"),
    [
        ({"read": 12}, "12 read, 3 accepted, 6 excluded, 2 quarantined, 3 written"),
        ({"read": 10}, "10 read, 3 accepted, 6 excluded, 2 quarantined, 3 written"),
        ({"quarantined": 1}, "11 read, 3 accepted, 6 excluded, 1 quarantined, 3 written"),
        ({"published": 4}, "11 read, 3 accepted, 6 excluded, 2 quarantined, 4 written"),
        ({"gates": ({**FIRST, "no_consent": 1}, LAST)}, "11 read, 3 accepted, 5 excluded, 2 quarantined, 3 written"),
        ({"gates": (FIRST, {**LAST, "accepted": 2}), "published": None}, "11 read, 2 accepted, 6 excluded, 2 quarantined"),
    ],
    ids=["vanished", "appeared", "quarantined", "published", "first gate", "second gate"],
)
def test_a_run_that_does_not_add_up_fails(wrong, numbers):
    with pytest.raises(LakehouseError) as caught:
        tally(**wrong).check("t")
    assert str(caught.value) == f"t: rows do not add up (R7): {numbers}; nothing was published"


def test_a_reason_the_ledger_does_not_know_does_not_add_up(desk, rows_of):
    gated = Gated(desk.engine, rows_of((1, "a", 1, None), (2, "a", 1, "bad_mood")), STEPS)
    with pytest.raises(DoesNotAddUp, match=r"t: rows do not add up .*: 2 read, 1 accepted, 0 excluded"):
        Tally(2, 0, (gated.counts,), 1).check("t")


def test_every_reason_for_a_suspended_person_is_one_that_is_counted():
    """Else rows left out as suspended would not add up."""
    assert "suspended" in EXCLUSIONS
    assert len(set(EXCLUSIONS)) == len(EXCLUSIONS)
