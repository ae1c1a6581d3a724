"""Reading landing files: every line is good, or bad for one reason and at one place, whatever it is."""

import base64
import gzip
import io
import json
import os
import random
from collections import Counter
from urllib.parse import unquote

import oracle
import pytest
from lakehouse import contracts, intake
from lakehouse.landing import Landing, damaged, readable
from lakehouse.lines import LONGEST_LINE
from lakehouse.storage import FolderStore
from pyspark.sql import DataFrame
from support import Lake, T

MODIFIED = 1_700_000_000  # s; when the files here were delivered
LATEST = (MODIFIED + 86_400) * 1000  # ms; the latest time that the contracts allow in them
GOOD = None
TIME = T + 1000  # ms; when what is in these files was recorded
STEP = {"sensorReadingTime": TIME, "serialNumber": "device-a", "distanceFromObject": 200}
SAMPLE = {"user": "ann@example.com", "timestamp": TIME, "x": 0.5, "y": 0, "z": -1.0}
CUSTOMER = {"customerName": "Ann", "email": "ann@example.com", "lastUpdateDate": TIME}
TEXT, TEXTS = json.dumps(STEP), json.dumps(STEP)[:-1]


def step(**changes):
    return {**STEP, **changes}


def timed(text):
    """The usual line with something else where its time stands."""
    return TEXT.replace(str(TIME), text)


def without(row, key):
    return {name: value for name, value in row.items() if name != key}


def long_step(size):
    """A good row, but for its length."""
    padding = size - len(json.dumps(step(serialNumber="")))
    return json.dumps(step(serialNumber="d" * padding))


