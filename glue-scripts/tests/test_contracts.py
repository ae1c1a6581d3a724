import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lakehouse import contracts, landing
from lakehouse.contracts import Check, Limits
from lakehouse.errors import LakehouseError
from lakehouse.ledger import EXCLUSIONS
from support import KEEPS, LANDING, SCRIPTS, TARGETS

ALL = (*LANDING, *TARGETS, *KEEPS)


def document(**column):
    column = {"name": "email", "type": "string", **column}
    return {"table": "t", "source": "s", "zone": "trusted", "format": "iceberg", "key": ["email"], "columns": [column]}


@pytest.mark.parametrize("table", ALL)
def test_every_table_has_a_contract(table):
    contract = contracts.load(table)
    assert contract.table == table
    assert set(contract.key) <= set(contract.names)
    assert set(contract.sort) <= set(contract.names)
    assert {check.column for check in contract.checks} | set(contract.limits.future_ms) <= set(contract.names)


@pytest.mark.parametrize("table", [*TARGETS, *KEEPS])
def test_a_row_without_a_key_fails_the_checks_of_every_table(table):
    """unique says nothing about null."""
    contract = contracts.load(table)
    assert set(contract.key) <= {column.name for column in contract.columns if column.required}


@pytest.mark.parametrize("table", LANDING)
def test_landing_has_a_limit_for_its_time(table):
    (allowed,) = contracts.load(table).limits.future_ms.values()
    assert 0 < allowed <= 86_400_000


@pytest.mark.parametrize("source", ["customer", "accelerometer", "step_trainer"])
def test_quarantine_takes_every_reason_that_reading_gives_and_none_of_the_gates(source):
    (check,) = contracts.load(f"{source}_quarantine").checks
    assert (check.check, check.column, set(check.values)) == ("accepted_values", "reason", set(landing.REASONS))
    assert not set(check.values) & set(EXCLUSIONS)


def test_rows_of_machine_learning_are_of_people_in_customer_curated():
    checks = contracts.load("machine_learning_curated").checks
    assert Check("relationships", "subject_id", to="subjects", field="subject_id") in checks


def test_schema_has_the_columns_in_order_with_their_types():
    schema = contracts.load("step_trainer_landing").schema
    assert schema.simpleString() == "struct<sensorreadingtime:bigint,serialnumber:string,distancefromobject:int>"


def test_landing_schema_has_the_names_of_the_delivered_files():
    names = contracts.load("customer_landing").landing_schema.names
    assert names[:4] == ["customerName", "email", "phone", "birthDay"]


def test_all_contracts_are_those_with_a_file_and_those_that_follow_from_a_source():
    assert {contract.table for contract in contracts.load_all()} >= {*ALL, "intake_ledger"}


def test_prefix_is_source_and_zone():
    assert contracts.load("step_trainer_landing").prefix == "step_trainer/landing/"


def test_defaults_of_a_column():
    (column,) = contracts.parse(document()).columns
    assert column == contracts.Column(
        "email", "string", json_key="email", required=False, personal=False, since=1, description=""
    )


def test_defaults_of_a_contract():
    contract = contracts.parse(document())
    assert (contract.limits, contract.checks, contract.sort) == (Limits({}, 0.01), (), ())


def test_limits_checks_and_order_are_those_of_the_document():
    checks = [
        {"check": "accepted_range", "column": "email", "min": 0},
        {"check": "accepted_values", "column": "email", "values": ["a", "b"]},
    ]
    limits = {"future_ms": {"email": 5}, "quarantined_share": 0}
    contract = contracts.parse({**document(), "limits": limits, "checks": checks, "layout": {"sort": ["email"]}})
    assert contract.limits == Limits({"email": 5}, 0)
    assert contract.checks == (Check("accepted_range", "email", min=0), Check("accepted_values", "email", values=("a", "b")))
    assert contract.sort == ("email",)


def test_unknown_type_names_table_column_and_what_is_allowed():
    with pytest.raises(LakehouseError, match="contract t: column email has type varchar, expected one of string, int"):
        contracts.parse(document(type="varchar"))


def test_unknown_table_says_what_to_add():
    with pytest.raises(LakehouseError, match=r"no contract for table nowhere: add contracts/nowhere\.json"):
        contracts.load("nowhere")


def test_package_works_from_a_zip(tmp_path):
    """As shipped: one zip of lakehouse/ with links followed. Nothing of the folder is on the path here."""
    package = tmp_path / "lakehouse.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for file in files_following_links(SCRIPTS / "lakehouse"):
            archive.write(file, file.relative_to(SCRIPTS))
    program = f"""
import lakehouse.job
from lakehouse import contracts, intake, queries
assert contracts.__file__.startswith({str(package)!r}), contracts.__file__
for table in {TARGETS}:
    assert "select" in queries.text(contracts.load(table).zone, table)
assert len(intake.rules("as-of")) == 64
"""
    environment = {"PYTHONPATH": str(package), "PATH": "/usr/bin:/bin"}
    result = subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def files_following_links(folder: Path):
    for path in sorted(folder.iterdir()):
        if path.name == "__pycache__":
            continue
        if path.is_dir():
            yield from files_following_links(path)
        else:
            yield path
