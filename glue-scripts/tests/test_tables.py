"""Iceberg tables: in line with their contract, and written as drafts that readers see at once or never."""

import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from lakehouse import contracts, publish, tables
from lakehouse.errors import LakehouseError
from pyspark.errors import IllegalArgumentException
from support import at_once, create_table, data_files

STEPS = contracts.load("step_trainer_trusted")
SAMPLES = contracts.load("accelerometer_trusted")
NAME = "glue_catalog.reconcile.t"


@pytest.fixture
def make(spark):
    spark.sql("create namespace glue_catalog.reconcile")

    def make(contract, **other):
        create_table(spark, NAME, contract, **other)

    yield make
    spark.sql(f"drop table if exists {NAME} purge")
    spark.sql("drop namespace glue_catalog.reconcile")


def metadata_versions(spark):
    return spark.table(f"{NAME}.metadata_log_entries").count()


def with_column(contract, **column):
    added = contracts.Column(**{"json_key": column["name"], "since": 2, **column})
    return replace(contract, columns=(*contract.columns, added))


# --- in line with the contract ---


def test_new_table_gets_the_properties_writers_rely_on(spark, make):
    make(STEPS)
    table = tables.reconcile(spark, NAME, STEPS)
    assert tables.version(spark, NAME) == tables.NEVER_WRITTEN
    wanted = {
        "write.delete.mode": "copy-on-write",
        "write.update.mode": "copy-on-write",
        "write.merge.mode": "copy-on-write",
        "write.parquet.compression-codec": "zstd",
        "write.metadata.metrics.column.serialnumber": "none",
        "format-version": "2",
    }
    assert {key: table.properties.get(key) for key in wanted} == wanted
    assert "write.metadata.metrics.column.sensorreadingtime" not in table.properties


def test_new_table_gets_the_order_of_its_rows(spark, make):
    make(STEPS)
    assert tables.state(spark, NAME).sort == ()
    assert tables.reconcile(spark, NAME, STEPS).sort == ("serialnumber", "sensorreadingtime")
    rows = [(time, serial, 1) for time in (3, 1, 2) for serial in "ba"]
    spark.createDataFrame(rows, STEPS.schema).coalesce(1).writeTo(NAME).append()
    written = [(row.serialnumber, row.sensorreadingtime) for row in spark.table(NAME).collect()]
    assert written == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("b", 3)]


def test_another_order_replaces_the_one_before(spark, make):
    make(STEPS)
    tables.reconcile(spark, NAME, STEPS)
    assert tables.reconcile(spark, NAME, replace(STEPS, sort=("sensorreadingtime",))).sort == ("sensorreadingtime",)


def test_second_time_changes_nothing(spark, make):
    make(STEPS)
    first = tables.reconcile(spark, NAME, STEPS)
    versions = metadata_versions(spark)
    assert tables.alterations(first, STEPS) == []
    assert tables.reconcile(spark, NAME, STEPS) == first
    assert metadata_versions(spark) == versions


def test_new_column_is_added_with_its_description(spark, make):
    make(STEPS)
    contract = with_column(STEPS, name="note", type="double", description="The device's \\own\\ note.")
    table = tables.reconcile(spark, NAME, contract)
    assert table.schema["note"].dataType.simpleString() == "double"
    assert table.schema["note"].metadata["comment"] == "The device's \\own\\ note."


def comments(table):
    return {field.name: field.metadata.get("comment") for field in table.schema}


def snapshots(spark):
    return spark.table(f"{NAME}.snapshots").count()


def test_columns_get_the_descriptions_of_the_contract_in_one_commit(spark, make):
    """A table's template says nothing of its columns, and a description may be written anew."""
    columns = "sensorreadingtime bigint comment 'Of old.', serialnumber string, distancefromobject int comment ''"
    spark.sql(f"create table {NAME} ({columns}) using iceberg")
    plain = replace(STEPS, columns=tuple(replace(column, description="") for column in STEPS.columns))
    spark.createDataFrame([(1, "a", 10)], STEPS.schema).writeTo(NAME).append()
    # Everything but the descriptions.
    for statement in tables.alterations(tables.state(spark, NAME), STEPS):
        spark.sql(statement)
    before, version, made = metadata_versions(spark), tables.version(spark, NAME), snapshots(spark)
    contract = replace(
        STEPS, columns=(replace(STEPS.columns[0], description='The device\'s \\own\\ time; "ms".'), *STEPS.columns[1:])
    )
    table = tables.reconcile(spark, NAME, contract)
    wanted = {column.name: column.description for column in contract.columns}
    assert all(wanted.values())
    assert comments(table) == comments(tables.state(spark, NAME)) == wanted
    assert table == tables.state(spark, NAME)
    # What readers see is the same version, and nothing was written but what the table is.
    assert metadata_versions(spark) == before + 1
    assert (tables.version(spark, NAME), snapshots(spark)) == (version, made)
    assert [tuple(row) for row in spark.table(NAME).collect()] == [(1, "a", 10)]
    assert tables.reconcile(spark, NAME, contract) == table
    assert metadata_versions(spark) == before + 1
    assert set(comments(tables.reconcile(spark, NAME, plain)).values()) <= {None, ""}


