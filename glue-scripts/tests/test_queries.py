from dataclasses import replace

import pytest
from lakehouse import contracts, queries
from lakehouse.errors import LakehouseError
from pyspark.sql.types import BooleanType, StructType
from support import LANDING, SCRIPTS, TARGETS, gate, view, view_of

STEPS = contracts.load("step_trainer_trusted")
COMPLETE = "sensorreadingtime bigint, serialnumber string, distancefromobject int, reason string"


def check(ddl, contract=STEPS):
    queries.check_columns(StructType.fromDDL(ddl), contract)


@pytest.fixture(scope="module")
def nothing(spark):
    """No row in any view that a SELECT reads."""
    for name in (*LANDING, *TARGETS, "customer_consent", "customer_suspension"):
        view(spark, name, [])
    view(spark, "customer_current", [], contracts.load("customer_consent"))
    rejected = "email string, lastupdatedate bigint, serialnumber string, file_modified bigint, line string"
    spark.createDataFrame([], rejected).createOrReplaceTempView("customer_rejected")
    for zone, name in (
        ("landing", "customer_records"),
        ("trusted", "suspended"),
        ("trusted", "people"),
        ("trusted", "devices"),
        ("curated", "subjects"),
    ):
        view_of(spark, zone, name)
    for source in ("accelerometer", "step_trainer"):
        schema = StructType([*contracts.load(f"{source}_trusted").schema.fields]).add("in_table", BooleanType())
        spark.createDataFrame([], schema).createOrReplaceTempView(f"{source}_passing")


@pytest.mark.parametrize("consent_gate", ["as-of", "ever"])
@pytest.mark.parametrize("table", TARGETS)
def test_every_select_gives_its_contracts_columns_and_the_reason(spark, nothing, table, consent_gate):
    """And nothing for nothing: no row appears that was not in the source. (`gate` checks the columns.)"""
    assert gate(spark, table, consent_gate) == []


@pytest.mark.parametrize("source", ["accelerometer", "step_trainer"])
def test_first_gates_give_what_the_second_ones_need_and_the_file(spark, nothing, source):
    rows = queries.select(spark, "trusted", f"{source}_gated", {"consent_gate": "as-of"})
    assert rows.columns == [*contracts.load(f"{source}_trusted").names, "file_path", "reason"]
    assert rows.collect() == []


@pytest.mark.parametrize("zone", ["consent", "suspension"])
def test_what_is_kept_of_everybody_has_the_columns_of_its_contract(spark, nothing, zone):
    rows = queries.select(spark, zone, f"customer_{zone}")
    found = [(field.name, field.dataType) for field in rows.schema]
    assert found == [(field.name, field.dataType) for field in contracts.load(f"customer_{zone}").schema]
    assert rows.collect() == []


def test_suspended_are_people_and_their_devices(spark, nothing):
    rows = spark.table("suspended")
    assert [(field.name, field.dataType.simpleString()) for field in rows.schema] == [
        ("email", "string"),
        ("serialnumber", "string"),
    ]
    assert rows.collect() == []


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("accelerometer_gated", ["suspended", "people"]),
        ("step_trainer_gated", ["suspended", "devices"]),
        ("customer_trusted", ["suspended"]),
        ("suspended", []),
    ],
)
def test_every_gate_asks_who_is_suspended(name, shared):
    """And the SELECT that says so is a view before those that read it."""
    assert queries.shared("trusted", name) == shared


@pytest.mark.parametrize("name", ["people", "devices"])
def test_what_gates_ask_about_is_one_form_for_people_and_devices(spark, nothing, name):
    rows = spark.table(name)
    assert [(field.name, field.dataType.simpleString()) for field in rows.schema] == [
        ("subject", "string"),
        ("refusal", "string"),
        ("passes_from", "bigint"),
        ("early", "string"),
    ]
    assert rows.collect() == []


@pytest.mark.parametrize("file", sorted(SCRIPTS.glob("sql/*/*.sql")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_select_is_one_that_the_jobs_run(file):
    """Others would be rules that nobody applies."""
    made = [contract for contract in contracts.load_all() if contract.job]
    names = {name for contract in made for name in (contract.table, f"{contract.source}_gated", contract.job.subjects)}
    code = "".join(module.read_text() for module in SCRIPTS.glob("lakehouse/*.py"))
    shared = {name for contract in made for name in queries.shared(contract.zone, contract.table)}
    assert file.stem in names | shared or f'"{file.stem}"' in code
    assert file.read_text().rstrip().endswith("select * from final")


def test_missing_required_column_is_an_error():
    with pytest.raises(LakehouseError, match=r"sql/trusted/step_trainer_trusted\.sql: column distancefromobject is missing"):
        check("sensorreadingtime bigint, serialnumber string, reason string")


def test_missing_column_that_is_not_required_is_null_then():
    note = contracts.Column("note", "string", json_key="note", since=2)
    check(COMPLETE, replace(STEPS, columns=(*STEPS.columns, note)))


def test_other_type_is_an_error():
    with pytest.raises(LakehouseError, match="column distancefromobject has type bigint, the contract says int"):
        check(COMPLETE.replace("int,", "bigint,").replace("bigbigint", "bigint"))


def test_column_without_contract_is_an_error():
    with pytest.raises(LakehouseError, match="column stray is not in the contract of step_trainer_trusted"):
        check(COMPLETE + ", stray int")


def test_select_without_reason_is_an_error():
    with pytest.raises(LakehouseError, match="the last column must be `reason`"):
        check(COMPLETE.removesuffix(", reason string"))


def test_unknown_select_says_what_to_add():
    with pytest.raises(LakehouseError, match=r"no SELECT for nowhere: add sql/trusted/nowhere\.sql"):
        queries.text("trusted", "nowhere")
