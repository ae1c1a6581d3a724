"""Iceberg tables: in line with their contract, and written as drafts that readers see at once or never."""

import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import others
import pyarrow as pa
import pytest
from lakehouse import contracts, drafts, engines, tables
from lakehouse.errors import LakehouseError
from lakehouse.tables import Draft
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.schema import Schema
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.types import LongType, NestedField, StringType
from support import DATABASE, Lake, at_once, both_engines, create_table

STEPS = contracts.load("step_trainer_trusted")
SAMPLES = contracts.load("accelerometer_trusted")
NAME = "glue_catalog.lake.step_trainer_trusted"
WHY = "another run has written to it meanwhile"


class Table:
    """A table of a lake that has no other. `append` is what anybody may do; a draft is written to by `add`."""

    def __init__(self, lake, engine):
        self.lake, self.tables, self.engine = lake, lake.tables, engine

    def make(self, contract):
        create_table(self.tables, contract)

    @property
    def now(self):
        return self.tables.load(STEPS.table)

    @property
    def version(self):
        return self.tables.version(STEPS.table)

    def metadata_versions(self):
        return len(self.now.metadata.metadata_log)

    def rows_of(self, *rows):
        return self.engine.rows(STEPS.types, rows)

    def append(self, *rows):
        values = zip(*rows, strict=True)
        self.now.append(pa.table(list(values), schema=self.now.schema().as_arrow()))

    def add(self, draft, *rows):
        self.engine.append(draft, self.rows_of(*rows))

    def rows(self):
        return self.lake.rows(STEPS.table)

    def rows_in(self, draft):
        return sorted(self.engine.fetch("select * from drafted", drafted=self.engine.table(*draft.head())))

    def draft(self):
        return self.tables.draft(STEPS)

    def branches(self):
        return set(self.now.refs())


@pytest.fixture
def bare(engine, tmp_path):
    """No table yet."""
    lake = Lake(tmp_path / "lake", engine)
    lake.tables.catalog.create_namespace(DATABASE)
    started = engines.start(engine, lake.uri)
    yield Table(lake, started)
    started.close()


@pytest.fixture
def table(bare):
    """A table in line with its contract, and never written."""
    bare.make(STEPS)
    bare.tables.reconcile(STEPS)
    return bare


def with_column(contract, **column):
    added = contracts.Column(**{"json_key": column["name"], "since": 2, **column})
    return replace(contract, columns=(*contract.columns, added))


# --- in line with the contract ---


def test_new_table_gets_the_properties_writers_rely_on(bare):
    bare.make(STEPS)
    bare.tables.reconcile(STEPS)
    assert bare.version == tables.NEVER_WRITTEN
    wanted = {
        "write.delete.mode": "copy-on-write",
        "write.update.mode": "copy-on-write",
        "write.merge.mode": "copy-on-write",
        "write.parquet.compression-codec": "zstd",
        "write.metadata.metrics.column.serialnumber": "none",
    }
    assert {key: bare.now.properties.get(key) for key in wanted} == wanted
    assert "write.metadata.metrics.column.sensorreadingtime" not in bare.now.properties
    # What the jobs ask PyIceberg for by themselves is no property of the table.
    assert not [key for key in bare.now.properties if key.startswith("commit.")]
    assert bare.now.format_version == 2


def order_of(loaded):
    return tuple(loaded.schema().find_column_name(field.source_id) for field in loaded.sort_order().fields)


@both_engines
def test_new_table_gets_the_order_of_its_rows(bare):
    bare.make(STEPS)
    assert order_of(bare.now) == ()
    assert order_of(bare.tables.reconcile(STEPS)) == ("serialnumber", "sensorreadingtime")
    assert order_of(bare.now) == STEPS.sort
    with bare.draft() as draft:
        bare.add(draft, *[(time, serial, 1) for time in (3, 1, 2) for serial in "ba"])
        draft.publish()
    written = [(row["serialnumber"], row["sensorreadingtime"]) for row in bare.lake.arrow(STEPS.table).to_pylist()]
    assert written == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("b", 3)]


