"""What Athena of the embedded AWS writes: tables and files of readers' own, and nothing of the lake's."""

from collections.abc import Callable

import pytest
from athena_lake import BUCKET, DATABASE, RESULTS
from botocore.exceptions import ClientError
from embedded import Answer, EmbeddedAWS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_athena_refusals import lake, spelled

SCRATCH, OUT = "tests_scratch", f"s3://{RESULTS}/out"
ROWS = [["a", "3", "1.0", None], ["c", "1", None, None], ["d", "9", "0.1", "true"]]


@pytest.fixture(scope="module", autouse=True)
def scratch(aws: EmbeddedAWS, query: Callable[..., Answer]) -> None:
    aws.client("glue").create_database(DatabaseInput={"Name": SCRATCH})
    free = {"EnforceWorkGroupConfiguration": False, "ResultConfiguration": {"OutputLocation": f"{OUT}/free/"}}
    aws.client("athena").create_work_group(Name="free", Configuration=free)


def last(aws: EmbeddedAWS) -> dict:
    """The execution of the query that was asked last."""
    athena = aws.client("athena")
    query_id = athena.list_query_executions(WorkGroup="queries")["QueryExecutionIds"][-1]
    return athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]


def listed(aws: EmbeddedAWS, prefix: str) -> list[str]:
    return [one["Key"] for one in aws.client("s3").list_objects_v2(Bucket=RESULTS, Prefix=prefix).get("Contents", [])]


def test_the_table_of_a_query_lies_below_the_workgroups_results(aws: EmbeddedAWS, query) -> None:
    named = f'"awsdatacatalog"."{SCRATCH}"."Made" /* here */'
    query(f"CREATE TABLE {named} WITH (format = 'PARQUET')\nAS SELECT * FROM readings_trusted")
    execution = last(aws)
    query_id = execution["QueryExecutionId"]
    assert execution["StatementType"] == "DML"
    assert execution["ResultConfiguration"]["OutputLocation"] == f"{OUT}/tables/{query_id}"
    manifest = execution["Statistics"]["DataManifestLocation"]
    assert manifest == f"{OUT}/tables/{query_id}-manifest.csv"
    files = aws.client("s3").get_object(Bucket=RESULTS, Key=f"out/tables/{query_id}-manifest.csv")["Body"].read().decode()
    assert files.splitlines() == [f"s3://{RESULTS}/{key}" for key in listed(aws, f"out/tables/{query_id}/")] != []
    assert aws.client("athena").get_query_results(QueryExecutionId=query_id)["UpdateCount"] == 3
    table = aws.client("glue").get_table(DatabaseName=SCRATCH, Name="made")["Table"]
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["StorageDescriptor"]["Location"] == f"{OUT}/tables/{query_id}"
    assert table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"].endswith("ParquetHiveSerDe")
    columns = {one["Name"]: one["Type"] for one in table["StorageDescriptor"]["Columns"]}
    assert columns == {"user": "string", "timestamp": "bigint", "x": "double", "flag": "boolean"}
    assert query(f'select * from {SCRATCH}.made order by "user"')[2] == ROWS
    query(f"drop table {SCRATCH}.made")
    assert listed(aws, f"out/tables/{query_id}/")  # as on Athena: the table was external
    with pytest.raises(RuntimeError, match=f"TABLE_NOT_FOUND: Table 'awsdatacatalog.{SCRATCH}.made' does not exist"):
        query(f"select * from {SCRATCH}.made")


