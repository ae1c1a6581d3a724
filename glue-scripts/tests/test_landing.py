"""Reading landing files: every line is good, or bad for one reason and at one place, on every engine, whatever it is."""

import ast
import base64
import gzip
import io
import itertools
import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import line_examples
import oracle
import pytest
from hypothesis import given, settings
from lakehouse import contracts, engines, files, intake
from lakehouse.delivery import Delivery
from lakehouse.errors import LakehouseError
from lakehouse.lines import LONGEST_LINE, Judge
from lakehouse.storage import FolderStore
from line_examples import CUSTOMER, LATEST, LINES, MODIFIED, SAMPLE, SOURCES, STEADY, STEP, TEXTS, TIME, Raw, changed, quoted, step, without
from support import Lake, T, both_engines

SECONDS = MODIFIED // 1000  # when the files here were delivered
CASES = [(source, name) for source, examples in LINES.items() for name in examples]
CONTRACTS = {source: contracts.load(f"{source}_landing") for source in SOURCES}


@pytest.fixture(scope="module", params=[engines.DUCKDB, engines.SPARK])
def reader(request, tmp_path_factory):
    """An engine that reads many lakes."""
    if request.param == engines.SPARK:
        request.getfixturevalue("spark")
    started = engines.start(request.param, f"file://{tmp_path_factory.mktemp('reader')}")
    yield started
    started.close()


@pytest.fixture
def lake(tmp_path):
    """Landing files only: no tables."""
    return Lake(tmp_path)


# --- what an engine reads, and what it has to ---


class Read(NamedTuple):
    """What is found in landing files, sorted. Rows have the columns that `Landed` names, each value as Python writes it: so 0.0 is
    not -0.0, and 1 not 1.0."""

    rows: list
    rejected: list
    is_clean: bool


def written_out(rows):
    return sorted(tuple(map(repr, row)) for row in rows)


def listed(lake, source, *names):
    """The landing objects of a source, or those with these names."""
    found = sorted(FolderStore(lake.folder).list(f"{source}/landing/"), key=lambda one: one.key)
    return [one for one in found if not names or one.key.endswith(names)]


def read(engine, lake, source, objects=None):
    landed = engine.read(CONTRACTS[source], FolderStore(lake.folder), listed(lake, source) if objects is None else objects)
    rows = engine.fetch("select * from landed", landed=landed.rows)
    rejected = landed.rejected()
    assert list(landed.rows.columns) == [*CONTRACTS[source].names, "file_path", "file_modified", "reason", "drift"]
    assert dict(rejected.columns) == {**engines.REJECTED, **CONTRACTS[source].types}
    return Read(written_out(rows), written_out(engine.fetch("select * from bad", bad=rejected)), landed.is_clean())


def judged(lake, source, objects):
    """What the judge makes of each line; the oracle unpacks files, and cuts them into lines."""
    judge, nothing = Judge(CONTRACTS[source]), [None] * len(CONTRACTS[source].columns)
    rows, rejected, is_clean = [], [], True
    for one in objects:
        content = oracle.unpacked(lake.folder / one.key)
        if content is None:
            is_damaged = one.is_packed and oracle.gunzip((lake.folder / one.key).read_bytes()) is None
            why = files.IS_DAMAGED if is_damaged else files.IS_NO_TEXT
            rejected.append((one.key, one.modified, 0, "malformed", None, why, True, None, None, *nothing))
            is_clean = False
            continue
        for position, line in enumerate(content.removeprefix(oracle.BYTE_ORDER_MARK).splitlines(), start=1):
            if line.strip(b" \t"):
                *values, reason, column, detail, many, drift = judge.judge(line, one.modified).flat()
                rows.append((*values, one.key, one.modified, reason, drift))
                if reason:
                    where = (one.key, one.modified, position)
                    rejected.append((*where, reason, column, detail, many, *put_aside(line), *values))
    return Read(written_out(rows), written_out(rejected), is_clean)