def test_another_order_replaces_the_one_before(table):
    assert order_of(table.tables.reconcile(replace(STEPS, sort=("sensorreadingtime",)))) == ("sensorreadingtime",)
    assert order_of(table.now) == ("sensorreadingtime",)


def test_second_time_changes_nothing(table):
    versions, metadata = table.metadata_versions(), table.now.metadata
    table.tables.reconcile(STEPS)
    assert table.metadata_versions() == versions
    assert table.now.metadata == metadata


def test_new_column_is_added_with_its_description(table):
    contract = with_column(STEPS, name="note", type="double", description="The device's \\own\\ note.")
    loaded = table.tables.reconcile(contract)
    field = loaded.schema().find_field("note")
    assert tables.type_name(field.field_type) == "double"
    assert field.doc == "The device's \\own\\ note."
    assert not field.required
    assert table.now.schema() == loaded.schema()


def comments(loaded):
    return {field.name: field.doc for field in loaded.schema().fields}


def undescribed(contract):
    return replace(contract, columns=tuple(replace(column, description="") for column in contract.columns))


def test_columns_get_the_descriptions_of_the_contract_in_one_commit(bare):
    """A table's template says nothing of its columns, and a description may be written anew."""
    bare.make(STEPS)
    bare.tables.reconcile(undescribed(STEPS))
    with bare.now.update_schema() as change:
        change.update_column("sensorreadingtime", doc="Of old.")
    bare.append((1, "a", 10))
    before, version, made = bare.metadata_versions(), bare.version, bare.lake.snapshots(STEPS.table)
    contract = replace(
        STEPS, columns=(replace(STEPS.columns[0], description='The device\'s \\own\\ time; "ms".'), *STEPS.columns[1:])
    )
    loaded = bare.tables.reconcile(contract)
    wanted = {column.name: column.description for column in contract.columns}
    assert all(wanted.values())
    assert comments(loaded) == comments(bare.now) == wanted
    # What readers see is the same version, and nothing was written but what the table is.
    assert bare.metadata_versions() == before + 1
    assert (bare.version, bare.lake.snapshots(STEPS.table)) == (version, made)
    assert bare.rows() == [(1, "a", 10)]
    bare.tables.reconcile(contract)
    assert bare.metadata_versions() == before + 1
    assert set(comments(bare.tables.reconcile(undescribed(STEPS))).values()) <= {None, ""}


def test_only_descriptions_that_differ_are_written(table):
    described = comments(table.now)
    contract = replace(STEPS, columns=(*STEPS.columns[:2], replace(STEPS.columns[2], description="Another one.")))
    versions = table.metadata_versions()
    assert comments(table.tables.reconcile(contract)) == {**described, "distancefromobject": "Another one."}
    assert table.metadata_versions() == versions + 1


def test_to_say_nothing_of_a_column_of_which_nothing_is_said_is_no_change(bare):
    bare.make(STEPS)
    bare.tables.reconcile(undescribed(STEPS))
    versions = bare.metadata_versions()
    bare.tables.reconcile(undescribed(STEPS))
    assert bare.metadata_versions() == versions


def test_everything_that_is_to_be_changed_is_changed_in_one_commit(bare):
    """Columns, properties, order and descriptions at once: whoever asks next finds nothing to do."""
    bare.make(STEPS)
    contract = with_column(STEPS, name="note", type="double", description="A note.")
    before = bare.metadata_versions()
    loaded = bare.tables.reconcile(contract)
    assert bare.metadata_versions() == before + 1
    for one in (loaded, bare.now):
        assert comments(one) == {column.name: column.description for column in contract.columns}
        assert order_of(one) == contract.sort
        assert set(tables.PROPERTIES.items()) <= set(one.properties.items())
    bare.tables.reconcile(contract)
    assert bare.metadata_versions() == before + 1
    assert bare.version == tables.NEVER_WRITTEN


def test_a_table_that_does_not_fit_is_not_changed(bare):
    bare.make(with_column(STEPS, name="stray", type="int"))
    versions = bare.metadata_versions()
    with pytest.raises(LakehouseError, match="column stray is not in the contract"):
        bare.tables.reconcile(STEPS)
    assert bare.metadata_versions() == versions


