"""What a line is (R8, R11, R12, R14, R16): in plain Python, without an engine, case by case and against the oracle."""

import json
import re
from collections import Counter
from unittest.mock import ANY

import oracle
import pytest
from hypothesis import given
from lakehouse import contracts
from lakehouse.lines import (
    FUTURE_TIME,
    IMPLAUSIBLE_TIME,
    LONGEST_LINE,
    LONGEST_NUMBER,
    MALFORMED,
    MALFORMED_EMAIL,
    MISSING_KEY,
    MOST_LEVELS,
    OTHER,
    WRONG_TYPE,
    Judge,
)
from line_examples import (
    EARLIEST_MS,
    GOOD,
    LATEST,
    LINE,
    LINES_OF_JSON,
    MANY,
    MODIFIED,
    NO_INT,
    ONE,
    SOURCES,
    STEADY,
    TIME,
    VALUES_OF_JSON,
    WHOLE,
    Raw,
    changed,
    lines,
    written,
)

JUDGES = {source: Judge(contracts.load(f"{source}_landing")) for source in SOURCES}
VALUES = {
    "customer": (None, "ann@example.com", None, None, None, None, TIME, None, None, None),
    "accelerometer": ("ann@example.com", TIME, 0.5, 0.0, -1.0),
    "step_trainer": (TIME, "device-a", 200),
}


def judge(line, source="step_trainer", modified=MODIFIED):
    if isinstance(line, str):
        line = line.encode("utf-8", "surrogateescape")
    return JUDGES[source].judge(line if isinstance(line, bytes) else written(line), modified)


def told(verdict):
    return verdict.reason, verdict.column, verdict.detail


# --- good lines ---


@pytest.mark.parametrize("source", SOURCES)
def test_a_good_line_has_its_values_in_order_and_nothing_else(source):
    assert judge(GOOD[source], source) == (VALUES[source], None, None, None, False, ())


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase, str.title])
def test_keys_in_any_case_and_order(source, change):
    row = {change(key): value for key, value in reversed(GOOD[source].items())}
    assert judge(row, source) == (VALUES[source], None, None, None, False, ())


@pytest.mark.parametrize("source", SOURCES)
def test_values_have_the_type_of_their_column(source):
    """Also where JSON has whole numbers: Arrow takes no int for a double."""
    for column, value in zip(contracts.load(f"{source}_landing").columns, judge(GOOD[source], source).values, strict=True):
        kind = {"string": str, "bigint": int, "int": int, "double": float}[column.type]
        assert value is None or type(value) is kind


def test_texts_stay_as_they_are_but_for_addresses():
    texts = {"customerName": " Zo\u00eb\u0000 ", "phone": "", "birthDay": "\U0001f600", "serialNumber": " A "}
    verdict = judge(changed("customer", email=" Ann@EXAMPLE.com\u200b", **texts), "customer")
    assert verdict.values[:5] == (" Zo\u00eb\u0000 ", "ann@example.com", "", "\U0001f600", " A ")
    assert verdict.reason is None


def test_minus_zero_is_zero():
    values = judge(changed("accelerometer", x=Raw("-0.0"), y=Raw("-0"), z=Raw("-0e5")), "accelerometer").values
    assert [str(value) for value in values[2:]] == ["0.0"] * 3


@pytest.mark.parametrize("key", sorted(GOOD["customer"]))
def test_null_is_no_value(key):
    assert told(judge(changed("customer", **{key: None}), "customer")) == (MISSING_KEY, key, f"{key}: missing")


def test_null_is_allowed_where_no_value_is_needed():
    row = changed("customer", phone=None, registrationDate=None, shareWithResearchAsOfDate=None)
    assert judge(row, "customer") == (VALUES["customer"], None, None, None, False, ())


# --- numbers ---


