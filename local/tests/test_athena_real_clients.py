"""What awswrangler and PyAthena ask for their users is answered, or refused as on Athena. How they are used: docs/using.md."""

from collections.abc import Iterator

import pytest
from athena_lake import DATABASE, RESULTS
from clients import Clients
from embedded import EmbeddedAWS
from pyiceberg.table import Table

SCRATCH = f"{DATABASE}_scratch"
ASK = f"""
import awswrangler as wr
from pyathena import connect
from pyathena.pandas.cursor import PandasCursor

asked = {{"database": "{DATABASE}", "workgroup": "queries"}}
connection = connect(work_group="queries", schema_name="{DATABASE}", poll_interval=0.1)
cursor = connection.cursor()
"""
USERS = [["a", 3], ["c", 1], ["d", 9]]
SELECT = 'select "user", "timestamp" from readings_trusted order by 1'


@pytest.fixture(scope="module")
def clients(aws: EmbeddedAWS, readings: Table) -> Iterator[Clients]:
    aws.client("glue").create_database(DatabaseInput={"Name": SCRATCH, "LocationUri": f"s3://{RESULTS}/scratch/"})
    access = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    started = Clients(access | {"AWS_ENDPOINT_URL": aws.endpoint})
    yield started
    started.stop()


def of_frame(call: str) -> str:
    return f"({call}).astype(object).values.tolist()"


def of_cursor(sql: str) -> str:
    return f"cursor.execute({sql!r}).fetchall()"


@pytest.mark.parametrize(
    "way",
    [
        "ctas_approach=False",
        f"ctas_parameters={{'database': '{SCRATCH}'}}",
        f"ctas_approach=False, unload_approach=True, s3_output='s3://{RESULTS}/out/unloaded/'",
    ],
)
def test_awswrangler_reads_in_each_of_its_three_ways(aws: EmbeddedAWS, clients: Clients, way: str) -> None:
    call = f"wr.athena.read_sql_query({SELECT!r}, {way}, **asked)"
    assert sorted(clients(of_frame(call), ASK)) == USERS
    assert aws.client("glue").get_tables(DatabaseName=SCRATCH)["TableList"] == []


def test_awswrangler_reads_a_table(clients: Clients) -> None:
    users = clients("wr.athena.read_sql_table('readings_trusted', ctas_approach=False, **asked)['user'].tolist()", ASK)
    assert sorted(users) == [user for user, _ in USERS]


def test_awswrangler_makes_no_table_in_the_lake(clients: Clients) -> None:
    with pytest.raises(RuntimeError, match="QueryFailed: "):
        clients(f"wr.athena.read_sql_query({SELECT!r}, **asked)", ASK)


def test_awswrangler_describes_a_table(clients: Clients) -> None:
    described = clients("wr.athena.describe_table('readings_trusted', **asked)[['Column Name', 'Type']].values.tolist()", ASK)
    assert described == [["user", "string"], ["timestamp", "bigint"], ["x", "double"], ["flag", "boolean"]]


def test_awswrangler_shows_the_statement_that_makes_a_table(clients: Clients) -> None:
    shown = clients("wr.athena.show_create_table('readings_trusted', **asked)", ASK)
    assert shown.startswith(f"CREATE TABLE {DATABASE}.readings_trusted (")


@pytest.mark.parametrize("given", ["params=[\"'d'\", '5'], paramstyle='qmark'", "params={'who': 'd', 'least': 5}"])
def test_awswrangler_passes_parameters(clients: Clients, given: str) -> None:
    marks = ("?", "?") if "qmark" in given else (":who", ":least")
    sql = 'select x from readings_trusted where "user" = {} and "timestamp" > {}'.format(*marks)
    assert clients(of_frame(f"wr.athena.read_sql_query({sql!r}, {given}, ctas_approach=False, **asked)"), ASK) == [[0.1]]


def test_pyathena_passes_execution_parameters(clients: Clients) -> None:
    sql = 'select x from readings_trusted where "user" = ? and "timestamp" > ?'
    assert clients(f"cursor.execute({sql!r}, [\"'d'\", '5'], paramstyle='qmark').fetchall()", ASK) == [[0.1]]


def test_pyathena_reads_with_its_plain_and_its_pandas_cursor(clients: Clients) -> None:
    assert clients(of_cursor(SELECT), ASK) == USERS
    assert clients(of_frame(f"connection.cursor(PandasCursor).execute({SELECT!r}).as_pandas()"), ASK) == USERS


def test_pyathena_shows_tables(clients: Clients) -> None:
    assert ["readings_trusted"] in clients(of_cursor("show tables"), ASK)


def test_pyathena_describes_a_table(clients: Clients) -> None:
    (first, *_) = clients(of_cursor("describe readings_trusted"), ASK)
    assert first[0].split() == ["user", "string"]


def test_pyathena_asks_the_information_schema(clients: Clients) -> None:
    of_table = f"table_schema = '{DATABASE}' and table_name = 'readings_trusted'"
    sql = f"select column_name from information_schema.columns where {of_table} order by ordinal_position"
    assert clients(of_cursor(sql), ASK) == [["user"], ["timestamp"], ["x"], ["flag"]]


def test_pyathena_explains(clients: Clients) -> None:
    assert len(clients(of_cursor(f"explain {SELECT}"), ASK)) > 1


def test_pyathena_reads_a_map(clients: Clients) -> None:
    assert clients(of_cursor('select map_agg("user", x) from readings_trusted where x is not null'), ASK) == [
        [{"a": "1.0", "d": "0.1"}]
    ]


@pytest.mark.parametrize(
    "statement", ["drop table readings_trusted", "/* tidy */ DROP TABLE IF EXISTS people_landing", "delete from readings_trusted"]
)
def test_pyathena_changes_nothing_in_the_lake(clients: Clients, statement: str) -> None:
    with pytest.raises(RuntimeError, match="OperationalError: "):
        clients(of_cursor(statement), ASK)
    assert clients(of_cursor(SELECT), ASK) == USERS


def test_pyathena_makes_and_drops_a_table_of_its_own(clients: Clients) -> None:
    clients(of_cursor(f"create table {SCRATCH}.mine with (format = 'PARQUET') as {SELECT}"), ASK)
    assert clients(of_cursor(f"select * from {SCRATCH}.mine order by 1"), ASK) == USERS
    clients(of_cursor(f"drop table {SCRATCH}.mine"), ASK)
    with pytest.raises(RuntimeError, match="TABLE_NOT_FOUND"):
        clients(of_cursor(f"select * from {SCRATCH}.mine"), ASK)