@pytest.mark.parametrize(
    "properties",
    [
        "format = 'PARQUET', write_compression = 'SNAPPY'",
        "format = 'parquet', parquet_compression = 'ZSTD', bucketed_by = ARRAY['who'], bucket_count = 2",
        "format = 'ORC', orc_compression = 'ZLIB'",
        "format = 'JSON'",
        "format = 'TEXTFILE', field_delimiter = ','",
        "format = 'TEXTFILE', write_compression = 'NONE'",
        f"table_type = 'ICEBERG', is_external = false, location = '{OUT}/iceberg/', partitioning = ARRAY['flag']",
    ],
)
def test_a_table_of_any_format_is_read_back(query, properties: str) -> None:
    query(
        f'create table {SCRATCH}.written with ({properties}) as select "user" as who, "timestamp", x, flag from readings_trusted'
    )
    assert query(f"select * from {SCRATCH}.written order by who")[2] == ROWS
    query(f"drop table {SCRATCH}.written")


def test_values_of_all_kinds_are_read_back(query) -> None:
    query(f"""
        create table {SCRATCH}.kinds as
        select date '2020-02-29' as d, timestamp '2020-01-01 10:00:00.5' as t, 1.50 as m, cast(7 as smallint) as s,
            sum("timestamp") as total, array['a', null] as l, map(array['k'], array[1]) as k
        from readings_trusted""")
    described = [[part.strip() for part in row[0].split("\t")][:2] for row in query(f"describe {SCRATCH}.kinds")[2]]
    types = ["date", "timestamp", "decimal(3,2)", "smallint", "bigint", "array<string>", "map<string,int>"]
    assert [one[1] for one in described] == types
    answer = [["2020-02-29", "2020-01-01 10:00:00.500", "1.50", "7", "13", "[a, null]", "{k=1}"]]
    assert query(f"select * from {SCRATCH}.kinds")[2] == answer


def test_partitions(aws: EmbeddedAWS, query) -> None:
    select = """select x, 'it''s/=' || "user" as who, case when x = 1 then date '2020-01-01' end as day from readings_trusted"""
    query(f"create table {SCRATCH}.parts with (partitioned_by = ARRAY['who', 'day']) as {select}")
    rows = [["1.0", "it's/=a", "2020-01-01"], [None, "it's/=c", None], ["0.1", "it's/=d", None]]
    assert query(f"select * from {SCRATCH}.parts order by who")[2] == rows
    glue = aws.client("glue")
    table = glue.get_table(DatabaseName=SCRATCH, Name="parts")["Table"]
    assert [one["Name"] for one in table["PartitionKeys"]] == ["who", "day"]
    partitions = glue.get_partitions(DatabaseName=SCRATCH, TableName="parts")["Partitions"]
    assert ["it's/=a", "2020-01-01"] in [one["Values"] for one in partitions]
    with pytest.raises(RuntimeError, match="HIVE_COLUMN_ORDER_MISMATCH"):
        query(f"create table {SCRATCH}.disordered with (partitioned_by = ARRAY['x']) as {select}")


def test_a_table_without_data(query) -> None:
    query(f"create table {SCRATCH}.nothing as select * from readings_trusted with no data")
    assert query(f"select * from {SCRATCH}.nothing") == (
        ["user", "timestamp", "x", "flag"],
        ["varchar", "bigint", "double", "boolean"],
        [],
    )


def test_an_iceberg_table_is_renamed_and_dropped_with_its_files(aws: EmbeddedAWS, query) -> None:
    ice = f"with (table_type = 'iceberg', is_external = false, location = '{OUT}/ice', format = 'parquet')"
    query(f"create table {SCRATCH}.ice {ice} as select * from readings_trusted")
    query(f"alter table `{SCRATCH}`.`ice` rename to `{SCRATCH}`.`colder`")
    assert query(f'select operation from {SCRATCH}."colder$snapshots"')[2] == [["append"]]
    query(f"drop table if exists `{SCRATCH}`.`colder`;")
    assert listed(aws, "out/ice/") == []
    query(f"drop table if exists {SCRATCH}.colder")


