"""Reading landing files: every line is good, or bad for one reason and at one place, on every engine, whatever it is."""

import ast
import gzip
import itertools
import json
import random
from collections import Counter
from pathlib import Path

import landed
import line_examples
import oracle
import pytest
from hypothesis import given, settings
from lakehouse import engines
from lakehouse.lines import LONGEST_LINE
from landed import CONTRACTS, SECONDS, as_bytes, assert_as_judged, bad, delivery, lines, listed, read, write
from line_examples import (
    CUSTOMER,
    LATEST,
    LINES,
    MODIFIED,
    OPEN,
    SAMPLE,
    SOURCES,
    STEADY,
    STEP,
    TIME,
    Raw,
    changed,
    quoted,
    step,
    without,
)
from support import Lake, T

CASES = [(source, name) for source, examples in LINES.items() for name in examples]


reader = pytest.fixture(scope="module", params=[engines.DUCKDB, engines.SPARK])(landed.reader)


@pytest.fixture
def lake(tmp_path):
    """Landing files only: no tables."""
    return Lake(tmp_path)


# --- the corpus ---

EXAMPLES = {**line_examples.LINES_OF_JSON, **line_examples.MANY, **line_examples.ONE}
EMAILS = json.loads(Path(__file__).resolve().parents[2].joinpath("data", "emails.json").read_text(encoding="utf-8"))
# What one program or another takes for a blank, a control character, the end of a line, or another letter.
ODD = [chr(code) for code in range(0xA1)] + [
    *"\xad\u0130\u0131\u017f\u1680\u180e\u2000\u200a\u200b\u200d\u2028\u2029\u202f\u205f\u2060\u3000\u3164\ufe0f\ufeff\ufffd\uffff",
    *"\u0301\u0307\u0345\u03a3\u03c2\u03c3\u1e9e\xdf\u01c5\u1f88\ufb01\u212a\u2126\ud7ff\ue000\U0001f600\U000e0001\U0010ffff",
]


def spelled(number):
    """A whole number as several programs may write it."""
    digits = str(abs(number)).rstrip("0") or "0"
    yield from (str(number), f"{number}.0", f"{number}e0", f"{number}0e-1", f"{number}.5")
    yield f"{'-' if number < 0 else ''}{digits}E+{len(str(abs(number))) - len(digits)}"


def at_the_edges(source):
    """Texts, numbers, times and keys where R11, R12 and R16 draw a line."""
    known = oracle.SOURCES[source]
    for key, kind in known.columns.items():
        if kind == "string":
            values = [f"{before}{odd}{after}" for odd in ODD for before, after in (("", ""), ("", "a"), ("a", "b"), ("a", ""))]
            values += [case["written"] for case in EMAILS]
            for value in values:
                yield line_examples.written(changed(source, **{key: Raw(quoted(value))}))
                yield line_examples.written(changed(source, **{key: value}))
        elif kind == "double":
            tokens = [*line_examples.HARD_TO_ROUND, *line_examples.WHOLE, *line_examples.NO_INT, "1e308", "1e309", "1e-324"]
            yield from (line_examples.written(changed(source, **{key: Raw(token)})) for token in tokens)
        else:
            edges = [0, -1, 1, TIME, oracle.EARLIEST_MS - 1, oracle.EARLIEST_MS, LATEST, LATEST + 1, 10**17, 10**18 - 1, 10**18]
            edges += [sign * 2**bits + one for bits in (31, 63) for sign in (1, -1) for one in (0, -1)]
            tokens = [token for edge in edges for token in spelled(edge)] + ["-0", *line_examples.WHOLE, *line_examples.NO_INT]
            yield from (line_examples.written(changed(source, **{key: Raw(token)})) for token in tokens)
        spellings = {change(key) for change in (str.upper, str.lower, str.swapcase, str.title)}
        spellings |= {key.replace(*letters) for letters in ("i\u0130", "i\u0131", "s\u017f")} | {f"{key} ", f"\ufeff{key}"}
        for spelling in sorted(spellings):
            value = changed(source).get(key)
            yield line_examples.written({**changed(source, without=[key]), spelling: value})
            yield line_examples.written({**changed(source), spelling: value})


