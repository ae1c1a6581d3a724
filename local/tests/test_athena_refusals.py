"""Athena of the embedded AWS changes nothing, whatever it is asked, and in whatever spelling."""

import hashlib
import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from athena_lake import BUCKET, DATABASE
from embedded import EmbeddedAWS
from embedded_aws import athena_queries, athena_statements
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

# Statements of Athena, Trino, Hive and DuckDB that change something, or read what is no table of the lake.
CHANGES = """
drop table readings_trusted
drop table if exists queries.readings_trusted
drop table `queries`.`people_landing`
drop view readings_trusted
drop database queries cascade
drop schema queries
create table copied as select * from readings_trusted
create table copied with (format = 'PARQUET', external_location = 's3://queries-lake/copied/') as select 1 as x
create or replace table readings_trusted as select 1 as x
create temp table copied as select 1
create external table copied (x int) location 's3://queries-lake/copied/'
create table copied (x int) location 's3://queries-lake/copied/' tblproperties ('table_type' = 'ICEBERG')
create view seen as select * from readings_trusted
create or replace view readings_trusted as select 1 as x
create database other
create schema other
create macro f(x) as x
create secret s (type s3)
alter table readings_trusted add columns (y int)
alter table readings_trusted drop column x
alter table readings_trusted rename to others
alter table people_landing set tblproperties ('a' = 'b')
alter table people_landing add partition (day = '1') location 's3://queries-lake/people_landing/'
alter table people_landing set location 's3://queries-lake/'
insert into readings_trusted values ('e', 1, 1.0, true)
insert into readings_trusted select * from readings_trusted
with more as (select * from readings_trusted) insert into readings_trusted select * from more
update readings_trusted set x = 0
delete from readings_trusted
delete from readings_trusted where x > 0
truncate table readings_trusted
merge into readings_trusted t using people_landing p on t.x = p.x when matched then delete
optimize readings_trusted rewrite data using bin_pack
vacuum readings_trusted
msck repair table people_landing
refresh table readings_trusted
analyze readings_trusted
comment on table readings_trusted is 'x'
grant select on readings_trusted to everybody
revoke select on readings_trusted from everybody
deny select on readings_trusted to everybody
call system.rollback_to_snapshot('queries', 'readings_trusted', 1)
unload (select * from readings_trusted) to 's3://queries-lake/people_landing/' with (format = 'JSON')
select * into copied from readings_trusted
with gone as (delete from readings_trusted returning *) select * from gone
start transaction
begin
commit
rollback
use other
set session x = 1
set memory_limit = '1TB'
set enable_external_access = true
reset memory_limit
copy (select 1) to 'stolen.csv'
copy readings_trusted from 'stolen.csv'
export database 'stolen'
import database 'stolen'
attach 'stolen.db' as other
detach other
install httpfs
load httpfs
pragma database_list
checkpoint
force checkpoint
call pragma_version()
summarize readings_trusted
from readings_trusted
pivot readings_trusted on x using count(*)
describe select 1 from read_csv('/etc/hostname')
select * from read_csv('/etc/hostname')
select * from read_text('/etc/hostname')
select * from read_parquet('*.parquet')
select * from read_json('/etc/hostname')
select * from glob('*')
select * from '/etc/hostname'
select * from "/etc/hostname"
select * from query('drop table readings_trusted')
select * from query_table('table_0')
select * from duckdb_settings()
select * from duckdb_tables
select * from sqlite_master
select * from pg_catalog.pg_tables
select * from (select * from range(3))
select (select count(*) from duckdb_settings)
select 1 where 1 in (table duckdb_settings)
select * from readings_trusted cross join lateral (select * from sqlite_master)
select 1 from (select 1) as t(x) join lateral (values ((select count(*) from sqlite_master))) as u(y) on true
select getenv('HOME')
select current_setting('memory_limit')
select nextval('s')
select * from table(system.query('drop table readings_trusted'))
select * exclude (x) from readings_trusted
explain analyze delete from readings_trusted
prepare p from drop table readings_trusted
execute nothing_of_this_name
""".strip().splitlines()
BLANKS = [" ", "\n", "\t ", " /* select */ ", " -- select\n", "/**/ "]
WORDS = sorted(
    {word for line in CHANGES for word in line.split()} | {"select", "1", "*", "from", "(", ")", ";", "--", "/*", "'", '"'}
)


def lake(aws: EmbeddedAWS, *databases: str) -> str:
    """A digest of databases (none given: all), their tables, and files of the lake, each with its version."""
    glue, s3 = aws.client("glue"), aws.client("s3")
    databases = databases or tuple(one["Name"] for one in glue.get_databases()["DatabaseList"])
    tables = [table for name in databases for table in glue.get_tables(DatabaseName=name)["TableList"]]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    files = [(one["Key"], one["ETag"], one["LastModified"]) for page in pages for one in page["Contents"]]
    return hashlib.sha256(json.dumps([databases, tables, files], default=str, sort_keys=True).encode()).hexdigest()


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """One of the statements, in some case, with comments, wrapped in another or behind one."""
    words = draw(st.sampled_from(CHANGES)).split(" ")
    cased = [draw(st.sampled_from([word, word.upper(), word.title()])) if "'" not in word else word for word in words]
    text = "".join(word + draw(st.sampled_from(BLANKS)) for word in cased).strip(" ")
    wrap = draw(st.sampled_from(["{}", "{}", ";{}", "{};", "select 1; {}", "{}; select 1", "/* a */{}", "--a\n{}", "explain {}",
                                 "execute immediate '{}'", "({})", "with a as ({}) select 1",
                                 "select * from ({})", "\ufeff{}", "\u00a0{}", "explain (format text) {}"]))  # fmt: skip
    return wrap.format(text)


