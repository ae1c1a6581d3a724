"""What is written to a table, and in how many files: only what differs, once, and never many small files."""

from dataclasses import replace

import pyarrow as pa
import pytest
from lakehouse import contracts, drafts, engines, tables
from lakehouse.drafts import MOST_FILES, OP, Drafts, Written
from lakehouse.errors import DoesNotAddUp, FailedChecks
from support import DATABASE, Lake, both_engines, create_table

STEPS = contracts.load("step_trainer_trusted")
SAMPLES = contracts.load("accelerometer_trusted")
INDEX, LEDGER = contracts.load("accelerometer_index"), contracts.load("run_ledger")
# A thousand numbers, as each engine makes them without help.
NUMBERS = {engines.DUCKDB: "range(0, 1000, 1) as numbers(n)", engines.SPARK: "range(0, 1000, 1, 8) as numbers(n)"}


class Target:
    """A table; `make_equal` writes as a run does, `change` rows that are marked already, `publish` what a test has drafted."""

    def __init__(self, desk, lake, contract, monkeypatch):
        self.engine, self.lake, self.contract, self.name = desk.engine, lake, contract, contract.table
        self._patch = monkeypatch
        create_table(lake.tables, contract)
        self.use(contract)

    def use(self, contract):
        """From now on this is the table's contract."""
        self.contract = contract
        known = {one.table: one for one in (STEPS, SAMPLES, INDEX, LEDGER)} | {contract.table: contract}
        self._patch.setattr(contracts, "load", known.__getitem__)

    def make_equal(self, *rows):
        return self.write(self.rows_of(*rows))

    def write(self, accepted):
        return self.publish(lambda drafted: drafted.make_equal(self.name, accepted))

    def change(self, *rows):
        marked = self.engine.rows({**self.contract.types, OP: "string"}, rows)
        return self.publish(lambda drafted: drafted.change(self.name, marked))

    def publish(self, work):
        with Drafts(self.engine, self.lake.tables) as drafted:
            written = work(drafted)
            drafted.publish((self.name,))
        return written

    def rows_of(self, *values):
        return self.engine.rows(self.contract.types, values)

    def rows(self):
        return self.lake.rows(self.name)

    def put_file(self, *rows):
        """A data file more, in which rows are in no order."""
        loaded = self.lake.tables.reconcile(self.contract)
        values = dict(zip(self.contract.names, zip(*rows, strict=True), strict=True))
        loaded.append(pa.table(values, schema=loaded.schema().as_arrow()))

    def files(self):
        return self.lake.data_files(self.name)

    def versions(self):
        """Those with rows in their past that readers could see, in order: PyIceberg begins a table with an empty one."""
        loaded = self.lake.load(self.name)
        seen = [loaded.snapshot_by_id(entry.snapshot_id) for entry in loaded.history()]
        if seen and tables.rows(loaded, seen[0]) == 0:
            seen = seen[1:]
        return seen

    def operations(self):
        return [version.summary.operation.value for version in self.versions()]


@pytest.fixture
def target(desk, engine, tmp_path, monkeypatch):
    lake = Lake(tmp_path, engine)
    lake.tables.catalog.create_namespace(DATABASE)
    return lambda contract: Target(desk, lake, contract, monkeypatch)


@both_engines
def test_empty_table_is_appended_to_in_one_commit(target):
    steps = target(STEPS)
    assert steps.make_equal((1, "a", 10), (2, "a", 20)) == Written(2, 0, 0)
    assert steps.rows() == [(1, "a", 10), (2, "a", 20)]
    assert steps.operations() == ["append"]


@both_engines
def test_same_rows_again_write_nothing(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    assert steps.make_equal((2, "a", 20), (1, "a", 10)) == Written(0, 0, 0)
    assert steps.operations() == ["append"]


def test_nothing_into_an_empty_table_is_nothing_written(target):
    steps = target(STEPS)
    assert steps.make_equal() == Written(0, 0, 0)
    assert steps.operations() == []
    version = steps.lake.tables.version(steps.name)
    assert steps.make_equal() == Written(0, 0, 0)
    assert steps.lake.tables.version(steps.name) == version
    assert steps.rows() == []
    assert not steps.files()


@both_engines
def test_inserts_updates_and_deletes_are_one_commit(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20), (3, "a", 30))
    assert steps.make_equal((1, "a", 10), (2, "a", 21), (1, "b", 40)) == Written(1, 1, 1)
    assert steps.rows() == [(1, "a", 10), (1, "b", 40), (2, "a", 21)]
    assert steps.operations() == ["append", "overwrite"]


