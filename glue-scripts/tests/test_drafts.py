"""What is written to a table, and in how many files: only what differs, once, and never many small files."""

from dataclasses import replace

import pytest
from lakehouse import contracts, publish, tables
from lakehouse.errors import LakehouseError
from lakehouse.publish import DELETE, INSERT, MOST_FILES, OP, UPDATE, Written
from pyspark.sql.types import StringType, StructType
from support import create_table, data_files

STEPS = contracts.load("step_trainer_trusted")
SAMPLES = contracts.load("accelerometer_trusted")
NAME = "glue_catalog.publish.t"


class Target:
    """A table; `make_equal` writes as a run does, and `change` rows that are marked already."""

    def __init__(self, spark, contract):
        self.spark, self.contract = spark, contract
        create_table(spark, NAME, contract)

    def make_equal(self, *rows, contract=None):
        contract = contract or self.contract
        return self.write(self.spark.createDataFrame(rows, contract.schema), contract)

    def write(self, accepted, contract=None):
        contract = contract or self.contract
        tables.reconcile(self.spark, NAME, contract)
        with tables.draft(self.spark, NAME) as draft:
            if draft.was_empty:
                written = publish.append(draft, accepted, contract, at_most=accepted.count())
            else:
                written, _ = publish.change(draft, publish.difference(accepted, draft.rows(), contract), contract)
            return self._published(draft, written)

    def change(self, *rows):
        changes = self.spark.createDataFrame(rows, StructType([*self.contract.schema.fields]).add(OP, StringType()))
        with tables.draft(self.spark, NAME) as draft:
            written, at_hand = publish.change(draft, changes, self.contract)
            assert sorted(map(tuple, at_hand.collect()), key=str) == sorted(rows, key=str)
            return self._published(draft, written)

    def _published(self, draft, written):
        if written.total:
            draft.publish()
        return written

    def rows(self):
        return sorted(map(tuple, self.spark.table(NAME).collect()))

    def operations(self):
        """Of the versions that readers could see, in order."""
        made = self.spark.table(f"{NAME}.history").join(self.spark.table(f"{NAME}.snapshots"), "snapshot_id")
        return [row.operation for row in made.orderBy("made_current_at").collect()]


@pytest.fixture
def target(spark):
    spark.sql("create namespace glue_catalog.publish")
    yield lambda contract: Target(spark, contract)
    spark.sql(f"drop table if exists {NAME} purge")
    spark.sql("drop namespace glue_catalog.publish")


def test_empty_table_is_appended_to_in_one_commit(target):
    steps = target(STEPS)
    assert steps.make_equal((1, "a", 10), (2, "a", 20)) == Written(2, 0, 0)
    assert steps.rows() == [(1, "a", 10), (2, "a", 20)]
    assert steps.operations() == ["append"]


def test_same_rows_again_write_nothing(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    assert steps.make_equal((2, "a", 20), (1, "a", 10)) == Written(0, 0, 0)
    assert steps.operations() == ["append"]


def test_nothing_into_an_empty_table_is_nothing_written(target):
    steps = target(STEPS)
    assert steps.make_equal() == Written(0, 0, 0)
    assert tables.version(steps.spark, NAME) == tables.NEVER_WRITTEN


def test_inserts_updates_and_deletes_are_one_commit(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20), (3, "a", 30))
    assert steps.make_equal((1, "a", 10), (2, "a", 21), (1, "b", 40)) == Written(1, 1, 1)
    assert steps.rows() == [(1, "a", 10), (1, "b", 40), (2, "a", 21)]
    assert steps.operations() == ["append", "overwrite"]


def test_new_rows_alone_rewrite_no_file(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10))
    before = data_files(steps.spark, NAME)
    assert steps.make_equal((1, "a", 10), (2, "a", 20)) == Written(1, 0, 0)
    assert steps.operations() == ["append", "append"]
    assert before < data_files(steps.spark, NAME)


def test_deleted_rows_are_in_no_current_file(target):
    """Copy-on-write: a reader that knows no delete files (or ignores them) cannot meet a withdrawn row."""
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    steps.make_equal((1, "a", 10))
    files = steps.spark.table(f"{NAME}.files").collect()
    assert [(file.content, file.record_count) for file in files] == [(0, 1)]


def test_all_rows_can_go_and_come_back(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10))
    assert steps.make_equal() == Written(0, 0, 1)
    assert steps.rows() == []
    assert steps.make_equal((1, "a", 10)) == Written(1, 0, 0)
    assert steps.rows() == [(1, "a", 10)]


def test_table_whose_key_is_the_whole_row(target):
    samples = target(SAMPLES)
    samples.make_equal(("u", 1, 0.1, -0.2, 0.0), ("u", 1, 0.1, -0.2, 1.0))
    assert samples.make_equal(("u", 1, 0.1, -0.2, 0.0), ("u", 2, 0.1, -0.2, 0.0)) == Written(1, 0, 1)
    assert samples.rows() == [("u", 1, 0.1, -0.2, 0.0), ("u", 2, 0.1, -0.2, 0.0)]


def test_value_becomes_null_and_back(target):
    optional = tuple(replace(column, required=column.name == "sensorreadingtime") for column in STEPS.columns)
    steps = target(replace(STEPS, key=("sensorreadingtime",), columns=optional))
    steps.make_equal((1, "a", 10))
    assert steps.make_equal((1, None, 10)) == Written(0, 1, 0)
    assert steps.make_equal((1, None, 10)) == Written(0, 0, 0)
    assert steps.make_equal((1, "a", 10)) == Written(0, 1, 0)