# What DuckDB itself refuses once its connection is locked, should ever a statement get through to it.
LOCKED = [
    "copy (select 1) to '{folder}/stolen.csv'",
    "select * from read_text('/etc/hostname')",
    "select * from glob('/etc/*')",
    "attach '{folder}/stolen.db' as other",
    "export database '{folder}/stolen'",
    "install httpfs",
    "load '{folder}/stolen.duckdb_extension'",
    "set enable_external_access = true",
    "set memory_limit = '1TB'",
    "reset lock_configuration",
    "select * from an_object_of_python",
]

quietly = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def before(aws: EmbeddedAWS, query) -> str:
    return lake(aws)


@pytest.mark.parametrize("sql", CHANGES)
def test_what_is_no_reading_of_the_lake_is_refused(aws, query, before, sql: str) -> None:
    with pytest.raises(RuntimeError, match=r"^FAILED: [A-Z_]+: "):
        query(sql)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select 1 into copied", "NOT_SUPPORTED: INTO in a query"),
        ("select * from (select x into copied from t) as u", "NOT_SUPPORTED: INTO in a query"),
        ("select 1 from t for update", "NOT_SUPPORTED: LOCK in a query"),
        ("with a as (delete from t returning 1) select 1", "NOT_SUPPORTED: WITH"),
        ("select $1, @b", "NOT_SUPPORTED: PARAMETER in a query"),
        ("select * exclude (x) from t", "SYNTAX_ERROR: Athena's *"),
        ("select * from read_csv('a')", "FUNCTION_NOT_FOUND: Table function 'read_csv'"),
        ("select \"read_text\"('a')", "FUNCTION_NOT_FOUND: Function 'read_text'"),
        ("select x.list_sum() from t", "FUNCTION_NOT_FOUND: Function 'list_sum'"),
        ("select 1; select 2", "MALFORMED_QUERY: line 1:9: Only one sql statement is allowed"),
        ("(from t)", "SYNTAX_ERROR: a query is SELECT or VALUES"),
        ("select x::int from t", "SYNTAX_ERROR: line 1:10: mismatched input '::'"),
        ("select 5 & 3", "SYNTAX_ERROR: line 1:10: mismatched input '&'"),
        ("select {'a': 1}", "SYNTAX_ERROR: line 1:8: mismatched input '{'"),
        ("select 1 where 'a' ilike 'A'", "NOT_SUPPORTED: ILIKE in a query"),
        ("select distinct on (x) x from t", "SYNTAX_ERROR: Athena's DISTINCT"),
        ("select * from t semi join u using (x)", "SYNTAX_ERROR: Athena has no SEMI JOIN"),
        ("select x from t group by all", "SYNTAX_ERROR: GROUP BY ALL"),
        ("-- nothing", "MALFORMED_QUERY: there is no statement"),
    ],
)
def test_a_query_is_refused_before_the_engine_sees_it(sql: str, message: str) -> None:
    with pytest.raises(athena_statements.QueryError) as refused:
        athena_statements.parse(sql)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("sql", ["select '::', \"&\" from t", "select x from t group by all x", "select a || b, x -> 1 from t"])
def test_what_only_looks_like_it_is_let_through(sql: str) -> None:
    assert isinstance(athena_statements.parse(sql), athena_statements.Select)


def test_nothing_of_it_changed_anything(aws, query, before) -> None:
    """After the statements of the test before this one, which a lake is too slow to be looked at between."""
    assert lake(aws) == before
    assert not list(Path.cwd().glob("stolen*"))


@quietly
@given(spelled())
@example("select 1; drop table readings_trusted")
@example("drop/**/table readings_trusted")
@example("\uff24\uff32\uff2f\uff30 table readings_trusted")
def test_it_is_refused_in_any_spelling(aws, query, before, sql: str) -> None:
    with pytest.raises(RuntimeError, match=r"^FAILED: "):
        query(sql)
    assert lake(aws) == before


@quietly
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join) | st.text(min_size=1, max_size=30))
def test_no_text_at_all_changes_the_lake(aws, query, before, sql: str) -> None:
    try:
        query(sql)
    except RuntimeError as refused:
        assert str(refused).startswith("FAILED: "), refused
    assert lake(aws) == before


@quietly
@given(spelled() | st.text(max_size=20))
def test_an_execution_parameter_is_a_value_and_never_a_statement(aws, query, before, value: str) -> None:
    try:
        query('select count(*) from readings_trusted where "user" = ?', value or "''")
    except RuntimeError as refused:
        assert str(refused).startswith("FAILED: "), refused
    assert lake(aws) == before


@pytest.mark.parametrize("sql", LOCKED)
def test_the_engine_is_locked_before_it_sees_a_query(tmp_path: Path, sql: str) -> None:
    an_object_of_python = pa.table({"secret": [1]})
    connection = duckdb.connect(":memory:")
    athena_queries._lock(connection, str(tmp_path / "query"))
    with pytest.raises(duckdb.Error):
        connection.execute(sql.format(folder=tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert len(an_object_of_python) == 1


def test_a_result_goes_where_the_workgroup_says_and_not_where_the_caller_does(aws, query, before) -> None:
    athena = aws.client("athena")
    started = athena.start_query_execution(
        QueryString="select 1",
        QueryExecutionContext={"Database": DATABASE},
        ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/people_landing/"},
        WorkGroup="queries",
    )
    execution = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
    assert execution["ResultConfiguration"]["OutputLocation"].startswith("s3://queries-results/out/")
    assert lake(aws) == before