@both_engines
def test_new_rows_alone_rewrite_no_file(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10))
    before = steps.files()
    assert steps.make_equal((1, "a", 10), (2, "a", 20)) == Written(1, 0, 0)
    assert steps.operations() == ["append", "append"]
    assert before < steps.files()


@both_engines
def test_only_files_that_hold_a_changed_row_are_written_anew(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    steps.make_equal((1, "a", 10), (2, "a", 20), (3, "b", 30), (4, "b", 40))
    steps.make_equal((1, "a", 10), (2, "a", 20), (3, "b", 30), (4, "b", 40), (5, "c", 50))
    before = steps.files()
    assert steps.make_equal((1, "a", 10), (2, "a", 20), (3, "b", 31), (5, "c", 50)) == Written(0, 1, 1)
    assert len(before) == 3
    assert len(before & steps.files()) == 2
    assert steps.rows() == [(1, "a", 10), (2, "a", 20), (3, "b", 31), (5, "c", 50)]


@both_engines
def test_deleted_rows_are_in_no_current_file(target):
    """Copy-on-write: a reader that knows no delete files (or ignores them) cannot meet a withdrawn row."""
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    steps.make_equal((1, "a", 10))
    assert content(steps) == [(0, 1)]


@both_engines
def test_all_rows_can_go_and_come_back(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10))
    assert steps.make_equal() == Written(0, 0, 1)
    assert steps.rows() == []
    assert steps.make_equal((1, "a", 10)) == Written(1, 0, 0)
    assert steps.rows() == [(1, "a", 10)]


@both_engines
def test_table_whose_key_is_the_whole_row(target):
    samples = target(SAMPLES)
    samples.make_equal(("u", 1, 0.1, -0.2, 0.0), ("u", 1, 0.1, -0.2, 1.0))
    assert samples.make_equal(("u", 1, 0.1, -0.2, 0.0), ("u", 2, 0.1, -0.2, 0.0)) == Written(1, 0, 1)
    assert samples.rows() == [("u", 1, 0.1, -0.2, 0.0), ("u", 2, 0.1, -0.2, 0.0)]


@both_engines
def test_value_becomes_null_and_back(target):
    optional = tuple(replace(column, required=column.name == "sensorreadingtime") for column in STEPS.columns)
    steps = target(replace(STEPS, key=("sensorreadingtime",), columns=optional))
    steps.make_equal((1, "a", 10))
    assert steps.make_equal((1, None, 10)) == Written(0, 1, 0)
    assert steps.make_equal((1, None, 10)) == Written(0, 0, 0)
    assert steps.make_equal((1, "a", 10)) == Written(0, 1, 0)


@both_engines
def test_column_added_to_a_table_with_rows(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    added = contracts.Column("note", "string", json_key="note", since=2)
    steps.use(replace(STEPS, columns=(*STEPS.columns, added)))
    assert steps.make_equal((1, "a", 10, None), (2, "a", 20, "new")) == Written(0, 1, 0)
    assert steps.rows() == [(1, "a", 10, None), (2, "a", 20, "new")]


@both_engines
def test_a_source_with_ctes_that_reads_the_table_itself_can_be_merged(target):
    """Spark 4.1 fails to optimise a MERGE whose source is such a query; ours always are."""
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))

    def work(drafted):
        accepted = steps.engine.sql(
            """
            with old as (select * from present), twice as (select * from old union all select * from old)
            select sensorreadingtime, serialnumber, cast(max(distancefromobject) + 1 as int) as distancefromobject
            from twice where sensorreadingtime > 1 group by all
            """,
            present=drafted.rows(STEPS.table),
        )
        return drafted.make_equal(STEPS.table, accepted)

    assert steps.publish(work) == Written(0, 1, 1)
    assert steps.rows() == [(2, "a", 21)]


# --- a part of a table, and rows that are marked with what to do ---


@both_engines
def test_only_the_part_that_is_asked_for_is_made_equal(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20), (1, "b", 30), (2, "b", 40))

    def work(drafted):
        of_a = "select * from present where serialnumber = 'a'"
        scope = steps.engine.sql(of_a, present=drafted.rows(STEPS.table))
        return drafted.make_equal(STEPS.table, steps.rows_of((2, "a", 21), (3, "a", 50)), scope)

    assert steps.publish(work) == Written(1, 1, 1)
    assert steps.rows() == [(1, "b", 30), (2, "a", 21), (2, "b", 40), (3, "a", 50)]


