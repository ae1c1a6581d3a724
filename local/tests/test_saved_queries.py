"""The queries saved in the workgroup, on DuckDB in place of Athena: a few people, of whom two record at the same moment."""

import duckdb
import pytest
from embedded import ROOT

TABLES = """
create macro from_unixtime(seconds) as make_timestamp((seconds * 1000000)::bigint);
create table customer_consent (email varchar, sharewithresearchasofdate bigint);
insert into customer_consent values ('ann', 1), ('bob', 1), ('cat', 1), ('dan', null), ('eve', 0);
create table customer_trusted as select email from customer_consent where email in ('ann', 'bob');
create table customer_curated (email varchar, serialnumber varchar);
insert into customer_curated values ('ann', 'a'), ('bob', 'b');
create table accelerometer_trusted ("user" varchar, "timestamp" bigint);
insert into accelerometer_trusted values ('ann', 7), ('bob', 7), ('bob', 8), ('bob', 9);
create table step_trainer_trusted (serialnumber varchar, sensorreadingtime bigint);
insert into step_trainer_trusted values ('a', 7), ('b', 7), ('b', 8), ('a', 8);
create table machine_learning_curated (subject_id varchar);
insert into machine_learning_curated values ('1'), ('2'), ('2');
create table run_ledger (
    run_id varchar, job varchar, table_name varchar, outcome varchar, reason varchar, "rows" bigint, recorded_at bigint,
    example varchar, engine varchar
);
insert into run_ledger values
    ('old', 'customers', 'customer_trusted', 'read', 'all', 5, 1000, null, null),
    ('new', 'customers', 'customer_trusted', 'read', 'all', 6, 3000, null, 'duckdb'),
    ('new', 'customers', 'customer_trusted', 'accepted', 'all', 4, 3000, null, 'duckdb'),
    ('new', 'customers', 'customer_trusted', 'ignored', 'hidden', 2, 3000, 'customer/landing/_SUCCESS', 'duckdb'),
    ('only', 'steps', 'step_trainer_trusted', 'read', 'all', 2, 2000, null, 'spark');
"""


@pytest.fixture(scope="module")
def athena() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(TABLES)
    return connection


def answer(athena: duckdb.DuckDBPyConnection, query: str) -> list[tuple]:
    return athena.execute((ROOT / "stacks" / "queries" / f"{query}.sql").read_text()).fetchall()


def test_the_funnel_counts_people(athena) -> None:
    assert [how_many for _, _, how_many in answer(athena, "consent_funnel")] == [5, 3, 1, 2, 2, 2]


def test_the_join_on_the_time_alone_takes_rows_from_two_people(athena) -> None:
    assert answer(athena, "join_on_time_alone") == [(6, 3, 3)]


def test_the_ledger_shows_each_jobs_last_run(athena) -> None:
    assert [row[:8] for row in answer(athena, "ledger_last_run")] == [
        ("customers", "customer_trusted", "accepted", "all", 4, None, "new", "duckdb"),
        ("customers", "customer_trusted", "ignored", "hidden", 2, "customer/landing/_SUCCESS", "new", "duckdb"),
        ("customers", "customer_trusted", "read", "all", 6, None, "new", "duckdb"),
        ("steps", "step_trainer_trusted", "read", "all", 2, None, "only", "spark"),
    ]
