"""Athena of the embedded AWS answers on JSON and Iceberg tables as Athena does: same boto3 code, dialect, types, errors."""

import json
import os
import subprocess

import pytest
from athena_lake import BUCKET, COLUMNS, DATABASE, RESULTS
from embedded import ROOT, EmbeddedAWS
from pyiceberg.table import Table


def test_a_json_table_has_the_catalogs_columns_whatever_the_case_of_the_keys(query) -> None:
    names, types, rows = query("select * from people_landing order by customername")
    assert names == [name for name, _ in COLUMNS]
    assert types == ["varchar", "bigint", "integer", "double", "varchar"]
    assert rows == [
        ["B", "1655563258080", None, None, None],
        ["C", None, None, "-1.0E-7", None],
        ['Ö\'Neil "A"', "1655563258079", "7", "0.5", None],
    ]
    assert query("select count(*) from empty_landing")[2] == [["0"]]
    assert query("select x, customername from lenient_landing order by x")[2] == [["1.0", None], [None, None]]


def test_an_iceberg_table_is_read_at_its_current_version(query) -> None:
    names, types, rows = query('select * from readings_trusted order by "user"')
    assert names == ["user", "timestamp", "x", "flag"]
    assert types == ["varchar", "bigint", "double", "boolean"]
    assert rows == [["a", "3", "1.0", None], ["c", "1", None, None], ["d", "9", "0.1", "true"]]


def test_earlier_versions_and_metadata_tables(query, readings: Table) -> None:
    first = readings.metadata.snapshots[0]
    assert query(f"select count(*) n from readings_trusted for version as of {first.snapshot_id}")[2] == [["3"]]
    sql = """
        select snapshot_id, operation, element_at(summary, 'total-records') as total, committed_at
        from "readings_trusted$snapshots" order by committed_at"""
    _, types, rows = query(sql)
    assert types == ["bigint", "varchar", "varchar", "timestamp with time zone"]
    assert [int(row[0]) for row in rows] == [snapshot.snapshot_id for snapshot in readings.metadata.snapshots]
    assert [row[2] for row in rows][:: len(rows) - 1] == ["3", "3"]
    at = rows[0][3].removesuffix(" UTC")
    assert query(f"select count(*) from readings_trusted for timestamp as of timestamp '{at} UTC'")[2] == [["3"]]


def test_athenas_dialect(query) -> None:
    sql = """
        with recent as (select "user", "timestamp" from queries.readings_trusted where "timestamp" > 1)
        select r."user" as who, 7 / 2 as half, p.customername, cast(from_unixtime(r."timestamp") as varchar) as at,
            date_format(from_unixtime(r."timestamp"), '%Y') as year, array_agg(r."timestamp") as times
        from recent r cross join people_landing as p
        where regexp_like(p.customername, '^B')
        group by 1, 2, 3, 4, 5
        order by who desc"""
    names, types, rows = query(sql)
    assert names == ["who", "half", "customername", "at", "year", "times"]
    assert types == ["varchar", "integer", "varchar", "varchar", "varchar", "array"]
    assert [row[:3] + row[4:] for row in rows] == [["d", "3", "B", "1970", "[9]"], ["a", "3", "B", "1970", "[3]"]]
    assert query("select readings_trusted.x from readings_trusted union all select x from people_landing where x > 0.2")[2]
    assert query("select 1 where exists (select 1 from readings_trusted t where t.x = (select min(x) from readings_trusted))")[2]


def test_numbers_are_written_as_java_does_and_all_types_are_athenas(query) -> None:
    numbers = "1e7, 9999999.5e0, 1e-3, -9.9e-4, -infinity(), nan(), -0e0, cast(1e20 as real), array[1.5e-9, 0.5e0, null]"
    assert query(f"select {numbers}")[2] == [
        ["1.0E7", "9999999.5", "0.001", "-9.9E-4", "-Infinity", "NaN", "-0.0", "1.0E20", "[1.5E-9, 0.5, null]"]
    ]
    assert query("select x from (values 1e0, null, 1e9) as t(x) order by x")[2] == [["1.0"], ["1.0E9"], [None]]
    assert query("select timestamp '2020-01-01 00:00:00', json_array_length('[1]')")[1] == ["timestamp", "bigint"]