@both_engines
def test_marked_rows_are_put_and_removed_and_all_others_stay(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20), (3, "a", 30))
    assert steps.change((2, "a", 21, "update"), (3, "a", None, "delete"), (4, "a", 40, "insert")) == Written(1, 1, 1)
    assert steps.rows() == [(1, "a", 10), (2, "a", 21), (4, "a", 40)]


@both_engines
@pytest.mark.parametrize(
    ("row", "written", "rows"),
    [
        ((2, "a", 21, "update"), Written(0, 1, 0), [(1, "a", 10), (2, "a", 21)]),
        ((2, "a", 20, "delete"), Written(0, 0, 1), [(1, "a", 10)]),
        ((3, "a", 30, "insert"), Written(1, 0, 0), [(1, "a", 10), (2, "a", 20), (3, "a", 30)]),
    ],
    ids=["update", "delete", "insert"],
)
def test_one_kind_of_change_alone(target, row, written, rows):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    assert steps.change(row) == written
    assert steps.rows() == rows


@both_engines
@pytest.mark.parametrize("row", [(9, "a", 1, "delete"), (1, "a", 11, "insert")], ids=["a row that is not there", "a row twice"])
def test_changes_that_do_not_fit_the_table_publish_nothing(target, row):
    """A delete without its row leaves too many; an insert of a row that is there, beside others, too few."""
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20))
    with pytest.raises(DoesNotAddUp, match=r"step_trainer_trusted: 2 rows with .* in the draft; nothing was published"):
        steps.change(row, (2, "a", 21, "update"))
    assert steps.rows() == [(1, "a", 10), (2, "a", 20)]


@both_engines
def test_added_rows_are_written_beside_those_that_are_there(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10))
    before = steps.files()
    more = steps.rows_of((2, "a", 20), (3, "a", 30))
    assert steps.publish(lambda drafted: drafted.add(STEPS.table, more)) == Written(2, 0, 0)
    assert before < steps.files()
    with pytest.raises(FailedChecks, match=r"unique\(serialnumber, sensorreadingtime\) failed 1 times"):
        steps.publish(lambda drafted: drafted.add(STEPS.table, steps.rows_of((3, "a", 31), (4, "a", 40))))
    assert steps.rows() == [(1, "a", 10), (2, "a", 20), (3, "a", 30)]


# --- drafts of several tables ---


def test_what_has_changed_is_published_in_the_order_given(target, monkeypatch):
    """And what has not is not: its version stays."""
    samples, index, steps = target(SAMPLES), target(INDEX), target(STEPS)
    steps.make_equal((1, "a", 10))
    before, published = steps.lake.tables.version(STEPS.table), []
    publish = tables.Draft.publish
    monkeypatch.setattr(tables.Draft, "publish", lambda draft: (published.append(draft.contract.table), publish(draft)))
    with Drafts(steps.engine, steps.lake.tables) as drafted:
        drafted.make_equal(STEPS.table, steps.rows_of((1, "a", 10)))
        drafted.add(INDEX.table, index.rows_of(("a.json", "subject")))
        drafted.make_equal(SAMPLES.table, samples.rows_of(("u", 1, 0.5, 0.5, 0.5)))
        assert not samples.rows()
        drafted.publish((SAMPLES.table, STEPS.table))
        assert drafted.versions() == {name: steps.lake.tables.version(name) for name in drafted.versions()}
    assert published == [SAMPLES.table, INDEX.table]
    assert steps.lake.tables.version(STEPS.table) == before
    assert all(set(steps.lake.load(name).refs()) == {tables.MAIN} for name in (SAMPLES.table, STEPS.table, INDEX.table))


def test_a_table_can_be_written_once_more_after_it_was_published(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10))
    with Drafts(steps.engine, steps.lake.tables) as drafted:
        drafted.make_equal(STEPS.table, steps.rows_of((1, "a", 10), (2, "a", 20)))
        drafted.publish((STEPS.table,))
        assert steps.rows() == [(1, "a", 10), (2, "a", 20)]
        drafted.publish_again(STEPS.table, steps.rows_of((2, "a", 20)))
        assert drafted.versions() == {STEPS.table: steps.lake.tables.version(STEPS.table)}
    assert steps.rows() == [(2, "a", 20)]
    assert set(steps.lake.load(STEPS.table).refs()) == {tables.MAIN}


