"""Twenty people of whole data sets are forgotten: no byte of any file tells of them, and of all others nothing is lost (R17).

What is asked here of files is written apart from what the jobs know of them: bytes, and what DuckDB reads in Parquet.
"""

import gzip
import hashlib
import json
import random
import re
import shutil
import zlib
from urllib.parse import quote

import duckdb
import oracle
import pytest
from lakehouse import erasure
from support import DATABASE, TARGETS
from test_erasure import ask
from test_pipeline import SAMPLE

SOURCES = {"customer": "email", "accelerometer": "user", "step_trainer": "serialNumber"}
OLD = 1_600_000_000_000
DAY = 24 * 60 * 60 * 1000


@pytest.fixture(params=["sample", "public"])
def folder(request):
    return SAMPLE if request.param == "sample" else request.getfixturevalue("public_data")


def records(folder):
    return [json.loads(line) for file in files(folder, "customer") for line in content(file).splitlines()]


def files(root, source):
    return sorted(file for file in (root / source / "landing").rglob("*") if file.is_file())


def content(file):
    data = file.read_bytes()
    return gzip.decompress(data) if file.name.endswith(".gz") else data


def chosen(folder):
    """Twenty addresses, among them some who have a device with somebody else, and some who do not share."""
    by_serial = {}
    for one in records(folder):
        by_serial.setdefault(one["serialNumber"], set()).add(oracle.normalise(one["email"]))
    everybody = sorted({oracle.normalise(one["email"]) for one in records(folder)})
    sharing = sorted(
        {emails for emails in map(min, by_serial.values())} & {min(some) for some in by_serial.values() if len(some) > 1}
    )
    others = [email for email in everybody if email not in sharing[:4]]
    return sorted([*sharing[:4], *random.Random(1).sample(others, 20 - len(sharing[:4]))]), by_serial


def plant(lake, people):
    """What makes it hard: copies, gzips, spellings, bad lines, consent that was taken back and given again."""
    present = {
        source: [json.loads(line) for file in files(lake.folder, source) for line in content(file).splitlines()]
        for source in SOURCES
    }
    of = {oracle.normalise(one["email"]): one for one in present["customer"]}
    other = next(one for email, one in of.items() if email not in people)
    last = max(one["lastUpdateDate"] for one in present["customer"])
    for number, email in enumerate(people[:6]):
        one = of[email]
        lake.deliver(
            "customer", {**one, "email": f" {email.upper()}\t"}, other, name=f"again-{number}.json.gz", modified=3_000_000_000
        )
        lake.deliver(
            "accelerometer", f"no line {email}", present["accelerometer"][0], name=f"bad-{number}.json", modified=3_000_000_000
        )
    for number, email in enumerate(people[6:10]):
        broken = json.dumps({**of[email], "phone": 5, "lastUpdateDate": OLD, "registrationDate": OLD})
        lake.deliver("customer", broken, broken.replace("@", "\\u0040"), name=f"broken-{number}.json", modified=3_000_000_000)
    for number, email in enumerate(people[10:14]):
        gone = {**of[email], "lastUpdateDate": last + 1, "shareWithResearchAsOfDate": 0}
        back = {**gone, "lastUpdateDate": last + 2, "shareWithResearchAsOfDate": OLD}
        lake.deliver("customer", gone, back, name=f"back-{number}.json", modified=3_000_000_000)


def theirs(source, line, people, serials):
    """Whether a line of a landing file is to go: asked of its text alone."""
    text = line.decode("utf-8", "replace").replace("\\u0040", "@").lower()
    if source == "step_trainer":
        return any(f'"{serial.lower()}"' in text for serial in serials)
    return any(re.search(rf"(?<![\w.+-]){re.escape(email)}(?![\w.-])", text) for email in people if email in text)


def rows(lake):
    return {table: set(lake.rows(table)) for table in TARGETS}


