"""A landing table shows for every line what the job takes from it, or the job quarantines the line (R16).

What Athena shows is in docs/embedded-aws.md with its source. Here each line has what the embedded Athena has to show, and what
comes of it in a job: the same values, or a reason.
"""

import gzip
import json
import time
from typing import NamedTuple

import pytest
from embedded import ROOT, EmbeddedAWS, ask
from embedded_aws import openx_json
from lakehouse import contracts
from lakehouse.lines import Judge

AT = 1655563258079
DELIVERED_MS = 1_700_000_000_000
SERIAL = "0c0e-1"


class Line(NamedTuple):
    """A delivered line, what Athena shows, column by column, and why the job leaves it out (None: it takes the same values)."""

    source: str
    text: bytes
    shown: tuple
    reason: str | None = None


def step(distance: str, shown: int | None, reason: str | None = None) -> Line:
    text = f'{{"sensorReadingTime":{AT},"serialNumber":"{SERIAL}","distanceFromObject":{distance}}}'
    return Line("step_trainer", text.encode(), (AT, SERIAL, shown), reason)


def sample(x: str, shown: float | None, reason: str | None = None) -> Line:
    text = f'{{"user":"ann@example.com","timestamp":{AT},"x":{x},"y":1,"z":-2.5}}'
    return Line("accelerometer", text.encode(), ("ann@example.com", AT, shown, 1.0, -2.5), reason)


def customer(fields: str, reason: str | None = None, **shown: str | int | None) -> Line:
    row = dict.fromkeys(COLUMNS["customer"]) | {"email": "ann@example.com", "lastupdatedate": AT} | shown
    text = f'{{"email":"ann@example.com","lastUpdateDate":{AT},{fields}}}'
    return Line("customer", text.encode(), tuple(row.values()), reason)


def raw(text: bytes, shown: tuple = (None, None, None), reason: str | None = "malformed") -> Line:
    return Line("step_trainer", text, shown, reason)