def test_descriptions_are_those_that_differ(spark, make):
    make(STEPS)
    nothing_said = tables.state(spark, NAME)
    assert tables.descriptions(nothing_said, STEPS) == {column.name: column.description for column in STEPS.columns}
    described = tables.reconcile(spark, NAME, STEPS)
    assert tables.descriptions(described, STEPS) == {}
    contract = replace(STEPS, columns=(*STEPS.columns[:2], replace(STEPS.columns[2], description="Another one.")))
    assert tables.descriptions(described, contract) == {"distancefromobject": "Another one."}
    # A column that is not there yet gets its description with it.
    added = with_column(STEPS, name="note", type="double", description="A note.")
    assert tables.descriptions(described, added) == {}
    # To say nothing of a column of which nothing is said is no change.
    plain = replace(STEPS, columns=tuple(replace(column, description="") for column in STEPS.columns))
    assert tables.descriptions(nothing_said, plain) == {}


def test_the_state_after_tells_of_everything_that_was_changed(spark, make):
    """Columns, properties, order and descriptions at once: whoever asks next finds nothing to do."""
    make(STEPS)
    contract = with_column(STEPS, name="note", type="double", description="A note.")
    table = tables.reconcile(spark, NAME, contract)
    assert table == tables.state(spark, NAME)
    assert comments(table) == {column.name: column.description for column in contract.columns}
    assert table.sort == contract.sort
    assert tables.alterations(table, contract) == []
    assert tables.descriptions(table, contract) == {}
    assert tables.version(spark, NAME) == tables.NEVER_WRITTEN


def test_a_table_that_does_not_fit_is_not_described(spark, make):
    make(with_column(STEPS, name="stray", type="int"))
    versions = metadata_versions(spark)
    with pytest.raises(LakehouseError, match="column stray is not in the contract"):
        tables.reconcile(spark, NAME, STEPS)
    assert metadata_versions(spark) == versions


def test_a_draft_that_is_open_is_published_though_the_table_was_described_meanwhile(spark, make):
    """Nothing of its rows is touched."""
    make(STEPS)
    append(spark, (1, "a", 10))
    with tables.draft(spark, NAME) as draft:
        append(spark, (2, "a", 20), to=draft.name)
        tables.reconcile(spark, NAME, STEPS)
        draft.publish()
    assert rows(spark) == [(1, "a", 10), (2, "a", 20)]


def test_format_version_1_is_raised(spark, make):
    columns = "sensorreadingtime bigint, serialnumber string"
    spark.sql(f"create table {NAME} ({columns}) using iceberg tblproperties ('format-version' = '1')")
    assert tables.reconcile(spark, NAME, STEPS).properties["format-version"] == "2"


def test_other_type_is_an_error(spark, make):
    make(replace(STEPS, columns=tuple(replace(c, type="string") if c.name == "distancefromobject" else c for c in STEPS.columns)))
    with pytest.raises(LakehouseError, match=f"{NAME}: column distancefromobject has type string, the contract says int"):
        tables.reconcile(spark, NAME, STEPS)


def test_column_without_contract_is_an_error(spark, make):
    make(with_column(STEPS, name="stray", type="int"))
    with pytest.raises(LakehouseError, match=f"{NAME}: column stray is not in the contract of step_trainer_trusted"):
        tables.reconcile(spark, NAME, STEPS)


@pytest.mark.parametrize("name", ["glue_catalog.reconcile.missing", "glue_catalog.nowhere.t"])
@pytest.mark.parametrize("use", [tables.version, tables.read, tables.Draft, lambda *where: tables.reconcile(*where, STEPS)])
def test_missing_table_is_an_error(spark, make, name, use):
    with pytest.raises(LakehouseError, match=f"table {name} does not exist: deploy the catalog stack first"):
        use(spark, name)