# By source: what the line is, the line, and what is wrong with it.
LINES = {
    "step_trainer": {
        "as usual": (STEP, GOOD),
        "keys in another order": (dict(reversed(STEP.items())), GOOD),
        "spaces and tabs around": (f"\t {TEXT} \t", GOOD),
        "no spaces": (json.dumps(STEP, separators=(",", ":")), GOOD),
        "escaped quotes": (step(serialNumber='de"vi"ce'), GOOD),
        "escaped key": (TEXT.replace("serialNumber", "serial\\u004eumber"), GOOD),
        "another key that holds one": (
            r'{"a\"serialNumber": "another", ' + TEXT.removeprefix("{").replace("device-a", "behind it"),
            GOOD,
        ),
        "braces in a text": (step(serialNumber='{"a": 1}}'), GOOD),
        "characters beyond ASCII": (TEXT.replace("device-a", "gerät-\U0001f600"), GOOD),
        "byte-order mark in front of a later line": ("\ufeff" + TEXT, "malformed"),
        "the greatest number of 32 bits": (step(distanceFromObject=2**31 - 1), GOOD),
        "the least number of 32 bits": (step(distanceFromObject=-(2**31)), GOOD),
        "keys in other case": (TEXT.lower(), GOOD),
        "keys in capitals beside an unknown one": (TEXT.upper().replace("}", ', "A": 1}'), GOOD),
        "unknown key": (step(firmware="1.2"), GOOD),
        "unknown key with an object": (step(firmware={"major": [1, {"x": None}]}), GOOD),
        "unknown key with null": (step(firmware=None), GOOD),
        "unknown key in front": ({"firmware": 1, **STEP}, GOOD),
        "known keys inside an unknown one": (step(copy=STEP), GOOD),
        "time at the limit": (step(sensorReadingTime=LATEST), GOOD),
        "1 MiB": (long_step(LONGEST_LINE), GOOD),
        "1 MiB and a byte": (long_step(LONGEST_LINE + 1), "malformed"),
        "20 MB": (long_step(20_000_000), "malformed"),
        "20 MB of nothing": ("x" * 20_000_000, "malformed"),
        "cut off": (TEXT[: TEXT.index("mber")], "malformed"),
        "cut off before the last brace": (TEXTS, "malformed"),
        "no JSON": ("no json at all", "malformed"),
        "a number": ("1000", "malformed"),
        "a text": ('"sensorReadingTime"', "malformed"),
        "null": ("null", "malformed"),
        "an array": ([STEP], "malformed"),
        "an array of two": ([STEP, STEP], "malformed"),
        "an empty array": ("[]", "malformed"),
        "two objects": (TEXT + TEXT, "malformed"),
        "two objects and a space": (f"{TEXT} {TEXT}", "malformed"),
        "two objects and a comma": (f"{TEXT}, {TEXT}", "malformed"),
        "an empty object behind": (TEXT + "{}", "malformed"),
        "text behind": (f"{TEXT} x", "malformed"),
        "text and a brace behind": (f"{TEXT} x}}", "malformed"),
        "a brace behind": (TEXT + "}", "malformed"),
        "a space and a brace behind": (f"{TEXT} }}", "malformed"),
        "a bracket behind": (TEXT + "]", "malformed"),
        "a bracket and text behind": (f"{TEXT}] x", "malformed"),
        "an array behind": (f"{TEXT}], [1", "malformed"),
        "a comma behind": (TEXT + ",", "malformed"),
        "text in front": ("x" + TEXT, "malformed"),
        "a byte-order mark behind": (TEXT + "\ufeff", "malformed"),
        "a key twice": (TEXTS + ', "distanceFromObject": 201}', "malformed"),
        "a key twice with one value": (TEXTS + ', "serialNumber": "device-a"}', "malformed"),
        "a key twice, once null": (TEXTS + ', "serialNumber": null}', "malformed"),
        "a key twice but for its case": (TEXTS + ', "serialnumber": "device-b"}', "malformed"),
        "a key twice, once escaped": (TEXTS + ', "serial\\u004eumber": "device-b"}', "malformed"),
        "an unknown key twice": (TEXTS + ', "firmware": 1, "firmware": 2}', "malformed"),
        "a key twice beside a number for a text": (
            json.dumps(step(serialNumber=5)).replace("{", f'{{"sensorReadingTime": {TIME + 1}, '),
            "malformed",
        ),
        "single quotes": (TEXT.replace('"', "'"), "malformed"),
        "keys without quotes": (TEXT.replace('"serialNumber"', "serialNumber"), "malformed"),
        "a comma too many": (TEXTS + ",}", "malformed"),
        "a comment": (TEXTS + "/* x */}", "malformed"),
        "a leading zero": (timed(f"0{TIME}"), "malformed"),
        "a hexadecimal number": (timed(hex(TIME)), "malformed"),
        "two numbers": (timed(f"{TIME} 1"), "malformed"),
        "a word for a number": (timed("soon"), "malformed"),
        "a plus in front of a number": (timed(f"+{TIME}"), "malformed"),
        "a comment in front of a number": (timed(f"/* x */ {TIME}"), "malformed"),
        "a colon twice": (timed(f": {TIME}"), "malformed"),
        "nothing for a number": (timed(""), "malformed"),
        "spaces everywhere": (json.dumps(STEP, separators=(" , ", "  :\t")), GOOD),
        "a raw control character in a text": (TEXT.replace("device-a", "device\ta"), "malformed"),
        "a wrong escape": (TEXT.replace("device-a", "device\\x"), "malformed"),
        "invalid UTF-8": (TEXT.encode().replace(b"device-a", b"\xff\xfe"), "malformed"),
        "half a character": (TEXT.encode().replace(b"device-a", b"ger\xc3"), "malformed"),
        "an overlong character": (TEXT.encode().replace(b"device-a", b"a\xc0\xafb"), "malformed"),
        "half a surrogate pair, encoded": (TEXT.encode().replace(b"device-a", b"a\xed\xa0\x80b"), "malformed"),
        "half a surrogate pair, escaped": (TEXT.replace("device-a", "a\\ud800b"), "malformed"),
        "invalid UTF-8 in an unknown key": (TEXTS.encode() + b', "\xff": 1}', "malformed"),
        "objects a thousand levels deep": (TEXTS + ', "a": ' + '{"a":' * 5000 + "1" + "}" * 5001, "malformed"),
        "text for a number": (step(sensorReadingTime=str(TIME)), "wrong_type"),
        "empty text for a number": (step(distanceFromObject=""), "wrong_type"),
        "a fraction for a whole number": (step(sensorReadingTime=TIME + 0.5), "wrong_type"),
        "a decimal point in a whole number": (step(sensorReadingTime=float(TIME)), GOOD),
        "an exponent in a whole number": (timed("165e10"), GOOD),
        "a number past 64 bits": (step(sensorReadingTime=2**63), "wrong_type"),
        "a number of 900 digits": (timed("1" * 900), "wrong_type"),
        "a number past 32 bits": (step(distanceFromObject=2**31), "wrong_type"),
        "true for a number": (step(distanceFromObject=True), "wrong_type"),
        "an object for a number": (step(distanceFromObject={"mm": 1}), "wrong_type"),
        "an array for a number": (step(sensorReadingTime=[TIME]), "wrong_type"),
        "a number for a text": (step(serialNumber=5), "wrong_type"),
        "a number for a text beside an unknown key": (step(serialNumber=5, firmware=1), "wrong_type"),
        "a number for a text beside an unknown key in place of another": (
            {"sensorReadingTime": TIME, "serialNumber": 5, "firmware": "1"},
            "wrong_type",
        ),
        "true for a text": (step(serialNumber=True), "wrong_type"),
        "an object for a text": (step(serialNumber={"a": 1}), "wrong_type"),
        "an empty object for a text": (step(serialNumber={}), "wrong_type"),
        "an array for a text": (step(serialNumber=["device-a"]), "wrong_type"),
        "a wrong type beside a missing key": ({"sensorReadingTime": str(TIME)}, "wrong_type"),
        "no time": (without(STEP, "sensorReadingTime"), "missing_key"),
        "no device": (without(STEP, "serialNumber"), "missing_key"),
        "no value": (without(STEP, "distanceFromObject"), "missing_key"),
        "null for a key": (step(serialNumber=None), "missing_key"),
        "null for a number": (step(sensorReadingTime=None), "missing_key"),
        "empty key": (step(serialNumber=""), "missing_key"),
        "blank key": (step(serialNumber=" \t\r\n"), "missing_key"),
        "known keys only inside an unknown one": ({"copy": STEP}, "missing_key"),
        "empty object": ("{}", "missing_key"),
        "a missing key beside a future time": (step(serialNumber="", sensorReadingTime=LATEST + 1), "missing_key"),
        "time past the limit": (step(sensorReadingTime=LATEST + 1), "future_time"),
        "the greatest number of 64 bits": (step(sensorReadingTime=2**63 - 1), "future_time"),
        "time in microseconds": (step(sensorReadingTime=MODIFIED * 10**6), "future_time"),
    },
    "accelerometer": {
        "as usual": (SAMPLE, GOOD),
        "numbers of all kinds": ({**SAMPLE, "x": 1, "y": -0.0, "z": 1e-400}, GOOD),
        "exponents": (json.dumps(SAMPLE).replace("0.5", "5E-1").replace("-1.0", "-1e+2"), GOOD),
        "many digits": (json.dumps(SAMPLE).replace("0.5", "0." + "5" * 900), GOOD),
        "too large for a double": (json.dumps(SAMPLE).replace("0.5", "1e999"), "wrong_type"),
        "too small for a double": (json.dumps(SAMPLE).replace("0.5", "-1e999"), "wrong_type"),
        "NaN as a text": ({**SAMPLE, "x": "NaN"}, "wrong_type"),
        "Infinity as a text": ({**SAMPLE, "x": "Infinity"}, "wrong_type"),
        "a number as a text": ({**SAMPLE, "x": "0.5"}, "wrong_type"),
        "NaN": (json.dumps(SAMPLE).replace("0.5", "NaN"), "malformed"),
        "Infinity": (json.dumps(SAMPLE).replace("0.5", "Infinity"), "malformed"),
        "-Infinity": (json.dumps(SAMPLE).replace("0.5", "-Infinity"), "malformed"),
        "no value": (without(SAMPLE, "z"), "missing_key"),
        "null for a value": ({**SAMPLE, "z": None}, "missing_key"),
        "blank user": ({**SAMPLE, "user": "  "}, "missing_key"),
    },
    "customer": {
        "as usual": ({**CUSTOMER, "phone": "5550100", "shareWithResearchAsOfDate": TIME}, GOOD),
        "required keys only": ({"email": "ann@example.com", "lastUpdateDate": TIME}, GOOD),
        "explicit nulls": ({**CUSTOMER, "phone": None, "registrationDate": None, "shareWithResearchAsOfDate": None}, GOOD),
        "an unknown key beside a null": ({**CUSTOMER, "phone": None, "tier": "gold"}, GOOD),
        "empty text where none is needed": ({**CUSTOMER, "phone": "", "birthDay": " "}, GOOD),
        "the least number of 64 bits": ({**CUSTOMER, "shareWithResearchAsOfDate": -(2**63)}, GOOD),
        "a consent at the limit": ({**CUSTOMER, "shareWithResearchAsOfDate": LATEST}, GOOD),
        "a future date in a column without limit": ({**CUSTOMER, "birthDay": "2999-01-01"}, GOOD),
        "a number for a phone": ({**CUSTOMER, "phone": 5550100}, "wrong_type"),
        "a number for a phone beside a null": ({**CUSTOMER, "phone": 5550100, "birthDay": None}, "wrong_type"),
        "an object for a name beside a null": ({**CUSTOMER, "customerName": {"a": 1}, "phone": None}, "wrong_type"),
        "an array for a name beside a null": ({**CUSTOMER, "customerName": ["Ann"], "phone": None}, "wrong_type"),
        "a text for a date": ({**CUSTOMER, "registrationDate": "yesterday"}, "wrong_type"),
        "an empty text for a date": ({**CUSTOMER, "shareWithResearchAsOfDate": ""}, "wrong_type"),
        "a key twice, both null": (json.dumps(CUSTOMER)[:-1] + ', "phone": null, "phone": null}', "malformed"),
        "a key twice but for its case, both null": (json.dumps(CUSTOMER)[:-1] + ', "phone": null, "Phone": null}', "malformed"),
        "null for a required number": ({**CUSTOMER, "lastUpdateDate": None}, "missing_key"),
        "an update in the future": ({**CUSTOMER, "lastUpdateDate": LATEST + 1}, "future_time"),
    },
}
CASES = [(source, name) for source, lines in LINES.items() for name in lines]