def landing_tables() -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Columns and SerDe parameters of the landing tables, by source, as they are deployed."""
    template = json.loads((ROOT / "stacks" / "testdata" / "dev-catalog.golden.json").read_text())
    found = {}
    for resource in template["Resources"].values():
        table = resource["Properties"].get("TableInput", {})
        source, _, zone = table.get("Name", "").rpartition("_")
        if zone == "landing":
            storage = table["StorageDescriptor"]
            columns = {column["Name"]: column["Type"] for column in storage["Columns"]}
            found[source] = columns, storage["SerdeInfo"]["Parameters"]
    return found


TABLES = landing_tables()
COLUMNS = {source: columns for source, (columns, _) in TABLES.items()}
GOOD = f'{{"sensorReadingTime":{AT},"serialNumber":"{SERIAL}","distanceFromObject":7}}'.encode()
SHOWN = (AT, SERIAL, 7)

LINES = [
    # Keys.
    raw(GOOD, SHOWN, None),
    raw(GOOD.replace(b"sensorReadingTime", b"sensorreadingtime").replace(b"serial", b"SERIAL"), SHOWN, None),
    raw(GOOD.replace(b"serialNumber", rb"\u0073erialNumber"), SHOWN, None),
    raw(GOOD.replace(b"serialNumber", "\u017ferialNumber".encode()), (AT, None, 7), "missing_key"),
    raw(GOOD.replace(b"serialNumber", "ser\u0130alNumber".encode()), (AT, None, 7), "missing_key"),
    raw(GOOD.replace(b"serialNumber", b"serialNumber "), (AT, None, 7), "missing_key"),
    raw(GOOD.replace(b"serialNumber", b"serial_number"), (AT, None, 7), "missing_key"),
    raw(GOOD.replace(b"}", b',"distanceFromObject":8}'), (AT, SERIAL, 8)),
    raw(GOOD.replace(b"}", b',"distancefromobject":8}'), (AT, SERIAL, 8)),
    raw(GOOD.replace(b"}", b',"distancefromobject":null}'), (AT, SERIAL, None)),
    raw(GOOD.replace(b"{", b'{"distancefromobject":8,'), SHOWN),
    raw(GOOD.replace(b"}", b',"firmware":{"a":[1,2]},"":null}'), SHOWN, None),
    raw(GOOD.replace(b"}", b',"firmware":1,"Firmware":2}'), SHOWN),
    customer('"SHAREWITHRESEARCHASOFDATE":1655563258079', sharewithresearchasofdate=AT),
    customer('"phone":null,"birthDay":"1980-01-01"', birthday="1980-01-01"),
    # Whole numbers.
    step("7.0", 7),
    step("7e0", 7),
    step("70e-1", 7),
    step("0.7E+1", 7),
    step("-0.0", 0),
    step("-0", 0),
    step("0e999999999", 0),
    step("7.5", 7, "wrong_type"),
    step("7.0000000000000000000000000000001", 7, "wrong_type"),
    step("1e-999999999", 0, "wrong_type"),
    step("2147483647", 2147483647),
    step("-2147483648.0", -2147483648),
    step("2147483648", None, "wrong_type"),
    step("1e999999999", None, "wrong_type"),
    step("1e9999999999999999999999", None, "wrong_type"),
    step("9" * 900, None, "wrong_type"),
    step('"7"', 7, "wrong_type"),
    step('"010"', 8, "wrong_type"),
    step('"0x10"', 16, "wrong_type"),
    step('"1e1"', 10, "wrong_type"),
    step('" 7"', None, "wrong_type"),
    step('"1_0"', None, "wrong_type"),
    step('"\u0667"', None, "wrong_type"),
    step('""', None, "wrong_type"),
    step("true", None, "wrong_type"),
    step("[7]", None, "wrong_type"),
    step('{"a":7}', None, "wrong_type"),
    step("null", None, "missing_key"),
    step("NaN", None, "malformed"),
    raw(GOOD.replace(str(AT).encode(), b"1.655563258079e12"), SHOWN, None),
    raw(GOOD.replace(str(AT).encode(), b"1655563258079.00"), SHOWN, None),
    raw(GOOD.replace(str(AT).encode(), b"16555632580790e-1"), SHOWN, None),
    raw(GOOD.replace(str(AT).encode(), b"1655563258079.5"), SHOWN, "wrong_type"),
    customer('"registrationDate":9223372036854775807.0', "future_time", registrationdate=2**63 - 1),
    customer('"registrationDate":9223372036854775808', "wrong_type"),
    customer('"registrationDate":1655563258', "implausible_time", registrationdate=AT // 1000),
    customer('"shareWithResearchAsOfDate":-9007199254740993.0', sharewithresearchasofdate=-(2**53) - 1),
    customer('"shareWithResearchAsOfDate":-9.223372036854775808e18', sharewithresearchasofdate=-(2**63)),
    # Doubles.
    sample("1", 1.0),
    sample("1e3", 1000.0),
    sample("-0.0", 0.0),
    sample("1e-400", 0.0),
    sample("0.1000000000000000055511151231257827", 0.1),
    sample("9007199254740993", 9007199254740992.0),
    sample("1e400", float("inf"), "wrong_type"),
    sample("9" * 400, float("inf"), "wrong_type"),
    sample('"1.5"', 1.5, "wrong_type"),
    sample('"1.5f"', 1.5, "wrong_type"),
    sample('"Infinity"', float("inf"), "wrong_type"),
    sample('"inf"', None, "wrong_type"),
    sample("false", None, "wrong_type"),
    sample("{}", None, "wrong_type"),
    sample("-Infinity", float("-inf"), "malformed"),
    # Texts.
    customer(r'"customerName":"\u00d6 \ud83d\ude00 \/ \" \\ \n"', customername='Ö 😀 / " \\ \n'),
    customer(r'"customerName":"\ud800"', "malformed", customername="?"),
    customer(r'"customerName":"\u0000"', customername="\0"),
    customer('"customerName":"\x7f\u2028\ufeff"', customername="\x7f\u2028\ufeff"),
    customer('"customerName":"a\tb"', "malformed", customername="a\tb"),
    customer('"phone":""', phone=""),
    customer('"phone":5551234', "wrong_type", phone="5551234"),
    customer('"phone":-0.0', "wrong_type", phone="0.0"),
    customer('"phone":1e3', "wrong_type", phone="1E+3"),
    customer('"phone":true', "wrong_type", phone="true"),
    customer('"phone":[1, "a</b", null, {"Ä": 1.50}]', "wrong_type", phone='[1,"a<\\/b",null,{"Ä":1.50}]'),
    customer('"phone":{"a": {"b": 1, "B": 2}}', "wrong_type", phone='{"a":{"B":2}}'),
    # Lines.
    raw(b"  \t" + GOOD + b" \t", SHOWN, None),
    raw(b"\xef\xbb\xbf" + GOOD, SHOWN, None),
    raw(b"\x0b" + GOOD, SHOWN),
    raw(GOOD + b" x", SHOWN),
    raw(GOOD + b"}", SHOWN),
    raw(GOOD + GOOD, SHOWN),
    raw(GOOD + b"," + GOOD, SHOWN),
    raw(b"[%d, 1.0, 7]" % AT, (AT, "1.0", 7)),
    raw(b"[" + GOOD + b"]"),
    raw(b"[]"),
    raw(b"{}", reason="missing_key"),
    raw(b"null"),
    raw(b"7"),
    raw(b'"text"'),
    raw(GOOD[:-1]),
    raw(b"[" * 100_000),
    raw(GOOD.replace(b"0c0e", b"\xff"), (AT, "�-1", 7)),
]


def shown(line: Line, text: bytes | None = None) -> list[tuple]:
    columns, parameters = TABLES[line.source]
    rows = openx_json.table([("s3://lake/a.json", text or line.text)], columns, parameters)
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def judged(line: Line) -> tuple[tuple | None, str | None]:
    """The values that a job takes from a line, or why it takes none. A byte-order mark in front of a file is none of the line."""
    verdict = Judge(contracts.load(f"{line.source}_landing")).judge(line.text.removeprefix(b"\xef\xbb\xbf"), DELIVERED_MS)
    return (None, verdict.reason) if verdict.reason else (verdict.values, None)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.text[:120].decode(errors="replace"))
def test_a_landing_table_shows_what_the_job_takes(line: Line) -> None:
    assert shown(line) == [line.shown]
    values, reason = judged(line)
    assert reason == line.reason
    assert values is None or values == line.shown


def test_lines_end_as_in_the_jobs_and_a_blank_one_is_a_row_of_nulls() -> None:
    line = LINES[0]
    nulls = (None,) * 3
    assert shown(line, GOOD + b"\r\n" + GOOD + b"\r" + GOOD + b"\n\n" + GOOD) == [line.shown] * 3 + [nulls, line.shown]
    # Its characters are none of JSON's, and only in front of a file none at all.
    assert shown(line, GOOD + b"\n\xef\xbb\xbf" + GOOD) == [line.shown, nulls]


def test_what_cannot_be_read_fails_the_query_unless_the_table_says_otherwise() -> None:
    columns, parameters = TABLES["step_trainer"]
    strict = {name: value for name, value in parameters.items() if name == "case.insensitive"}
    for line, message in ((step('"Secret"', None), "HIVE_BAD_DATA"), (raw(GOOD[:-1]), "HIVE_CURSOR_ERROR")):
        with pytest.raises(openx_json.BadData, match=message) as failed:
            openx_json.table([("s3://lake/a.json", line.text)], columns, strict)
        assert "Secret" not in str(failed.value)
    with pytest.raises(openx_json.BadData, match=r"HIVE_CURSOR_ERROR: Failed to read file at s3://lake/a\.json\.gz"):
        openx_json.table([("s3://lake/a.json.gz", gzip.compress(GOOD)[:-1])], columns, parameters)


def test_every_object_is_read_but_a_hidden_one(aws: EmbeddedAWS) -> None:
    s3, glue, athena = (aws.client(name) for name in ("s3", "glue", "athena"))
    s3.create_bucket(Bucket="lines")
    athena.create_work_group(Name="lines", Configuration={"ResultConfiguration": {"OutputLocation": "s3://lines/out/"}})
    glue.create_database(DatabaseInput={"Name": "lines"})
    columns, parameters = TABLES["step_trainer"]
    storage = {
        "Location": "s3://lines/step_trainer/landing/",
        "Columns": [{"Name": name, "Type": data_type} for name, data_type in columns.items()],
        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe", "Parameters": parameters},
    }
    glue.create_table(DatabaseName="lines", TableInput={"Name": "step_trainer_landing", "StorageDescriptor": storage})
    objects = {
        "a.json": GOOD,
        "b.txt": GOOD,
        "c": GOOD,
        "year=2026/month=11/d.ndjson": GOOD,
        "e.json.gz": gzip.compress(GOOD + b"\n") + gzip.compress(GOOD),
        "f.GZ": GOOD,  # only in lower case a name says that its object is compressed
        "empty.json": b"",
        "empty.json.gz": b"",
        "folder/": b"",
        "_SUCCESS": GOOD,
        ".part.crc": GOOD,
        "_temporary/g.json": GOOD,
        "../landing-2/h.json": GOOD,
    }
    for name, body in objects.items():
        s3.put_object(Bucket="lines", Key=f"step_trainer/landing/{name}".replace("landing/../", ""), Body=body)
    sql = "select count(*), sum(distancefromobject), count(distinct serialnumber) from step_trainer_landing"
    assert ask(athena, sql, "lines", "lines")[2] == [["7", "49", "1"]]
    s3.put_object(Bucket="lines", Key="step_trainer/landing/broken.json.gz", Body=b"broken")
    with pytest.raises(RuntimeError, match="HIVE_CURSOR_ERROR: Failed to read file at s3://lines/step_trainer/landing/broken"):
        ask(athena, sql, "lines", "lines")


def test_a_demos_worth_of_lines_is_read_at_once() -> None:
    columns, parameters = TABLES["accelerometer"]
    content = b"\n".join([sample("0.25", 0.25).text] * 80_000)
    started = time.process_time()
    assert openx_json.table([("s3://lake/a.json", content)], columns, parameters).num_rows == 80_000
    assert time.process_time() - started < 4  # measured: about 1 s
