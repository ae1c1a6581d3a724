import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from lakehouse import contracts, lines
from lakehouse.contracts import Check, Column, Limits, Time
from lakehouse.errors import LakehouseError
from lakehouse.gates import EXCLUSIONS
from lakehouse.intake import Ignored
from lakehouse.ledger import CHECK, Entry
from support import KEEPS, LANDING, SCRIPTS, TARGETS

ALL = (*LANDING, *TARGETS, *KEEPS)
REASONS = {
    *(lines.MALFORMED, lines.WRONG_TYPE, lines.MISSING_KEY),
    *(lines.MALFORMED_EMAIL, lines.IMPLAUSIBLE_TIME, lines.FUTURE_TIME),
}


@pytest.mark.parametrize(
    ("table", "address", "events", "consents"),
    [
        (
            "customer_landing",
            "email",
            {"registrationdate", "lastupdatedate"},
            {"sharewithresearchasofdate", "sharewithpublicasofdate", "sharewithfriendsasofdate"},
        ),
        ("accelerometer_landing", "user", {"timestamp"}, set()),
        ("step_trainer_landing", "", {"sensorreadingtime"}, set()),
    ],
)
def test_landing_has_limits_for_all_its_times_and_names_people_by_an_address(table, address, events, consents):
    """R11, R12: every whole number of ms has a kind, and so limits of at most a day and from 2000 on."""
    contract = contracts.load(table)
    assert contract.address == address
    assert {time.column for time in contract.times if not time.given} == events
    assert {time.column for time in contract.times if time.given} == consents
    assert events | consents == {column.name for column in contract.columns if column.type == "bigint"}
    for time in contract.times:
        assert 0 < time.ahead <= 86_400_000
        assert time.earliest >= 946_684_800_000


@pytest.mark.parametrize("table", [*TARGETS, *KEEPS])
def test_only_landing_tables_have_kinds_and_limits(table):
    contract = contracts.load(table)
    assert (contract.address, contract.times, contract.limits) == ("", (), None)


def test_of_customers_no_row_may_be_put_aside_that_does_not_say_whose_it_is():
    """R13: nobody would know who is to be suspended. Readings may be nobody's."""
    assert contracts.load("customer_landing").limits.unnamed_share == 0
    assert [contracts.load(table).limits.unnamed_share for table in LANDING[1:]] == [None, None]
    assert {contracts.load(table).limits.quarantined_share for table in LANDING} == {0.01}


def test_what_suspends_is_kept_by_person_and_line():
    contract = contracts.load("customer_suspension")
    assert contract.key == ("email", "fingerprint")
    assert [column.name for column in contract.columns if column.required] == ["email", "fingerprint", "delivered"]
    assert contract.table not in {job.target for job in contracts.jobs()}


@pytest.mark.parametrize("source", ["customer", "accelerometer", "step_trainer"])
def test_quarantine_has_room_for_what_is_wrong_and_where(source):
    names = contracts.load(f"{source}_quarantine").names
    assert {"file", "version", "position", "reason", "column_name", "detail", "line", "encoding", "run_id"} <= set(names)


def test_ledger_takes_every_outcome_and_an_example():
    contract = contracts.load("run_ledger")
    (outcomes,) = [set(check.values) for check in contract.checks if check.column == "outcome"]
    entry = Entry("job", "run", "t", "full", suspended=1, ignored={"hidden": Ignored(1, "k")}, drift={"a": 1}, total=1)
    entry = replace(entry, excluded={"duplicate": 1}, quarantined={"malformed": 1})
    assert {outcome for outcome, _, _ in entry.counts()} | {CHECK} == outcomes
    assert contract.names[-2:] == ["example", "engine"]
    assert not any(column.required for column in contract.columns[-2:])