def test_unload(aws: EmbeddedAWS, query) -> None:
    select = "select \"user\", ')' as x from readings_trusted where x > ?"
    unload = f"UNLOAD ({select}) TO '{OUT}/un' WITH (format = 'JSON', compression = 'NONE')"
    query(unload, "0.5")
    (key,) = listed(aws, "out/un/")
    s3 = aws.client("s3")
    assert s3.get_object(Bucket=RESULTS, Key=key)["Body"].read() == b'{"user":"a","x":")"}\n'
    execution = last(aws)
    manifest = execution["Statistics"]["DataManifestLocation"]
    assert manifest == f"{OUT}/{execution['QueryExecutionId']}-manifest.csv"
    body = s3.get_object(Bucket=RESULTS, Key=manifest.removeprefix(f"s3://{RESULTS}/"))["Body"].read().decode()
    assert body == f"s3://{RESULTS}/{key}\n"
    with pytest.raises(RuntimeError, match="HIVE_PATH_ALREADY_EXISTS: Target directory already exists"):
        query(unload, "0.5")
    statement = {"StatementName": "kept", "WorkGroup": "queries", "QueryStatement": unload.replace("/un'", "/un2'")}
    aws.client("athena").create_prepared_statement(**statement)
    query("execute kept using 0.5")
    assert len(listed(aws, "out/un2/")) == 1


def test_a_place_of_ones_own_only_where_the_workgroup_lets_it(aws: EmbeddedAWS, query) -> None:
    sql = f"create table {SCRATCH}.placed with (external_location = '{OUT}/placed/') as select 1 as x"
    with pytest.raises(ClientError, match=r"InvalidRequestException.*enforces a centralized output location"):
        query(sql)
    athena = aws.client("athena")
    query_id = athena.start_query_execution(QueryString=sql, WorkGroup="free")["QueryExecutionId"]
    while athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"] in ("QUEUED", "RUNNING"):
        pass
    assert len(listed(aws, "out/placed/")) == 1
    assert query(f"select x from {SCRATCH}.placed")[2] == [["1"]]


CREATE = f"create table {SCRATCH}.refused"
REFUSED = [
    (f"{CREATE} as select count(*) from readings_trusted", "Column name not specified at position 1"),
    (f"{CREATE} as select 1 as a, 2 as A", "Column name 'a' specified more than once"),
    (f"{CREATE} as select null as a", "Column type is unknown: a"),
    (f"{CREATE} as select current_timestamp as a", "Unsupported Hive type: timestamp(3) with time zone"),
    (f"{CREATE} as select missing from readings_trusted", "missing"),
    (f"{CREATE} with (format = 'AVRO') as select 1 as x", "does not write AVRO; it writes PARQUET, ORC, JSON, TEXTFILE"),
    (f"{CREATE} with (write_compression = 'LZO') as select 1 as x", "PARQUET is not compressed with LZO"),
    (f"{CREATE} with (colour = 'red') as select 1 as x", "colour is not known here"),
    (f"{CREATE} with (table_type = 'ICEBERG') as select 1 as x", "an Iceberg table needs a location"),
    (f"{CREATE} (x int)", "NOT_SUPPORTED: CREATE TABLE"),
    (f"{CREATE} with (table_type = 'ICEBERG', location = 's3://{BUCKET}/ice/') as select 1 as x", "NOT_SUPPORTED: CREATE TABLE"),
    ("create table none_scratch.refused as select 1 as x", "SCHEMA_NOT_FOUND: Database none_scratch"),
    (f"create table {SCRATCH}.kept as select 2 as x", "TABLE_ALREADY_EXISTS"),
    (f"alter table {SCRATCH}.kept rename to {SCRATCH}.other", "is for Iceberg tables only"),
    (f"alter table {SCRATCH}.kept rename to {DATABASE}.other", "NOT_SUPPORTED: ALTER TABLE"),
    (f"alter table {SCRATCH}.kept add columns (y int)", "NOT_SUPPORTED: ALTER TABLE"),
    (f"insert into {SCRATCH}.kept values (1)", "NOT_SUPPORTED: INSERT INTO"),
    (f"create view {SCRATCH}.refused as select 1 as x", "NOT_SUPPORTED: CREATE VIEW"),
    (f"drop table {SCRATCH}.refused", "TABLE_NOT_FOUND"),
    (f"unload (select 1 as x) to 's3://{BUCKET}/empty_landing/' with (format = 'JSON')", "NOT_SUPPORTED: UNLOAD"),
    ("unload (select 1 as x) to '/tmp/stolen' with (format = 'JSON')", "INVALID_LOCATION"),
    (f"unload (select 1 as x) to '{OUT}/../../{BUCKET}/' with (format = 'JSON')", "INVALID_LOCATION"),
    (f"unload (drop table {SCRATCH}.kept) to '{OUT}/no/' with (format = 'JSON')", "NOT_SUPPORTED: DROP TABLE"),
]


