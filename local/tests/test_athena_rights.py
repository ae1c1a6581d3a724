"""Athena of the embedded AWS judges a query by its caller: the reader roles of the catalog stack, as its template makes them."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import boto3
import pyarrow as pa
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from embedded import ROOT, Answer, EmbeddedAWS, ask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg.catalog import load_catalog

LAKE, RESEARCH, CUSTOMERS = "stedi_dev", "stedi_dev_research_scratch", "stedi_dev_customers_scratch"
# Of the template, what needs a program to run.
LEFT_OUT = ("AWS::Lambda::Function", "Custom::S3AutoDeleteObjects", "AWS::Athena::NamedQuery")
SECRET = "somebody@example.org"
PERSONAL = {"customername": "Some Body", "email": SECRET, "phone": "1", "serialnumber": "s"}


@dataclass(frozen=True)
class Readers:
    aws: EmbeddedAWS
    lake: str  # bucket
    results: str  # bucket
    roles: dict[str, str]  # ARN by reader

    def client(self, service: str, reader: str):
        role = {"RoleArn": self.roles[reader], "RoleSessionName": "test"}
        given = self.aws.client("sts").assume_role(**role)["Credentials"]
        return boto3.client(
            service,
            endpoint_url=self.aws.endpoint,
            region_name="us-east-1",
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    def prefix(self, reader: str) -> str:
        return f"s3://{self.results}/stedi-dev-{reader}/"


@pytest.fixture(scope="module")
def readers(aws: EmbeddedAWS) -> Readers:
    """The catalog stack of stage dev, with a row in tables of two kinds."""
    template = json.loads((ROOT / "stacks" / "testdata" / "dev-catalog.golden.json").read_text())
    kept = {name: one for name, one in template["Resources"].items() if one["Type"] not in LEFT_OUT}
    body = json.dumps({"Resources": kept, "Outputs": {k: v for k, v in template["Outputs"].items() if k[:7] != "Publish"}})
    stacks = aws.client("cloudformation")
    stacks.create_stack(StackName="readers", TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    stacks.get_waiter("stack_create_complete").wait(StackName="readers", WaiterConfig={"Delay": 1})
    outputs = stacks.describe_stacks(StackName="readers")["Stacks"][0]["Outputs"]
    found = {one["OutputKey"]: one["OutputValue"] for one in outputs}
    access = {"access-key-id": "test", "secret-access-key": "test", "region": "us-east-1", "endpoint": aws.endpoint}
    catalog = load_catalog("glue", type="glue", **{f"{part}.{k}": v for part in ("glue", "s3") for k, v in access.items()})
    for table in ("customer_trusted", "customer_curated", "machine_learning_curated"):
        made = catalog.load_table((LAKE, table))
        values = {"int": 7, "long": 1, "double": 0.5, "string": "subject"}
        row = {f.name: PERSONAL.get(f.name, values[str(f.field_type)]) for f in made.schema().fields}
        made.append(pa.Table.from_pylist([row], schema=made.schema().as_arrow()))
    roles = {"research": found["ResearchRoleArn"], "customers": found["CustomerRoleArn"]}
    return Readers(aws, found["LakeBucketName"], found["ResultBucketName"], roles)


Asks = Callable[..., Answer]


def asks(readers: Readers, reader: str) -> Asks:
    athena = readers.client("athena", reader)
    return lambda sql, group=reader: ask(athena, sql, LAKE, f"stedi-dev-{group}")


@pytest.fixture(scope="module")
def research(readers: Readers) -> Asks:
    return asks(readers, "research")


@pytest.fixture(scope="module")
def customers(readers: Readers) -> Asks:
    return asks(readers, "customers")


def test_a_reader_reads_what_its_role_may(research: Asks, customers: Asks) -> None:
    assert research("select x from machine_learning_curated")[2] == [["0.5"]]
    assert customers("select email from customer_trusted")[2] == [[SECRET]]


@pytest.mark.parametrize("reader", ["research", "customers"])
def test_a_reader_makes_and_drops_tables_in_its_scratch(readers: Readers, reader: str) -> None:
    query, scratch = asks(readers, reader), f"stedi_dev_{reader}_scratch"
    query(f"create table {scratch}.made with (format = 'PARQUET') as select * from machine_learning_curated")
    assert query(f"select distancefromobject from {scratch}.made")[2] == [["7"]]
    assert query(f"show tables in {scratch}")[2] == [["made"]]
    query(f"alter table {scratch}.made set tblproperties ('classification' = 'parquet')")
    query(f"drop table {scratch}.made")
    location = f"{readers.prefix(reader)}ice/"
    iceberg = f"with (table_type = 'ICEBERG', is_external = false, location = '{location}')"
    query(f"create table {scratch}.ice {iceberg} as select x from machine_learning_curated")
    query(f"alter table {scratch}.ice rename to {scratch}.colder")
    assert query(f"select x from {scratch}.colder")[2] == [["0.5"]]
    query(f"drop table if exists {scratch}.colder")
    assert query(f"show tables in {scratch}")[2] == []
    left = readers.client("s3", reader).list_objects_v2(Bucket=readers.results, Prefix=f"stedi-dev-{reader}/ice/")
    assert left["KeyCount"] == 0
    unload = f"unload (select x from machine_learning_curated) to '{readers.prefix(reader)}un/' with (format = 'PARQUET')"
    query(unload)
    with pytest.raises(RuntimeError, match="HIVE_PATH_ALREADY_EXISTS"):
        query(unload)


SELECTION = "select x from machine_learning_curated"
UNALLOWED = [
    (f"create table {CUSTOMERS}.made as {SELECTION}", "not authorized to perform: glue:CreateTable on resource"),
    (f"create table {LAKE}.made as {SELECTION}", "NOT_SUPPORTED: CREATE TABLE"),
    (f"drop table {CUSTOMERS}.made", "not authorized to perform: glue:DeleteTable on resource"),
    (f"drop table if exists {CUSTOMERS}.none", "not authorized to perform: glue:DeleteTable on resource"),
    (f"alter table {CUSTOMERS}.made set tblproperties ('a' = 'b')", "glue:UpdateTable"),
    (f"alter table {CUSTOMERS}.made rename to {RESEARCH}.stolen", "glue:GetTable"),
    (f"select * from {CUSTOMERS}.made", "not authorized to perform: glue:GetTable on resource"),
    (f"unload ({SELECTION}) to 's3://{{results}}/stedi-dev-customers/un/' with (format = 'PARQUET')", "PERMISSION_DENIED"),
    (f"unload ({SELECTION}) to 's3://{{results}}/un/' with (format = 'PARQUET')", "PERMISSION_DENIED"),
    (f"unload ({SELECTION}) to 's3://{{lake}}/machine_learning/curated/un/' with (format = 'PARQUET')", "NOT_SUPPORTED: UNLOAD"),
    (
        f"create table {RESEARCH}.ice with (table_type = 'ICEBERG', is_external = false,"
        f" location = 's3://{{results}}/stedi-dev-customers/ice/') as {SELECTION}",
        "PERMISSION_DENIED",
    ),
]


@pytest.mark.parametrize(("sql", "message"), UNALLOWED)
def test_and_nowhere_else(readers: Readers, research: Asks, customers: Asks, sql: str, message: str) -> None:
    root = readers.aws.client("glue")
    if "made" not in [one["Name"] for one in root.get_tables(DatabaseName=CUSTOMERS)["TableList"]]:
        customers(f"create table {CUSTOMERS}.made as select email from customer_trusted")
    with pytest.raises(RuntimeError) as refused:
        research(sql.format(results=readers.results, lake=readers.lake))
    assert message in str(refused.value)


def test_a_workgroup_is_its_role_s_own(readers: Readers, research: Asks, customers: Asks) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied.*athena:StartQueryExecution"):
        research("select 1", "customers")
    customers("select email from customer_trusted")
    athena = readers.aws.client("athena")
    of_others = athena.list_query_executions(WorkGroup="stedi-dev-customers")["QueryExecutionIds"]
    for call in ("get_query_results", "get_query_execution"):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(readers.client("athena", "research"), call)(QueryExecutionId=of_others[-1])


@pytest.mark.parametrize("more", [{}, {"WorkGroup": "stedi-dev-research"}, {"QueryExecutionIds": ["OWN"]}])
@pytest.mark.parametrize("call", ["GetQueryResults", "GetQueryExecution", "StopQueryExecution", "BatchGetQueryExecution"])
def test_a_query_of_others_stays_theirs_whatever_else_a_request_says(
    readers: Readers, research: Asks, customers: Asks, call: str, more: dict
) -> None:
    research("select 1 as x")
    customers("select email from customer_trusted")
    listed = readers.aws.client("athena").list_query_executions
    own, others = (listed(WorkGroup=f"stedi-dev-{name}")["QueryExecutionIds"][-1] for name in ("research", "customers"))
    named = {"QueryExecutionIds": [others]} if call.startswith("Batch") else {"QueryExecutionId": others}
    body = json.dumps(more | named).replace("OWN", own)
    status, answer = send(readers.client("athena", "research"), f"AmazonAthena.{call}", body)
    assert (status, SECRET in answer) == (403, False), answer


def send(client, target: str, body: str) -> tuple[int, str]:
    """A request with fields that boto3 would not send."""
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"{client.meta.endpoint_url}/", headers, body)
    SigV4Auth(client._get_credentials(), client.meta.service_model.signing_name, "us-east-1").add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return answer.status_code, answer.text


def test_glue_describes_a_table_to_those_who_may_have_this_one(readers: Readers) -> None:
    glue = readers.client("glue", "research")
    assert glue.get_table(DatabaseName=LAKE, Name="machine_learning_curated")["Table"]["Name"] == "machine_learning_curated"
    with pytest.raises(ClientError, match="AccessDenied"):
        glue.get_table(DatabaseName=LAKE, Name="customer_trusted")


def test_athena_does_so_too(readers: Readers) -> None:
    describe = readers.client("athena", "research").get_table_metadata
    named = {"CatalogName": "AwsDataCatalog", "DatabaseName": LAKE}
    assert describe(**named, TableName="machine_learning_curated")["TableMetadata"]["Columns"]
    with pytest.raises(ClientError, match=r"MetadataException.*glue:GetTable"):
        describe(**named, TableName="customer_trusted")


def test_without_a_role_all_is_allowed_in_a_scratch_database(readers: Readers) -> None:
    athena = readers.aws.client("athena")
    ask(athena, f"create table {RESEARCH}.of_root as select email from customer_trusted", LAKE, "stedi-dev")
    ask(athena, f"drop table {RESEARCH}.of_root", LAKE, "stedi-dev")


# What somebody of research may try to see personal data.
ATTEMPTS = """
select * from customer_trusted
select email from "awsdatacatalog"."stedi_dev"."customer_curated"
select (select max(email) from customer_trusted) as stolen
select 1 where exists (select 1 from customer_trusted where email like 's%')
with c as (select * from customer_trusted) select count(*) from c
select x from machine_learning_curated union all select length(email) from customer_curated
select * from customer_landing
select * from customer_quarantine
select * from customer_trusted for timestamp as of current_timestamp
select * from "customer_trusted$files"
select * from "customer_trusted$snapshots"
select "$path" from customer_trusted
select "$path" from machine_learning_curated
explain select * from customer_trusted
explain analyze select * from customer_trusted
create table stedi_dev_research_scratch.stolen as select * from customer_trusted
create table stedi_dev_research_scratch.stolen as select email from customer_trusted with no data
unload (select * from customer_trusted) to '{research}stolen/' with (format = 'JSON')
create view stedi_dev_research_scratch.stolen as select * from customer_trusted
select * from stedi_dev_research_scratch.a_view
select * from stedi_dev_research_scratch.of_json
select * from stedi_dev_research_scratch.of_parquet
select * from stedi_dev_research_scratch.of_iceberg
select * from stedi_dev_research_scratch.of_metadata
select * from stedi_dev_research_scratch."of_iceberg$files"
create table stedi_dev_research_scratch.copied as select * from stedi_dev_research_scratch.of_parquet
describe customer_trusted
show create table customer_trusted
show tblproperties customer_trusted
prepare p from select * from customer_trusted
execute stolen
execute stolen_unload
insert into stedi_dev_research_scratch.stolen select * from customer_trusted
create external table stedi_dev_research_scratch.stolen (email string) location 's3://{lake}/customer/trusted/'
alter table stedi_dev_research_scratch.of_json set location 's3://{lake}/customer/trusted/'
""".strip().splitlines()


@pytest.fixture(scope="module")
def prepared(readers: Readers) -> Readers:
    """What research may prepare by itself, tables of its scratch that lie in the lake; and statements, though it may not.

    It is given the right to run those here.
    """
    glue, root = readers.client("glue", "research"), readers.aws.client("glue")
    serdes = {
        "of_json": "org.openx.data.jsonserde.JsonSerDe",
        "of_parquet": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    }
    customer = root.get_table(DatabaseName=LAKE, Name="customer_trusted")["Table"]
    location, columns = f"s3://{readers.lake}/customer/trusted", [{"Name": "email", "Type": "string"}]
    inputs = [
        {
            "Name": name,
            "StorageDescriptor": {"Location": location, "Columns": columns, "SerdeInfo": {"SerializationLibrary": serde}},
        }
        for name, serde in serdes.items()
    ]
    storage = {"Location": f"{readers.prefix('research')}ice", "Columns": columns}
    inputs.append({"Name": "of_iceberg", "Parameters": customer["Parameters"], "StorageDescriptor": storage})
    # Metadata that lie where research may read, and name files where it may not.
    bucket, _, key = customer["Parameters"]["metadata_location"].removeprefix("s3://").partition("/")
    body = readers.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    readers.client("s3", "research").put_object(Bucket=readers.results, Key="stedi-dev-research/v1.metadata.json", Body=body)
    parameters = {"table_type": "ICEBERG", "metadata_location": f"{readers.prefix('research')}v1.metadata.json"}
    inputs.append({"Name": "of_metadata", "Parameters": parameters, "StorageDescriptor": storage})
    view = {"TableType": "VIRTUAL_VIEW", "ViewOriginalText": "/* Presto View */", "StorageDescriptor": {"Columns": columns}}
    inputs.append({"Name": "a_view"} | view)
    for one in inputs:
        glue.create_table(DatabaseName=RESEARCH, TableInput=one)
    run = {"Effect": "Allow", "Action": "athena:GetPreparedStatement", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [run]})
    role = readers.roles["research"].rsplit("/", 1)[-1]
    readers.aws.client("iam").put_role_policy(RoleName=role, PolicyName="RunPrepared", PolicyDocument=document)
    for name, sql in {
        "stolen": "select * from customer_trusted",
        "stolen_unload": f"unload (select * from customer_trusted) to '{readers.prefix('research')}un2/' with (format = 'JSON')",
    }.items():
        readers.aws.client("athena").create_prepared_statement(
            StatementName=name, WorkGroup="stedi-dev-research", QueryStatement=sql
        )
    return readers


def seen_by_research(readers: Readers) -> bytes:
    """All that lies where research may read, in its own part of the results; files of tables are compressed, texts are not."""
    s3 = readers.client("s3", "research")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=readers.results, Prefix="stedi-dev-research/")
    keys = [one["Key"] for page in pages for one in page.get("Contents", []) if not one["Key"].endswith(".metadata.json")]
    return b"".join(s3.get_object(Bucket=readers.results, Key=key)["Body"].read() for key in keys)


@pytest.mark.parametrize("sql", ATTEMPTS)
def test_research_sees_no_personal_data(prepared: Readers, research: Asks, sql: str) -> None:
    with pytest.raises(
        RuntimeError, match=r"^FAILED: (Insufficient permissions|PERMISSION_DENIED|NOT_SUPPORTED|.*path)"
    ) as refused:
        research(sql.format(lake=prepared.lake, research=prepared.prefix("research")))
    assert SECRET not in str(refused.value)
    assert SECRET.encode() not in seen_by_research(prepared)


def test_the_catalog_tells_a_reader_of_its_tables_only(prepared: Readers, research: Asks) -> None:
    names = [row[0] for row in research("select table_name from information_schema.tables where table_schema = 'stedi_dev'")[2]]
    assert "machine_learning_curated" in names
    assert not [name for name in names if name.startswith("customer")]
    assert (
        research("select column_name from information_schema.columns where column_name = 'email' and table_schema = 'stedi_dev'")[
            2
        ]
        == []
    )
    assert ["customer_trusted"] not in research("show tables")[2]
    with pytest.raises(RuntimeError) as refused:
        research("select * from stedi_dev_research_scratch.nothing")
    assert "customer" not in str(refused.value)


WORDS = sorted({word for line in ATTEMPTS for word in line.split()})


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(ATTEMPTS), st.lists(st.tuples(st.integers(0, 20), st.sampled_from(WORDS)), max_size=3))
def test_nor_by_any_other_statement(prepared: Readers, research: Asks, sql: str, changes: list[tuple[int, str]]) -> None:
    words = sql.split()
    for place, word in changes:
        words[place % len(words)] = word
    try:
        _, _, rows = research(" ".join(words).format(lake=prepared.lake, research=prepared.prefix("research")))
    except RuntimeError as refused:
        rows = [[str(refused)]]
    assert SECRET not in str(rows)