def landing(lake, source, *names):
    """The landing files of a source, or some of them."""
    found = sorted(FolderStore(lake.folder).list(f"{source}/landing/"), key=lambda one: one.key)
    wanted = [one for one in found if not names or one.key.endswith(names)]
    return Landing(lake.spark, contracts.load(f"{source}_landing"), lake.uri, wanted)


def rejected(read):
    """Bad rows as tuples: file name, position, reason, line, encoding."""
    rows = read.rejected(read.recount()).collect()
    return sorted((row.file_path.rsplit("/", 1)[1], row.position, row.reason, row.line, row.encoding) for row in rows)


@pytest.fixture(scope="module")
def lines_lake(spark, tmp_path_factory):
    """All the lines above: a file for each source."""
    lake = Lake(spark, tmp_path_factory.mktemp("lines"))
    for source, lines in LINES.items():
        lake.deliver(source, *(line for line, _ in lines.values()), modified=MODIFIED)
    return lake


@pytest.fixture(scope="module")
def found(lines_lake):
    """What became of them: reason by source and name."""
    reasons = {}
    for source, lines in LINES.items():
        bad = {position: reason for _, position, reason, _, _ in rejected(landing(lines_lake, source))}
        reasons |= {(source, name): bad.get(position) for position, name in enumerate(lines, start=1)}
    return reasons