@pytest.mark.parametrize("number", WHOLE, ids=lambda number: number[:20])
def test_a_whole_number_in_any_spelling(number):
    assert judge(changed(distanceFromObject=Raw(number))).values == (TIME, "device-a", WHOLE[number])
    assert judge(changed(distanceFromObject=Raw(number))).reason is None


@pytest.mark.parametrize("number", NO_INT, ids=lambda number: number[:20])
def test_no_whole_number_or_too_large_a_one(number):
    verdict = judge(changed(distanceFromObject=Raw(number)))
    detail = f"distanceFromObject: {NO_INT[number]}"
    assert verdict == ((TIME, "device-a", None), WRONG_TYPE, "distanceFromObject", detail, False, ())


@pytest.mark.parametrize(
    ("number", "detail"),
    [
        ("9223372036854775807", None),
        ("9223372036854775808", "number too large for bigint"),
        ("-9223372036854775808", None),
        ("-9223372036854775809", "number too large for bigint"),
        ("9.223372036854775807e18", None),
        ("9223372036854775806.5", "number with a fraction for bigint"),
        ("1.7e12", None),
    ],
)
def test_large_numbers_are_exact(number, detail):
    """Consent dates have no limit below; above it is the one of the time, and the value is not that of a float."""
    verdict = judge(changed("customer", shareWithResearchAsOfDate=Raw(number)), "customer", modified=2**63)
    if detail:
        assert told(verdict) == (WRONG_TYPE, "shareWithResearchAsOfDate", f"shareWithResearchAsOfDate: {detail}")
    else:
        exact = int(number) if "e" not in number else {"1.7e12": 17 * 10**11}.get(number, 2**63 - 1)
        assert (verdict.reason, verdict.values[7]) == (None, exact)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("1", 1.0),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        ("1e-999999999", 0.0),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_numbers_with_a_fraction(number, value):
    assert judge(changed("accelerometer", x=Raw(number)), "accelerometer").values[2] == value


@pytest.mark.parametrize("number", ["1e309", "-1e309", "1e999999999", "9" * 400])
def test_a_number_beyond_a_double_is_of_another_type(number):
    verdict = judge(changed("accelerometer", x=Raw(number)), "accelerometer")
    assert told(verdict) == (WRONG_TYPE, "x", "x: number too large for double")


# --- limits ---


def nested(levels, kind="[]"):
    """A line that is so many levels deep in all: its own object is one of them."""
    inner = levels - 1
    return changed(extra=Raw("[" * inner + "]" * inner if kind == "[]" else '{"a":' * inner + "1" + "}" * inner))


@pytest.mark.parametrize("kind", ["[]", "{}"])
def test_levels(kind):
    assert judge(nested(MOST_LEVELS, kind)).reason is None
    assert told(judge(nested(MOST_LEVELS + 1, kind))) == (MALFORMED, None, "more than 100 levels")
    assert told(judge(nested(100_000, kind))) == (MALFORMED, None, "more than 100 levels")


def test_levels_are_counted_in_each_other_and_not_in_texts():
    side_by_side = changed(extra=[[]] * 500)
    assert judge(side_by_side).reason is None
    assert judge(changed(serialNumber="[{" * 500)).values[1] == "[{" * 500
    assert judge(changed(serialNumber='\\"[' * 500, extra=[1])).reason is None
    assert told(judge(changed(serialNumber="]" * 500, extra=json.loads("[" * 100 + "]" * 100)))) == (
        MALFORMED,
        None,
        "more than 100 levels",
    )


@pytest.mark.parametrize("start", ["", "-", "0.", "1e"])
def test_characters_of_a_number(start):
    digits = start + "1" * (LONGEST_NUMBER - len(start))
    assert judge(changed(extra=Raw(digits))).reason is None
    verdict = judge(changed(extra=Raw(digits + "1")))
    assert told(verdict) == (MALFORMED, None, "a number of more than 1000 characters")
    # As text it is no number.
    assert judge(changed(serialNumber=digits + "1")).reason is None