def test_no_bounds_of_personal_values_in_manifests(spark, make):
    make(SAMPLES)
    tables.reconcile(spark, NAME, SAMPLES)
    rows = spark.createDataFrame([("ann@example.com", 5, 1.0, 2.0, 3.0)], SAMPLES.schema)
    rows.writeTo(NAME).append()
    (file,) = spark.table(f"{NAME}.files").select("lower_bounds", "upper_bounds", "readable_metrics").collect()
    bounds = file.readable_metrics
    assert (bounds["user"].lower_bound, bounds["user"].upper_bound) == (None, None)
    assert (bounds["timestamp"].lower_bound, bounds["timestamp"].upper_bound) == (5, 5)
    assert not any(b"ann" in bytes(value) for value in [*file.lower_bounds.values(), *file.upper_bounds.values()])


# --- drafts ---


@pytest.fixture
def table(spark, make):
    make(STEPS)
    tables.reconcile(spark, NAME, STEPS)


def append(spark, *rows, to=NAME):
    spark.createDataFrame(rows, STEPS.schema).coalesce(1).writeTo(to).append()


def rows(spark):
    # Spark keeps what it knows of a table; this looks again, as others may have written to it.
    tables.iceberg(spark, NAME)
    return sorted(tuple(row) for row in spark.table(NAME).collect())


def branches(spark):
    return {str(ref) for ref in tables.iceberg(spark, NAME).refs().keySet()}


@pytest.mark.parametrize("before", [[], [(1, "a", 10)]], ids=["empty table", "table with rows"])
def test_a_draft_is_seen_once_it_is_published(spark, table, before):
    if before:
        append(spark, *before)
    with tables.draft(spark, NAME) as draft:
        assert (draft.was_empty, draft.rows_before) == (not before, len(before))
        assert sorted(map(tuple, draft.rows().collect())) == before
        append(spark, (2, "a", 20), to=draft.name)
        assert rows(spark) == before
        assert (draft.rows().count(), draft.rows_now()) == (len(before) + 1, len(before) + 1)
        draft.publish()
        assert rows(spark) == [*before, (2, "a", 20)]
    assert branches(spark) == {"main"}
    assert rows(spark) == [*before, (2, "a", 20)]


def test_a_draft_that_is_not_published_is_gone(spark, table):
    append(spark, (1, "a", 10))
    version = tables.version(spark, NAME)
    with tables.draft(spark, NAME) as draft:
        append(spark, (2, "a", 20), to=draft.name)
    with pytest.raises(ZeroDivisionError), tables.draft(spark, NAME) as draft:
        append(spark, (2, "a", 20), to=draft.name)
        raise ZeroDivisionError
    assert branches(spark) == {"main"}
    assert (tables.version(spark, NAME), rows(spark)) == (version, [(1, "a", 10)])


@pytest.mark.parametrize("before", [[], [(1, "a", 10)]], ids=["empty table", "table with rows"])
def test_of_two_drafts_the_second_to_be_published_fails_and_changes_nothing(spark, table, before):
    if before:
        append(spark, *before)
    with pytest.raises(LakehouseError) as caught, tables.draft(spark, NAME) as second:
        append(spark, (3, "a", 30), to=second.name)
        with tables.draft(spark, NAME) as first:
            append(spark, (2, "a", 20), to=first.name)
            first.publish()
        second.publish()
    assert str(caught.value).startswith(f"table {NAME}: another run has written to it meanwhile, so this one published nothing; ")
    assert rows(spark) == [*before, (2, "a", 20)]
    assert branches(spark) == {"main"}


def test_a_draft_whose_branch_another_publication_has_removed_fails(spark, table):
    append(spark, (1, "a", 10))
    with pytest.raises(LakehouseError, match="another run has written to it meanwhile"), tables.draft(spark, NAME) as second:
        with tables.draft(spark, NAME) as first:
            append(spark, (2, "a", 20), to=first.name)
            first.publish()
        append(spark, (3, "a", 30), to=second.name)
        second.publish()
    assert rows(spark) == [(1, "a", 10), (2, "a", 20)]
    assert branches(spark) == {"main"}