@pytest.fixture
def lake(spark, tmp_path):
    """Landing files only: no tables."""
    return Lake(spark, tmp_path)


@pytest.mark.parametrize(("source", "name"), CASES, ids=[f"{source}: {name}" for source, name in CASES])
def test_a_line_is_good_or_bad_for_its_reason(found, source, name):
    assert found[source, name] == LINES[source][name][1]


@pytest.mark.parametrize("source", LINES)
def test_rows_read_are_good_ones_and_bad_ones_each_for_its_reason(lines_lake, source):
    read = landing(lines_lake, source)
    good = read.rows.count()
    counts = read.counts()
    bad = Counter(reason for _, reason in LINES[source].values() if reason)
    assert counts.read == good + counts.bad == len(LINES[source])
    assert Counter(row.reason for row in read.rejected(counts).collect()) == bad
    assert [file.rsplit("/", 1)[1] for file in counts.files] == [file.name for file in lines_lake.folder.rglob(f"{source}-*")]
    assert read.recount() == counts


@pytest.mark.parametrize("source", LINES)
def test_no_good_row_is_without_a_key_and_no_number_is_none(lines_lake, source):
    read = landing(lines_lake, source)
    required = [column for column in read.contract.columns if column.required]
    for row in read.rows.select(*(column.name for column in required)).collect():
        assert None not in row
        assert not any(str(value).strip().lower() in ("", "nan", "inf", "-inf") for value in row)


@pytest.mark.parametrize("source", LINES)
def test_bad_rows_come_as_they_were_delivered(lines_lake, source):
    (file,) = lines_lake.folder.rglob(f"{source}-*")
    lines = file.read_bytes().split(b"\n")
    bad = rejected(landing(lines_lake, source))
    assert bad
    for name, position, _, line, encoding in bad:
        assert name == file.name
        raw = base64.b64decode(line) if encoding == "base64" else line.encode()
        # Compared by hand: an assert would print 20 MB.
        assert (raw == lines[position - 1]) is True, position
        valid = lines[position - 1].decode(errors="replace").encode() == lines[position - 1]
        assert encoding == ("utf-8" if valid else "base64"), position


DAMAGED_STEPS = [STEP, step(firmware=1), step(serialNumber=5, firmware=1), step(serialNumber=None), step(serialNumber={"a": 1})]


def damaged_lines(number, rows=DAMAGED_STEPS):
    """Good lines with a few characters of JSON added, removed or exchanged: the same ones every time."""
    dice = random.Random(4)
    pieces = [*'"{}[],:\\-1 .', "null", "e5", "true", '"a"', '"a": 1, ', '{"a": 1}', "{}", "\ufeff"]
    for _ in range(number):
        text = json.dumps(dice.choice(rows))
        for _ in range(dice.choice((1, 1, 2, 3))):
            at = dice.choice((dice.randrange(len(text) + 1), len(text)))
            text = text[:at] + dice.choice([*pieces, ""]) + text[at + dice.choice((0, 0, 1, 2)) :]
        yield text


def good_steps(rows):
    return sorted((row.sensorreadingtime, row.serialnumber, row.distancefromobject) for row in rows.collect())


