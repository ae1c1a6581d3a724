import os
import subprocess
import sys

import pytest
from lakehouse import contracts, job
from lakehouse.errors import LakehouseError, describe
from lakehouse.job import Options, parse
from lakehouse.ledger import EXCLUSIONS
from support import JOBS, LANDING, SCRIPTS, TARGETS, load_job

ARGUMENTS = ["--lake_uri", "s3://lake", "--database", "stedi_lake"]
CUSTOMER = {"customerName": "Planted Name", "email": "planted@example.com", "phone": "5550199", "lastUpdateDate": 1000}
CONSENTING = {**CUSTOMER, "shareWithResearchAsOfDate": 1000}


def test_arguments_of_glue_are_ignored():
    glue = ["--JOB_NAME", "customer_landing_to_trusted", "--JOB_RUN_ID", "jr_1", "--job-language", "python", "--enable-metrics"]
    assert parse([*glue, *ARGUMENTS, "--consent_gate", "ever"]) == Options("s3://lake", "stedi_lake", "ever", "jr_1")
    assert parse(ARGUMENTS).consent_gate == "as-of"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--database", "d"], "required: --lake_uri"),
        ([*ARGUMENTS, "--consent_gate", "sometimes"], "--consent_gate: invalid choice: 'sometimes'"),
        (["--lake_uri", "lake", "--database", "d"], "--lake_uri is 'lake', expected a URI such as s3://bucket"),
        (["--lake_uri", "s3://lake", "--database", "d; drop"], "--database is 'd; drop', expected lower-case letters"),
    ],
)
def test_bad_arguments_are_named(argv, message):
    with pytest.raises(LakehouseError, match=message):
        parse(argv)


@pytest.mark.parametrize("name", JOBS)
def test_script_ends_with_status_1_and_one_line_on_a_known_error(name):
    script = SCRIPTS / "jobs" / f"{name}.py"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    result = subprocess.run([sys.executable, script, "--database", "d"], env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == f"{name}: the following arguments are required: --lake_uri\n"


def test_jobs_declare_the_targets_in_order_and_read_only_what_has_a_contract():
    jobs = [load_job(name) for name in JOBS]
    assert tuple(one.name for one in jobs) == JOBS
    assert tuple(one.target for one in jobs) == TARGETS
    for one in jobs:
        assert set(one.landing) <= set(LANDING)
        assert set(one.tables) <= set(TARGETS)
        assert one.source in {*one.landing, *one.tables}


class TestErrors:
    def test_messages_of_spark_are_withheld_but_not_their_kind_and_place(self, spark):
        with pytest.raises(Exception) as caught:
            spark.sql("select cast('planted@example.com' as bigint) as n").collect()
        message = describe(caught.value)
        assert "planted" in str(caught.value)
        assert "planted" not in message
        assert "[CAST_INVALID_INPUT]" in message

    def test_place_is_in_our_own_code(self):
        with pytest.raises(KeyError) as caught:
            contracts.parse({"planted": 1})
        message = describe(caught.value)
        assert message.startswith("unexpected KeyError at contracts.py:")
        assert "table" not in message


class TestBadLanding:
    def test_run_fails_before_writing_and_says_table_counts_and_file(self, lake):
        lake.deliver("customer", CONSENTING)
        lake.run("customer_landing_to_trusted")
        before = lake.rows("customer_trusted")
        broken = {**CONSENTING, "email": "other@example.com", "lastUpdateDate": "planted"}
        file = lake.deliver("customer", {**CONSENTING, "email": "third@example.com"}, '{"email": "planted', broken)
        with pytest.raises(LakehouseError) as caught:
            lake.run("customer_landing_to_trusted")
        assert describe(caught.value) == (
            "customer_landing: 2 of 4 rows cannot be used: "
            f"1 malformed (for example in file:{file}), 1 wrong_type (for example in file:{file}); nothing was written"
        )
        assert lake.rows("customer_trusted") == before
        assert lake.snapshots("customer_trusted") == 1

    def test_bad_customers_stop_the_readings_too(self, lake):
        lake.deliver("customer", CONSENTING)
        lake.deliver("accelerometer", {"user": CUSTOMER["email"], "timestamp": 2000, "x": 1, "y": 1, "z": 1})
        lake.run("customer_landing_to_trusted")
        lake.deliver("customer", "{")
        with pytest.raises(LakehouseError, match=r"^customer_landing: 1 of 2 rows cannot be used: 1 malformed"):
            lake.run("accelerometer_landing_to_trusted")
        assert lake.snapshots("accelerometer_trusted") == 0


class TestTally:
    """The counts of R7 are taken while rows flow; a repeated Spark task would count some of them twice."""

    class Rows:
        def __init__(self, observed, exact):
            self.counts, self.recount = (lambda: observed), (lambda: exact)

    class Read:
        def __init__(self, read):
            self.read = read

    class Changes:
        after = 2

    @pytest.fixture
    def tally(self, spark):
        def run(observed_read, observed, exact_read, exact):
            source = self.Rows(self.Read(observed_read), self.Read(exact_read))
            gated = self.Rows({**self.ZERO, **observed}, {**self.ZERO, **exact})
            return job._tally(spark, load_job("step_trainer_trusted"), {"step_trainer_landing": source}, gated, self.Changes)

        return run

    ZERO = dict.fromkeys(("accepted", "null_key", *EXCLUSIONS), 0)

    def test_what_adds_up_is_not_counted_again(self, tally):
        assert tally(3, {"accepted": 2, "duplicate": 1}, None, {}).read == 3

    def test_what_was_counted_twice_is_counted_again(self, tally):
        once = {"accepted": 2, "duplicate": 1}
        again = tally(6, {"accepted": 4, "duplicate": 2}, 3, once)
        assert (again.read, again.accepted, again.excluded) == (3, 2, {"duplicate": 1})
        again.check("t")

    def test_what_really_vanished_fails(self, tally):
        lost = {"accepted": 2}
        with pytest.raises(LakehouseError, match=r"3 read, 2 accepted, 0 excluded"):
            tally(3, lost, 3, lost).check("t")
