"""Landing files as a whole: their names, kinds and ends; those that are damaged, and those that are not as they were listed."""

import gzip
import io
import json
import os
import tempfile
import traceback
from dataclasses import replace

import landed
import oracle
import pyarrow as pa
import pytest
from lakehouse import engines, files, intake, tables
from lakehouse.engines import landing as landing_lines
from lakehouse.errors import LakehouseError
from lakehouse.lines import LONGEST_LINE, Judge
from lakehouse.storage import FolderStore
from landed import CONTRACTS, SECONDS, assert_as_judged, bad, delivery, is_damaged, lines, listed, read, write
from line_examples import STEP, TIME, step
from support import Lake, both_engines, customer

reader = pytest.fixture(scope="module", params=[engines.DUCKDB, engines.SPARK])(landed.reader)
PREFIX = "step_trainer/landing/"


@pytest.fixture
def landing(tmp_path):
    """Landing files only: no tables."""
    return Lake(tmp_path)


def distances(found):
    """Of the good rows."""
    return sorted(int(row[2]) for row in found.rows if row[-2] == "None")


# --- kinds of files ---


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A good row in each file tells by its distance that the file was read."""
    lake = Lake(tmp_path_factory.mktemp("files"))
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
    write(lake, "mark alone.json", b"\xef\xbb\xbf")
    write(lake, "half a mark.json", b"\xef\xbb")
    write(lake, "mark and blanks.json.gz", gzip.compress(b"\xef\xbb\xbf \r\n\r\n"))
    write(lake, "nothing.json.gz", gzip.compress(b""))
    # A gzip that says it is none; some of its bytes are line ends.
    write(lake, "hidden.json", gzip.compress(lines(*(step(serialNumber=f"{n**3}") for n in range(2000)))))
    write(lake, "members.json.gz", gzip.compress(lines(rows[11])) + gzip.compress(lines("x", rows[12])))
    write(lake, "nul.json", lines(rows[13], "\x00", "\x00" * 1000, json.dumps(STEP) + "\x00", "\x00{", rows[14]))
    return lake


def test_files_of_all_kinds_are_read(reader, kinds):
    found = assert_as_judged(reader, kinds, "step_trainer")
    assert distances(found) == list(range(1, 15))


def test_bad_rows_have_the_number_of_their_line(reader, kinds):
    """Also behind blank lines, and whatever ends a line. A gzip that says it is none is one row, at position 0."""
    assert [row for row in bad(read(reader, kinds, "step_trainer")) if not row[0].startswith("nul")] == [
        ("below.json", 2, "malformed", "{", "utf-8"),
        ("blank.json", 6, "malformed", "x", "utf-8"),
        ("half a mark.json", 1, "malformed", "77s=", "base64"),
        ("hidden.json", 0, "malformed", None, None),
        ("marked.json", 2, "malformed", "{", "utf-8"),
        ("members.json.gz", 2, "malformed", "x", "utf-8"),
        ("returns.json", 3, "malformed", "{", "utf-8"),
        ("windows.json", 3, "malformed", "{", "utf-8"),
    ]


def no_text():
    """Files that begin as none of lines does, also packed: a good row in each would pass if it were taken for lines."""
    for number, magic in enumerate(files.NO_TEXT):
        content = magic + lines("", STEP, "{", STEP)
        yield f"{number}.json", content
        yield f"{number} alone.json", magic
        yield f"{number} marked.json", oracle.BYTE_ORDER_MARK + content
        yield f"{number}.json.gz", gzip.compress(content)
    yield "utf-16.json", json.dumps(STEP).encode("utf-16")
    yield "twice packed.json.gz", gzip.compress(gzip.compress(lines(STEP)))
    yield "ABC:.JSON.GZ", gzip.compress(b"PK\x03\x04" + lines("", STEP))


def test_of_a_file_that_is_no_text_nothing_passes(reader, landing):
    names = [name for name, _ in no_text()]
    for name, content in no_text():
        write(landing, name, content)
    write(landing, "good.json", lines(STEP, "PK\x03\x04", "{"))
    write(landing, "later.json", lines("", "PAR1", STEP))
    found = read(reader, landing, "step_trainer")
    whole = sorted((name, 0, "malformed", None, None) for name in names)
    assert [row for row in bad(found) if row[0] not in ("good.json", "later.json")] == whole
    assert {row[5] for row in found.rejected if row[2] == "0"} == {repr(files.IS_NO_TEXT)}
    assert {row[6] for row in found.rejected if row[2] == "0"} == {"True"}
    rows = [*(PREFIX + name for name in names), *[f"{PREFIX}good.json"] * 3, *[f"{PREFIX}later.json"] * 2]
    assert sorted(row[3] for row in found.rows) == sorted(map(repr, rows))
    only_good = [one for one in listed(landing, "step_trainer") if one.key.endswith(("good.json", "later.json"))]
    assert_as_judged(reader, landing, "step_trainer", only_good)


def test_of_no_file_there_is_no_row(reader, landing):
    found = read(reader, landing, "step_trainer", [])
    assert found == ([], [])
    assert delivery(reader, landing, "step_trainer", []).found.read == 0


LONG = {
    "good": lines(STEP)[:-2].ljust(LONGEST_LINE - 1) + b"}",
    "good and ended": lines(STEP)[:-2].ljust(LONGEST_LINE - 1) + b"}\n",
    "good and ended as on Windows": lines(STEP)[:-2].ljust(LONGEST_LINE - 1) + b"}\r\n",
    "a byte too long": lines(STEP)[:-2].ljust(LONGEST_LINE) + b"}\n",
    "a byte too long, and blank": lines(STEP)[:-1].ljust(LONGEST_LINE + 1) + b"\r\n",
    "blank": b" " * (LONGEST_LINE + 5) + b"\n",
    "longer than what is read at once": b'{"a": "' + b"x" * (files.PIECE + 5) + b'"}\n' + lines(STEP),
    "spaces": b"{" + b" " * (LONGEST_LINE - 500) + lines(STEP)[1:],
    "no UTF-8": b"\xff" * (LONGEST_LINE + 1),
    "letters of two bytes": json.dumps(step(serialNumber="\u00e9" * (LONGEST_LINE // 2 - 50)), ensure_ascii=False).encode(),
    "letters of two bytes, too long": json.dumps(step(serialNumber="\u00e9" * (LONGEST_LINE // 2)), ensure_ascii=False).encode(),
}


def test_long_lines(reader, landing):
    for name, content in LONG.items():
        write(landing, f"{name}.json", content)
        write(landing, f"{name}.json.gz", gzip.compress(content))
    found = assert_as_judged(reader, landing, "step_trainer")
    assert len(distances(found)) == 2 * 6
    assert len(found.rejected) == 2 * 5


# --- names ---

ODD_NAMES = (
    "with space.json",
    "[a-b]*{c,d}?.json",
    "50% of it.json",
    "%41.json",
    "a+b.json",
    "a+b&c=d;e,f.json",
    "c#d.json",
    "back\\slash.json",
    "ger\u00e4t-\U0001f600.json",
    "gera\u0308t.json",
    "day=2026-05-01/part.json",
    "[with] space.json.gz",
    "lines.jsonl",
    "LINES.NDJSON",
    " .json",
    "quote'\".json",
    "line\nend.json",
)
# Those that Spark would take for something else.
STRANGE_NAMES = (
    "2026-11-26T10:00:00.json",
    "day:1/part +%.json",
    "PACKED.JSON.GZ",
    "packed.ndjson.Gz",
    "s3://b/c.json",
    "x//y//z.json",
)


def packed_by_name(name, content):
    return gzip.compress(content) if name.lower().endswith(".gz") else content


@pytest.mark.parametrize(
    "names", [ODD_NAMES[:1], ODD_NAMES, STRANGE_NAMES, (*ODD_NAMES, *STRANGE_NAMES)], ids=["one", "many", "strange", "all"]
)
def test_file_names_are_no_patterns(reader, landing, names):
    for number, name in enumerate(names):
        content = lines(step(distanceFromObject=number), "{")
        write(landing, name, packed_by_name(name, content))
    # Folders have no empty name in them, but objects on S3 have.
    slashes = {PREFIX + name.replace("//", "/"): PREFIX + name for name in names}
    objects = [replace(one, key=slashes[one.key]) for one in listed(landing, "step_trainer")]
    # What the names would match if they were patterns.
    for name in ("aXc.json", "A.json", "a b.json", "a.json"):
        write(landing, name, lines("not to be read"))
    found = assert_as_judged(reader, landing, "step_trainer", objects)
    assert distances(found) == list(range(len(names)))
    assert sorted(row[0] for row in found.rejected) == sorted(repr(PREFIX + name) for name in names)
    assert sorted(row[3] for row in found.rows) == sorted([repr(PREFIX + name) for name in names] * 2)


def test_landing_files_are_json_and_gzip_also_below_and_nothing_else(landing):
    for name in ("a.json", "b.json.gz", "2026/05/c.json", "README.txt", "_tmp/d.json", ".e.json", "f.json.bak"):
        write(landing, name, lines(STEP))
    found, ignored = intake.delivered(FolderStore(landing.folder), PREFIX)
    assert [one.key.removeprefix(PREFIX) for one in found] == ["2026/05/c.json", "a.json", "b.json.gz"]
    assert ignored == {
        "hidden": intake.Ignored(2, f"{PREFIX}.e.json"),
        "unknown_name": intake.Ignored(2, f"{PREFIX}README.txt"),
    }


# --- pieces of files ---


def numbered():
    """Lines, blank ones among them, some of which are bad; and the numbers of these."""
    wrong = {n for n in range(1, 3001) if n % 250 == 0}
    return [f"bad {n}" if n in wrong else "" if n % 7 == 0 else step(distanceFromObject=n) for n in range(1, 3001)], sorted(wrong)


def assert_numbered(found, wrong):
    assert [row[:2] for row in bad(found)] == [(file, n) for file in ("a.json", "b.json", "c.json.gz", "d:.json") for n in wrong]
    assert all(line == f"bad {position}" for _, position, _, line, _ in bad(found))


@pytest.fixture
def cut(landing):
    content, _ = numbered()
    for name in ("a.json", "b.json", "c.json.gz", "d:.json"):
        write(landing, name, packed_by_name(name, lines(*content)))
    return landing


def test_positions_hold_over_the_pieces_of_a_file(reader, cut, monkeypatch):
    monkeypatch.setattr(files, "PIECE", 1000)
    found = read(reader, cut, "step_trainer")
    assert_numbered(found, numbered()[1])


CONTENTS = [
    b"",
    b"a",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\r",
    b"a\nb\rc\r\nd\n\n\r\r\n\r\n",
    b"\xef\xbb\xbfa\r\n\xef\xbb\xbfb\r",
    b"\xef\xbb\xbf",
    b"\xef\xbb",
    b"\xef\xbb\xbf\r\n",
    b"a\x85b\x0bc\x0cd\xe2\x80\xa8e\x1cf\x00g\n",
]


@pytest.mark.parametrize("content", CONTENTS)
def test_lines_are_the_same_wherever_a_file_is_cut(content):
    wanted = content.removeprefix(oracle.BYTE_ORDER_MARK).splitlines()
    for first in range(len(content) + 1):
        for second in range(first, len(content) + 1):
            parts = [content[:first], content[first:second], content[second:]]
            pieces = list(files.whole_lines(iter(parts)))
            assert [line for piece in pieces for line in files.split(piece)] == wanted
            assert b"".join(pieces) == content.removeprefix(oracle.BYTE_ORDER_MARK)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("content", CONTENTS)
def test_members_of_a_gzip_are_one_file_however_it_is_read(content, size, monkeypatch):
    monkeypatch.setattr(files, "PIECE", size)
    packed = b"".join(gzip.compress(content[place : place + 3]) for place in range(0, len(content) + 1, 3))
    assert b"".join(files.pieces(io.BytesIO(packed), packed=True)) == content
    assert b"".join(files.pieces(io.BytesIO(content), packed=False)) == content


# --- files that cannot be read to their end ---


def packed(*rows):
    return gzip.compress(lines(*rows), mtime=0)


DAMAGED = {
    "truncated": packed(*({**STEP, "sensorReadingTime": TIME + n**3} for n in range(5000)))[:-1000],
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
    # More than is read at once is good before it.
    "truncated late": gzip.compress(lines(STEP) * 1000 + (b" " * 999_999 + b"\n") * 20 + lines(STEP))[:-9],
}
WHOLE = {
    "one": packed(STEP),
    "bad lines": packed("{", "x"),
    "two members": packed(STEP) * 2,
    "of nothing": packed(),
    "large": gzip.compress((b" " * 999_999 + b"\n") * 50),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_good_gzip_is_not_damaged(name):
    assert not is_damaged(io.BytesIO(WHOLE[name]))


@pytest.mark.parametrize("size", [1, 7, files.PIECE])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_gzip_is_told(name, size, monkeypatch):
    if size < files.PIECE and len(DAMAGED[name]) > 1000:
        size *= 100
    monkeypatch.setattr(files, "PIECE", size)
    assert is_damaged(io.BytesIO(DAMAGED[name]))


def test_of_a_damaged_gzip_nothing_passes(reader, landing):
    names = [f"{name}{suffix}" for name in DAMAGED for suffix in (".json.gz", ": .JSON.GZ")]
    for name in names:
        write(landing, name, DAMAGED[name.partition(": ")[0].removesuffix(".json.gz")])
    for name in sorted(WHOLE.keys() - {"large"}):
        write(landing, f"whole {name}.json.gz", WHOLE[name])
    found = assert_as_judged(reader, landing, "step_trainer")
    keys = {f"{PREFIX}whole {name}.json.gz" for name in ("one", "bad lines", "two members")}
    assert {row[3] for row in found.rows} == {*map(repr, keys), *(repr(PREFIX + name) for name in names)}
    assert sorted(row[0] for row in found.rejected if row[2] == "0") == sorted(repr(PREFIX + name) for name in names)
    assert {row[3:7] for row in found.rejected if row[2] == "0"} == {("'malformed'", "None", repr(files.IS_DAMAGED), "True")}
    of = delivery(reader, landing, "step_trainer")
    assert (of.found.good, of.found.quarantined) == (3, {"malformed": len(names) + 2})
    assert {file for (file,) in reader.fetch("select file_path from good", good=of.rows)} <= keys


@pytest.mark.parametrize("error", [ConnectionResetError, PermissionError, TimeoutError])
def test_what_keeps_a_file_from_being_read_is_no_damage(error):
    class Unreachable(io.BytesIO):
        def read(self, *_):
            raise error("planted")

    with pytest.raises(error):
        is_damaged(Unreachable())


# --- files that are not as they were listed ---


def again(content):
    def put(path):
        path.write_bytes(content)
        os.utime(path, (SECONDS + 1, SECONDS + 1))

    return put


CHANGED = {
    "gone": lambda path: path.unlink(),
    "of the same content, later": lambda path: os.utime(path, (SECONDS + 1, SECONDS + 1)),
    "longer": again(lines(step(serialNumber="planted")) * 2),
    "empty": again(b""),
    "bad": again(b"planted"),
    "in its place a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("a.json", change) for change in CHANGED),
        *((name, change) for name in ("a.json.gz", "a: .json") for change in ("gone", "longer")),
    ],
)
def test_an_object_that_is_not_as_it_was_listed_fails_the_run_with_its_key_and_no_value(reader, landing, name, change):
    content = lines(step(serialNumber="planted"), "planted")
    write(landing, "good.json", lines(STEP))
    file = write(landing, name, packed_by_name(name, content))
    objects = listed(landing, "step_trainer")
    CHANGED[change](file)
    with pytest.raises(LakehouseError) as caught:
        _ = delivery(reader, landing, "step_trainer", objects).found
    assert str(caught.value).startswith(f"{PREFIX}{name} cannot be read now (FileNotFoundError), so nothing was written; ")
    assert "planted" not in str(caught.value)


def test_an_object_is_read_once_though_it_is_put_anew_before_all_is_asked(reader, landing):
    file = write(landing, "a.json", lines(STEP, "{", STEP))
    contract, store, objects = CONTRACTS["step_trainer"], FolderStore(landing.folder), listed(landing, "step_trainer")
    found = reader.read(contract, store, objects)
    rows = reader.fetch("select distancefromobject, reason from landed", landed=found.rows)
    again(lines(STEP, STEP, "{"))(file)
    assert reader.fetch("select distancefromobject, reason from landed", landed=found.rows) == rows
    assert reader.fetch("select position from bad", bad=found.rejected) == [(2,)]


# --- workers of Spark, here in the tests' own process ---


def worked(lake, objects, shares, numbers):
    uri = f"file://{lake.folder}"
    batch = pa.record_batch([pa.array(numbers)], names=["id"])
    return [
        row
        for rows in landing_lines.in_worker(CONTRACTS["step_trainer"], uri, objects, shares, iter([batch]))
        for row in rows.to_pylist()
    ]


@pytest.mark.parametrize("shares", [1, 2, 3, 5])
def test_shares_hold_each_object_once(landing, shares):
    for number in range(5):
        write(landing, f"{number}.json", lines(step(distanceFromObject=number), "{"))
    objects = listed(landing, "step_trainer")
    parts = [worked(landing, objects, shares, [number]) for number in range(shares)]
    rows = [(row["object"], row["distancefromobject"], row["position"]) for part in parts for row in part]
    assert sorted(rows, key=str) == sorted([*((n, n, None) for n in range(5)), *((n, None, 2) for n in range(5))], key=str)
    assert all({row["object"] % shares for row in part} == {number} for number, part in enumerate(parts))
    assert len(worked(landing, objects, shares, range(shares))) == 10


def test_a_worker_that_fails_says_no_value_and_leaves_no_scratch_files(landing, monkeypatch, tmp_path):
    """Spark tells and logs what an error says, and what was behind it."""

    def fail(*_):
        raise ValueError("planted")

    write(landing, "a.json", lines("planted"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(Judge, "judge", fail)
    with pytest.raises(LakehouseError) as caught:
        worked(landing, listed(landing, "step_trainer"), 1, [0])
    assert "planted" not in "".join(traceback.format_exception(caught.value))
    assert list(scratch.iterdir()) == []


@both_engines
def test_a_run_fails_on_a_file_that_is_put_anew_behind_its_back_and_the_next_takes_it_in(lake, monkeypatch):
    ann = customer("ann@example.com", 1000, research=500)
    lake.deliver("customer", {**ann, "customerName": "planted"}, name="a.json")
    real = intake.delivered

    def put_anew(*given):
        found = real(*given)
        lake.deliver("customer", ann, customer("ben@example.com", 1000, research=500), name="a.json")
        return found

    with monkeypatch.context() as now, pytest.raises(LakehouseError) as caught:
        now.setattr(intake, "delivered", put_anew)
        lake.run("customer_landing_to_trusted")
    assert str(caught.value).startswith(
        "customer/landing/a.json cannot be read now (FileNotFoundError), so nothing was written; see"
    )
    assert "planted" not in str(caught.value)
    assert lake.tables.version("customer_trusted") == tables.NEVER_WRITTEN
    assert lake.run("customer_landing_to_trusted")["customer_trusted"].accepted == 2