def test_damaged_lines_are_judged_as_the_oracle_judges_them(lake):
    """Two programs that share nothing."""
    texts = list(damaged_lines(4000))
    lake.deliver("step_trainer", *texts, name="a.json", modified=MODIFIED)
    expected = oracle.read_source(lake.folder, "step_trainer", oracle.SOURCES["step_trainer"])
    read = landing(lake, "step_trainer")
    found = {position: reason for _, position, reason, _, _ in rejected(read)}
    wanted = {position: reason for _, position, reason in expected.quarantine}
    differing = [n for n in range(1, len(texts) + 1) if found.get(n) != wanted.get(n)]
    assert not differing, [(texts[n - 1], found.get(n), wanted.get(n)) for n in differing[:5]]
    assert good_steps(read.rows) == sorted(tuple(row) for row, _, _ in expected.rows)
    drift = read.drift()
    assert drift.pop("(other)") > 100
    assert drift.items() <= expected.drift.items()


def test_damaged_lines_with_optional_keys_are_judged_as_the_oracle_judges_them(lake):
    nulls = {**CUSTOMER, "phone": None, "registrationDate": None, "shareWithResearchAsOfDate": None}
    texts = list(damaged_lines(2000, [CUSTOMER, nulls, without(CUSTOMER, "customerName")]))
    lake.deliver("customer", *texts, name="a.json", modified=MODIFIED)
    expected = oracle.read_source(lake.folder, "customer", oracle.SOURCES["customer"])
    found = {position: reason for _, position, reason, _, _ in rejected(landing(lake, "customer"))}
    wanted = {position: reason for _, position, reason in expected.quarantine}
    differing = [n for n in range(1, len(texts) + 1) if found.get(n) != wanted.get(n)]
    assert not differing, [(texts[n - 1], found.get(n), wanted.get(n)) for n in differing[:5]]
    assert len(found) > 500


@pytest.fixture(scope="module")
def apart(spark, tmp_path_factory):
    """Every line in a file of its own: a file whose lines all look usual is read in a quicker way."""
    lake = Lake(spark, tmp_path_factory.mktemp("apart"))
    lines = [line for line, _ in LINES["step_trainer"].values() if len(line) < 20_000_000]
    for number, line in enumerate([*lines, *damaged_lines(300)]):
        lake.deliver("step_trainer", line, STEP, name=f"{number:04}.json", modified=MODIFIED)
    return lake


def test_a_line_is_judged_alike_whatever_else_is_in_its_file(apart):
    expected = oracle.read_source(apart.folder, "step_trainer", oracle.SOURCES["step_trainer"])
    read = landing(apart, "step_trainer")
    read.survey("serialnumber", DataFrame.persist).count()
    found = Counter(row.file_path.rsplit("/", 1)[1] for row in read.rows.collect())
    wanted = Counter(path.rsplit("/", 1)[1] for _, _, path in expected.rows)
    files = [name for name in wanted | found if wanted[name] != found[name]]
    lines = [(apart.folder / "step_trainer" / "landing" / name).read_text(errors="replace").split("\n")[0] for name in files]
    assert not files, [line[:200] for line in lines]
    assert read.counts().read == len(expected.rows) + len(expected.quarantine)
    assert read.counts().bad == len(expected.quarantine)


# --- good rows ---


def test_rows_have_contract_columns_types_and_their_file(lake):
    file = lake.deliver("customer", {**CUSTOMER, "shareWithResearchAsOfDate": T + 5, "unknownKey": 1}, modified=MODIFIED)
    read = landing(lake, "customer")
    (row,) = read.rows.collect()
    assert read.rows.columns == [*contracts.load("customer_landing").names, "file_path", "file_modified"]
    assert (row.customername, row.email, row.phone, row.lastupdatedate) == ("Ann", "ann@example.com", None, TIME)
    assert row.sharewithresearchasofdate == T + 5
    assert row.file_path.removeprefix("file:").lstrip("/") == str(file).lstrip("/")
    assert row.file_modified == MODIFIED * 1000


def test_whole_numbers_are_doubles_too_and_there_is_one_zero(lake):
    lake.deliver("accelerometer", {**SAMPLE, "x": 1, "y": -0.0, "z": 0})
    (row,) = landing(lake, "accelerometer").rows.collect()
    assert [str(value) for value in (row.x, row.y, row.z)] == ["1.0", "0.0", "0.0"]


def test_texts_come_with_their_escapes_resolved(lake):
    lake.deliver("step_trainer", step(serialNumber='a"\\/\n\u00e9\U0001f600'), step(serialNumber="{}}", firmware=1))
    rows = landing(lake, "step_trainer").rows.collect()
    assert sorted(row.serialnumber for row in rows) == ['a"\\/\n\u00e9\U0001f600', "{}}"]


def test_a_row_is_bad_whichever_columns_a_query_uses(lake):
    lake.deliver("customer", CUSTOMER, {**CUSTOMER, "registrationDate": "yesterday"})
    read = landing(lake, "customer")
    assert read.rows.select("email").where("email is not null").count() == 1
    assert read.counts().bad == 1