def test_column_added_to_a_table_with_rows(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    added = contracts.Column("note", "string", json_key="note", since=2)
    wider = replace(STEPS, columns=(*STEPS.columns, added))
    assert steps.make_equal((1, "a", 10, None), (2, "a", 20, "new"), contract=wider) == Written(0, 1, 0)
    assert steps.rows() == [(1, "a", 10, None), (2, "a", 20, "new")]


def test_a_source_with_ctes_that_reads_the_table_itself_can_be_merged(target, spark):
    """Spark 4.1 fails to optimise a MERGE whose source is such a query; ours always are."""
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    accepted = spark.sql("""
        with old as (select * from glue_catalog.publish.t), twice as (select * from old union all select * from old)
        select sensorreadingtime, serialnumber, max(distancefromobject) + 1 as distancefromobject
        from twice where sensorreadingtime > 1 group by all
    """)
    assert steps.write(accepted) == Written(0, 1, 1)
    assert steps.rows() == [(2, "a", 21)]


# --- rows that are marked with what to do ---


def test_marked_rows_are_put_and_removed_and_all_others_stay(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20), (3, "a", 30))
    assert steps.change((2, "a", 21, UPDATE), (3, "a", None, DELETE), (4, "a", 40, INSERT)) == Written(1, 1, 1)
    assert steps.rows() == [(1, "a", 10), (2, "a", 21), (4, "a", 40)]


@pytest.mark.parametrize(
    ("row", "written", "rows"),
    [
        ((2, "a", 21, UPDATE), Written(0, 1, 0), [(1, "a", 10), (2, "a", 21)]),
        ((2, "a", 20, DELETE), Written(0, 0, 1), [(1, "a", 10)]),
        ((3, "a", 30, INSERT), Written(1, 0, 0), [(1, "a", 10), (2, "a", 20), (3, "a", 30)]),
    ],
    ids=["update", "delete", "insert"],
)
def test_one_kind_of_change_alone(target, row, written, rows):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    assert steps.change(row) == written
    assert steps.rows() == rows


@pytest.mark.parametrize("row", [(9, "a", 1, DELETE), (1, "a", 11, INSERT)], ids=["a row that is not there", "a row twice"])
def test_changes_that_do_not_fit_the_table_publish_nothing(target, row):
    """A delete without its row leaves too many; an insert of a row that is there, beside others, is not done by MERGE."""
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    with pytest.raises(LakehouseError, match=r"step_trainer_trusted: 2 rows with .* in the draft; nothing was published"):
        steps.change(row, (2, "a", 21, UPDATE))
    assert steps.rows() == [(1, "a", 10), (2, "a", 20)]


# --- files ---


def test_small_changes_are_one_file_each(target, spark):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10))
    rows = spark.range(10, 1010, 1, 8).selectExpr("id as sensorreadingtime", "'a' as serialnumber", "1 as distancefromobject")
    accepted = rows.unionByName(spark.createDataFrame([(1, "a", 10)], STEPS.schema))
    assert steps.write(accepted) == Written(1000, 0, 0)
    assert len(data_files(spark, NAME)) == 2


def test_first_rows_are_as_many_files_as_their_number_asks_for(target, spark):
    steps = target(STEPS)
    tables.reconcile(spark, NAME, STEPS)
    rows = spark.range(0, 1000, 1, 8).selectExpr("id as sensorreadingtime", "'a' as serialnumber", "1 as distancefromobject")
    with tables.draft(spark, NAME) as draft:
        assert publish.append(draft, rows, STEPS, at_most=1000) == Written(1000, 0, 0)
        draft.publish()
    assert len(data_files(spark, NAME)) == 1
    assert len(steps.rows()) == 1000


@pytest.mark.parametrize("contract", [SAMPLES, contracts.load("run_ledger")], ids=["in order", "in no order"])
def test_many_small_additions_do_not_leave_many_files(target, spark, contract):
    """100 deliveries must not make 100 files; a dozen show it."""
    table = target(contract)
    tables.reconcile(spark, NAME, contract)
    wanted, most = [], 0
    for number in range(12):
        row = tuple(f"u{number % 3}" if column.type == "string" else number for column in contract.columns)
        row = tuple(
            float(value) if column.type == "double" else value for column, value in zip(contract.columns, row, strict=True)
        )
        wanted.append(row)
        spark.createDataFrame([row], contract.schema).writeTo(NAME).append()
        publish.compact(spark, NAME, contract)
        most = max(most, len(data_files(spark, NAME)))
    assert most == MOST_FILES
    assert len(data_files(spark, NAME)) < 12
    assert table.rows() == sorted(wanted)
    assert table.operations().count("replace") == 1
    versions = spark.table(f"{NAME}.snapshots").where("operation = 'replace'").collect()
    assert versions[0].summary["total-records"] == "9"


def test_compaction_orders_rows_over_all_files_and_changes_none(target, spark):
    table = target(SAMPLES)
    tables.reconcile(spark, NAME, SAMPLES)
    for number in range(MOST_FILES + 1):
        rows = [(f"u{(number * 7) % 5}", 10 - number, 0.5, -0.0, 1.0), (f"u{number}", number, 1e-9, 2.0, 3.0)]
        spark.createDataFrame(rows, SAMPLES.schema).coalesce(1).writeTo(NAME).append()
    before = table.rows()
    publish.compact(spark, NAME, SAMPLES)
    assert len(data_files(spark, NAME)) == 1
    found = [(row.user, row.timestamp) for row in spark.table(NAME).collect()]
    assert found == sorted(found)
    assert table.rows() == before


def test_few_files_are_left_alone(target, spark):
    target(SAMPLES).make_equal(("u", 1, 0.1, 0.2, 0.3))
    version = tables.version(spark, NAME)
    publish.compact(spark, NAME, SAMPLES)
    assert tables.version(spark, NAME) == version