@both_engines
def test_a_draft_that_is_open_is_published_though_the_table_was_changed_meanwhile(table):
    """Nothing of its rows is touched."""
    table.append((1, "a", 10))
    with table.draft() as draft:
        table.add(draft, (2, "a", 20))
        table.tables.reconcile(replace(undescribed(STEPS), sort=("serialnumber",)))
        draft.publish()
    assert table.rows() == [(1, "a", 10), (2, "a", 20)]


def test_format_version_1_is_raised(bare):
    fields = [NestedField(1, "sensorreadingtime", LongType()), NestedField(2, "serialnumber", StringType())]
    bare.tables.catalog.create_table((DATABASE, STEPS.table), Schema(*fields), properties={"format-version": "1"})
    assert bare.now.format_version == 1
    assert bare.tables.reconcile(STEPS).format_version == 2
    assert bare.now.format_version == 2


def test_other_type_is_an_error(bare):
    columns = [replace(one, type="string") if one.name == "distancefromobject" else one for one in STEPS.columns]
    bare.make(replace(STEPS, columns=tuple(columns)))
    with pytest.raises(LakehouseError, match=f"{NAME}: column distancefromobject has type string, the contract says int"):
        bare.tables.reconcile(STEPS)


def test_type_that_no_contract_knows_is_an_error(bare):
    fields = [NestedField(1, "sensorreadingtime", LongType()), NestedField(2, "serialnumber", tables.TYPES["boolean"])]
    bare.tables.catalog.create_table((DATABASE, STEPS.table), Schema(*fields))
    with pytest.raises(LakehouseError, match=f"{NAME}: column serialnumber has type boolean, the contract says string"):
        bare.tables.reconcile(STEPS)


def test_column_without_contract_is_an_error(bare):
    bare.make(with_column(STEPS, name="stray", type="int"))
    with pytest.raises(LakehouseError, match=f"{NAME}: column stray is not in the contract of step_trainer_trusted"):
        bare.tables.reconcile(STEPS)


@pytest.mark.parametrize("database", [DATABASE, "nowhere"])
@pytest.mark.parametrize(
    "use",
    [
        lambda of: of.version(STEPS.table),
        lambda of: of.load(STEPS.table),
        lambda of: of.rows(STEPS.table),
        lambda of: of.reconcile(STEPS),
        lambda of: Draft(of, STEPS),
    ],
    ids=["version", "load", "rows", "reconcile", "draft"],
)
def test_missing_table_is_an_error(bare, database, use):
    where = f"table glue_catalog.{database}.{STEPS.table} does not exist: deploy the catalog stack first"
    with pytest.raises(LakehouseError, match=where):
        use(tables.Tables(bare.lake.uri, database))


@both_engines
def test_no_bounds_of_personal_values_in_manifests(bare):
    bare.make(SAMPLES)
    with bare.tables.draft(SAMPLES) as draft:
        bare.engine.append(draft, bare.engine.rows(SAMPLES.types, [("ann@example.com", 5, 1.0, 2.0, 3.0)]))
        draft.publish()
    loaded = bare.tables.load(SAMPLES.table)
    (task,) = tables.files(loaded, loaded.current_snapshot())
    columns = {field.field_id: field for field in loaded.schema().fields}
    for bounds in (task.file.lower_bounds, task.file.upper_bounds):
        found = {columns[number].name: from_bytes(columns[number].field_type, value) for number, value in bounds.items()}
        assert "user" not in found
        assert found["timestamp"] == 5
        assert not any(b"ann" in bytes(value) for value in bounds.values())


# --- drafts ---

BEFORE = pytest.mark.parametrize("before", [[], [(1, "a", 10)]], ids=["empty table", "table with rows"])