def test_the_future_is_counted_from_each_files_own_modification(lake):
    row = step(sensorReadingTime=LATEST + 1)
    lake.deliver("step_trainer", row, name="early.json", modified=MODIFIED)
    lake.deliver("step_trainer", row, name="late.json", modified=MODIFIED + 1)
    assert [(file, reason) for file, _, reason, _, _ in rejected(landing(lake, "step_trainer"))] == [
        ("early.json", "future_time")
    ]


# --- files ---


def lines(*rows, end=b"\n"):
    return b"".join((row if isinstance(row, str) else json.dumps(row)).encode() + end for row in rows)


def write(lake, name, content):
    """A landing file as it is, byte by byte."""
    file = lake.deliver("step_trainer", name=name)
    file.write_bytes(content)
    os.utime(file, (MODIFIED, MODIFIED))
    return file


ODD_NAMES = (
    "with space.json",
    "[a-b]*{c,d}?.json",
    "50% of it.json",
    "%41.json",
    "a+b.json",
    "a+b&c=d;e,f.json",
    "c#d.json",
    "back\\slash.json",
    "gerät-\U0001f600.json",
    "day=2026-05-01/part.json",
    "[with] space.json.gz",
    "lines.jsonl",
    "LINES.NDJSON",
)
# Those that Spark would take for something else.
STRANGE_NAMES = ("2026-11-26T10:00:00.json", "day:1/part +%.json", "PACKED.JSON.GZ", "packed.ndjson.Gz")


@pytest.fixture(scope="module")
def files_lake(spark, tmp_path_factory):
    """A good row in each file tells by its distance that the file was read."""
    lake = Lake(spark, tmp_path_factory.mktemp("files"))
    rows = [step(distanceFromObject=number) for number in range(20)]
    write(lake, "plain.json", lines(rows[1]))
    write(lake, "packed.json.gz", gzip.compress(lines(rows[2])))
    write(lake, "2026/05/below.json", lines(rows[3], "{"))
    write(lake, "marked.json", b"\xef\xbb\xbf" + lines(rows[4], "{"))
    write(lake, "windows.json", lines(rows[5], "", "{", rows[6], end=b"\r\n"))
    write(lake, "returns.json", lines(rows[7], "", "{", end=b"\r"))
    write(lake, "blank.json", lines("", " \t ", rows[8], "", "\t", "x", ""))
    write(lake, "open.json", lines(rows[9], rows[10])[:-1])
    write(lake, "nothing.json", b"\n\n \n")
    # A gzip that says it is none; some of its bytes are line ends.
    write(lake, "hidden.json", gzip.compress(lines(*(step(serialNumber=f"{n**3}") for n in range(2000)))))
    write(lake, "members.json.gz", gzip.compress(lines(rows[11])) + gzip.compress(lines("x", rows[12])))
    return lake


def test_files_of_all_kinds_are_read(files_lake):
    read = landing(files_lake, "step_trainer")
    assert sorted(row.distancefromobject for row in read.rows.collect()) == list(range(1, 13))


def test_bad_rows_have_the_number_of_their_line(files_lake):
    """Also behind blank lines, and whatever ends a line. A gzip that says it is none is one row, at position 0."""
    whole = [row for row in rejected(landing(files_lake, "step_trainer")) if row[1] == 0]
    assert whole == [("hidden.json", 0, "malformed", None, None)]
    assert [row[:4] for row in rejected(landing(files_lake, "step_trainer")) if row[1] != 0] == [
        ("below.json", 2, "malformed", "{"),
        ("blank.json", 6, "malformed", "x"),
        ("marked.json", 2, "malformed", "{"),
        ("members.json.gz", 2, "malformed", "x"),
        ("returns.json", 3, "malformed", "{"),
        ("windows.json", 3, "malformed", "{"),
    ]


@pytest.mark.parametrize(
    "names", [ODD_NAMES[:1], ODD_NAMES, STRANGE_NAMES, (*ODD_NAMES, *STRANGE_NAMES)], ids=["one", "many", "strange", "all"]
)
def test_file_names_are_no_patterns(lake, names):
    for number, name in enumerate(names):
        content = lines(step(distanceFromObject=number), "{")
        write(lake, name, gzip.compress(content) if name.lower().endswith(".gz") else content)
    # What the names would match if they were patterns.
    write(lake, "aXc.json", lines("not to be read"))
    write(lake, "A.json", lines("not to be read"))
    read = landing(lake, "step_trainer", *(f"/{name}" for name in names))
    assert sorted(row.distancefromobject for row in read.rows.collect()) == list(range(len(names)))
    bad = read.rejected(read.counts()).collect()
    assert [(row.position, row.line) for row in bad] == [(2, "{")] * len(names)
    files = [f"{lake.folder}/step_trainer/landing/{name}" for name in names]
    assert readable(lake.spark, [f"file:{file}" for file, name in zip(files, names, strict=True) if name not in STRANGE_NAMES])
    paths = [unquote(row.file_path.removeprefix("file:")) for row in bad]
    assert sorted("/" + path.lstrip("/") for path in paths) == sorted(files)