def test_a_name_in_the_statement_is_never_taken_for_one_of_the_engines(query) -> None:
    for name in ("table_0", "Table_0", "_table_0"):
        assert query(f'with "{name}" as (select 42 as timestamp) select min(timestamp) from readings_trusted')[2] == [["1"]]


def test_columns_without_a_name_are_numbered(query) -> None:
    assert query('select count(*), "user", max(x), cast("user" as varchar) from readings_trusted group by 2, 4')[0] == [
        "_col0",
        "user",
        "_col2",
        "_col3",
    ]
    assert query("select 1 union all select 2 order by 1")[0] == ["_col0"]


def test_the_result_is_where_the_workgroup_puts_it(aws: EmbeddedAWS, query) -> None:
    client = aws.client("athena")
    query("select customername, x from people_landing order by 2")
    last = client.list_query_executions(WorkGroup="queries")["QueryExecutionIds"][-1]
    location = client.get_query_execution(QueryExecutionId=last)["QueryExecution"]["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://{RESULTS}/out/{last}.csv"
    text = aws.client("s3").get_object(Bucket=RESULTS, Key=f"out/{last}.csv")["Body"].read().decode()
    assert text == '"customername","x"\n"C","-1.0E-7"\n"Ö\'Neil ""A""","0.5"\n"B",\n'


def test_the_query_tool_finds_a_stage_of_an_account_by_its_stacks(aws: EmbeddedAWS, readings: Table) -> None:
    """As on an account, with credentials and an endpoint of the environment in place of a kept demo."""
    names = {"LakeBucketName": BUCKET, "DatabaseName": DATABASE, "WorkgroupName": "queries", "StateMachineArn": "none"}
    outputs = {name: {"Value": value} for name, value in names.items()}
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
    stacks = aws.client("cloudformation")
    for stack in ("stedi-dev-catalog", "stedi-dev-pipeline"):
        stacks.create_stack(StackName=stack, TemplateBody=json.dumps(template))
        stacks.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    account = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    command = [
        "go",
        "run",
        "./tools/query",
        "-stage",
        "dev",
        "-format",
        "json",
        'select "user", x from readings_trusted order by 1',
    ]
    environment = os.environ | account | {"AWS_ENDPOINT_URL": aws.endpoint}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"user": "a", "x": 1.0},
        {"user": "c", "x": None},
        {"user": "d", "x": 0.1},
    ]


def test_more_rows_than_a_page(query) -> None:
    assert len(query("select n from unnest(sequence(1, 2500)) as t(n)")[2]) == 2500


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select * from nowhere", "Table 'awsdatacatalog.queries.nowhere' does not exist; tables of queries: "
         "empty_landing, lenient_landing, people_landing, readings_trusted, strict_landing"),
        ("select * from other.readings_trusted", "there is no database other"),
        ("select missing from readings_trusted", "missing"),
        ("select x from strict_landing", "HIVE_CURSOR_ERROR: Row is not a valid JSON Object"),
        ("select from where", "SYNTAX_ERROR: line 1"),
        ("delete from readings_trusted", "NOT_SUPPORTED"),
        ("select * from read_csv('/etc/hostname')", "does not exist"),
        ("select * from people_landing for version as of 1", "no Iceberg table"),
        ("select * from readings_trusted for version as of 1", "no snapshot 1"),
    ],
)  # fmt: skip
def test_a_statement_that_cannot_be_answered_fails_with_its_reason(query, sql: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=r"^FAILED: ") as failed:
        query(sql)
    assert message in str(failed.value)
    assert "Secret" not in str(failed.value)
