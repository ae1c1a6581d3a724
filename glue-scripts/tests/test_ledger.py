import json
from dataclasses import replace

import pytest
from lakehouse import contracts
from lakehouse.errors import LakehouseError
from lakehouse.ledger import EXCLUSIONS, Entry, Gated, Tally

STEPS = contracts.load("step_trainer_trusted")
COUNTS = {**dict.fromkeys(EXCLUSIONS, 0), "accepted": 3, "null_key": 0, "no_consent": 2, "duplicate": 1}


@pytest.fixture
def gated(spark):
    def make(*rows, contract=STEPS):
        schema = "sensorreadingtime bigint, serialnumber string, distancefromobject int, reason string"
        return Gated(spark.createDataFrame(rows, schema), contract)

    return make


def tally(read=6, quarantined=0, published=3, **counts):
    return Tally(read, quarantined, {**COUNTS, **counts}, published)


def test_rows_are_counted_while_they_are_used(gated):
    rows = gated((1, "a", 1, None), (2, "a", 1, "no_consent"), (3, "a", 1, "no_consent"), (4, "a", 1, "duplicate"))
    assert [tuple(row) for row in rows.accepted.collect()] == [(1, "a", 1)]
    assert {reason: number for reason, number in rows.counts().items() if number} == {
        "accepted": 1,
        "no_consent": 2,
        "duplicate": 1,
    }
    assert rows.recount() == rows.counts()


def test_column_that_the_select_does_not_give_is_null(gated):
    note = contracts.Column("note", "double", field="note", since=2)
    rows = gated((1, "a", 1, None), contract=replace(STEPS, columns=(*STEPS.columns, note))).accepted
    assert rows.schema["note"].dataType.simpleString() == "double"
    assert [tuple(row) for row in rows.collect()] == [(1, "a", 1, None)]


def test_a_run_that_adds_up_passes():
    tally().check("t")
    tally(read=8, quarantined=2).check("t")
    assert tally().excluded == {"no_consent": 2, "duplicate": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"read": 7}, {"read": 5}, {"quarantined": 1}, {"published": 4}, {"accepted": 2, "published": 2}],
    ids=["vanished", "appeared", "quarantined", "published", "accepted"],
)
def test_a_run_that_does_not_add_up_fails(wrong):
    with pytest.raises(LakehouseError, match=r"^t: rows do not add up \(R7\): .* nothing was written$"):
        tally(**wrong).check("t")


def test_a_reason_the_ledger_does_not_know_does_not_add_up(gated):
    rows = gated((1, "a", 1, None), (2, "a", 1, "bad_mood"))
    rows.accepted.collect()
    assert not Tally(2, 0, rows.counts(), 1).adds_up()


def test_accepted_rows_without_a_key_fail(gated):
    rows = gated((None, "a", 1, None), (None, "a", 1, "no_consent"))
    rows.accepted.collect()
    with pytest.raises(LakehouseError, match="t: 1 accepted rows have no key; nothing was written"):
        Tally(2, 0, rows.counts(), 1).check("t")


def test_entry_is_one_line_of_json():
    entry = Entry("job", "run", "t", read=3, accepted=2, excluded={"no_consent": 1}, inserted=2)
    assert "\n" not in entry.to_json()
    assert json.loads(entry.to_json()) == {
        "job": "job",
        "run_id": "run",
        "table": "t",
        "read": 3,
        "accepted": 2,
        "excluded": {"no_consent": 1},
        "quarantined": {},
        "inserted": 2,
        "updated": 0,
        "deleted": 0,
    }
