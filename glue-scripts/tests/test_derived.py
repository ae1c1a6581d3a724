"""Which people a run looks at again, because rows about them have changed."""

import pytest
from lakehouse import contracts, derived, tables
from support import T, create_table, customer, data_files, sample, step

NAME = tables.full_name("changes", "t")
STEPS = contracts.load("step_trainer_trusted")


@pytest.fixture
def before(spark):
    """The version of a table of three files: ten readings of a, ten of b, and one each of c and d."""
    spark.sql("create namespace if not exists glue_catalog.changes")
    create_table(spark, NAME, STEPS)
    tables.reconcile(spark, NAME, STEPS)
    for rows in ([(n, "a", n) for n in range(10)], [(n, "b", n) for n in range(10)], [(1, "c", 1), (1, "d", 1)]):
        append(spark, *rows)
    yield tables.version(spark, NAME)
    spark.sql(f"drop table {NAME} purge")


def append(spark, *rows):
    spark.createDataFrame(rows, STEPS.schema).coalesce(1).writeTo(NAME).append()


def changed(spark, before):
    values = derived.changed_values(spark, NAME, "serialnumber", before)
    return None if values is None else {row.serialnumber for row in values.collect()}


def test_nothing_has_changed(spark, before):
    assert changed(spark, before) == set()


def test_added_rows(spark, before):
    append(spark, (11, "a", 1), (1, "e", 1))
    assert changed(spark, before) == {"a", "e"}


@pytest.mark.parametrize(
    "statement",
    [
        f"delete from {NAME} where serialnumber = 'c'",
        f"update {NAME} set distancefromobject = 2 where serialnumber = 'c'",
        f"update {NAME} set sensorreadingtime = 2 where serialnumber = 'c'",
    ],
)
def test_rows_that_only_moved_to_another_file_have_not_changed(spark, before, statement):
    files = data_files(spark, NAME)
    spark.sql(statement)
    assert len(files - data_files(spark, NAME)) == 1  # d's row was in it too
    assert changed(spark, before) == {"c"}


def test_a_change_and_back_is_none(spark, before):
    spark.sql(f"update {NAME} set distancefromobject = 2 where serialnumber = 'c'")
    spark.sql(f"update {NAME} set distancefromobject = 1 where serialnumber = 'c'")
    assert changed(spark, before) == set()


def test_more_to_read_than_the_table_has_is_not_read(spark, before):
    spark.sql(f"update {NAME} set distancefromobject = 2 where sensorreadingtime = 1")
    assert changed(spark, before) is None


def test_a_person_is_looked_at_again_whatever_has_changed_in_customer_curated(lake):
    """Not only what names them: a SELECT may use any column."""
    person = customer("ann@example.com", 1, research=1, serial="a")
    lake.deliver("customer", person, customer("ben@example.com", 1, research=1, serial="b"))
    for user, device in (("ann@example.com", "a"), ("ben@example.com", "b")):
        lake.deliver("accelerometer", sample(user, 1000))
        lake.deliver("step_trainer", step(device, 1000))
    assert lake.run()["machine_learning_curated"].inserted == 2
    lake.deliver("customer", {**person, "lastUpdateDate": T + 2, "phone": "5550100"})
    entry = lake.run()["machine_learning_curated"]
    assert (entry.mode, entry.read, entry.accepted, entry.updated) == ("incremental", 1, 1, 0)
