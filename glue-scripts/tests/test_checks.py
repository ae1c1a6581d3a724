"""The data checks, and that nobody reads a table that would fail them."""

from dataclasses import replace

import pytest
from lakehouse import checks, contracts, tables
from lakehouse.contracts import Check
from lakehouse.drafts import OP, Drafts
from lakehouse.errors import FailedChecks
from support import DATABASE, Lake, both_engines, create_table

STEPS = contracts.load("step_trainer_trusted")
RANGE = Check("accepted_range", "distancefromobject", min=0, max=100)
VALUES = Check("accepted_values", "serialnumber", values=("a", "b"))
KNOWN = Check("relationships", "serialnumber", to="known_devices", field="device")

pytestmark = both_engines


def contract(*more, required=True):
    columns = STEPS.columns if required else tuple(replace(column, required=False) for column in STEPS.columns)
    return replace(STEPS, columns=columns, checks=more)


def steps(desk, *values):
    return desk.engine.rows(STEPS.types, values)


def devices(desk, *names):
    return {"known_devices": desk.engine.rows({"device": "string"}, [(name,) for name in names])}


def failed(found):
    """How often which check failed: those that held are left out."""
    return {name: count for name, count in found.items() if count}


@pytest.fixture
def failures(desk):
    """How many rows fail which check on one row."""
    return lambda contract, *values: failed(checks.rows(desk.engine, steps(desk, *values), contract))


@pytest.fixture
def table_failures(desk):
    def run(contract, *values, touched=None, others=None):
        whole = steps(desk, *values)
        touched = whole if touched is None else steps(desk, *touched)
        return failed(checks.table(desk.engine, whole, touched, contract, others or {}))

    return run


def test_not_null_is_asked_of_every_required_column(failures):
    found = failures(contract(), (1, "a", 1), (None, "a", 1), (1, None, None), (None, None, 1))
    assert found == {"not_null(sensorreadingtime)": 2, "not_null(serialnumber)": 2, "not_null(distancefromobject)": 1}
    assert failures(contract(required=False), (None, None, None)) == {}


def test_accepted_range_holds_its_bounds(failures):
    found = failures(contract(RANGE), (1, "a", -1), (1, "a", 0), (1, "a", 100), (1, "a", 101), (1, "a", 5000))
    assert found == {"accepted_range(distancefromobject)": 3}


@pytest.mark.parametrize(("bound", "failing"), [({"min": 0}, 1), ({"max": 100}, 2)])
def test_accepted_range_may_have_one_bound_only(failures, bound, failing):
    found = failures(contract(Check("accepted_range", "distancefromobject", **bound)), *((1, "a", n) for n in (-1, 50, 101, 102)))
    assert found == {"accepted_range(distancefromobject)": failing}


def test_accepted_values_are_those_in_the_list(failures):
    assert failures(contract(VALUES), (1, "a", 1), (1, "b", 1), (1, "A", 1), (1, "", 1)) == {"accepted_values(serialnumber)": 2}


def test_null_is_a_matter_of_not_null_alone(failures):
    assert failures(contract(RANGE, VALUES, required=False), (1, None, None)) == {}
    assert failures(contract(RANGE, VALUES), (1, "a", None)) == {"not_null(distancefromobject)": 1}


def test_no_row_fails_no_check(desk):
    nothing, known = steps(desk), contract(RANGE, VALUES)
    found = checks.rows(desk.engine, nothing, known), checks.table(desk.engine, nothing, nothing, known, {}, with_rows=True)
    assert [set(one.values()) for one in found] == [{0}, {0}]


def test_unique_is_asked_of_the_whole_key(table_failures):
    assert table_failures(contract(), (1, "a", 1), (2, "a", 1), (1, "b", 1)) == {}
    found = table_failures(contract(), (1, "a", 1), (1, "a", 2), (1, "a", 3), (2, "b", 1), (2, "b", 1), (3, "c", 1))
    assert found == {"unique(serialnumber, sensorreadingtime)": 2}


def test_unique_is_asked_of_touched_rows_alone(table_failures):
    values = [(1, "a", 1), (1, "a", 2), (2, "b", 1), (2, "b", 1), (3, "c", 1)]
    name = "unique(serialnumber, sensorreadingtime)"
    assert table_failures(contract(), *values, touched=[(1, "a", 1), (1, "a", 2), (3, "c", 1)]) == {name: 1}
    assert table_failures(contract(), *values, touched=[(3, "c", 1)]) == {}
    assert table_failures(contract(), *values, touched=[]) == {}


def test_relationships_counts_values_that_the_other_table_does_not_have(desk, table_failures):
    others = devices(desk, "a", "a", None)
    rows = ((1, "a", 1), (1, "b", 1), (2, "b", 1), (1, "c", 1), (1, None, 1))
    assert table_failures(contract(KNOWN), *rows, others=others) == {"relationships(serialnumber)": 2}
    assert table_failures(contract(KNOWN), (1, "a", 1), others=others) == {}


def test_a_check_that_holds_is_found_too(desk):
    one, known = steps(desk, (1, "a", 1)), contract(RANGE, KNOWN)
    of_rows = {
        "not_null(sensorreadingtime)": 0,
        "not_null(serialnumber)": 0,
        "not_null(distancefromobject)": 0,
        "accepted_range(distancefromobject)": 0,
    }
    assert checks.rows(desk.engine, one, known) == of_rows
    whole = {"unique(serialnumber, sensorreadingtime)": 0, "relationships(serialnumber)": 0}
    assert checks.table(desk.engine, one, one, known, devices(desk, "a")) == whole
    assert checks.table(desk.engine, one, one, known, devices(desk, "a"), with_rows=True) == {**of_rows, **whole}