def padded(size):
    line = written(changed(serialNumber=""))
    return line.replace(b'""', b'"' + b"a" * (size - len(line)) + b'"')


def test_bytes_of_a_line():
    assert len(padded(LONGEST_LINE)) == LONGEST_LINE == 1024 * 1024
    assert judge(padded(LONGEST_LINE)).reason is None
    assert judge(padded(LONGEST_LINE + 1)) == ((None,) * 3, MALFORMED, None, "a line of more than 1 MiB", False, ())
    # Blanks count, and bytes rather than characters.
    assert judge(padded(LONGEST_LINE) + b" ").reason == MALFORMED
    assert judge(padded(LONGEST_LINE).replace(b"a", "\u00e9".encode(), 1)).reason == MALFORMED


@pytest.mark.parametrize(
    "line",
    [
        b"}" + b" " * LONGEST_LINE,
        b"} " * 500_000,
        b"[" * LONGEST_LINE,
        b'"\\' * 500_000,
        b'{"' * 500_000,
        b" " * LONGEST_LINE + b"x",
    ],
    ids=["blanks", "ends", "beginnings", "escapes", "texts", "blanks first"],
)
def test_a_long_line_is_judged_in_time_that_grows_as_it_does(line):
    """Asked of patterns: two that may match the same blanks would take hours here."""
    assert judge(line).reason == MALFORMED


# --- JSON (RFC 8259): y must pass, n must not, i is left open by the RFC and decided here ---


@pytest.mark.parametrize("name", VALUES_OF_JSON)
def test_values_of_json(name):
    """As the value of a key that the contract does not know: nothing but its form matters."""
    line = b'{"other": %s, %s' % (VALUES_OF_JSON[name].encode("utf-8", "surrogateescape"), written(GOOD["step_trainer"])[1:])
    verdict = judge(line)
    if name.startswith("n"):
        detail = "not UTF-8" if re.search("[\udc80-\udcff]", VALUES_OF_JSON[name]) else "not one JSON object"
        assert verdict == ((None,) * 3, MALFORMED, None, detail, False, ())
    else:
        assert verdict == (VALUES["step_trainer"], None, None, None, False, (OTHER,))


@pytest.mark.parametrize("name", LINES_OF_JSON)
def test_lines_of_json(name):
    verdict = judge(LINES_OF_JSON[name])
    if name.startswith("y"):
        assert verdict == (VALUES["step_trainer"], None, None, None, False, ())
    else:
        detail = "not UTF-8" if name == "n_utf16" else "not one JSON object"
        assert verdict == ((None,) * 3, MALFORMED, None, detail, False, ())


# --- an unknown number of rows (R14) ---


@pytest.mark.parametrize("name", [*MANY, *ONE])
def test_what_holds_an_unknown_number_of_rows(name):
    verdict = judge((MANY | ONE)[name])
    assert (verdict.reason, verdict.many) == (MALFORMED, name in MANY)


def test_rows_wrapped_in_an_object_that_is_none_are_an_unknown_number():
    for wrapped in (f'{{"Records": [{LINE}, {LINE}]}}', f'{{"a": {LINE}, "b": [{LINE},{LINE}]}}'):
        assert judge(wrapped)[1:5] == (MISSING_KEY, "sensorReadingTime", ANY, True)
    assert not judge(f'{{"Records": [{LINE}]}}').many


@pytest.mark.parametrize(
    "row",
    [changed(extra=[{}, {}]), changed(serialNumber="} {"), changed(extra=Raw('{"a":{}}')), changed(distanceFromObject=[{}, {}])],
    ids=["list of objects", "text", "object", "wrong type"],
)
def test_one_object_is_one_row_whatever_is_in_it(row):
    verdict = judge(row)
    assert verdict.reason in (None, WRONG_TYPE)
    assert not verdict.many


# --- one key in two spellings (R16) ---


