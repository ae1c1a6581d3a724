"""What was left on purpose is found, wherever and however; what is not current goes; nobody else's data is taken for it."""

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import random
import shutil
import struct
import zipfile
import zlib
from itertools import count

import others
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from lakehouse import contents, contracts, maintenance, proof, tables
from lakehouse.errors import LakehouseError
from lakehouse.proof import ERASED, NOT_COMPLETE, NOT_ERASED, WITHHELD
from lakehouse.storage import FolderStore, open_store
from lakehouse.traces import Person
from pyarrow import orc
from support import Lake, customer, iceberg_contracts, sample, step

ANN, SERIAL, SHARED = "ann@example.com", "5a1c2e64-7b1f-4f0e-9e0a-3f6f5d1b2c3d", "a0b1c2d3-0000-4f0e-9e0a-3f6f5d1b2c3d"
PEOPLE = [Person(ANN, (SERIAL,), (SHARED,))]
OTHER, OF_OTHER = "joann@example.com", "device-of-another"
IGNORED = ("erasure/requests/", "erasure/proofs/", "erasure/state/pending.json")
LINE = json.dumps({"user": ANN, "x": 1}).encode() + b"\n"
NOBODYS = json.dumps({"user": OTHER, "x": 1}).encode() + b"\n"


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def deliver(lake, email, serial):
    lake.deliver("customer", customer(email, 1_000, 1_000, serial), name=f"{serial}.json")
    lake.deliver("accelerometer", *(sample(email, 2_000 + moment) for moment in range(5)), name=f"{serial}.json")
    lake.deliver("step_trainer", *(step(serial, 2_000 + moment) for moment in range(5)), name=f"{serial}.json.gz")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A lake in which only somebody else is, in whose place copies are put."""
    lake = Lake(tmp_path_factory.mktemp("ran") / "lake")
    lake.create_tables()
    deliver(lake, OTHER, OF_OTHER)
    lake.run()
    return lake, shutil.copytree(lake.folder, lake.folder.with_name("kept"))


@pytest.fixture
def lake(ran):
    lake, kept = ran
    shutil.rmtree(lake.folder)
    shutil.copytree(kept, lake.folder)
    # Its catalog is another file now.
    lake.tables = tables.Tables(lake.uri, lake.database)
    return lake


def put(lake, key, content):
    file = lake.folder / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def prove(lake, people=PEOPLE, results=None, store=None):
    (of,) = proof.prove(store or open_store(lake.uri), results, lake.tables, {"r1": people}, IGNORED).values()
    return of


def where(hits):
    return sorted({(one.kind, one.where) for one in hits})


def test_a_lake_without_anybody_is_erased(lake):
    versions = {contract.table: lake.snapshots(contract.table) for contract in iceberg_contracts()}
    of = prove(lake)
    assert (of.verdict, of.found, of.left, of.unreadable, of.removed) == (ERASED, (), (), (), {})
    assert {kind.partition("/")[2] for kind in of.looked_at} >= {"text", "gzip", "Parquet", "Avro"}
    files = [path for path in lake.folder.rglob("*") if path.is_file()]
    assert sum(counts["current_objects"] for counts in of.looked_at.values()) == len(files)
    assert sum(counts["current_bytes"] for counts in of.looked_at.values()) == sum(path.stat().st_size for path in files)
    assert {table: lake.snapshots(table) for table in versions} == versions


def test_the_other_one_is_found_everywhere_in_the_same_lake(lake):
    of = prove(lake, [Person(OTHER, (OF_OTHER,))])
    assert of.verdict == NOT_ERASED
    assert {place for _, place in where(of.left)} >= {
        "line 1",
        "column user",
        "column email",
        "column serialnumber",
        "column subject",
        "column subject_id",
    }


# --- files of any kind: what is found in them, and where ---


def written(table, **how):
    file = io.BytesIO()
    parquet.write_table(table, file, **how)
    return file.getvalue()


def of_column(*values, **how):
    return written(pa.table({"email": pa.array(values)}), **how)


def as_orc(*values):
    file = io.BytesIO()
    orc.write_table(pa.table({"email": list(values)}), file)
    return file.getvalue()


def zipped(content, name="a.json"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def unused_value():
    values = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), pa.array([OTHER, ANN]))
    return written(pa.table({"x": [1, 2], "email": values}))


def avro(codec, block, schema, count=1):
    def long(number):
        number, out = number << 1, b""
        while number > 0x7F:
            number, out = number >> 7, out + bytes([number & 0x7F | 0x80])
        return out + bytes([number])

    meta = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": codec}
    pairs = b"".join(long(len(one)) + one for pair in meta.items() for one in pair)
    return b"Obj\x01" + long(len(meta)) + pairs + b"\0" + b"m" * 16 + long(count) + long(len(block)) + block + b"m" * 16


NESTED = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": "skipped", "type": ["null", "long", "double", {"type": "enum", "name": "e", "symbols": ["a"]}]},
        {"name": "many", "type": {"type": "array", "items": {"type": "map", "values": "string"}}},
        {"name": "again", "type": ["null", "row"]},
    ],
}
IN_AVRO = b"\x04" + struct.pack("<d", 1.5) + b"\x02\x02\x02k\x1e" + ANN.encode() + b"\0\0" + b"\0"
IN_AVRO_OF_OTHER = b"\x00" + b"\x02\x02\x02k\x22" + OTHER.encode() + b"\0\0" + b"\0"


def deflated(block):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(block) + packer.flush()


DEEP = pa.list_(pa.struct({"k": pa.string(), "m": pa.map_("string", "binary")}))
MIXED = pa.table(
    {
        "deep": pa.array([[{"k": "v", "m": [("a", ANN.encode())]}]], DEEP),
        "fixed": pa.array([sha256("x")[:15].encode()], pa.binary(15)),
    }
)
NAMED = b"\x1f\x8b\x08\x08\0\0\0\0\0\x03ann@example.com\0" + gzip.compress(b"x")[10:]
MANY = NOBODYS * 100_000

CONTENTS = {
    "lines": (NOBODYS + LINE, "text", "line 2"),
    "lines, many": (MANY + LINE + MANY, "text", "line 100001"),
    "one long line": (b" " * (9 * 2**20) + LINE, "text", "line 1"),
    "CSV, of a query": (f'"email","n"\n"{ANN}","1"\n'.encode(), "text", "line 2"),
    "escaped by JSON": (rb'{"u":"ann\u0040example.com"}', "text", "line 1"),
    "escaped for a URL": (b"GET /?u=ANN%40example.com", "text", "line 1"),
    "base64": (b"x: " + base64.b64encode(b"y" + LINE), "text", "line 1"),
    "UTF-16": (("\ufeff" + LINE.decode()).encode("utf-16-le"), "text", "line 1"),
    "gzip": (gzip.compress(NOBODYS + LINE), "gzip", "line 2"),
    "second member of a gzip": (gzip.compress(NOBODYS) + gzip.compress(LINE), "gzip", "line 2"),
    "gzip of a gzip": (gzip.compress(gzip.compress(LINE)), "gzip", "line 1"),
    "gzip of a Parquet file": (gzip.compress(of_column(ANN)), "gzip", "column email"),
    "name in the header of a gzip": (NAMED, "gzip", "header of gzip"),
    "zstd": (pa.compress(LINE, "zstd", asbytes=True) * 2, "zstd", "line 1"),
    "lz4": (pa.compress(LINE, "lz4", asbytes=True), "lz4", "line 1"),
    "bzip2": (bz2.compress(NOBODYS) + bz2.compress(LINE), "bzip2", "line 2"),
    "xz": (lzma.compress(LINE), "xz", "line 1"),
    "zip": (zipped(gzip.compress(LINE)), "zip", "line 1"),
    "name within a zip": (zipped(b"", "ann@example.com/a.json"), "zip", "names in the archive"),
    "ORC": (as_orc(OTHER, ANN), "ORC", "column email"),
    "Parquet value": (of_column(OTHER, ANN), "Parquet", "column email"),
    "Parquet value, plain": (of_column(OTHER, None, ANN, use_dictionary=False), "Parquet", "column email"),
    "Parquet value of a later group": (of_column(*[OTHER] * 5000, ANN, row_group_size=1000), "Parquet", "column email"),
    "Parquet value, without rows": (unused_value(), "Parquet", "column email"),
    "Parquet value, nested": (written(MIXED), "Parquet", "column deep"),
    "Parquet statistic": (of_column(ANN, "b"), "Parquet", "statistic of column email"),
    "Parquet key-value metadata": (
        written(pa.table({"x": [1]}).replace_schema_metadata({"made by": ANN})),
        "Parquet",
        "key-value metadata",
    ),
    "Parquet index of pages": (of_column(ANN, "b", write_page_index=True), "Parquet", "index of pages"),
    "Avro": (avro(b"null", IN_AVRO, NESTED), "Avro", "manifest, many"),
    "Avro, deflated": (avro(b"deflate", deflated(IN_AVRO), NESTED), "Avro", "manifest, many"),
    "Avro, zstd": (avro(b"zstandard", pa.compress(IN_AVRO, "zstd", asbytes=True), NESTED), "Avro", "manifest, many"),
    "Avro, bzip2": (avro(b"bzip2", bz2.compress(IN_AVRO), NESTED), "Avro", "manifest, many"),
    "unknown bytes": (b"\0\1\2xann@example.comx" + bytes(9), "other", "bytes"),
    "its hash": (sha256(ANN).encode(), "text", "line 1"),
    "its pseudonym": (sha256(f"{ANN} {SHARED}").encode(), "text", "line 1"),
    "its device": (f"{SERIAL}\n".encode(), "text", "line 1"),
}


NOT_THEIRS = {
    "nobody's lines": MANY,
    "nobody's gzip": gzip.compress(NOBODYS),
    "nobody's Parquet": of_column(OTHER, "ann@example.com.au", write_page_index=True),
    "nobody's Parquet, nested": written(MIXED.slice(0, 0)),
    "nobody's Avro": avro(b"deflate", deflated(IN_AVRO_OF_OTHER), NESTED),
    "nobody's ORC": as_orc(OTHER),
    "nobody's zip": zipped(NOBODYS),
    "nobody's bytes": b"\0" + random.Random(0).randbytes(2**20),
    "nobody's nothing": b"",
}


def encrypted():
    content = bytearray(zipped(b"x"))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


NOISE = random.Random(0).randbytes(10_000).hex().encode() + b"\n"
LONG = gzip.compress(NOISE + LINE * 2)
NO_PARQUET, NO_AVRO = (
    f"no {name} that can be read ({error})" for name, error in (("Parquet", "ArrowInvalid"), ("Avro", "ValueError"))
)
UNREADABLE = {
    "half a gzip": (LONG[:5000], "a damaged gzip", False),
    "damaged at its end": (LONG[:-8] + bytes(8), "a damaged gzip", True),
    "cut gzip": (LONG[:-9], "a damaged gzip", True),
    "gzip with garbage behind": (gzip.compress(LINE) + b"garbage", "a damaged gzip", True),
    "cut Parquet file": (of_column(ANN, compression="none")[:-9], NO_PARQUET, True),
    "cut Avro file": (avro(b"null", IN_AVRO, NESTED)[:-9], NO_AVRO, True),
    "text that begins like ORC": (b"ORCHARD\n" + LINE, "no ORC that can be read (OSError)", True),
    "damaged zstd": (pa.compress(NOISE + LINE, "zstd", asbytes=True)[:-9] + b"\xff" * 9, "a damaged zstd", False),
    "encrypted archive": (encrypted(), "an encrypted archive", False),
    "framed snappy": (b"\xff\x06\0\0sNaPpY" + b"x", "a damaged snappy", False),
}


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    """All of these in one lake, each as a landing file by its name, and its proofs: of Ann, and of nobody."""
    lake = Lake(tmp_path_factory.mktemp("landed") / "lake")
    lake.create_tables()
    files = {name: content for name, (content, *_) in [*CONTENTS.items(), *UNREADABLE.items()]} | NOT_THEIRS
    for name, content in files.items():
        put(lake, f"accelerometer/landing/{name}", content)
    asked = {"ann": PEOPLE, "nobody": [Person("nobody@example.com")]}
    return proof.prove(open_store(lake.uri), None, lake.tables, asked, IGNORED)


def named(some, name):
    return [one for one in some if one.key == f"accelerometer/landing/{name}"]


@pytest.mark.parametrize("name", CONTENTS)
def test_content_of_any_kind_is_looked_into(landed, name):
    _, kind, at = CONTENTS[name]
    hits = named(landed["ann"].left, name)
    assert (f"landing/{kind}", at) in where(hits)
    assert {one.kind for one in hits} == {f"landing/{kind}"}
    assert named(landed["ann"].unreadable, name) == named(landed["nobody"].left, name) == []


@pytest.mark.parametrize("name", NOT_THEIRS)
def test_nobody_elses_content_is_a_hit(landed, name):
    assert named(landed["ann"].left, name) == named(landed["ann"].unreadable, name) == []


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_looked_into_is_listed_and_looked_at_as_far_as_can_be(landed, name):
    _, reason, is_found = UNREADABLE[name]
    assert [bad.reason.partition(":")[0] for bad in named(landed["nobody"].unreadable, name)] == [reason]
    assert named(landed["ann"].unreadable, name) == named(landed["nobody"].unreadable, name)
    assert bool(named(landed["ann"].left, name)) == is_found


def test_nothing_else_is_told_of_them(landed):
    assert (landed["ann"].verdict, landed["nobody"].verdict) == (NOT_ERASED, NOT_COMPLETE)
    assert landed["nobody"].left == landed["nobody"].found == ()
    assert landed["ann"].removed == {}


# --- tables ---


def test_who_is_in_old_versions_only_is_removed_and_other_tables_keep_theirs(lake):
    deliver(lake, ANN, SERIAL)
    lake.run()
    for file in lake.folder.glob(f"*/landing/{SERIAL}.json*"):
        file.unlink()
    lake.run()
    rows = {table: lake.rows(table) for table in ("customer_trusted", "accelerometer_trusted", "machine_learning_curated")}
    versions = {table: lake.snapshots(table) for table in ("run_ledger", *rows)}
    assert prove(lake, [Person("nobody@example.com")]).removed == {}
    of = prove(lake)
    assert (of.verdict, of.left) == (ERASED, ())
    assert {(kind, at) for kind, at in where(of.found)} >= {
        ("trusted/Parquet", "column email"),
        ("trusted/Parquet", "column user"),
        ("trusted/Parquet", "column serialnumber"),
        ("consent/Parquet", "column email"),
        ("index/Parquet", "column subject"),
        ("curated/Parquet", "column subject_id"),
    }
    assert set(of.removed) == {"versions of tables", "versions of files of tables"}
    assert {table: lake.rows(table) for table in rows} == rows
    assert {table: lake.snapshots(table) for table in versions} == {**versions, **dict.fromkeys(rows, 1)}
    assert prove(lake).found == ()
    # The next run knows the rows again, also where it has to know who was in a version that is gone.
    entries = lake.run().values()
    assert "full" not in {entry.mode for entry in entries}
    assert {entry.inserted + entry.updated + entry.removed for entry in entries} == {0}
    lake.deliver("customer", customer("new@example.com", 1_000, 1_000, "device-of-new"))
    modes = {table: entry.mode for table, entry in lake.run().items()}
    assert modes["accelerometer_trusted"] == modes["customer_trusted"] == "incremental"


def row_of(table, **values):
    contract = contracts.load(table)
    types = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}
    return pa.table({name: pa.array([values.get(name)], types[kind]) for name, kind in contract.types.items()})


@pytest.mark.parametrize(
    ("table", "values", "column"),
    [
        ("accelerometer_index", {"file": "a", "subject": sha256(ANN)}, "subject"),
        ("step_trainer_index", {"file": "a", "subject": sha256(SERIAL)}, "subject"),
        ("machine_learning_curated", {"subject_id": sha256(f"{ANN} {SHARED}")}, "subject_id"),
        ("customer_quarantine", {"file": "a", "line": f'{{"email": "{ANN}", '}, "line"),
        ("customer_quarantine", {"file": "a", "line": base64.b64encode(b"\xff" + LINE).decode(), "encoding": "base64"}, "line"),
        ("customer_consent", {"email": ANN}, "email"),
    ],
)
def test_a_row_that_is_current_is_a_hit_that_stays(lake, table, values, column):
    lake.load(table).append(row_of(table, **values))
    before = lake.rows(table)
    of = prove(lake)
    zone = contracts.load(table).zone
    assert (f"{zone}/Parquet", f"column {column}") in where(of.left)
    assert (of.verdict, lake.rows(table)) == (NOT_ERASED, before)


def test_a_row_that_is_only_noted_as_gone_is_a_hit(lake):
    table = "customer_trusted"
    lake.load(table).append(row_of(table, email=ANN))
    others.delete(lake, table, email=ANN)
    assert ("trusted/Parquet", "column email") in where(prove(lake).left)


def test_a_file_that_says_which_values_are_gone_is_looked_into(lake):
    file = put(lake, "lake/customer_trusted/data/x-deletes.parquet", of_column(ANN))
    of = prove(lake)
    assert of.verdict == ERASED
    assert not file.exists()
    assert {kind for kind, _ in where(of.found)} == {"trusted/Parquet"}


def test_a_draft_goes_with_its_files(lake):
    draft = tables.Draft(lake.tables, contracts.load("customer_trusted"))
    lake.load("customer_trusted").append(row_of("customer_trusted", email=ANN), branch=draft.branch)
    of = prove(lake)
    assert (of.verdict, of.removed["drafts"]) == (ERASED, 1)
    assert ("trusted/Parquet", "column email") in where(of.found)
    assert list(lake.load("customer_trusted").refs()) == ["main"]


@pytest.mark.parametrize("email", [ANN, "somebody-with-a-long-name@example.com"])
def test_bounds_in_manifests_are_found_also_when_they_were_cut(lake, email):
    loaded = lake.load("customer_trusted")
    with loaded.transaction() as change:
        change.set_properties({"write.metadata.metrics.column.email": "truncate(16)"})
    loaded.append(row_of("customer_trusted", email=email))
    of = prove(lake, [Person(email)])
    bounds = {("trusted/Avro", f"manifest, data_file.{which}_bounds.value") for which in ("lower", "upper")}
    assert bounds <= set(where(of.left))


def test_earlier_metadata_is_removed_though_the_present_one_lists_it(lake):
    for value in (f"of {ANN}", "of nobody"):
        with lake.load("customer_trusted").transaction() as change:
            change.set_properties({"owner": value})
    of = prove(lake)
    assert of.verdict == ERASED
    assert {(kind, at.partition(" ")[0]) for kind, at in where(of.found)} == {("trusted/text", "line")}
    lake.deliver("customer", customer(OTHER, 3_000, 1_000, OF_OTHER))
    assert lake.run("customer_landing_to_trusted")["customer_trusted"].mode == "incremental"


def test_a_tag_keeps_what_somebody_wants_to_keep_and_that_is_said(lake):
    loaded = lake.load("customer_trusted")
    loaded.append(row_of("customer_trusted", email=ANN))
    loaded.manage_snapshots().create_tag(loaded.current_snapshot().snapshot_id, "kept").commit()
    loaded.delete(f"email = '{ANN}'")
    of = prove(lake)
    assert (of.verdict, len(of.left) > 0) == (NOT_ERASED, True)
    assert "kept" in lake.load("customer_trusted").refs()


def test_a_table_with_files_outside_of_the_lake_is_refused(lake, tmp_path):
    with pytest.raises(LakehouseError, match="outside of the lake"):
        maintenance.key_of(open_store(lake.uri), f"file://{tmp_path}/elsewhere/a")


# --- everything else ---


def test_query_results_that_name_them_are_removed(lake, tmp_path):
    results = FolderStore(tmp_path / "results")
    for name, content in {
        "a.csv": f'"{ANN}"\n'.encode(),
        "b.parquet": of_column(ANN),
        "c.gz": gzip.compress(LINE),
        "d.csv": f'"{OTHER}"\n'.encode(),
        "d.csv.metadata": b"\0\1",
    }.items():
        results.write(f"research/{name}", content)
    of = prove(lake, results=results)
    assert where(of.found) == [
        ("results/Parquet", "column email"),
        ("results/Parquet", "statistic of column email"),
        ("results/gzip", "line 1"),
        ("results/text", "line 1"),
    ]
    assert (of.verdict, of.removed) == (ERASED, {"versions of query results": 3})
    assert sorted(one.key for one in results.list("")) == ["research/d.csv", "research/d.csv.metadata"]


def test_a_name_that_tells_who_it_is_is_a_hit_and_is_not_told(lake):
    put(lake, "customer/landing/user=ann%40example.com/a.json", b"")
    put(lake, "exports/ann@example.com.csv.gz", gzip.compress(b"x"))
    put(lake, "exports/a.parquet", written(pa.table({ANN: ["x"]})))
    of = prove(lake)
    assert {(one.key, one.where) for one in of.left} >= {(WITHHELD, "key"), ("exports/a.parquet", "footer")}
    assert [one.where for one in of.left].count("key") == 2
    assert {one.key for one in of.left} == {WITHHELD, "exports/a.parquet"}
    assert ANN not in json.dumps(of.certificate(1, 2, 3, {}))
    assert "ann%40" not in json.dumps(of.certificate(1, 2, 3, {}))


def test_what_holds_the_request_itself_is_counted_and_no_hit(lake):
    for key in ("erasure/requests/r1.json", "erasure/proofs/r0.json", "erasure/state/pending.json"):
        put(lake, key, LINE)
    of = prove(lake)
    assert (of.verdict, of.requests) == (ERASED, 3)
    put(lake, "erasure/state/other.json", LINE)
    assert [one.key for one in prove(lake).left] == ["erasure/state/other.json"]


def test_each_request_is_told_of_its_own(lake):
    put(lake, "accelerometer/landing/a.json", NOBODYS * 5 + LINE + NOBODYS)
    both = [*PEOPLE, Person(OTHER)]
    asked = {"ann": PEOPLE, "joann": [Person(OTHER)], "both": both, "nobody": [Person("x@example.com")], "none": []}
    proofs = proof.prove(open_store(lake.uri), None, lake.tables, asked, IGNORED)
    found = {name: named(of.left, "a.json") for name, of in proofs.items()}
    assert {name: [hit.where for hit in hits] for name, hits in found.items()} == {
        "ann": ["line 6"],
        "joann": ["line 1"],
        "both": ["line 1"],
        "nobody": [],
        "none": [],
    }


class Counting(FolderStore):
    def __init__(self, folder):
        super().__init__(folder)
        self.opened, self.failing = [], set()

    def open_version(self, one):
        self.opened.append((one.key, one.modified))
        if one.key in self.failing:
            raise OSError("no such luck")
        return super().open_version(one)


def test_nothing_is_looked_into_twice(lake):
    lake.load("customer_trusted").append(row_of("customer_trusted", email=ANN))
    lake.load("customer_trusted").delete(f"email = '{ANN}'")
    store = Counting(lake.folder)
    assert prove(lake, store=store).verdict == ERASED
    again = [key for key, _ in store.opened if key != "catalog.db"]
    assert len(again) == len(set(again))


def test_what_cannot_be_read_is_tried_again_and_then_listed(lake):
    store = Counting(lake.folder)
    file = put(lake, "customer/landing/a.json", b"x")
    store.failing = {"customer/landing/a.json"}
    of = prove(lake, store=store)
    assert [(bad.key, bad.reason) for bad in of.unreadable] == [("customer/landing/a.json", "cannot be read now (OSError)")]
    assert of.verdict == NOT_COMPLETE
    opened = count()

    def once(one):
        if one.key in store.failing and next(opened) == 0:
            file.unlink()
        return Counting.open_version(store, one)

    store.open_version = once
    assert prove(lake, store=store).verdict == ERASED


def test_the_certificate_says_it_all_and_its_digest_holds(lake):
    put(lake, "customer/landing/a.json", LINE)
    of = prove(lake)
    made = of.certificate(1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000, {"rewritten": 2})
    assert made["verdict"] == NOT_ERASED
    assert made["times"]["requested"] == {"ms": 1_700_000_000_000, "iso": "2023-11-14T22:13:20+00:00"}
    assert (made["request"], made["done"], made["found"]) == ("r1", {"rewritten": 2}, {"landing/text": 1})
    assert made["left"] == [
        {
            "store": "lake",
            "key": "customer/landing/a.json",
            "version": "",
            "is_current": True,
            "kind": "landing/text",
            "where": "line 1",
        }
    ]
    read = json.loads(json.dumps(made))
    assert proof.digest(read) == read["digest"] == proof.digest({**dict(reversed(read.items()))})
    assert proof.digest({**read, "verdict": ERASED}) != read["digest"]
    for text in (ANN, SERIAL, sha256(ANN), OTHER):
        assert text not in json.dumps(made)


def test_lines_are_counted_over_pieces():
    pieces = [b"a\nb", b"b\n", b"", b"c", b"d\ne"]
    assert list(contents.lines(pieces)) == [(1, b"a\n"), (2, b"bb\n"), (3, b"cd\n"), (4, b"e")]