def test_a_failure_says_table_checks_and_counts(desk):
    rows = steps(desk, (None, "a", 101), (None, "a", 1))
    with pytest.raises(FailedChecks) as caught:
        checks.require(STEPS, checks.rows(desk.engine, rows, contract(RANGE)))
    message = str(caught.value)
    assert message.startswith("step_trainer_trusted: ")
    told = "not_null(sensorreadingtime) failed 2 times, accepted_range(distancefromobject) failed 1 times; nothing was published"
    assert told in message
    assert "serialnumber" not in message


# --- write, check, publish ---


class Target:
    """A table whose contract a test makes stricter, and changes of it as a run writes them."""

    def __init__(self, desk, lake, monkeypatch):
        self.desk, self.lake, self._patch = desk, lake, monkeypatch

    def holds(self, *rows):
        """Rows that somebody has put there whom nothing checks."""
        with self.lake.tables.draft(STEPS) as draft:
            self.desk.engine.append(draft, steps(self.desk, *rows))
            draft.publish()

    def write(self, contract, *changes):
        """Rows with their operation into a draft, the checks, publication."""
        self._patch.setattr(contracts, "load", {STEPS.table: contract}.__getitem__)
        others, engine = devices(self.desk, "a"), self.desk.engine
        with Drafts(engine, self.lake.tables) as drafts:
            self.checked = drafts.checked
            if drafts[STEPS.table].was_empty:
                drafts.make_equal(STEPS.table, steps(self.desk, *(change[:3] for change in changes)), others=others)
            else:
                drafts.change(STEPS.table, engine.rows({**STEPS.types, OP: "string"}, changes), others)
            drafts.publish((STEPS.table,))

    def rows(self):
        return self.lake.rows(STEPS.table)

    def refs(self):
        return set(self.lake.load(STEPS.table).refs())

    def version(self):
        return self.lake.tables.version(STEPS.table)


@pytest.fixture
def target(desk, engine, tmp_path, monkeypatch):
    lake = Lake(tmp_path, engine)
    lake.tables.catalog.create_namespace(DATABASE)
    create_table(lake.tables, STEPS)
    return Target(desk, lake, monkeypatch)


BAD = {
    "not_null": (contract(), (2, "a", None), "not_null(distancefromobject)"),
    "accepted_range": (contract(RANGE), (2, "a", 101), "accepted_range(distancefromobject)"),
    "accepted_values": (contract(VALUES), (2, "c", 1), "accepted_values(serialnumber)"),
    "unique": (contract(), (1, "a", 1), "unique(serialnumber, sensorreadingtime)"),
    "relationships": (contract(KNOWN), (2, "c", 1), "relationships(serialnumber)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_change_that_fails_a_check_is_seen_by_nobody(target, name):
    contract, bad, check = BAD[name]
    target.holds((1, "a", 10))
    version = target.version()
    with pytest.raises(FailedChecks) as caught:
        target.write(contract, (*bad, "insert"), (3, "a", 1, "insert"))
    assert f"{check} failed 1 times" in str(caught.value)
    assert failed(target.checked[STEPS.table]) == {check: 1}
    assert target.version() == version
    assert target.rows() == [(1, "a", 10)]
    assert target.refs() == {tables.MAIN}


@pytest.mark.parametrize("name", [name for name in BAD if name != "unique"])
def test_an_update_that_fails_a_check_is_seen_by_nobody(target, name):
    """Beside a row that is removed: what of a table is written anew is checked too."""
    contract, (_, serial, distance), check = BAD[name]
    target.holds((1, "a", 10), (2, serial, 10), (3, "a", 10))
    before = target.rows()
    with pytest.raises(FailedChecks) as caught:
        target.write(contract, (2, serial, distance, "update"), (3, "a", None, "delete"))
    assert f"{check} failed 1 times" in str(caught.value)
    assert target.rows() == before
    assert target.refs() == {tables.MAIN}


@pytest.mark.parametrize("name", BAD)
def test_first_rows_that_fail_a_check_are_seen_by_nobody(target, name):
    contract, bad, check = BAD[name]
    with pytest.raises(FailedChecks) as caught:
        target.write(contract, (1, "a", 1, "insert"), (*bad, "insert"))
    assert f"{check} failed 1 times" in str(caught.value)
    assert failed(target.checked[STEPS.table]) == {check: 1}
    assert target.rows() == []
    assert not target.lake.data_files(STEPS.table)
    assert target.refs() == {tables.MAIN}


def test_unique_of_a_change_looks_for_its_keys_among_all_rows(target):
    """And at no others: what is twice already is no fault of the change."""
    target.holds((1, "a", 1), (2, "b", 1), (2, "b", 1), (3, "c", 1))
    with pytest.raises(FailedChecks) as caught:
        target.write(contract(), (1, "a", 2, "insert"), (9, "c", 1, "insert"))
    assert "unique(serialnumber, sensorreadingtime) failed 1 times" in str(caught.value)
    target.write(contract(), (4, "a", 2, "insert"), (3, "c", 5, "update"))
    assert target.checked == {
        STEPS.table: {
            "not_null(sensorreadingtime)": 0,
            "not_null(serialnumber)": 0,
            "not_null(distancefromobject)": 0,
            "unique(serialnumber, sensorreadingtime)": 0,
        }
    }
    assert target.rows() == [(1, "a", 1), (2, "b", 1), (2, "b", 1), (3, "c", 5), (4, "a", 2)]


def test_what_is_removed_is_not_checked(target):
    """A contract that has become stricter must not keep a row in the table."""
    target.holds((1, "a", 500), (2, "c", 500))
    target.write(contract(RANGE, VALUES), (1, "a", 500, "delete"), (2, "c", None, "delete"))
    assert target.rows() == []