@both_engines
def test_bounds_are_those_of_the_keys_times(desk):
    engine = desk.engine
    rows = engine.rows(STEPS.types, [(7, "a", 1), (3, "b", 9), (5, "a", 4)])
    assert drafts.bounds(engine, rows, STEPS) == {"sensorreadingtime": (3, 7)}
    assert drafts.bounds(engine, engine.rows(STEPS.types, []), STEPS) == {"sensorreadingtime": (0, 0)}
    assert drafts.bounds(engine, rows, replace(STEPS, key=("serialnumber",))) == {}


# --- files ---


def many(steps):
    """A thousand rows, which Spark has in eight parts."""
    columns = "cast(n + 10 as bigint) as sensorreadingtime, 'a' as serialnumber, 1 as distancefromobject"
    return steps.engine.sql(f"select {columns} from {NUMBERS[steps.engine.name]}")


@both_engines
def test_small_changes_are_one_file_each(target):
    steps = target(STEPS)
    steps.make_equal((1, "a", 10))
    both = "select * from more union all select * from given"
    accepted = steps.engine.sql(both, more=many(steps), given=steps.rows_of((1, "a", 10)))
    assert steps.write(accepted) == Written(1000, 0, 0)
    assert len(steps.files()) == 2


@both_engines
def test_first_rows_are_as_many_files_as_their_number_asks_for(target):
    steps = target(STEPS)
    assert steps.write(many(steps)) == Written(1000, 0, 0)
    assert len(steps.files()) == 1
    assert len(steps.rows()) == 1000


def test_many_rows_are_several_files_one_after_the_other(target, monkeypatch):
    """Of DuckDB: Iceberg's writer for Spark orders within a file, and rolls files by their size."""
    monkeypatch.setattr("lakehouse.engines.duckdb.ROWS_PER_FILE", 100_000)
    samples = target(SAMPLES)
    text = """select 'u' || (n % 3) as user, cast((n * 7919) % 300007 as bigint) as timestamp, 0.5::double as x, 0.5::double as y,
        cast(n as double) as z from range(0, 300000, 1) as numbers(n)"""
    assert samples.write(samples.engine.sql(text)) == Written(300_000, 0, 0)
    loaded = samples.lake.load(SAMPLES.table)
    keys = []
    for file in samples.files():
        rows = loaded.io.new_input(file).open()
        with rows as opened:
            found = pa.parquet.read_table(opened, columns=list(SAMPLES.sort)).to_pylist()
        keys.append([tuple(row.values()) for row in found])
    keys.sort()
    assert len(keys) == 3
    everything = [key for file in keys for key in file]
    assert everything == sorted(everything)


@both_engines
@pytest.mark.parametrize("contract", [SAMPLES, LEDGER], ids=["in order", "in no order"])
def test_many_small_additions_do_not_leave_many_files(target, contract):
    """100 deliveries must not make 100 files; a dozen show it."""
    table = target(contract)
    kinds = {"string": lambda number: f"u{number % 3}", "double": float}
    wanted, most = [], 0
    for number in range(12):
        row = tuple(kinds.get(column.type, int)(number) for column in contract.columns)
        wanted.append(row)
        more = table.rows_of(row)
        # What happens after each publication is looked at by itself.
        with table.lake.tables.draft(contract) as draft:
            table.engine.append(draft, more)
            draft.publish()
        most = max(most, len(table.files()))
        drafts.compact(table.engine, table.lake.tables, contract)
    assert most == MOST_FILES + 1
    assert len(table.files()) == 4
    assert table.rows() == sorted(wanted)
    versions = [version for version in table.versions() if tables._is_rearranged(version)]
    assert [tables.said(version, "total-records") for version in versions] == ["9"]


def test_publication_puts_small_files_together(target):
    """And the draft goes on with the version that is current then."""
    steps = target(STEPS)
    for number in range(MOST_FILES):
        steps.put_file((number, "a", 1))
    with Drafts(steps.engine, steps.lake.tables) as drafted:
        drafted.add(STEPS.table, steps.rows_of((MOST_FILES, "a", 1)))
        drafted.publish(())
        assert drafted.versions() == {STEPS.table: steps.lake.tables.version(STEPS.table)}
    assert len(steps.files()) == 1
    assert steps.rows() == [(number, "a", 1) for number in range(MOST_FILES + 1)]


