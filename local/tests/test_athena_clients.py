"""What clients of Athena send on their own: SHOW, DESCRIBE, EXPLAIN, information_schema, parameters, prepared statements."""

import pytest
from athena_lake import BUCKET, COLUMNS, DATABASE, RESULTS
from embedded import EmbeddedAWS

TABLES = ["empty_landing", "lenient_landing", "people_landing", "readings_trusted", "strict_landing"]


def test_the_tables_of_a_database(query) -> None:
    assert query("SHOW TABLES") == (["tab_name"], ["string"], [[name] for name in TABLES])
    assert query("show tables in `queries` 'people*|read*'")[2] == [["people_landing"], ["readings_trusted"]]
    assert query("show tables from queries like '*_landing'")[2] == [[name] for name in TABLES if name.endswith("landing")]
    assert query("show views")[2] == []
    with pytest.raises(RuntimeError, match="Database other does not exist"):
        query("show tables in other")


def test_the_databases(query) -> None:
    names, types, rows = query("show databases like 'quer*'")
    assert (names, types, rows) == (["database_name"], ["string"], [["queries"]])
    assert ["queries"] in query("show schemas")[2]


def test_the_columns_of_a_table_are_padded_as_hive_pads_them(query) -> None:
    assert query("SHOW COLUMNS IN readings_trusted") == (
        ["field"],
        ["string"],
        [["user                "], ["timestamp           "], ["x                   "], ["flag                "]],
    )
    assert query("show columns from people_landing in queries")[2] == [[f"{name:20}"] for name, _ in COLUMNS]


def test_a_row_of_describe_is_one_text_in_a_text_file(aws: EmbeddedAWS, query) -> None:
    names, types, rows = query("DESCRIBE `queries`.`readings_trusted`;")
    assert (names, types) == (["col_name", "data_type", "comment"], ["string"] * 3)
    assert [part.strip() for part in rows[1][0].split("\t")] == ["timestamp", "bigint", ""]
    athena = aws.client("athena")
    last = athena.list_query_executions(WorkGroup="queries")["QueryExecutionIds"][-1]
    execution = athena.get_query_execution(QueryExecutionId=last)["QueryExecution"]
    assert execution["StatementType"] == "UTILITY"
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://{RESULTS}/out/{last}.txt"
    text = aws.client("s3").get_object(Bucket=RESULTS, Key=f"out/{last}.txt")["Body"].read().decode()
    assert text == "".join(f"{row[0]}\n" for row in rows)


def test_the_statement_that_makes_a_table(query) -> None:
    names, _, rows = query("show create table readings_trusted")
    assert names == ["createtab_stmt"]
    lines = [row[0] for row in rows]
    assert lines[:2] == ["CREATE TABLE queries.readings_trusted (", "  user string,"]
    assert f"LOCATION 's3://{BUCKET}/readings'" in lines
    landing = "\n".join(row[0] for row in query("SHOW CREATE TABLE `lenient_landing`")[2])
    assert landing.startswith("CREATE EXTERNAL TABLE `lenient_landing`(\n  `customername` string,")
    assert "ROW FORMAT SERDE \n  'org.openx.data.jsonserde.JsonSerDe' " in landing
    assert "  'use.null.for.invalid.data'='true')" in landing
    assert any(row[0].startswith("metadata_location\ts3://") for row in query("show tblproperties readings_trusted")[2])


def test_the_information_schema(query) -> None:
    sql = "select table_name from information_schema.tables where table_schema = 'queries' order by 1"
    assert query(sql)[2] == [[name] for name in TABLES]
    sql = """
        select column_name, ordinal_position, is_nullable, data_type
        from "awsdatacatalog"."information_schema"."columns"
        where table_schema = 'queries' and table_name = 'people_landing'"""
    assert query(sql)[2] == [
        ["customername", "1", "YES", "varchar"],
        ["lastupdatedate", "2", "YES", "bigint"],
        ["distance", "3", "YES", "integer"],
        ["x", "4", "YES", "double"],
        ["late", "5", "YES", "varchar"],
    ]
    assert ["queries"] in query("select schema_name from information_schema.schemata")[2]
    with pytest.raises(RuntimeError, match=r"information_schema\.files' does not exist"):
        query("select * from information_schema.files")