@pytest.mark.parametrize("before", [[], [(1, "a", 10)]], ids=["empty table", "table with rows"])
def test_a_draft_that_is_removed_while_it_is_written_is_not_made_anew(spark, table, before):
    """Spark in another process does not know yet that the branch is gone, and Iceberg would begin a new one at `main`."""
    if before:
        append(spark, *before)

    def run(session):
        with tables.draft(session, NAME) as second:
            assert second.rows().count() == len(before)
            with tables.draft(spark, NAME) as first:
                append(spark, (2, "a", 20), to=first.name)
                first.publish()
            append(session, (2, "a", 20), to=second.name)
            second.publish()

    (outcome,) = at_once(spark, run)
    assert rows(spark) == [*before, (2, "a", 20)]
    assert isinstance(outcome, LakehouseError), repr(outcome)
    assert "another run has written to it meanwhile" in str(outcome)
    assert branches(spark) == {"main"}


def test_rows_of_a_draft_that_is_gone_are_a_conflict(spark, table):
    append(spark, (1, "a", 10))
    with pytest.raises(LakehouseError, match="another run has written to it meanwhile"), tables.draft(spark, NAME) as draft:
        draft.discard()
        draft.rows_now()


def test_a_commit_of_anybody_else_makes_a_draft_fail(spark, table):
    append(spark, (1, "a", 10))
    with pytest.raises(LakehouseError, match="another run has written to it meanwhile"), tables.draft(spark, NAME) as draft:
        append(spark, (3, "a", 30), to=draft.name)
        spark.sql(f"delete from {NAME}")
        draft.publish()
    assert rows(spark) == []
    assert branches(spark) == {"main"}


def test_what_is_no_conflict_is_not_called_one(spark, table):
    with pytest.raises(Exception) as caught, tables.draft(spark, NAME) as draft:
        spark.sql(f"select raise_error('planted') from {draft.name} right join range(1)").collect()
    assert not isinstance(caught.value, LakehouseError)


def test_what_else_there_is_not_is_no_conflict():
    assert tables.is_conflict(IllegalArgumentException("Branch does not exist: run_1"))
    assert not tables.is_conflict(IllegalArgumentException("Bucket does not exist: lake"))


def test_a_draft_that_may_not_be_made_says_so_itself(spark, table, monkeypatch):
    change = SimpleNamespace(createBranch=lambda *_: None, commit=lambda: int("denied"))
    loaded = SimpleNamespace(currentSnapshot=lambda: None, manageSnapshots=lambda: change)
    monkeypatch.setattr(tables, "iceberg", lambda *_: loaded)
    with pytest.raises(ValueError, match="denied"):
        tables.Draft(spark, NAME)


def test_drafts_of_dead_runs_of_a_table_that_was_never_written_go_too(spark, table):
    dead = tables.Draft(spark, NAME)
    assert tables.drop_drafts(spark, NAME, 0) == 0
    assert tables.drop_drafts(spark, NAME, 4_000_000_000_000) == 1
    assert dead.branch not in branches(spark)


def test_drafts_of_runs_that_died_go_with_the_next_publication(spark, table):
    append(spark, (1, "a", 10))
    for _ in range(2):
        append(spark, (9, "a", 90), to=tables.Draft(spark, NAME).name)
    spark.sql(f"alter table {NAME} create branch audit")
    assert len(branches(spark)) == 4
    with tables.draft(spark, NAME) as draft:
        append(spark, (2, "a", 20), to=draft.name)
        draft.publish()
    # Branches that are no drafts are somebody else's.
    assert branches(spark) == {"main", "audit"}
    assert rows(spark) == [(1, "a", 10), (2, "a", 20)]


def test_of_many_publications_at_once_one_succeeds(spark, table):
    append(spark, (1, "a", 10))
    one_by_one, prepared = threading.Lock(), threading.Barrier(4)

    def run(session, number):
        with ExitStack() as open_drafts:
            with one_by_one:
                draft = open_drafts.enter_context(tables.draft(session, NAME))
                append(session, (100 + number, "a", 1), to=draft.name)
            prepared.wait(60)
            draft.publish()
        return number

    assert_one_wins(spark, at_once(spark, *(partial(run, number=number) for number in range(4))))


def test_of_many_drafts_at_once_at_least_one_is_published(spark, table):
    """Each begins when it may: some may not even get a branch, and some come one after the other."""
    append(spark, (1, "a", 10))

    def run(session, number):
        with tables.draft(session, NAME) as draft:
            append(session, (100 + number, "a", 1), to=draft.name)
            draft.publish()
        return number

    outcomes = at_once(spark, *(partial(run, number=number) for number in range(4)))
    winners = [one for one in outcomes if isinstance(one, int)]
    assert winners
    assert_losers_know_why(outcomes)
    assert rows(spark) == [(1, "a", 10), *sorted((100 + winner, "a", 1) for winner in winners)]


