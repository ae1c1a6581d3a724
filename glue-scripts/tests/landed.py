"""What an engine reads of landing files, and what the judge and the oracle say that it has to."""

import ast
import base64
import json
import os
from collections import Counter
from typing import NamedTuple

import oracle
import pytest
from lakehouse import contracts, engines, files
from lakehouse.delivery import Delivery
from lakehouse.lines import Judge
from lakehouse.storage import FolderStore
from line_examples import MODIFIED, SOURCES

SECONDS = MODIFIED // 1000  # when landing files here were delivered
CONTRACTS = {source: contracts.load(f"{source}_landing") for source in SOURCES}


def reader(request, tmp_path_factory):
    """A fixture, for a module: an engine that reads many lakes."""
    if request.param == engines.SPARK:
        request.getfixturevalue("spark")
    started = engines.start(request.param, f"file://{tmp_path_factory.mktemp('reader')}")
    yield started
    started.close()


class Read(NamedTuple):
    """What is found in landing files, sorted. Rows have the columns that `Landed` names, each value as Python writes it: then
    0.0 is not -0.0, and 1 not 1.0."""

    rows: list
    rejected: list


def written_out(rows):
    return sorted(tuple(map(repr, row)) for row in rows)


def listed(lake, source, *names):
    """The landing objects of a source, or those with these names."""
    found = sorted(FolderStore(lake.folder).list(f"{source}/landing/"), key=lambda one: one.key)
    return [one for one in found if not names or one.key.endswith(names)]


def read(engine, lake, source, objects=None):
    landed = engine.read(CONTRACTS[source], FolderStore(lake.folder), listed(lake, source) if objects is None else objects)
    rows = engine.fetch("select * from landed", landed=landed.rows)
    rejected = landed.rejected
    assert list(landed.rows.columns) == [*CONTRACTS[source].names, "file_path", "file_modified", "reason", "drift"]
    assert dict(rejected.columns) == {**engines.REJECTED, **CONTRACTS[source].types}
    return Read(written_out(rows), written_out(engine.fetch("select * from bad", bad=rejected)))


def judged(lake, source, objects):
    """What the judge makes of each line; the oracle unpacks files, and cuts them into lines."""
    judge, nothing = Judge(CONTRACTS[source]), [None] * len(CONTRACTS[source].columns)
    rows, rejected = [], []
    for one in objects:
        content = oracle.unpacked(lake.folder / one.key)
        if content is None:
            is_damaged = one.is_packed and oracle.gunzip((lake.folder / one.key).read_bytes()) is None
            why = files.IS_DAMAGED if is_damaged else files.IS_NO_TEXT
            rejected.append((one.key, one.modified, 0, "malformed", None, why, True, None, None, *nothing))
            rows.append((*nothing, one.key, one.modified, "malformed", None))
            continue
        for position, line in enumerate(content.removeprefix(oracle.BYTE_ORDER_MARK).splitlines(), start=1):
            if line.strip(b" \t"):
                *values, reason, column, detail, many, drift = judge.judge(line, one.modified).flat()
                rows.append((*values, one.key, one.modified, reason, drift))
                if reason:
                    where = (one.key, one.modified, position)
                    rejected.append((*where, reason, column, detail, many, *put_aside(line), *values))
    return Read(written_out(rows), written_out(rejected))


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
    if differing:
        shown = sorted(differing, key=lambda one: len(str(one)))[:6]
        pytest.fail("\n".join([f"{len(differing)} differ", *(f"{side}: {str(row)[:500]}" for side, row in shown)]))


def assert_as_judged(engine, lake, source, objects=None):
    """What an engine says of every line is what the judge says; of all files of a folder, what the oracle says."""
    everything = listed(lake, source)
    objects = everything if objects is None else objects
    found, wanted = read(engine, lake, source, objects), judged(lake, source, objects)
    assert_same(found.rejected, wanted.rejected)
    assert_same(found.rows, wanted.rows)
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


def is_damaged(file):
    """Whether what should be a gzip is none, or does not end well."""
    try:
        for _ in files.pieces(file, packed=True):
            pass
    except files.Damaged:
        return True
    return False


def as_bytes(row):
    return row if isinstance(row, bytes) else row.encode() if isinstance(row, str) else json.dumps(row).encode()


def lines(*rows, end=b"\n"):
    return b"".join(as_bytes(row) + end for row in rows)


def delivery(engine, lake, source, objects=None):
    """Of which all may be bad."""
    objects = listed(lake, source) if objects is None else objects
    return Delivery(engine, CONTRACTS[source], FolderStore(lake.folder), objects, 1.0)