@pytest.mark.parametrize("source", ["customer", "accelerometer", "step_trainer", "erasure"])
def test_quarantine_takes_every_reason_that_reading_gives_and_none_of_the_gates(source):
    (check,) = contracts.load(f"{source}_quarantine").checks
    # The last is that of requests: all quarantines have one form.
    assert (check.check, check.column, set(check.values)) == ("accepted_values", "reason", {*REASONS, "several_people"})
    assert not set(check.values) & set(EXCLUSIONS)


def test_rows_of_machine_learning_are_of_people_in_customer_curated():
    checks = contracts.load("machine_learning_curated").checks
    assert Check("relationships", "subject_id", to="subjects", field="subject_id") in checks


def test_schema_has_the_columns_in_order_with_their_types():
    types = contracts.load("step_trainer_landing").types
    assert list(types.items()) == [("sensorreadingtime", "bigint"), ("serialnumber", "string"), ("distancefromobject", "int")]


def test_landing_columns_know_their_keys_in_delivered_files():
    columns = contracts.load("customer_landing").columns
    assert [column.json_key for column in columns[:4]] == ["customerName", "email", "phone", "birthDay"]
    assert [column.name for column in columns[:4]] == ["customername", "email", "phone", "birthday"]


def test_all_contracts_are_those_with_a_file_and_those_that_follow_from_a_source():
    assert {contract.table for contract in contracts.load_all()} >= {*ALL, "intake_ledger"}


def test_objects_are_those_of_the_file():
    trusted = contracts.load("customer_trusted")
    assert trusted.checks == (Check("accepted_range", "sharewithresearchasofdate", min=1),)
    assert (trusted.sort, trusted.key, trusted.personal_data) == (("email",), ("email",), True)
    landing = contracts.load("customer_landing")
    assert landing.times[0] == Time("registrationdate", 946_684_800_000, 86_400_000, given=False)
    assert landing.limits == Limits(quarantined_share=0.01, unnamed_share=0, optional=False)
    assert landing.columns[1] == Column(
        *("email", "string", "email", 1),
        **{"required": True, "personal": True, "kind": "email"},
        description="E-mail address; names the person, compared as R11 normalises it.",
    )


def test_a_column_that_is_like_another_one_has_its_description():
    described = {column.name: column.description for column in contracts.load("step_trainer_landing").columns}
    copied = {column.name: column.description for column in contracts.load("machine_learning_curated").columns}
    assert copied["distancefromobject"] == described["distancefromobject"]
    assert copied["distancefromobject"] == "Distance to the nearest object, in the device's own unit."


@pytest.mark.parametrize(
    ("value", "event", "consent"), [(-5, True, False), (0, True, False), (1, True, True), (99, True, True), (100, False, False)]
)
def test_what_is_before_the_first_plausible_time(value, event, consent):
    """A consent date of 0 or less says that no consent is given (R2)."""
    assert Time("at", 100, 0, given=False).is_early(value) is event
    assert Time("at", 100, 0, given=True).is_early(value) is consent


def test_unknown_table_says_what_to_add():
    with pytest.raises(LakehouseError, match=r"no contract for table nowhere: add data/contracts/nowhere\.json and"):
        contracts.load("nowhere")


def test_package_works_from_a_zip(tmp_path):
    """As shipped: one zip of lakehouse/ with links followed. Nothing of the folder is on the path here."""
    package = tmp_path / "lakehouse.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for file in files_following_links(SCRIPTS / "lakehouse"):
            archive.write(file, file.relative_to(SCRIPTS))
    program = f"""
import sys
import lakehouse.jobs, lakehouse.engines.duckdb, lakehouse.maintenance
from lakehouse import contracts, intake, lines, queries
assert contracts.__file__.startswith({str(package)!r}), contracts.__file__
for table in {TARGETS}:
    assert "select" in queries.text(contracts.load(table).zone, table)
assert lines.Judge(contracts.load("step_trainer_landing")).judge(b"[]", 0).reason == "malformed"
assert len(intake.rules("as-of")) == 64
assert "pyspark" not in sys.modules
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