def assert_one_wins(spark, outcomes):
    (winner,) = [one for one in outcomes if isinstance(one, int)]
    assert_losers_know_why(outcomes)
    assert rows(spark) == [(1, "a", 10), (100 + winner, "a", 1)]


def assert_losers_know_why(outcomes):
    for loser in (one for one in outcomes if not isinstance(one, int)):
        assert isinstance(loser, LakehouseError), repr(loser)
        assert "another run has written to it meanwhile" in str(loser)


# --- versions ---


def test_a_table_holds_the_version_it_was_left_at_and_no_other(spark, table):
    assert tables.holds(spark, NAME, tables.NEVER_WRITTEN)
    assert not tables.holds(spark, NAME, "")
    append(spark, (1, "a", 10))
    first = tables.version(spark, NAME)
    assert tables.holds(spark, NAME, first)
    assert not tables.holds(spark, NAME, tables.NEVER_WRITTEN)
    append(spark, (2, "a", 20))
    second = tables.version(spark, NAME)
    assert tables.holds(spark, NAME, second)
    assert not tables.holds(spark, NAME, first)
    spark.sql(f"call glue_catalog.system.rollback_to_snapshot('reconcile.t', {first})")
    assert tables.holds(spark, NAME, first)
    assert not tables.holds(spark, NAME, second)


def test_a_table_whose_files_were_only_rearranged_still_holds_its_version(spark, table):
    for time in range(3):
        append(spark, (time, "a", 10))
    version = tables.version(spark, NAME)
    for most in (2, 0):
        publish.compact(spark, NAME, STEPS, most_files=most)
        spark.sql("call glue_catalog.system.rewrite_data_files(table => 'reconcile.t', options => map('rewrite-all', 'true'))")
    assert tables.iceberg(spark, NAME).currentSnapshot().operation() == "replace"
    assert tables.version(spark, NAME) != version
    assert tables.holds(spark, NAME, version)
    append(spark, (9, "a", 10))
    assert not tables.holds(spark, NAME, version)


def test_a_table_is_read_as_of_a_version(spark, table):
    assert tables.as_of(spark, NAME, tables.NEVER_WRITTEN).collect() == []
    append(spark, (1, "a", 10))
    first = tables.version(spark, NAME)
    append(spark, (2, "a", 20))
    assert [tuple(row) for row in tables.as_of(spark, NAME, first).collect()] == [(1, "a", 10)]
    assert tables.as_of(spark, NAME, tables.version(spark, NAME)).count() == 2
    assert tables.as_of(spark, NAME, tables.NEVER_WRITTEN).columns == STEPS.names


@pytest.mark.parametrize("read", [tables.as_of, tables.files_since], ids=["rows", "files"])
def test_a_version_that_has_expired_is_none(spark, table, read):
    append(spark, (1, "a", 10))
    first = tables.version(spark, NAME)
    append(spark, (2, "a", 20))
    expire(spark)
    assert read(spark, NAME, first) is None
    assert read(spark, NAME, "5") is None
    assert read(spark, NAME, tables.version(spark, NAME)) is not None


def expire(spark):
    oldest = "older_than => timestamp '2100-01-01', retain_last => 1"
    spark.sql(f"call glue_catalog.system.expire_snapshots(table => 'reconcile.t', {oldest})")


def test_files_that_came_and_went_since_a_version(spark, table):
    assert tables.files_since(spark, NAME, tables.NEVER_WRITTEN) == ({}, {})
    append(spark, (1, "a", 10))
    first, (file,) = tables.version(spark, NAME), data_files(spark, NAME)
    append(spark, (2, "a", 20), (3, "a", 30))
    (second,) = data_files(spark, NAME) - {file}
    assert tables.files_since(spark, NAME, tables.version(spark, NAME)) == ({}, {})
    assert tables.files_since(spark, NAME, first) == ({second: 2}, {})
    assert tables.files_since(spark, NAME, tables.NEVER_WRITTEN) == ({file: 1, second: 2}, {})
    spark.sql(f"delete from {NAME}")
    assert tables.files_since(spark, NAME, first) == ({}, {file: 1})
    assert tables.files_since(spark, NAME, tables.NEVER_WRITTEN) == ({}, {})


def test_files_since_a_version_that_was_rolled_back_are_unknown(spark, table):
    append(spark, (1, "a", 10))
    first = tables.version(spark, NAME)
    append(spark, (2, "a", 20))
    second = tables.version(spark, NAME)
    spark.sql(f"call glue_catalog.system.rollback_to_snapshot('reconcile.t', {first})")
    assert tables.files_since(spark, NAME, second) is None


