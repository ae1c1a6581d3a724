import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lakehouse import contracts
from lakehouse.errors import LakehouseError
from support import LANDING, SCRIPTS, TARGETS


def document(**column):
    column = {"name": "email", "type": "string", **column}
    return {"table": "t", "source": "s", "zone": "trusted", "key": ["email"], "columns": [column]}


@pytest.mark.parametrize("table", [*LANDING, *TARGETS])
def test_every_table_has_a_contract(table):
    contract = contracts.load(table)
    assert contract.table == table
    assert set(contract.key) <= set(contract.names)


def test_schema_has_the_columns_in_order_with_their_types():
    schema = contracts.load("step_trainer_landing").schema
    assert schema.simpleString() == "struct<sensorreadingtime:bigint,serialnumber:string,distancefromobject:int>"


def test_landing_schema_has_the_names_of_the_delivered_files():
    names = contracts.load("customer_landing").landing_schema.names
    assert names[:4] == ["customerName", "email", "phone", "birthDay"]


@pytest.mark.parametrize("lake_uri", ["s3://lake", "s3://lake/"])
def test_location_is_source_and_zone(lake_uri):
    assert contracts.load("step_trainer_landing").location(lake_uri) == "s3://lake/step_trainer/landing/"


def test_defaults_of_a_column():
    (column,) = contracts.parse(document()).columns
    assert column == contracts.Column("email", "string", field="email", required=False, personal=False, since=1, description="")


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
from lakehouse import contracts, queries
assert contracts.__file__.startswith({str(package)!r}), contracts.__file__
for table in {TARGETS}:
    assert "select" in queries.text(contracts.load(table).zone, table)
assert "select" in queries.text("landing", "customer_current")
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
