from collections import Counter
from dataclasses import replace

import pytest
from lakehouse import contracts
from lakehouse.errors import LakehouseError
from lakehouse.landing import Landing
from support import Lake

STEP = {"sensorReadingTime": 1000, "serialNumber": "device-a", "distanceFromObject": 200}
SAMPLE = {"user": "ann@example.com", "timestamp": 1000, "x": 0.5, "y": 0, "z": -1.0}
CUSTOMER = {"customerName": "Ann", "email": "ann@example.com", "lastUpdateDate": 1000}


@pytest.fixture
def lake(spark, tmp_path):
    """Landing files only: no tables."""
    return Lake(spark, tmp_path)


def landing(lake, table, **other):
    return Landing(lake.spark, contracts.load(table), lake.uri, **other)


def test_rows_have_contract_columns_types_and_their_file(lake):
    file = lake.deliver("customer", {**CUSTOMER, "shareWithResearchAsOfDate": 5, "unknownKey": 1}, modified=1_700_000_000)
    read = landing(lake, "customer_landing")
    (row,) = read.rows.collect()
    assert read.rows.columns == [*contracts.load("customer_landing").names, "file_path", "file_modified"]
    assert (row.customername, row.email, row.phone, row.lastupdatedate) == ("Ann", "ann@example.com", None, 1000)
    assert row.sharewithresearchasofdate == 5
    assert row.file_path == f"file:{file}"
    assert row.file_modified.timestamp() == 1_700_000_000


def test_json_and_gzip_are_read_also_below_and_nothing_else(lake):
    lake.deliver("step_trainer", STEP, name="a.json")
    lake.deliver("step_trainer", {**STEP, "distanceFromObject": 201}, name="b.json.gz")
    lake.deliver("step_trainer", {**STEP, "distanceFromObject": 202}, name="2026/05/c.json")
    lake.deliver("step_trainer", "not json", name="README.txt")
    rows = landing(lake, "step_trainer_landing").rows.collect()
    assert sorted(row.distancefromobject for row in rows) == [200, 201, 202]


def test_whole_numbers_are_doubles_too_and_there_is_one_zero(lake):
    lake.deliver("accelerometer", {**SAMPLE, "x": 1, "y": -0.0, "z": 0})
    (row,) = landing(lake, "accelerometer_landing").rows.collect()
    assert [str(value) for value in (row.x, row.y, row.z)] == ["1.0", "0.0", "0.0"]


def line(row, **changes):
    return {**row, **changes}


def without(row, key):
    return {name: value for name, value in row.items() if name != key}


BAD_STEPS = [
    ("malformed", '{"sensorReadingTime": 1000, "serialNu'),
    ("malformed", "no json at all"),
    ("malformed", b'{"sensorReadingTime": 1000, "serialNumber": "\xff\xfe", "distanceFromObject": 1}'),
    ("wrong_type", line(STEP, sensorReadingTime="1000")),
    ("wrong_type", line(STEP, sensorReadingTime=1000.5)),
    ("wrong_type", line(STEP, sensorReadingTime=2**63)),
    ("wrong_type", line(STEP, distanceFromObject=2**31)),
    ("wrong_type", line(STEP, distanceFromObject=True)),
    ("missing_key", without(STEP, "sensorReadingTime")),
    ("missing_key", line(STEP, serialNumber=None)),
    ("missing_key", line(STEP, serialNumber="  ")),
    ("missing_key", "{}"),
]
BAD_SAMPLES = [
    ("wrong_type", line(SAMPLE, x="NaN")),
    ("wrong_type", '{"user": "ann@example.com", "timestamp": 1, "x": 1e999, "y": 0, "z": 0}'),
    ("malformed", '{"user": "ann@example.com", "timestamp": 1, "x": NaN, "y": 0, "z": 0}'),
    ("missing_key", without(SAMPLE, "z")),
]


@pytest.mark.parametrize(("source", "good", "bad"), [("step_trainer", STEP, BAD_STEPS), ("accelerometer", SAMPLE, BAD_SAMPLES)])
def test_bad_rows_are_told_apart_and_counted(lake, source, good, bad):
    lake.deliver(source, good, name="good.json")
    file = lake.deliver(source, *(row for _, row in bad), good, name="some.json")
    read = landing(lake, f"{source}_landing")
    assert read.rows.count() == 2
    expected = Counter(reason for reason, _ in bad)
    counts = read.counts()
    assert (counts.read, counts.bad) == (len(bad) + 2, dict(expected))
    assert counts.examples == {reason: f"file:{file}" for reason in expected}
    assert read.recount() == counts


@pytest.mark.parametrize(("source", "good", "bad"), [("step_trainer", STEP, BAD_STEPS), ("accelerometer", SAMPLE, BAD_SAMPLES)])
def test_rejected_rows_come_raw(lake, source, good, bad):
    file = lake.deliver(source, good, *(row for _, row in bad))
    lines = file.read_bytes().decode("utf-8", errors="replace").splitlines()[1:]
    rejected = landing(lake, f"{source}_landing").rejected().collect()
    assert {row.file_path for row in rejected} == {f"file:{file}"}
    assert Counter((row.reason, row.line) for row in rejected) == Counter(
        (reason, text) for (reason, _), text in zip(bad, lines, strict=True)
    )


def test_a_row_is_bad_whichever_columns_a_query_uses(lake):
    lake.deliver("customer", CUSTOMER, {**CUSTOMER, "registrationDate": "yesterday"})
    read = landing(lake, "customer_landing")
    assert read.rows.select("email").where("email is not null").count() == 1
    assert read.counts().bad == {"wrong_type": 1}


def test_future_times_are_bad_past_the_contracts_limit(lake):
    lake.deliver("customer", *({**CUSTOMER, "lastUpdateDate": time} for time in (900, 1010, 1011, 5000)))
    contract = replace(contracts.load("customer_landing"), limits={"future_ms": {"lastupdatedate": 10}})
    read = Landing(lake.spark, contract, lake.uri, now_ms=1000)
    assert sorted(row.lastupdatedate for row in read.rows.collect()) == [900, 1010]
    assert read.counts().bad == {"future_time": 2}
    assert {row.reason for row in read.rejected().collect()} == {"future_time"}


def test_empty_files_are_no_rows(lake):
    lake.deliver("step_trainer", name="empty.json")
    read = landing(lake, "step_trainer_landing")
    assert read.rows.collect() == []
    assert read.counts().read == 0


@pytest.mark.parametrize("delivered", [None, "only.txt"])
def test_no_files_at_all_is_an_error_that_says_where(lake, delivered):
    if delivered:
        lake.deliver("step_trainer", STEP, name=delivered)
    with pytest.raises(LakehouseError, match=r"step_trainer_landing: no \.json or .* under .*/step_trainer/landing/;"):
        _ = landing(lake, "step_trainer_landing").rows