def test_positions_hold_over_the_splits_of_a_file(lake):
    wrong = {n for n in range(1, 3001) if n % 250 == 0}
    content = ["" if n % 7 == 0 else step(distanceFromObject=n) for n in range(1, 3001)]
    for n in wrong:
        content[n - 1] = f"bad {n}"
    for name in ("a.json", "b.json"):
        write(lake, name, lines(*content))
    setting = "spark.sql.files.maxPartitionBytes"
    before = lake.spark.conf.get(setting)
    lake.spark.conf.set(setting, "50000")
    try:
        read = landing(lake, "step_trainer")
        assert lake.spark.read.text(str(lake.folder / "step_trainer" / "landing")).rdd.getNumPartitions() > 4
        found = rejected(read)
    finally:
        lake.spark.conf.set(setting, before)
    assert [row[:2] for row in found] == [(file, n) for file in ("a.json", "b.json") for n in sorted(wrong)]
    assert all(line == f"bad {position}" for _, position, _, line, _ in found)


# --- keys that the contract does not know ---


def test_unknown_keys_are_counted_and_named_when_the_contract_could_have_meant_them(lake):
    unknown = {"serial_number": 1, "model_2": None}
    lake.deliver("step_trainer", STEP, {**STEP, **unknown}, step(serial_number={"a": 1}), step(serialNumber=""), "{")
    lake.deliver("step_trainer", step(serialNumber=5, serial_number=1), TEXTS + ', "firmware": 1, "firmware": 2}')
    read = landing(lake, "step_trainer")
    read.rows.count()
    # Of the bad rows those that are not malformed count too.
    assert read.counts().drifting == 3
    assert read.drift() == {"serial_number": 3, "(other)": 1}


def test_unknown_keys_that_look_like_no_name_are_not_shown(lake):
    odd = ("ann@example.com", "1st", "", "two words", "serialNumber" + "n" * 65, "gerät", "serial_number\n", "serialnumber ")
    lake.deliver("step_trainer", *({**STEP, key: 1} for key in odd), {**STEP, **dict.fromkeys(("serial_number", *odd), 1)})
    assert landing(lake, "step_trainer").drift() == {"(other)": len(odd) + 1, "serial_number": 1}


def test_no_more_than_the_most_frequent_unknown_keys_are_told(lake):
    spelled = (f"{'_' * n}serialNumber" for n in range(1, 31))
    lake.deliver("step_trainer", *({**STEP, key: 1} for key in spelled), *[step(serial_number=1)] * 2)
    drift = landing(lake, "step_trainer").drift()
    assert (len(drift), drift["serial_number"]) == (20, 2)


# --- who is in which file ---


def survey(lake, source, name):
    rows = landing(lake, source).survey(name, DataFrame.persist).collect()
    return sorted((row.file_path.rsplit("/", 1)[1], row[name]) for row in rows if row[name] is not None)


def test_a_survey_tells_the_values_in_every_file_of_good_and_bad_lines(lake):
    first = [STEP, STEP, step(serialNumber="b", distanceFromObject="x"), step(serialNumber=None), "{", ""]
    lake.deliver("step_trainer", *first, name="a.json")
    lake.deliver("step_trainer", "\ufeff" + json.dumps(step(serialNumber="c")), STEP, name="b.json")
    found = survey(lake, "step_trainer", "serialnumber")
    assert found == [("a.json", "b"), ("a.json", "device-a"), ("b.json", "c"), ("b.json", "device-a")]


def test_a_survey_misses_nobody_whose_row_is_good(lines_lake, apart):
    """Or their reading would not be found again when they consent."""
    for lake, source, name in (
        (lines_lake, "step_trainer", "serialnumber"),
        (lines_lake, "accelerometer", "user"),
        (apart, "step_trainer", "serialnumber"),
    ):
        found = set(survey(lake, source, name))
        rows = landing(lake, source).rows.collect()
        missing = {(row.file_path.rsplit("/", 1)[1], row[name]) for row in rows} - found
        assert not missing, [value[:100] for _, value in missing]


def test_a_survey_of_no_files_is_empty(lake):
    nothing = Landing(lake.spark, contracts.load("step_trainer_landing"), lake.uri, [])
    assert nothing.survey("serialnumber", DataFrame.persist).collect() == []