@pytest.mark.parametrize(("sql", "message"), REFUSED)
def test_what_is_refused_leaves_nothing(aws: EmbeddedAWS, query, sql: str, message: str) -> None:
    if f"{SCRATCH}.kept" in sql and ["kept"] not in query(f"show tables in {SCRATCH}")[2]:
        query(f"create table {SCRATCH}.kept as select 1 as x")
    with pytest.raises(RuntimeError, match=r"^FAILED: ") as refused:
        query(sql)
    assert message in str(refused.value)
    assert ["refused"] not in query(f"show tables in {SCRATCH}")[2]


def test_properties_are_set(aws: EmbeddedAWS, query) -> None:
    query(f"create table {SCRATCH}.classified as select 1 as x")
    query(f"alter table `{SCRATCH}`.`classified` set tblproperties ('classification' = 'parquet')")
    table = aws.client("glue").get_table(DatabaseName=SCRATCH, Name="classified")["Table"]
    assert table["Parameters"]["classification"] == "parquet"


def test_a_scratch_table_that_lies_in_the_lake_is_dropped_without_its_files(aws: EmbeddedAWS, query) -> None:
    entry = aws.client("glue").get_table(DatabaseName=DATABASE, Name="readings_trusted")["Table"]
    table = {key: entry[key] for key in ("StorageDescriptor", "Parameters")} | {"Name": "linked"}
    aws.client("glue").create_table(DatabaseName=SCRATCH, TableInput=table)
    query(f"drop table {SCRATCH}.linked")
    assert query("select count(*) from readings_trusted")[2] == [["3"]]


# Statements that write, with places of the lake and of a scratch database in any part of them.
PLACES = ["readings_trusted", f"{DATABASE}.people_landing", f"{DATABASE}.made", f"{SCRATCH}.made", f"{SCRATCH}.ice"]
URLS = [f"s3://{BUCKET}/people_landing/", f"s3://{BUCKET}/readings", f"s3://{BUCKET}/new/", f"{OUT}/property", "s3://x"]
WRITES = [
    "create table {to} with (format = 'JSON') as select * from {source}",
    "create table {to} with (external_location = '{url}') as select * from {source}",
    "create table {to} with (table_type = 'ICEBERG', is_external = false, location = '{url}') as select 1 as x from {source}",
    "unload (select * from {source}) to '{url}' with (format = 'TEXTFILE')",
    "drop table {to}",
    "drop table if exists {to}",
    "alter table {source} rename to {to}",
    "alter table {to} rename to {source}",
    "alter table {to} set tblproperties ('metadata_location' = '{url}')",
]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.tuples(st.sampled_from(WRITES), st.sampled_from(PLACES), st.sampled_from(PLACES), st.sampled_from(URLS)).map(
        lambda drawn: drawn[0].format(to=drawn[1], source=drawn[2], url=drawn[3])
    )
    | spelled()
)
def test_the_lake_is_as_it_was_after_any_statement(aws: EmbeddedAWS, query, sql: str) -> None:
    before = lake(aws, DATABASE)
    try:
        query(sql)
    except (RuntimeError, ClientError) as refused:
        assert "FAILED: " in str(refused) or "InvalidRequestException" in str(refused)
    assert lake(aws, DATABASE) == before
