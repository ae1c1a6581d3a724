"""The data checks, and that nobody reads a table that would fail them."""

from dataclasses import replace

import pytest
from lakehouse import checks, contracts, publish, tables
from lakehouse.contracts import Check
from lakehouse.errors import LakehouseError
from pyspark.sql.types import StringType, StructType
from support import create_table

STEPS = contracts.load("step_trainer_trusted")
NAME = "glue_catalog.checks.t"
RANGE = Check("accepted_range", "distancefromobject", min=0, max=100)
VALUES = Check("accepted_values", "serialnumber", values=("a", "b"))
KNOWN = Check("relationships", "serialnumber", to="known_devices", field="device")


def contract(*more, required=True):
    columns = STEPS.columns if required else tuple(replace(column, required=False) for column in STEPS.columns)
    return replace(STEPS, columns=columns, checks=more)


def rows(spark, *values):
    return spark.createDataFrame(values, STEPS.schema)


@pytest.fixture
def failures(spark):
    """How many rows fail which check on one row."""

    def run(contract, *values):
        found = rows(spark, *values).agg(*checks.count_columns(contract)).first().asDict()
        return {name: count for name, count in found.items() if count}

    return run


@pytest.fixture
def table_failures(spark):
    def run(contract, *values, touched=None):
        touched = None if touched is None else rows(spark, *touched)
        found = checks.table_failures(spark, rows(spark, *values), contract, touched)
        return {name: count for name, count in found.items() if count}

    return run


def test_not_null_is_asked_of_every_required_column(failures):
    found = failures(contract(), (1, "a", 1), (None, "a", 1), (1, None, None), (None, None, 1))
    assert found == {"not_null(sensorreadingtime)": 2, "not_null(serialnumber)": 2, "not_null(distancefromobject)": 1}
    assert checks.row_checks(contract(required=False)) == {}


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


def test_unique_is_asked_of_the_whole_key(table_failures):
    assert table_failures(contract(), (1, "a", 1), (2, "a", 1), (1, "b", 1)) == {}
    found = table_failures(contract(), (1, "a", 1), (1, "a", 2), (1, "a", 3), (2, "b", 1), (2, "b", 1), (3, "c", 1))
    assert found == {"unique(serialnumber, sensorreadingtime)": 2}


def test_unique_of_touched_rows_looks_for_their_keys_among_all(table_failures):
    values = [(1, "a", 1), (1, "a", 2), (2, "b", 1), (2, "b", 1), (3, "c", 1)]
    name = "unique(serialnumber, sensorreadingtime)"
    assert table_failures(contract(), *values, touched=[(1, "a", 2), (3, "c", 1)]) == {name: 1}
    assert table_failures(contract(), *values, touched=[(3, "c", 1)]) == {}
    assert table_failures(contract(), *values, touched=[]) == {}


def test_relationships_counts_values_that_the_other_table_does_not_have(spark, table_failures):
    spark.createDataFrame([("a",), ("a",), (None,)], "device string").createOrReplaceTempView("known_devices")
    found = table_failures(contract(KNOWN), (1, "a", 1), (1, "b", 1), (2, "b", 1), (1, "c", 1), (1, None, 1))
    assert found == {"relationships(serialnumber)": 2}
    assert table_failures(contract(KNOWN), (1, "a", 1)) == {}


def test_a_failure_says_table_checks_and_counts():
    checks.require("t", {"not_null(x)": 0, "unique(x)": 0})
    with pytest.raises(LakehouseError) as caught:
        checks.require("t", {"not_null(x)": 2, "unique(x)": 0, "accepted_range(y)": 1})
    message = str(caught.value)
    assert message.startswith("t: ")
    assert "not_null(x) failed 2 times, accepted_range(y) failed 1 times; nothing was published" in message
    assert "unique" not in message


# --- write, audit, publish ---


@pytest.fixture
def table(spark):
    """A table that holds a row."""
    spark.sql("create namespace glue_catalog.checks")
    create_table(spark, NAME, STEPS)
    tables.reconcile(spark, NAME, STEPS)
    yield lambda *values: rows(spark, *values).writeTo(NAME).append()
    spark.sql(f"drop table if exists {NAME} purge")
    spark.sql("drop namespace glue_catalog.checks")


def write(spark, contract, *changes):
    """As a run does: rows with their operation into a draft, the checks, publication."""
    spark.createDataFrame([("a",)], "device string").createOrReplaceTempView("known_devices")
    with tables.draft(spark, NAME) as draft:
        if draft.was_empty:
            publish.append(draft, rows(spark, *(change[:3] for change in changes)), contract, at_most=len(changes))
            written = None
        else:
            marked = spark.createDataFrame(changes, StructType([*STEPS.schema.fields]).add(publish.OP, StringType()))
            _, written = publish.change(draft, marked, contract)
        publish.audit(spark, draft, contract, written)
        draft.publish()


BAD = {
    "not_null": (contract(), (2, "a", None), "not_null(distancefromobject)"),
    "accepted_range": (contract(RANGE), (2, "a", 101), "accepted_range(distancefromobject)"),
    "accepted_values": (contract(VALUES), (2, "c", 1), "accepted_values(serialnumber)"),
    "unique": (contract(), (1, "a", 1), "unique(serialnumber, sensorreadingtime)"),
    "relationships": (contract(KNOWN), (2, "c", 1), "relationships(serialnumber)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_change_that_fails_a_check_is_seen_by_nobody(spark, table, name):
    contract, bad, check = BAD[name]
    table((1, "a", 10))
    version = tables.version(spark, NAME)
    with pytest.raises(LakehouseError) as caught:
        write(spark, contract, (*bad, publish.INSERT), (3, "a", 1, publish.INSERT))
    assert f"{check} failed 1 times" in str(caught.value)
    assert tables.version(spark, NAME) == version
    assert [tuple(row) for row in spark.table(NAME).collect()] == [(1, "a", 10)]
    assert set(tables.iceberg(spark, NAME).refs().keySet()) == {"main"}


@pytest.mark.parametrize("name", BAD)
def test_first_rows_that_fail_a_check_are_seen_by_nobody(spark, table, name):
    contract, bad, check = BAD[name]
    with pytest.raises(LakehouseError) as caught:
        write(spark, contract, (1, "a", 1, publish.INSERT), (*bad, publish.INSERT))
    assert f"{check} failed 1 times" in str(caught.value)
    assert tables.version(spark, NAME) == tables.NEVER_WRITTEN
    assert spark.table(NAME).collect() == []
    assert set(tables.iceberg(spark, NAME).refs().keySet()) == set()


def test_what_is_removed_is_not_checked(spark, table):
    """A contract that has become stricter must not keep a row in the table."""
    table((1, "a", 500), (2, "c", 500))
    write(spark, contract(RANGE, VALUES), (1, "a", 500, publish.DELETE), (2, "c", None, publish.DELETE))
    assert spark.table(NAME).collect() == []