def test_twenty_people_leave_no_byte_and_nobody_else_loses_a_row(lake, folder):
    for source in SOURCES:
        shutil.copytree(folder / source / "landing", lake.folder / source / "landing")
    people, by_serial = chosen(folder)
    plant(lake, people)
    lake.run(quarantined_share=1.0)
    before = rows(lake)
    delivered = {file: content(file) for source in SOURCES for file in files(lake.folder, source)}
    devices = {serial for serial, emails in by_serial.items() if emails & set(people)}
    alone = {serial for serial in devices if by_serial[serial] <= set(people)}
    ask(lake, *({"id": f"r{number}", "email": email.title()} for number, email in enumerate(people)))
    erasure.erase(erasure.Options(lake.uri, DATABASE), 4_000_000_000_000)
    entries = lake.run(quarantined_share=1.0)
    assert {entry.mode for entry in entries.values()} == {"incremental"}
    for file, data in delivered.items():
        source = file.relative_to(lake.folder).parts[0]
        left = [line for line in data.splitlines(True) if not theirs(source, line, people, alone)]
        same = (content(file) if file.exists() else b"") == b"".join(left)
        assert same, file.name
    after = rows(lake)
    subjects = {oracle.subject_id(email, serial) for serial in devices for email in by_serial[serial]}
    of = {"customer_trusted": (1, set(people)), "accelerometer_trusted": (0, set(people)), "customer_curated": (1, set(people))}
    of |= {"step_trainer_trusted": (1, devices), "machine_learning_curated": (0, subjects)}
    for table, (column, names) in of.items():
        same = after[table] == {row for row in before[table] if row[column] not in names}
        assert same, f"{table}: {len(before[table])} rows, then {len(after[table])}"
    erasure.prove(erasure.Options(lake.uri, DATABASE, "prove"))
    needles = traces(people, by_serial, devices, alone)
    found = [
        file.relative_to(lake.folder).as_posix() for file in lake.folder.rglob("*") if file.is_file() and told(file, needles)
    ]
    assert found == []


def test_the_scan_sees_what_there_is(lake, folder):
    """Before anybody is forgotten all kinds of files tell of them."""
    for source in SOURCES:
        shutil.copytree(folder / source / "landing", lake.folder / source / "landing")
    people, by_serial = chosen(folder)
    lake.run()
    needles = traces(people, by_serial, by_serial, set())
    found = {part for file in lake.folder.rglob("*") if file.is_file() and told(file, needles) for part in file.parts}
    wanted = {*TARGETS, "customer_consent", "accelerometer_index"} - {"step_trainer_trusted"}
    assert found >= wanted


def traces(people, by_serial, devices, alone):
    hashed = {*people, *alone, *(f"{email} {serial}" for serial in devices for email in by_serial[serial] if email in people)}
    texts = {*people, *alone, *map(quote, people), *(hashlib.sha256(text.encode()).hexdigest() for text in hashed)}
    return [text.lower().encode() for text in texts]


def told(file, needles):
    """Whether a file tells of them, packed or not."""
    data = file.read_bytes()
    parts = [data]
    if data[:2] == b"\x1f\x8b":
        parts.append(gzip.decompress(data))
    if data[:4] == b"PAR1":
        for text in (
            "select * from read_parquet('{}')",
            "select * from parquet_metadata('{}')",
            "select * from parquet_kv_metadata('{}')",
        ):
            table = duckdb.sql(text.format(file)).fetchall()
            parts.append("\n".join(map(str, table)).encode())
    if data[:4] == b"Obj\x01":
        # Blocks, each behind the mark that the file ends with: two numbers, and what is packed.
        for block in data.split(data[-16:])[1:-1]:
            start, numbers = 0, 0
            while numbers < 2:
                numbers += block[start] < 0x80
                start += 1
            parts.append(zlib.decompress(block[start:], -zlib.MAX_WBITS) if b"deflate" in data[:4096] else block)
    return any(needle in part.lower() for part in parts for needle in needles)
