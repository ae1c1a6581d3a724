from dataclasses import replace

import pytest
from lakehouse import contracts, queries
from lakehouse.errors import LakehouseError
from pyspark.sql.types import StructType
from support import TARGETS, gate, view

STEPS = contracts.load("step_trainer_trusted")
COMPLETE = "sensorreadingtime bigint, serialnumber string, distancefromobject int, reason string"


def check(ddl, contract=STEPS):
    queries.check_columns(StructType.fromDDL(ddl), contract)


@pytest.mark.parametrize("consent_gate", ["as-of", "ever"])
@pytest.mark.parametrize("table", TARGETS)
def test_every_select_gives_its_contracts_columns_and_the_reason(spark, table, consent_gate):
    """And nothing for nothing: no row appears that was not in the source. (`gate` checks the columns.)"""
    for name in ("customer_landing", "accelerometer_landing", "step_trainer_landing", *TARGETS):
        view(spark, name, [])
    queries.view(spark, "landing", "customer_current")
    assert gate(spark, table, consent_gate) == []


def test_missing_required_column_is_an_error():
    with pytest.raises(LakehouseError, match=r"sql/trusted/step_trainer_trusted\.sql: column distancefromobject is missing"):
        check("sensorreadingtime bigint, serialnumber string, reason string")


def test_missing_column_that_is_not_required_is_null_then():
    note = contracts.Column("note", "string", field="note", since=2)
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