def test_the_plan_of_a_query_and_of_nothing_else(query) -> None:
    names, _, rows = query("EXPLAIN select count(*) from readings_trusted")
    assert names == ["Query Plan"]
    assert len(rows) > 1
    assert query("explain (format text) (select 1)")[2]
    with pytest.raises(RuntimeError, match="NOT_SUPPORTED: EXPLAIN ANALYZE"):
        query("explain analyze select 1")


def test_question_marks_take_values_in_their_order(query) -> None:
    sql = 'select ? as first, "user", \'?\' as mark from readings_trusted where "user" = ? and "timestamp" < ? -- ?\n limit ?'
    assert query(sql, "1", "'a'", "5", "10")[2] == [["1", "a", "?"]]
    assert query("select ?, ?, ?", "'it''s; drop table readings_trusted'", "date '2020-02-29'", "-1.5")[2] == [
        ["it's; drop table readings_trusted", "2020-02-29", "-1.5"]
    ]
    with pytest.raises(RuntimeError, match="expected 1 but found 2"):
        query("select ?", "1", "2")
    with pytest.raises(RuntimeError, match="is no SQL value"):
        query("select ?", "unquoted")


def test_prepared_statements(aws: EmbeddedAWS, query) -> None:
    assert query('prepare by_user from select x from readings_trusted where "user" = ? or "user" = ?')[2] == []
    assert query("execute by_user using 'd', 'no, nobody'") == (["x"], ["double"], [["0.1"]])
    athena = aws.client("athena")
    kept = athena.get_prepared_statement(StatementName="by_user", WorkGroup="queries")["PreparedStatement"]
    assert kept["QueryStatement"].startswith("select x from")
    assert sorted(query("EXECUTE by_user", "'d'", "'a'")[2], reverse=True) == [["1.0"], ["0.1"]]
    query("deallocate prepare by_user")
    with pytest.raises(RuntimeError, match="NOT_FOUND: Prepared statement by_user"):
        query("execute by_user using 'a', 'b'")

    statement = {"StatementName": "evil", "WorkGroup": "queries", "QueryStatement": "drop table readings_trusted"}
    athena.create_prepared_statement(**statement)
    with pytest.raises(RuntimeError, match="NOT_SUPPORTED: DROP TABLE"):
        query("execute evil")
    athena.delete_prepared_statement(StatementName="evil", WorkGroup="queries")


def test_values_are_a_query(query) -> None:
    assert query("values (1, 'a'), (2, 'b')") == (["_col0", "_col1"], ["integer", "varchar"], [["1", "a"], ["2", "b"]])
    assert query("with a as (values 1, 2) select count(*) from a")[2] == [["2"]]


def test_a_workgroup_that_is_not_there(aws: EmbeddedAWS) -> None:
    athena = aws.client("athena")
    with pytest.raises(athena.exceptions.InvalidRequestException, match="WorkGroup nowhere is not found"):
        athena.start_query_execution(QueryString="select 1", WorkGroup="nowhere")


def test_tables_of_a_database_named_in_backticks(aws: EmbeddedAWS, query) -> None:
    """As awswrangler does."""
    athena = aws.client("athena")
    started = athena.start_query_execution(
        QueryString="select 1 from readings_trusted", QueryExecutionContext={"Database": f"`{DATABASE}`"}, WorkGroup="queries"
    )
    execution = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
    assert execution["QueryExecutionContext"]["Database"] == DATABASE


@pytest.mark.parametrize("sql", ["select " + "(" * 20_000 + "1" + ")" * 20_000, "select " + "not " * 20_000 + "true"])
def test_a_statement_nested_too_deeply_fails_and_the_next_is_answered(query, sql: str) -> None:
    with pytest.raises(RuntimeError, match="SYNTAX_ERROR: the statement is nested too deeply"):
        query(sql)
    assert query("select 1")[2] == [["1"]]