@both_engines
def test_compaction_orders_rows_over_all_files_and_changes_none(target):
    table = target(SAMPLES)
    for number in range(MOST_FILES + 1):
        table.put_file((f"u{(number * 7) % 5}", 10 - number, 0.5, -0.0, 1.0), (f"u{number}", number, 1e-9, 2.0, 3.0))
    before = table.rows()
    drafts.compact(table.engine, table.lake.tables, SAMPLES)
    assert len(table.files()) == 1
    found = [(row["user"], row["timestamp"]) for row in table.lake.arrow(SAMPLES.table).to_pylist()]
    assert found == sorted(found)
    assert table.rows() == before


# --- what others write by hand ---


@pytest.fixture
def deleted_by_hand(target, spark):
    """Two of three rows deleted as Athena does it: noted in a delete file, not taken out of their data file."""
    steps = target(STEPS)
    steps.make_equal((1, "a", 10), (2, "a", 20), (3, "a", 30))
    other = engines.start(engines.SPARK, steps.lake.uri)._spark
    name = steps.lake.tables.full_name(STEPS.table)
    other.sql(f"alter table {name} set tblproperties ('write.delete.mode' = 'merge-on-read')")
    other.sql(f"delete from {name} where sensorreadingtime < 3")
    assert sorted(content(steps)) == [(0, 3), (1, 2)]
    return steps


def content(steps):
    """Of the current files: 0 of those with rows, else of delete files; and how many rows each has."""
    found = steps.lake.load(STEPS.table).inspect.files().to_pylist()
    return [(file["content"], file["record_count"]) for file in found]


@both_engines
def test_rows_in_delete_files_are_not_there(deleted_by_hand):
    steps = deleted_by_hand
    with Drafts(steps.engine, steps.lake.tables) as drafted:
        present = drafted.rows(STEPS.table)
        assert steps.engine.fetch("select * from present", present=present) == [(3, "a", 30)]
        assert drafted[STEPS.table].rows_now() == drafted[STEPS.table].rows_before == 1


@both_engines
def test_rows_in_delete_files_do_not_come_back_when_their_file_is_written_anew(deleted_by_hand):
    steps = deleted_by_hand
    assert steps.make_equal((2, "a", 21), (3, "a", 31)) == Written(1, 1, 0)
    assert steps.rows() == [(2, "a", 21), (3, "a", 31)]
    assert steps.change((3, "a", None, "delete")) == Written(0, 0, 1)
    assert steps.rows() == [(2, "a", 21)]


@both_engines
def test_compaction_takes_rows_in_delete_files_out_of_their_data_files(deleted_by_hand):
    steps = deleted_by_hand
    steps.make_equal((3, "a", 30), (4, "a", 40))
    drafts.rearrange(steps.engine, steps.lake.tables, STEPS)
    assert steps.rows() == [(3, "a", 30), (4, "a", 40)]
    assert content(steps) == [(0, 2)]
    assert not tables.has_delete_files(steps.lake.load(STEPS.table).current_snapshot())
    assert tables.said(steps.lake.load(STEPS.table).current_snapshot(), "total-records") == "2"


# --- when small files are put together ---


@both_engines
def test_few_files_are_left_alone(target):
    samples = target(SAMPLES)
    samples.make_equal(("u", 1, 0.1, 0.2, 0.3))
    version = samples.lake.tables.version(SAMPLES.table)
    drafts.compact(samples.engine, samples.lake.tables, SAMPLES)
    assert samples.lake.tables.version(SAMPLES.table) == version


def test_who_puts_files_together_while_another_run_publishes_leaves_it_to_that_one(target, monkeypatch):
    steps = target(STEPS)
    for number in range(MOST_FILES + 1):
        steps.put_file((number, "a", 1))
    compact = steps.engine.compact

    def late(draft):
        compact(draft)
        steps.put_file((99, "a", 1))

    monkeypatch.setattr(steps.engine, "compact", late)
    drafts.compact(steps.engine, steps.lake.tables, STEPS)
    assert len(steps.files()) == MOST_FILES + 2
    assert steps.rows() == [*((number, "a", 1) for number in range(MOST_FILES + 1)), (99, "a", 1)]
    assert set(steps.lake.load(STEPS.table).refs()) == {tables.MAIN}