@pytest.mark.parametrize(
    ("more", "column", "detail"),
    [
        (("serialNumber", "b"), "serialNumber", "serialNumber: more than once"),
        (("SERIALNUMBER", "device-a"), "serialNumber", "serialNumber: more than once"),
        (("serialnumber", None), "serialNumber", "serialNumber: more than once"),
    ],
)
def test_a_key_that_comes_twice(more, column, detail):
    """Whichever value was meant, nobody knows: also when they are the same."""
    verdict = judge([*GOOD["step_trainer"].items(), more])
    assert verdict == ((TIME, None, 200), MALFORMED, column, detail, False, ())


def test_a_key_that_the_contract_does_not_know_is_not_named_when_it_comes_twice():
    verdict = judge([*GOOD["step_trainer"].items(), ("planted", 1), ("Planted", 1)])
    assert verdict == (VALUES["step_trainer"], MALFORMED, None, "a key: more than once", False, ())


def test_a_key_of_the_contract_is_told_rather_than_another_one():
    verdict = judge([("planted", 1), ("PLANTED", 1), *GOOD["step_trainer"].items(), ("serialNUMBER", 1), ("planted", 1)])
    assert told(verdict) == (MALFORMED, "serialNumber", "serialNumber: more than once")


def test_a_key_may_come_again_within_a_value():
    row = changed(extra=Raw('{"serialNumber": 1, "SERIALNUMBER": 2, "a": 1, "a": 1}'))
    assert judge(row) == (VALUES["step_trainer"], None, None, None, False, (OTHER,))


# --- what is wrong with a column ---