@both_engines
@BEFORE
def test_a_draft_is_seen_once_it_is_published(table, before):
    if before:
        table.append(*before)
    with table.draft() as draft:
        assert (draft.was_empty, draft.rows_before) == (not before, len(before))
        assert table.rows_in(draft) == before
        table.add(draft, (2, "a", 20))
        assert table.rows() == before
        assert table.rows_in(draft) == [*before, (2, "a", 20)]
        assert draft.rows_now() == len(before) + 1
        draft.publish()
        assert table.rows() == [*before, (2, "a", 20)]
        assert table.version == draft.version
    assert table.branches() == {"main"}
    assert table.rows() == [*before, (2, "a", 20)]


@both_engines
def test_a_draft_that_is_not_published_is_gone(table):
    table.append((1, "a", 10))
    version = table.version
    with table.draft() as draft:
        table.add(draft, (2, "a", 20))
    with pytest.raises(ZeroDivisionError), table.draft() as draft:
        table.add(draft, (2, "a", 20))
        raise ZeroDivisionError
    assert table.branches() == {"main"}
    assert (table.version, table.rows()) == (version, [(1, "a", 10)])


@both_engines
@BEFORE
def test_of_two_drafts_the_second_to_be_published_fails_and_changes_nothing(table, before):
    if before:
        table.append(*before)
    with pytest.raises(LakehouseError) as caught, table.draft() as second:
        table.add(second, (3, "a", 30))
        with table.draft() as first:
            table.add(first, (2, "a", 20))
            first.publish()
        second.publish()
    assert str(caught.value).startswith(f"table {NAME}: {WHY}, so this one published nothing; ")
    assert table.rows() == [*before, (2, "a", 20)]
    assert table.branches() == {"main"}


@both_engines
@BEFORE
def test_a_draft_whose_branch_another_publication_has_removed_fails(table, before):
    """And is not made anew at `main` by being written to."""
    if before:
        table.append(*before)
    with pytest.raises(LakehouseError, match=WHY), table.draft() as second:
        with table.draft() as first:
            table.add(first, (2, "a", 20))
            first.publish()
        table.add(second, (3, "a", 30))
        second.publish()
    assert table.rows() == [*before, (2, "a", 20)]
    assert table.branches() == {"main"}


@BEFORE
@pytest.mark.parametrize("removed", [[], [(1, "a", 10)]], ids=["more rows", "others"])
def test_a_draft_that_is_removed_while_it_is_written_is_not_made_anew(table, before, removed, monkeypatch):
    """PyIceberg, left to try again by itself, would begin a new branch."""
    if before:
        table.append(*before)
    with pytest.raises(LakehouseError, match=WHY), table.draft() as second:
        look, first = second._head, table.draft()

        def look_and_wait(loaded):
            found = look(loaded)
            monkeypatch.setattr(second, "_head", look)
            with first as other:
                table.add(other, (2, "a", 20))
                other.publish()
            return found

        loaded, head = second.head()
        going = [task.file for task in tables.files(loaded, head)] if removed else []
        monkeypatch.setattr(second, "_head", look_and_wait)
        second.commit([], going)
    assert table.rows() == [*before, (2, "a", 20)]
    assert table.branches() == {"main"}


@both_engines
def test_a_draft_that_is_written_while_another_one_is_stays_whole(table, monkeypatch):
    """A version is numbered after all others of its table, also those of other branches: who is late writes it anew."""
    table.append((1, "a", 10))
    with table.draft() as one, table.draft() as other:
        look = one._head

        def look_and_wait(loaded):
            monkeypatch.setattr(one, "_head", look)
            found = look(loaded)
            table.add(other, (3, "a", 30))
            return found

        monkeypatch.setattr(one, "_head", look_and_wait)
        one.commit(written(table, (2, "a", 20)))
        assert table.rows_in(other) == [(1, "a", 10), (3, "a", 30)]
        assert table.rows_in(one) == [(1, "a", 10), (2, "a", 20)]
        one.publish()
    assert table.rows() == [(1, "a", 10), (2, "a", 20)]


def written(table, *rows):
    """Data files that no version knows yet."""
    engine = engines.start(engines.DUCKDB, table.lake.uri)
    files = engine._written(table.now, STEPS, engine.rows(STEPS.types, rows))
    engine.close()
    return files