def put_aside(line):
    """A line as it is kept, and its encoding."""
    try:
        return line.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(line).decode(), "base64"


def assert_same(found, wanted):
    """Without printing 20 MB."""
    found, wanted = Counter(found), Counter(wanted)
    differing = [("found", row) for row in found - wanted] + [("wanted", row) for row in wanted - found]
    assert [f"{side}: {str(row)[:500]}" for side, row in sorted(differing, key=lambda one: len(str(one)))[:6]] == []


def assert_as_judged(engine, lake, source, objects=None):
    """What an engine says of every line is what the judge says; of all files of a folder, what the oracle says."""
    everything = listed(lake, source)
    objects = everything if objects is None else objects
    found, wanted = read(engine, lake, source, objects), judged(lake, source, objects)
    assert_same(found.rejected, wanted.rejected)
    assert_same(found.rows, wanted.rows)
    assert found.is_clean == wanted.is_clean
    if objects == everything:
        expected = oracle.read_source(lake.folder, source, oracle.SOURCES[source])
        good = [row[:-2] for row in found.rows if row[-2] == "None"]
        assert_same(good, [(*map(repr, row), repr(path), repr(modified)) for row, modified, path in expected.rows])
        assert_same([(row[0], row[2], row[3]) for row in found.rejected], written_out(expected.quarantine))
        assert_same([(row[0], row[2]) for row in found.rejected if row[6] == "True"], written_out(expected.unknown))
    return found


def bad(found):
    """File name, position, reason, line and encoding of the rows that cannot be used."""
    rows = [tuple(map(ast.literal_eval, row)) for row in found.rejected]
    return sorted((row[0].rsplit("/", 1)[1], row[2], row[3], row[7], row[8]) for row in rows)


def distances(found):
    """Of the good rows of step trainers."""
    return sorted(int(row[2]) for row in found.rows if row[-2] == "None")


def write(lake, name, content, source="step_trainer"):
    """A landing file as it is, byte by byte."""
    file = lake.deliver(source, name=name)
    file.write_bytes(content)
    os.utime(file, (SECONDS, SECONDS))
    return file


def as_bytes(row):
    return row if isinstance(row, bytes) else row.encode() if isinstance(row, str) else json.dumps(row).encode()


def lines(*rows, end=b"\n"):
    return b"".join(as_bytes(row) + end for row in rows)


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
            tokens = [*line_examples.HARD_TO_ROUND, *line_examples.WHOLE, *line_examples.NO_INT, "1e308", "1e309", "5e-324", "1e-324"]
            yield from (line_examples.written(changed(source, **{key: Raw(token)})) for token in tokens)
        else:
            edges = [0, -1, 1, oracle.EARLIEST_MS - 1, oracle.EARLIEST_MS, LATEST, LATEST + 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1]
            edges += [10**17, 10**18 - 1, 10**18, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, TIME]
            tokens = [token for edge in edges for token in spelled(edge)] + ["-0", *line_examples.WHOLE, *line_examples.NO_INT]
            yield from (line_examples.written(changed(source, **{key: Raw(token)})) for token in tokens)
        spellings = {change(key) for change in (str.upper, str.lower, str.swapcase, str.title)}
        spellings |= {key.replace("i", "\u0130"), key.replace("i", "\u0131"), key.replace("s", "\u017f"), f"{key} ", f"\ufeff{key}"}
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
    """All lines: a file for each source. Beside it what is known of JSON, numbers, texts and times; and the lines in other files."""
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
    return {(source, position): reason for source in SOURCES for file, position, reason, _, _ in bad(found[source]) if file == "a.json"}


@pytest.mark.parametrize(("source", "name"), CASES, ids=[f"{source}: {name}" for source, name in CASES])
def test_a_line_is_good_or_bad_for_its_reason(reasons, source, name):
    assert reasons.get((source, list(LINES[source]).index(name) + 1)) == LINES[source][name][1]