def test_files_are_read_alike_after_a_survey(files_lake, lake):
    surveyed = landing(files_lake, "step_trainer")
    surveyed.survey("serialnumber", DataFrame.persist).count()
    assert good_steps(surveyed.rows) == good_steps(landing(files_lake, "step_trainer").rows)
    # Zeros, whole numbers and escapes too.
    zeros, escaped = {**SAMPLE, "x": 1, "y": -0.0, "z": 0}, {**SAMPLE, "user": 'a"\u00e9', "x": 1e-7}
    for number, row in enumerate([zeros, escaped, {**SAMPLE, "timestamp": LATEST + 1}]):
        lake.deliver("accelerometer", row, name=f"[{number}] +%.json", modified=MODIFIED)
    surveyed, other = landing(lake, "accelerometer"), landing(lake, "accelerometer")
    surveyed.survey("user", DataFrame.persist).count()
    assert sorted(map(repr, surveyed.rows.collect())) == sorted(map(repr, other.rows.collect()))
    assert surveyed.counts() == other.counts()


def test_files_are_read_alike_after_a_look(lines_lake, lake):
    nulls = {**CUSTOMER, "phone": None, "birthDay": None, "shareWithResearchAsOfDate": T}
    early = {**CUSTOMER, "lastUpdateDate": 1, "email": "Ann@Example.com"}
    for rows in ([CUSTOMER, nulls], [nulls, early], [nulls, {**CUSTOMER, "Phone": "1"}], [CUSTOMER, "{"]):
        lake.deliver("customer", *rows, modified=MODIFIED)
    for one in (lines_lake, lake):
        looked, other = landing(one, "customer"), landing(one, "customer")
        looked.look()
        assert sorted(map(repr, looked.rows.collect())) == sorted(map(repr, other.rows.collect()))
        assert looked.counts() == other.counts()
        assert rejected(looked) == rejected(other)


# --- files that cannot be read to their end ---


def packed(*rows):
    return gzip.compress(lines(*rows), mtime=0)


DAMAGED = {
    "truncated": packed(*({**STEP, "sensorReadingTime": T + n**3} for n in range(5000)))[:-1000],
    "without its checksum": packed(STEP)[:-8],
    "without its last byte": packed(STEP)[:-1],
    "in its header": packed(STEP)[:5],
    "wrong checksum": packed(STEP)[:-8] + bytes(4) + packed(STEP)[-4:],
    "wrong length": packed(STEP)[:-1] + b"\x01",
    "a byte changed": packed(STEP)[:30] + bytes([packed(STEP)[30] ^ 0xFF]) + packed(STEP)[31:],
    "plain text": lines(STEP, STEP),
    "one letter": b"{",
    "zeros behind it": packed(STEP) + bytes(512),
    "text behind it": packed(STEP) + b"x",
    "a flag that there is not": packed(STEP)[:3] + b"\x20" + packed(STEP)[4:],
    "a second member truncated": packed(STEP) + packed(STEP)[:-4],
}


def test_good_files_are_readable(lake):
    good = [
        write(lake, "a.json.gz", packed(STEP)),
        write(lake, "b.json.gz", packed("{", "x")),
        write(lake, "c.json", b"\x1f\x8b"),
    ]
    good += [write(lake, "two members.json.gz", packed(STEP) * 2), write(lake, "of nothing.json.gz", packed())]
    assert readable(lake.spark, [f"file://{file}" for file in good])
    good.append(write(lake, "large.json.gz", gzip.compress(b"\n" * 50_000_000)))
    assert not any(damaged(file.open("rb")) for file in good if file.suffix == ".gz")


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_told(lake, name):
    file = write(lake, f"{name}.json.gz", DAMAGED[name])
    assert not readable(lake.spark, [f"file://{write(lake, 'a.json.gz', packed(STEP))}", f"file://{file}"])
    assert damaged(file.open("rb"))


@pytest.mark.parametrize("error", [ConnectionResetError, PermissionError, TimeoutError])
def test_what_keeps_a_file_from_being_read_is_no_damage(error):
    class Unreachable(io.BytesIO):
        def read(self, *_):
            raise error("planted")

    with pytest.raises(error):
        damaged(Unreachable())


def test_landing_files_are_json_and_gzip_also_below_and_nothing_else(lake):
    for name in ("a.json", "b.json.gz", "2026/05/c.json", "README.txt", "_tmp/d.json", ".e.json", "f.json.bak"):
        write(lake, name, lines(STEP))
    read, ignored = intake.delivered(FolderStore(lake.folder), "step_trainer/landing/")
    assert [one.key.removeprefix("step_trainer/landing/") for one in read] == ["2026/05/c.json", "a.json", "b.json.gz"]
    assert ignored == {
        "hidden": intake.Ignored(2, "step_trainer/landing/.e.json"),
        "unknown_name": intake.Ignored(2, "step_trainer/landing/README.txt"),
    }