TWO_TEXTS = "a blank, control or invisible character in it"
EARLY, LATE = "before the first plausible time; want milliseconds", "later than its file"
CASES = {
    "number for a text": ("step_trainer", {"serialNumber": 5}, WRONG_TYPE, "serialNumber", "serialNumber: number for string"),
    "boolean for a text": (
        "step_trainer",
        {"serialNumber": True},
        WRONG_TYPE,
        "serialNumber",
        "serialNumber: true or false for string",
    ),
    "object for a text": (
        "step_trainer",
        {"serialNumber": {"a": 1}},
        WRONG_TYPE,
        "serialNumber",
        "serialNumber: object for string",
    ),
    "empty object for a text": (
        "step_trainer",
        {"serialNumber": {}},
        WRONG_TYPE,
        "serialNumber",
        "serialNumber: object for string",
    ),
    "array for a text": ("step_trainer", {"serialNumber": ["a"]}, WRONG_TYPE, "serialNumber", "serialNumber: array for string"),
    "text for a number": (
        "step_trainer",
        {"distanceFromObject": "200"},
        WRONG_TYPE,
        "distanceFromObject",
        "distanceFromObject: text for int",
    ),
    "boolean for a number": (
        "step_trainer",
        {"sensorReadingTime": False},
        WRONG_TYPE,
        "sensorReadingTime",
        "sensorReadingTime: true or false for bigint",
    ),
    "text for a double": ("accelerometer", {"z": "NaN"}, WRONG_TYPE, "z", "z: text for double"),
    "array for a double": ("accelerometer", {"x": [1.0]}, WRONG_TYPE, "x", "x: array for double"),
    "number for an address": ("customer", {"email": 5}, WRONG_TYPE, "email", "email: number for string"),
    "not required": ("customer", {"phone": 5550100}, WRONG_TYPE, "phone", "phone: number for string"),
    "several, in the contract's order": (
        "step_trainer",
        {"distanceFromObject": "1", "serialNumber": 1, "sensorReadingTime": 1.5},
        WRONG_TYPE,
        "sensorReadingTime",
        "sensorReadingTime: number with a fraction for bigint, serialNumber: number for string, distanceFromObject: text for int",
    ),
    "blank": ("step_trainer", {"serialNumber": " \t\u200b\u00a0"}, MISSING_KEY, "serialNumber", "serialNumber: blank"),
    "empty": ("step_trainer", {"serialNumber": ""}, MISSING_KEY, "serialNumber", "serialNumber: blank"),
    "blank address": ("accelerometer", {"user": "\ufeff "}, MISSING_KEY, "user", "user: blank"),
    "blank within an address": ("accelerometer", {"user": "an n@x"}, MALFORMED_EMAIL, "user", f"user: {TWO_TEXTS}"),
    "control character in an address": ("customer", {"email": "ann@x\u0000"}, MALFORMED_EMAIL, "email", f"email: {TWO_TEXTS}"),
    "seconds": (
        "step_trainer",
        {"sensorReadingTime": TIME // 1000},
        IMPLAUSIBLE_TIME,
        "sensorReadingTime",
        f"sensorReadingTime: {EARLY}",
    ),
    "zero": ("accelerometer", {"timestamp": 0}, IMPLAUSIBLE_TIME, "timestamp", f"timestamp: {EARLY}"),
    "consent in seconds": (
        "customer",
        {"shareWithResearchAsOfDate": 1},
        IMPLAUSIBLE_TIME,
        "shareWithResearchAsOfDate",
        f"shareWithResearchAsOfDate: {EARLY}",
    ),
    "registered in microseconds": (
        "customer",
        {"registrationDate": TIME * 1000},
        FUTURE_TIME,
        "registrationDate",
        f"registrationDate: {LATE}",
    ),
    "two times": (
        "customer",
        {"shareWithFriendsAsOfDate": LATEST + 1, "lastUpdateDate": LATEST + 1},
        FUTURE_TIME,
        "lastUpdateDate",
        f"lastUpdateDate: {LATE}, shareWithFriendsAsOfDate: {LATE}",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_columns(name):
    source, values, reason, column, detail = CASES[name]
    verdict = judge(changed(source, **values), source)
    assert (*told(verdict), verdict.many) == (reason, column, detail, False)


ORDER = [
    (WRONG_TYPE, {"phone": 5}),
    (MISSING_KEY, {"email": " "}),
    (MALFORMED_EMAIL, {"email": "a b"}),
    (IMPLAUSIBLE_TIME, {"shareWithPublicAsOfDate": 1}),
    (FUTURE_TIME, {"lastUpdateDate": LATEST + 1}),
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_first_reason_that_holds_is_given_with_its_columns_only(first):
    worse = {key: value for _, values in reversed(ORDER[first:]) for key, value in values.items()}
    verdict = judge(changed("customer", **worse), "customer")
    (key,) = ORDER[first][1]
    assert (verdict.reason, verdict.column) == (ORDER[first][0], key)
    assert verdict.detail.startswith(f"{key}: ")
    assert ", " not in verdict.detail.removesuffix(TWO_TEXTS)


def test_no_detail_shows_a_value():
    lines = [written(changed(source, **values)) for source, values, *_ in CASES.values()]
    lines += [line.replace(b"device-a", b"planted").replace(b"ann@", b"planted@") for line in lines]
    lines += [b"planted", b'{"planted": 1, "planted": 2}', b'{"planted": "planted}', b"[planted]", b"\xffplanted"]
    for line in lines:
        for source in SOURCES:
            verdict = judge(line, source)
            assert "planted" not in f"{told(verdict)} {verdict.drift}"


# --- times (R12) ---


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        (EARLIEST_MS - 1, IMPLAUSIBLE_TIME),
        (EARLIEST_MS, None),
        (LATEST, None),
        (LATEST + 1, FUTURE_TIME),
        (-(2**63), IMPLAUSIBLE_TIME),
        (2**63 - 1, FUTURE_TIME),
    ],
)
@pytest.mark.parametrize(("source", "key"), [("customer", "lastUpdateDate"), ("accelerometer", "timestamp")])
def test_bounds_of_a_time(source, key, time, reason):
    verdict = judge(changed(source, **{key: time}), source)
    assert verdict.reason == reason
    assert (time in verdict.values) is (reason is None)


@pytest.mark.parametrize(
    ("date", "reason"),
    [
        (-(2**63), None),
        (-1, None),
        (0, None),
        (1, IMPLAUSIBLE_TIME),
        (EARLIEST_MS - 1, IMPLAUSIBLE_TIME),
        (EARLIEST_MS, None),
        (LATEST, None),
        (LATEST + 1, FUTURE_TIME),
    ],
)
@pytest.mark.parametrize("key", ["shareWithResearchAsOfDate", "shareWithPublicAsOfDate", "shareWithFriendsAsOfDate"])
def test_bounds_of_a_consent_date(key, date, reason):
    verdict = judge(changed("customer", **{key: date}), "customer")
    assert (verdict.reason, date in verdict.values) == (reason, reason is None)


def test_each_copy_is_measured_against_its_own_file():
    row = changed(sensorReadingTime=LATEST + 1)
    assert [judge(row, modified=modified).reason for modified in (MODIFIED, MODIFIED + 1)] == [FUTURE_TIME, None]


def test_a_number_that_is_no_time_has_no_limits():
    assert judge(changed(distanceFromObject=-5)).reason is None
    assert judge(changed("customer", birthDay="1066-10-14"), "customer").reason is None


# --- keys that the contract does not know ---


def test_a_missing_key_says_what_was_met_in_its_place():
    row = changed(without=("serialNumber",), serial_number="device-a")
    verdict = judge(row)
    detail = "serialNumber: missing, met serial_number"
    assert verdict == ((TIME, None, 200), MISSING_KEY, "serialNumber", detail, False, ("serial_number",))


@pytest.mark.parametrize(
    "key", ["ann@example.com", "serial number", "serialNumber\n", "serial-number", "x" * 65, "1serialnumber"]
)
def test_a_key_that_may_say_of_somebody_is_not_told(key):
    verdict = judge(changed(without=("serialNumber",), **{key: 1}))
    assert (verdict.detail, verdict.drift) == ("serialNumber: missing", (OTHER,))


@pytest.mark.parametrize(
    ("keys", "drift"),
    [
        (["firmware"], {OTHER}),
        (["firmware", "planted"], {OTHER}),
        (["SerialNumbers"], {"SerialNumbers"}),
        (["serial_number", "sensor_reading_time", "other"], {"serial_number", "sensor_reading_time", OTHER}),
        ([""], {OTHER}),
    ],
)
def test_drift(keys, drift):
    verdict = judge(changed(**dict.fromkeys(keys, 1)))
    assert (verdict.reason, set(verdict.drift), len(verdict.drift)) == (None, drift, len(drift))
    assert verdict.values == VALUES["step_trainer"]


def test_unknown_keys_come_in_the_order_of_the_line():
    """In every process: a set would be in another order in each."""
    for keys in (["other", "serial_number", "another"], ["serial_number", "other"]):
        told = [OTHER if key != "serial_number" else key for key in keys]
        assert judge(changed(**dict.fromkeys(keys, 1))).drift == tuple(dict.fromkeys(told))


def test_a_bad_line_drifts_too_unless_it_is_malformed():
    assert judge(changed(distanceFromObject="1", firmware=1)).drift == (OTHER,)
    assert judge([*changed(firmware=1).items(), ("serialNumber", 1)]).drift == ()


# --- what can be read of a bad line (R13) ---

READABLE = changed("customer", email=" ANN@example.com", serialNumber="device-a")


@pytest.mark.parametrize(
    ("row", "read"),
    [
        ({**READABLE, "phone": 5}, ("ann@example.com", "device-a", TIME)),
        ({**READABLE, "lastUpdateDate": "yesterday"}, ("ann@example.com", "device-a", None)),
        ({**READABLE, "lastUpdateDate": TIME // 1000}, ("ann@example.com", "device-a", None)),
        ({**READABLE, "lastUpdateDate": LATEST + 1}, ("ann@example.com", "device-a", None)),
        ({**READABLE, "lastUpdateDate": None}, ("ann@example.com", "device-a", None)),
        ({**READABLE, "phone": 5, "lastUpdateDate": Raw("1.65e12")}, ("ann@example.com", "device-a", TIME)),
        ({**READABLE, "phone": 5, "serialNumber": ["device-a"]}, ("ann@example.com", None, TIME)),
        ({**READABLE, "shareWithResearchAsOfDate": LATEST + 1}, ("ann@example.com", "device-a", TIME)),
        ({**READABLE, "email": "an n@example.com"}, (None, "device-a", TIME)),
        ({**READABLE, "email": " "}, (None, "device-a", TIME)),
        ({**READABLE, "email": ["ann@example.com"]}, (None, "device-a", TIME)),
        ([*READABLE.items(), ("planted", 1), ("Planted", 2)], ("ann@example.com", "device-a", TIME)),
        ([*READABLE.items(), ("SerialNumber", "device-a")], ("ann@example.com", None, TIME)),
        ([*READABLE.items(), ("lastupdatedate", TIME)], ("ann@example.com", "device-a", None)),
        ([*READABLE.items(), ("Email", "ann@example.com")], (None, "device-a", TIME)),
    ],
)
def test_readable_parts_of_a_bad_record(row, read):
    verdict = judge(row, "customer")
    assert verdict.reason
    assert (verdict.values[1], verdict.values[4], verdict.values[6]) == read


def test_nothing_is_read_of_what_is_no_object():
    line = written(READABLE)
    for broken in (line[:-1], line + line, b"[" + line + b"]", line + b"x", line.replace(b"device", b"\xff")):
        assert judge(broken, "customer").values == (None,) * 10


# --- against the oracle, which shares no code with the judge ---


@pytest.mark.parametrize("source", SOURCES)
def test_the_oracle_says_the_same_of_mutated_lines(source):
    reasons = Counter()

    @STEADY
    @given(lines(source))
    def same(line):
        found, verdict = by_oracle(line, source), judge(line, source)
        reasons[verdict.reason] += 1
        (reason,) = [reason for _, _, reason in found.quarantine] or [None]
        assert verdict.reason == reason
        assert verdict.many == bool(found.unknown)
        assert bool(verdict.drift) == bool(found.drift)
        for row, _, _ in found.rows:
            # Not only equal: 1 and 1.0 are not the same bytes in a table.
            assert list(map(repr, verdict.values)) == list(map(repr, row))
        if source == "customer" and reason:
            words = [(word.email, word.serial, word.updated) for word in found.words]
            _, email, _, _, serial, _, updated, *_ = verdict.values
            assert words == ([(email, serial, updated)] if email else [])
            assert bool(found.unnamed) == (email is None)

    same()
    # Else what was compared says little.
    possible = {None, MALFORMED, WRONG_TYPE, MISSING_KEY, IMPLAUSIBLE_TIME, FUTURE_TIME}
    assert set(reasons) == (possible | {MALFORMED_EMAIL} if oracle.SOURCES[source].email else possible)


def by_oracle(line, source):
    found = oracle.Delivered()
    oracle.read_line(line, "f", 1, MODIFIED, oracle.SOURCES[source], found)
    return found


@pytest.mark.parametrize("name", [*VALUES_OF_JSON, *LINES_OF_JSON, *MANY, *ONE])
def test_the_oracle_says_the_same_of_the_examples(name):
    text = {**LINES_OF_JSON, **MANY, **ONE}.get(name) or f'{{"other": {VALUES_OF_JSON[name]}, {LINE[1:]}'
    line = text.encode("utf-8", "surrogateescape")
    found, verdict = by_oracle(line, "step_trainer"), judge(line)
    assert ([verdict.reason] if verdict.reason else []) == [reason for _, _, reason in found.quarantine]
    assert verdict.many == bool(found.unknown)
    assert [verdict.values] * (verdict.reason is None) == [tuple(row) for row, _, _ in found.rows]