def test_rows_of_a_draft_that_is_gone_are_a_conflict(table):
    table.append((1, "a", 10))
    with pytest.raises(LakehouseError, match=WHY), table.draft() as draft:
        draft.discard()
        draft.rows_now()


@both_engines
def test_a_commit_of_anybody_else_makes_a_draft_fail(table):
    table.append((1, "a", 10))
    with pytest.raises(LakehouseError, match=WHY), table.draft() as draft:
        table.add(draft, (3, "a", 30))
        table.now.delete()
        draft.publish()
    assert table.rows() == []
    assert table.branches() == {"main"}


@both_engines
def test_what_is_no_conflict_is_not_called_one(table):
    cast = "select cast('planted' || cast(count(*) as string) as bigint) as n from present"
    with pytest.raises(Exception) as caught, table.draft() as draft:
        table.engine.fetch(cast, present=table.engine.table(*draft.head()))
    assert not isinstance(caught.value, LakehouseError)


def test_what_else_there_is_not_is_no_conflict():
    named = {"getName": lambda: "java.lang.IllegalArgumentException"}
    java = SimpleNamespace(getClass=lambda: SimpleNamespace(**named))

    class Error(Exception):
        java_exception = java

    assert tables.is_conflict(Error("Branch does not exist: run_1"))
    assert not tables.is_conflict(Error("Bucket does not exist: lake"))
    assert not tables.is_conflict(ValueError("Branch does not exist: run_1"))


def test_a_draft_that_may_not_be_made_says_so_itself(table, monkeypatch):
    table.append((1, "a", 10))
    monkeypatch.setattr(Draft, "_begin", lambda *_: int("denied"))
    with pytest.raises(ValueError, match="denied"):
        Draft(table.tables, STEPS)


def test_a_change_that_others_are_ahead_of_again_and_again_says_so_in_the_end(table, monkeypatch):
    monkeypatch.setattr(tables.time, "sleep", lambda seconds: None)
    tried = []

    def late(loaded):
        tried.append(loaded)
        raise CommitFailedException("branch main has changed")

    with pytest.raises(LakehouseError, match=WHY):
        table.tables.retried(STEPS.table, late)
    assert len(tried) > 3
    assert len({id(loaded) for loaded in tried}) == len(tried)


def test_drafts_of_runs_that_died_go_with_the_next_publication(table):
    table.append((1, "a", 10))
    for _ in range(2):
        table.add(Draft(table.tables, STEPS), (9, "a", 90))
    table.now.manage_snapshots().create_branch(int(table.version), "audit").create_tag(int(table.version), "run_1").commit()
    assert len(table.branches()) == 5
    with table.draft() as draft:
        table.add(draft, (2, "a", 20))
        draft.publish()
    # Branches that are no drafts are somebody else's.
    assert table.branches() == {"main", "audit", "run_1"}
    assert table.now.refs()["run_1"].snapshot_ref_type == SnapshotRefType.TAG
    assert table.rows() == [(1, "a", 10), (2, "a", 20)]


# --- many at once ---


@both_engines
def test_of_many_publications_at_once_one_succeeds(table):
    table.append((1, "a", 10))
    one_by_one, prepared = threading.Lock(), threading.Barrier(4)

    def run(number):
        with ExitStack() as open_drafts:
            with one_by_one:
                draft = open_drafts.enter_context(table.draft())
                table.add(draft, (100 + number, "a", 1))
            prepared.wait(60)
            draft.publish()
        return number

    outcomes = at_once(*(partial(run, number) for number in range(4)))
    (winner,) = [one for one in outcomes if isinstance(one, int)]
    assert_losers_know_why(outcomes)
    assert table.rows() == [(1, "a", 10), (100 + winner, "a", 1)]
    assert table.branches() == {"main"}