def test_an_older_version_has_the_columns_of_today(spark, table):
    append(spark, (1, "a", 10))
    first = tables.version(spark, NAME)
    tables.reconcile(spark, NAME, with_column(STEPS, name="firmware", type="string"))
    spark.sql(f"insert into {NAME} values (2, 'a', 20, 'new')")
    assert [row.asDict() for row in tables.as_of(spark, NAME, first).collect()] == [
        {"sensorreadingtime": 1, "serialnumber": "a", "distancefromobject": 10, "firmware": None}
    ]


# --- what others write by hand ---


@pytest.fixture
def deleted_by_hand(spark, table):
    """Two of three rows deleted as Athena does it: noted in a delete file, not taken out of their data file."""
    append(spark, (1, "a", 10), (2, "a", 20), (3, "a", 30))
    version = tables.version(spark, NAME)
    spark.sql(f"alter table {NAME} set tblproperties ('write.delete.mode' = 'merge-on-read')")
    spark.sql(f"delete from {NAME} where sensorreadingtime < 3")
    summary = tables.iceberg(spark, NAME).currentSnapshot().summary()
    assert (summary["total-records"], summary["total-delete-files"]) == ("3", "1")
    return version


def test_rows_in_delete_files_do_not_count(spark, deleted_by_hand):
    assert tables.rows(spark, NAME) == 1
    with tables.draft(spark, NAME) as draft:
        assert (draft.rows_before, draft.rows_now()) == (1, 1)
        changes = publish.difference(spark.createDataFrame([(2, "a", 21), (3, "a", 31)], STEPS.schema), draft.rows(), STEPS)
        assert publish.change(draft, changes, STEPS)[0] == publish.Written(1, 1, 0)
        draft.publish()
    assert rows(spark) == [(2, "a", 21), (3, "a", 31)]
    assert tables.rows(spark, NAME) == 2


def test_a_table_with_nothing_but_deleted_rows_is_empty(spark, deleted_by_hand):
    spark.sql(f"delete from {NAME}")
    assert tables.rows(spark, NAME) == 0
    with tables.draft(spark, NAME) as draft:
        assert draft.was_empty


def test_files_since_a_version_do_not_tell_of_rows_in_delete_files(spark, deleted_by_hand):
    assert tables.files_since(spark, NAME, deleted_by_hand) is None
    append(spark, (4, "a", 40))
    assert tables.files_since(spark, NAME, deleted_by_hand) is None
    assert tables.files_since(spark, NAME, tables.version(spark, NAME)) is None


# --- rows that may have a key ---


def test_rows_near_others_are_those_in_the_span_of_their_times(spark, table):
    append(spark, (1, "a", 10), (2, "b", 20), (3, "c", 30), (4, "d", 40))
    others = spark.createDataFrame([(3, "x", 1), (2, "y", 1)], STEPS.schema)
    found = tables.near(spark.table(NAME), others, STEPS)
    assert sorted(map(tuple, found.collect())) == [(2, "b", 20), (3, "c", 30)]
    assert tables.near(spark.table(NAME), others.limit(0), STEPS).count() == 0


def test_without_a_time_in_the_key_all_rows_are_near(spark, table):
    append(spark, (1, "a", 10), (2, "b", 20))
    keyed = replace(STEPS, key=("serialnumber", "distancefromobject"))
    assert tables.near(spark.table(NAME), spark.table(NAME).limit(0), keyed).count() == 2
    personal = replace(STEPS, columns=tuple(replace(column, personal=True) for column in STEPS.columns))
    assert tables.near(spark.table(NAME), spark.table(NAME).limit(0), personal).count() == 2


def test_files_whose_times_are_not_near_are_not_read(spark, table):
    append(spark, (1, "a", 10), (2, "a", 10))
    (early,) = data_files(spark, NAME)
    append(spark, (5, "a", 10), (9, "a", 10))
    Path(early.removeprefix("file:")).unlink()
    others = spark.createDataFrame([(5, "a", 1), (7, "a", 1)], STEPS.schema)
    assert [tuple(row) for row in tables.near(spark.table(NAME), others, STEPS).collect()] == [(5, "a", 10)]
    with pytest.raises(Exception, match=r"FAILED_READ_FILE|FileNotFound|NotFoundException"):
        spark.table(NAME).collect()