def small(source):
    """Lines of every kind but long ones."""
    corpus = [as_bytes(line) for line, _ in LINES[source].values()]
    return [line for line in corpus if len(line) < LONGEST_LINE / 2]


@pytest.fixture(scope="module")
def lines_lake(tmp_path_factory):
    """All lines, what is known of JSON, numbers, texts and times; and the lines once more in files of other kinds."""
    lake = Lake(tmp_path_factory.mktemp("lines"))
    for source in SOURCES:
        few = small(source)
        text = lines(*few)
        ends = itertools.cycle([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\r\n \n"])
        third = len(text) // 3
        contents = {
            "a.json": lines(*(line for line, _ in LINES[source].values())),
            "edges.json": lines(*at_the_edges(source)),
            "examples.json": lines(*(text.encode("utf-8", "surrogateescape") for text in EXAMPLES.values())),
            "values.json": lines(*(as_other(source, token) for token in line_examples.VALUES_OF_JSON.values() if token)),
            "windows.json": lines(*few, end=b"\r\n"),
            "returns.json": lines(*few, end=b"\r"),
            "mixed.json": b"".join(line + next(ends) for line in few),
            "marked.json": oracle.BYTE_ORDER_MARK + text,
            "twice marked.json": oracle.BYTE_ORDER_MARK * 2 + text,
            "open.json": b"\n" + text.rstrip(b"\n"),
            "packed.json.gz": gzip.compress(oracle.BYTE_ORDER_MARK + text),
            "members.json.gz": b"".join(map(gzip.compress, (text[:third], text[third : third + 1], b"", text[third + 1 :]))),
            "12:00 +%41 ger\u00e4t.json": oracle.BYTE_ORDER_MARK + lines(*few, end=b"\r\n"),
            "PACKED.NDJSON.GZ": gzip.compress(lines(*few, end=b"\r")),
        }
        for name, content in contents.items():
            write(lake, name, content, source)
    return lake


def as_other(source, token):
    """A good line with a token for the value of a key that the contract does not know."""
    return b'{"other": %s, %s' % (token.encode("utf-8", "surrogateescape"), line_examples.written(changed(source))[1:])


@pytest.fixture(scope="module")
def found(reader, lines_lake):
    """What became of the lines, by source: each is as the judge and the oracle say."""
    return {source: assert_as_judged(reader, lines_lake, source) for source in SOURCES}


def test_engines_judge_and_oracle_say_the_same_of_every_line_in_every_file(found):
    for source in SOURCES:
        assert len(found[source].rows) > 10 * len(small(source))


@pytest.fixture(scope="module")
def reasons(found):
    rows = [(source, row) for source in SOURCES for row in bad(found[source]) if row[0] == "a.json"]
    return {(source, position): reason for source, (_, position, reason, _, _) in rows}


@pytest.mark.parametrize(("source", "name"), CASES, ids=[f"{source}: {name}" for source, name in CASES])
def test_a_line_is_good_or_bad_for_its_reason(reasons, source, name):
    assert reasons.get((source, list(LINES[source]).index(name) + 1)) == LINES[source][name][1]


def test_no_good_row_is_without_a_key_and_no_number_is_none(found):
    for source in SOURCES:
        required = [place for place, column in enumerate(CONTRACTS[source].columns) if column.required]
        good = [row for row in found[source].rows if row[-2] == "None"]
        assert good
        for row in good:
            for place in required:
                assert row[place] != "None"
                assert oracle.trimmed(str(ast.literal_eval(row[place]))).lower() not in ("", "nan", "inf", "-inf")


@pytest.fixture(scope="module")
def few_lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("few"))
    for source in SOURCES:
        lake.deliver(source, *small(source), modified=SECONDS)
    return lake


@pytest.mark.parametrize("source", LINES)
def test_good_rows_and_bad_ones_are_counted_each_for_its_reason(reader, few_lake, source):
    of = delivery(reader, few_lake, source)
    wanted = Counter(reason for line, reason in LINES[source].values() if len(as_bytes(line)) < LONGEST_LINE / 2)
    good = wanted.pop(None)
    assert (of.found.good, of.found.quarantined) == (good, wanted)
    assert of.found.read == good + wanted.total() == len(small(source))
    assert reader.fetch("select count(*) from good", good=of.rows) == [(good,)]


# --- spoilt lines ---

SPOILT_STEPS = [STEP, step(firmware=1), step(serialNumber=5, firmware=1), step(serialNumber=None), step(serialNumber={"a": 1})]


def spoilt_lines(number, rows=SPOILT_STEPS):
    """Good lines with a few characters of JSON added, removed or exchanged: the same ones every time."""
    dice = random.Random(4)
    pieces = [*'"{}[],:\\-1 .', "null", "e5", "true", '"a"', '"a": 1, ', '{"a": 1}', "{}", "\ufeff"]
    for _ in range(number):
        text = json.dumps(dice.choice(rows))
        for _ in range(dice.choice((1, 1, 2, 3))):
            at = dice.choice((dice.randrange(len(text) + 1), len(text)))
            text = text[:at] + dice.choice([*pieces, ""]) + text[at + dice.choice((0, 0, 1, 2)) :]
        yield text


@pytest.fixture(scope="module")
def spoilt_lake(tmp_path_factory):
    """By source: lines that were good once, and what hypothesis makes of usual lines by one edit, or of good ones by many."""
    lake = Lake(tmp_path_factory.mktemp("spoilt"))
    nulls = {**CUSTOMER, "phone": None, "registrationDate": None, "shareWithResearchAsOfDate": None}
    lake.deliver("step_trainer", *spoilt_lines(4000), name="a.json", modified=SECONDS)
    customers = spoilt_lines(2000, [CUSTOMER, nulls, without(CUSTOMER, "customerName")])
    lake.deliver("customer", *customers, name="a.json", modified=SECONDS)
    for source in SOURCES:
        for name, strategy, number in (("edited", line_examples.edited, 1500), ("mutated", line_examples.lines, 500)):
            # All at once: an engine is quick with many lines, and slow with one.
            lake.deliver(source, *drawn(strategy(source), number), name=f"{name}.json", modified=SECONDS)
    return lake


def drawn(strategy, number):
    """So many lines, the same ones every time."""
    met = []

    @settings(STEADY, max_examples=number)
    @given(strategy)
    def meet(line):
        met.append(line)

    meet()
    return met


@pytest.mark.parametrize("source", SOURCES)
def test_spoilt_lines_are_judged_as_the_judge_and_the_oracle_judge_them(reader, spoilt_lake, source):
    """Engines against the judge, and against the oracle, which shares nothing with them."""
    found = assert_as_judged(reader, spoilt_lake, source)
    reasons = Counter(row[-2] for row in found.rows)
    wanted = {None, "malformed", "wrong_type", "missing_key", "implausible_time", "future_time"}
    assert set(reasons) == {repr(reason) for reason in (wanted | {"malformed_email"} if CONTRACTS[source].address else wanted)}
    assert reasons["None"] > 100
    assert reasons.total() - reasons["None"] > 500


@pytest.mark.parametrize("source", ["step_trainer"])
def test_keys_that_the_contract_does_not_know_are_those_that_the_oracle_does_not(reader, spoilt_lake, source):
    drift = delivery(reader, spoilt_lake, source, [one for one in listed(spoilt_lake, source) if "a.json" in one.key]).found.drift
    expected = oracle.Delivered()
    for number, line in enumerate(spoilt_lines(4000), start=1):
        oracle.read_line(line.encode(), "a.json", number, MODIFIED, oracle.SOURCES[source], expected)
    assert drift.pop("(other)") > 100
    assert drift.items() <= expected.drift.items()


def test_a_line_is_judged_alike_whatever_else_is_in_its_file(reader, tmp_path_factory):
    """Every line in a file of its own."""
    lake = Lake(tmp_path_factory.mktemp("apart"))
    for number, line in enumerate([*small("step_trainer"), *spoilt_lines(150)]):
        lake.deliver("step_trainer", line, STEP, name=f"{number:04}.json", modified=SECONDS)
    assert_as_judged(reader, lake, "step_trainer")


# --- good rows ---


def test_rows_have_contract_columns_types_and_their_file(reader, lake):
    row = {**CUSTOMER, "shareWithResearchAsOfDate": T + 5, "unknownKey": 1}
    lake.deliver("customer", row, "{", name="a +%.json", modified=SECONDS)
    rows = delivery(reader, lake, "customer").rows
    assert dict(rows.columns) == {**CONTRACTS["customer"].types, "file_path": "string", "file_modified": "bigint"}
    (row,) = reader.fetch("select * from good", good=rows)
    values = dict(zip(rows.columns, row, strict=True))
    assert {name: value for name, value in values.items() if value is not None} == {
        "customername": "Ann",
        "email": "ann@example.com",
        "lastupdatedate": TIME,
        "sharewithresearchasofdate": T + 5,
        "file_path": "customer/landing/a +%.json",
        "file_modified": MODIFIED,
    }


def test_whole_numbers_are_doubles_too_and_there_is_one_zero(reader, lake):
    signed = line_examples.written({**SAMPLE, "x": Raw("-0"), "y": Raw("-1e-400"), "z": 2, "a": 1})
    lake.deliver("accelerometer", {**SAMPLE, "x": 1, "y": -0.0, "z": 0}, signed)
    rows = reader.fetch("select x, y, z from good order by z", good=delivery(reader, lake, "accelerometer").rows)
    assert [[str(value) for value in row] for row in rows] == [["1.0", "0.0", "0.0"], ["0.0", "0.0", "2.0"]]


def test_texts_come_with_their_escapes_resolved(reader, lake):
    texts = ['a"\\/\n\u00e9\U0001f600', "{}}", "nul\x00l"]
    lake.deliver("step_trainer", *(step(serialNumber=text) for text in texts), *(step(serialNumber=text, a=1) for text in texts))
    rows = reader.fetch("select serialnumber from good", good=delivery(reader, lake, "step_trainer").rows)
    assert sorted(value for (value,) in rows) == sorted(texts * 2)


def test_a_row_is_bad_whichever_columns_a_query_uses(reader, lake):
    lake.deliver("customer", CUSTOMER, {**CUSTOMER, "registrationDate": "yesterday"})
    of = delivery(reader, lake, "customer")
    assert reader.fetch("select email from good where email is not null", good=of.rows) == [("ann@example.com",)]
    assert of.found.quarantined == {"wrong_type": 1}


def test_the_future_is_counted_from_each_files_own_modification(reader, lake):
    row = step(sensorReadingTime=LATEST + 1)
    lake.deliver("step_trainer", row, name="early.json", modified=SECONDS)
    lake.deliver("step_trainer", row, name="late.json", modified=SECONDS + 1)
    ((file, _, reason, *_),) = bad(read(reader, lake, "step_trainer"))
    assert (file, reason) == ("early.json", "future_time")


# --- keys that the contract does not know ---


def test_unknown_keys_are_counted_and_named_when_the_contract_could_have_meant_them(reader, lake):
    unknown = {"serial_number": 1, "model_2": None}
    lake.deliver("step_trainer", STEP, {**STEP, **unknown}, step(serial_number={"a": 1}), step(serialNumber=""), "{")
    lake.deliver("step_trainer", step(serialNumber=5, serial_number=1), OPEN + ', "firmware": 1, "firmware": 2}')
    # Of the bad rows those that are not malformed count too.
    assert delivery(reader, lake, "step_trainer").found.drift == {"serial_number": 3, "(other)": 1}


def test_unknown_keys_that_look_like_no_name_are_not_shown(reader, lake):
    odd = ("ann@example.com", "1st", "", "two words", "serialNumber" + "n" * 65, "ger\u00e4t", "serial_number\n", "serialnumber ")
    lake.deliver("step_trainer", *({**STEP, key: 1} for key in odd), {**STEP, **dict.fromkeys(("serial_number", *odd), 1)})
    assert delivery(reader, lake, "step_trainer").found.drift == {"(other)": len(odd) + 1, "serial_number": 1}


def test_no_more_than_the_most_frequent_unknown_keys_are_told(reader, lake):
    spelled = (f"{'_' * n}serialNumber" for n in range(1, 31))
    lake.deliver("step_trainer", *({**STEP, key: 1} for key in spelled), *[step(serial_number=1)] * 2)
    drift = delivery(reader, lake, "step_trainer").found.drift
    assert (len(drift), drift["serial_number"]) == (20, 2)