@both_engines
@BEFORE
def test_of_many_drafts_at_once_at_least_one_is_published(table, before):
    """Each begins when it may: some may not even get a branch, and some come one after the other."""
    if before:
        table.append(*before)

    def run(number):
        engine = engines.start(table.lake.engine, table.lake.uri)
        try:
            with table.draft() as draft:
                engine.append(draft, engine.rows(STEPS.types, [(100 + number, "a", 1)]))
                draft.publish()
        finally:
            engine.close()
        return number

    outcomes = at_once(*(partial(run, number) for number in range(4)))
    winners = [one for one in outcomes if isinstance(one, int)]
    assert winners
    assert_losers_know_why(outcomes)
    assert table.rows() == [*before, *sorted((100 + winner, "a", 1) for winner in winners)]


def test_the_first_drafts_of_a_table_are_in_nobodys_way(table):
    """A table that was never written is given a first version, without rows: by one of them."""
    outcomes = at_once(*[partial(Draft, table.tables, STEPS)] * 4)
    assert [type(one) for one in outcomes] == [Draft] * 4
    assert {one.version for one in outcomes} == {table.version}
    assert len(table.now.snapshots()) == 1


def assert_losers_know_why(outcomes):
    for loser in (one for one in outcomes if not isinstance(one, int)):
        assert isinstance(loser, LakehouseError), repr(loser)
        assert WHY in str(loser)


# --- versions ---


def test_a_table_holds_the_version_it_was_left_at_and_no_other(table):
    def holds(version):
        return table.tables.holds(STEPS.table, version)

    assert holds(tables.NEVER_WRITTEN)
    assert not holds("")
    table.append((1, "a", 10))
    first = table.version
    assert holds(first)
    assert not holds(tables.NEVER_WRITTEN)
    table.append((2, "a", 20))
    second = table.version
    assert holds(second)
    assert not holds(first)
    table.now.manage_snapshots().set_current_snapshot(int(first)).commit()
    assert holds(first)
    assert not holds(second)


@both_engines
def test_a_table_whose_files_were_only_rearranged_still_holds_its_version(table):
    for time in range(3):
        table.append((time, "a", 10))
    version = table.version
    drafts.compact(table.engine, table.tables, STEPS, most_files=2)
    assert len(table.lake.data_files(STEPS.table)) == 1
    assert table.version != version
    assert table.tables.holds(STEPS.table, version)
    again = table.version
    drafts.rearrange(table.engine, table.tables, STEPS)
    assert table.tables.holds(STEPS.table, version)
    assert table.tables.holds(STEPS.table, again)
    table.append((9, "a", 10))
    assert not table.tables.holds(STEPS.table, version)


def test_a_table_that_another_program_has_compacted_still_holds_its_version(table, spark):
    """Iceberg's own procedure, as table services run it."""
    for time in range(3):
        table.append((time, "a", 10))
    version = table.version
    options = "map('rewrite-all', 'true')"
    other = engines.start(engines.SPARK, table.lake.uri)._spark
    other.sql(f"call glue_catalog.system.rewrite_data_files(table => 'lake.{STEPS.table}', options => {options})").collect()
    assert table.now.current_snapshot().summary.operation.value == "replace"
    assert table.version != version
    assert table.tables.holds(STEPS.table, version)


@both_engines
def test_a_table_is_read_as_of_a_version(table):
    def as_of(version):
        loaded = table.now
        snapshot = None if version == tables.NEVER_WRITTEN else loaded.snapshot_by_id(int(version))
        return table.engine.table(loaded, snapshot)

    def content(rows):
        return table.engine.fetch("select * from present order by sensorreadingtime", present=rows)

    assert content(as_of(tables.NEVER_WRITTEN)) == []
    table.append((1, "a", 10))
    first = table.version
    table.append((2, "a", 20))
    assert content(as_of(first)) == [(1, "a", 10)]
    assert content(as_of(table.version)) == [(1, "a", 10), (2, "a", 20)]
    assert content(as_of(tables.NEVER_WRITTEN)) == []
    assert list(as_of(tables.NEVER_WRITTEN).columns) == STEPS.names
    assert as_of(first).columns == STEPS.types


@both_engines
def test_an_older_version_has_the_columns_of_today(table):
    table.append((1, "a", 10))
    first = int(table.version)
    table.tables.reconcile(with_column(STEPS, name="firmware", type="string"))
    table.append((2, "a", 20, "new"))
    loaded = table.now
    then = table.engine.table(loaded, loaded.snapshot_by_id(first))
    assert then.columns == {**STEPS.types, "firmware": "string"}
    assert table.engine.fetch("select * from present", present=then) == [(1, "a", 10, None)]
    now = table.engine.table(loaded, loaded.current_snapshot())
    found = table.engine.fetch("select * from present order by sensorreadingtime", present=now)
    assert found == [(1, "a", 10, None), (2, "a", 20, "new")]


def test_a_version_that_has_expired_is_none(table):
    table.append((1, "a", 10))
    first = int(table.version)
    table.append((2, "a", 20))
    table.lake.expire(STEPS.table)
    assert table.now.snapshot_by_id(first) is None
    assert table.now.snapshot_by_id(5) is None
    assert not table.tables.holds(STEPS.table, str(first))
    assert table.tables.holds(STEPS.table, table.version)


# --- what others write by hand ---


def test_rows_in_delete_files_do_not_count(table):
    """Deleted as Athena does it: noted in a delete file, not taken out of their data file."""
    table.append((1, "a", 10), (2, "a", 20), (3, "a", 30))
    version = table.version
    others.delete(table.lake, STEPS.table, sensorreadingtime=2)
    assert tables.said(table.now.current_snapshot(), "total-records") == "3"
    assert tables.has_delete_files(table.now.current_snapshot())
    assert table.tables.rows(STEPS.table) == 2
    assert not table.tables.holds(STEPS.table, version)
    with table.draft() as draft:
        assert (draft.rows_before, draft.rows_now(), draft.was_empty) == (2, 2, False)


def test_a_table_with_nothing_but_deleted_rows_is_empty(table):
    table.append((1, "a", 10), (2, "a", 10))
    others.delete(table.lake, STEPS.table, distancefromobject=10)
    assert table.tables.rows(STEPS.table) == 0
    with table.draft() as draft:
        assert draft.was_empty


# --- rows that may have a key ---


@both_engines
def test_rows_near_others_are_those_in_the_span_of_their_times(table):
    """Rows besides those may come along: of data files that hold one of them."""
    table.append((1, "a", 10), (2, "b", 20))
    table.append((3, "c", 30))
    table.append((4, "d", 40), (9, "e", 50))
    assert {(2, "b", 20), (3, "c", 30)} <= set(near(table, (3, "x", 1), (2, "y", 1)))
    assert not {(4, "d", 40), (9, "e", 50)} & set(near(table, (3, "x", 1), (2, "y", 1)))
    assert near(table) == []


def near(table, *rows, contract=STEPS):
    loaded = table.now
    between = drafts.bounds(table.engine, table.rows_of(*rows), contract)
    found = table.engine.table(loaded, loaded.current_snapshot(), between)
    return table.engine.fetch("select * from present", present=found)


@both_engines
def test_without_a_time_in_the_key_all_rows_are_near(table):
    table.append((1, "a", 10), (2, "b", 20))
    assert len(near(table, contract=replace(STEPS, key=("serialnumber", "distancefromobject")))) == 2
    # Of personal columns there are no bounds.
    personal = replace(STEPS, columns=tuple(replace(column, personal=True) for column in STEPS.columns))
    assert len(near(table, contract=personal)) == 2


@both_engines
def test_files_whose_times_are_not_near_are_not_read(table):
    with table.draft() as draft:
        table.add(draft, (1, "a", 10), (2, "a", 10))
        table.add(draft, (5, "a", 10))
        draft.publish()
    early = next(task for task in tables.files(table.now, table.now.current_snapshot()) if task.file.record_count == 2)
    Path(f"/{early.file.file_path.removeprefix('file:').lstrip('/')}").unlink()
    assert near(table, (5, "a", 1), (7, "a", 1)) == [(5, "a", 10)]
    with pytest.raises(Exception, match=r"FAILED_READ_FILE|FileNotFound|NotFoundException|No such file|No files found"):
        near(table, (2, "a", 1), (7, "a", 1))
