"""What a run has to read, by what the last finished one had read; and the places where landing files and this record are."""

import gzip
import io
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError, IncompleteReadError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from lakehouse import contracts, intake, storage
from lakehouse.errors import LakehouseError
from lakehouse.intake import Ignored
from lakehouse.storage import FolderStore, Object, S3Store, Version
from landed import is_damaged

PREFIX = "customer/landing/"
A, B, C = (Object(f"{PREFIX}{name}.json", "1", 10, 1000) for name in "abc")
JOB = contracts.Job(name="job", kind="derived", source="s", target="s_curated", intake="intake/ledger/job.json")
BEFORE = {A.key: "1", B.key: "1", "rules": "r", "customer_consent": "7"}


# --- plan ---


def plan(*objects, before=None, prefix=PREFIX, full=False):
    return intake.plan(BEFORE if before is None else before, objects, prefix, full)


def test_without_a_record_everything_is_new():
    assert plan(A, B, before={}).new == (A, B)
    assert plan(A, B, before={}).known == ()


def test_with_nothing_new_there_is_nothing_to_read():
    nothing = plan(A, B)
    assert (nothing.full, nothing.new, nothing.known, nothing.before) == (False, (), (A, B), BEFORE)


def test_only_a_new_object_is_read():
    one = plan(A, B, C)
    assert (one.full, one.new, one.known) == (False, (C,), (A, B))


@pytest.mark.parametrize(
    "objects",
    [(A, replace(B, version="2")), (A, replace(B, version="2"), C), (A,), (A, C)],
    ids=["changed", "changed, and a new one", "gone", "gone, and a new one"],
)
def test_everything_is_read_anew_when_an_object_that_was_read_is_not_the_same(objects):
    anew = plan(*objects)
    assert (anew.full, anew.new, anew.known) == (True, objects, ())


def test_a_full_run_reads_everything_and_still_knows_what_was_read():
    anew = plan(A, B, full=True)
    assert (anew.full, anew.new, anew.known, anew.before) == (True, (A, B), (), BEFORE)


def test_a_plan_can_be_widened_to_everything():
    wider = plan(A, B, C).everything()
    assert wider.full
    assert sorted(wider.new, key=lambda one: one.key) == [A, B, C]
    assert wider.known == ()


def test_inputs_that_are_no_objects_are_not_taken_for_ones_that_are_gone():
    assert not plan(A, B, before={**BEFORE, "machine_learning_curated": "9"}).full
    assert not plan(A, B, before={**BEFORE, "ignored/hidden": "1 _SUCCESS"}).full
    # A job that reads tables only has no prefix, and no objects.
    assert not plan(before={"rules": "r", "customer_trusted": "7"}, prefix="").full


# --- the record of what was read ---


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_a_record_is_read_back_as_it_was_saved(store):
    inputs = {**BEFORE, f'{PREFIX}odd "name"\u2028\n.json': "2"}
    intake.save(store, JOB, inputs, "run-1")
    assert intake.load(store, JOB) == inputs
    assert intake.load(store, replace(JOB, intake="elsewhere.json")) == {}


def test_a_record_has_a_line_of_json_an_input(store):
    intake.save(store, JOB, BEFORE, "run-1")
    lines = store.read(JOB.intake).decode().splitlines()
    assert [json.loads(line)["input"] for line in lines] == sorted(BEFORE)
    assert json.loads(lines[0]) == {"job": "job", "input": "customer/landing/a.json", "version": "1", "run_id": "run-1"}


def test_a_record_replaces_the_one_before(store):
    intake.save(store, JOB, BEFORE, "run-1")
    intake.save(store, JOB, {A.key: "2"}, "run-2")
    assert intake.load(store, JOB) == {A.key: "2"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-5],
        lambda content: content.replace(b'"version"', b'"other"', 1),
        lambda content: b"\xff" + content,
        lambda content: b"[1]\n" + content,
        lambda content: b"null\n" + content,
        lambda content: b"",
        lambda content: b"\n" + content,
        lambda content: content.replace(b'"input": "customer/', b'"input": ["customer/"], "x": "', 1),
    ],
    ids=["cut off", "a key missing", "no UTF-8", "an array", "null", "empty", "empty line", "no text"],
)
def test_a_damaged_record_is_none(store, damage):
    """Then everything is read anew; what is half known is not used."""
    intake.save(store, JOB, BEFORE, "run-1")
    content = store.read(JOB.intake)
    store.write(JOB.intake, damage(content))
    assert intake.load(store, JOB) == {}


# --- what was delivered ---


def put(folder, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


READ = [
    *(f"a{suffix}{packed}" for suffix in (".json", ".jsonl", ".ndjson") for packed in ("", ".gz")),
    *("B.JSON", "b.Json.Gz", "b.json.GZ", "b.NDJSON", "b.JSONL.gz"),
    *("2026/05/c.json", "day=1/d_e.f.json", "d.gz.json", "e.txt.json", "f .json", "g\u00e9.json", "x//y.json"),
]
UNREAD = {
    "hidden": ["_SUCCESS", "_a.json", ".a.json", ".json", ".jsonl.gz", "_tmp/a.json", "1/.x/2/a.json", "1/_y/", "_$folder$"],
    "folder_marker": ["", "day=1/", "day=1_$folder$", "a.json/", "a.json_$folder$"],
    "unknown_name": [
        *("readme.txt", "a.json.bak", "a.gz", "json", "a.json.gz.gz", "a.json.zip", "a.json ", "a.json\n", "a.jsons", "a.json.1"),
        *("a.csv", "a.parquet", "a", "ajson", "a.json.tmp", "a.geojson", "a.json.gzip", "a.\u017fon", "a_json", "a.json,gz"),
    ],
}


class Names:
    """A store that has objects of these names below the prefix: on S3 also those that no folder can have."""

    def __init__(self, *names):
        self.names = names

    def list(self, prefix):
        yield from (Object(prefix + name, "1", 1, 1000) for name in self.names)


def test_delivered_are_json_lines_and_gzips_of_them_below_the_prefix_by_key(store, tmp_path):
    put(tmp_path, f"{PREFIX}b.json", f"{PREFIX}a.json.gz", f"{PREFIX}2026/05/c.json", f"{PREFIX}day=1/d_e.f.json")
    put(tmp_path, f"{PREFIX}readme.txt", "customer/a.json", "x/landing/a.json")
    read, ignored = intake.delivered(store, PREFIX)
    assert [one.key for one in read] == [
        f"{PREFIX}{name}" for name in ["2026/05/c.json", "a.json.gz", "b.json", "day=1/d_e.f.json"]
    ]
    assert ignored == {"unknown_name": Ignored(1, f"{PREFIX}readme.txt")}


@pytest.mark.parametrize("name", READ)
def test_names_that_are_read(name):
    assert intake.delivered(Names(name), PREFIX) == ([Object(PREFIX + name, "1", 1, 1000)], {})


@pytest.mark.parametrize(("reason", "name"), [(reason, name) for reason, names in UNREAD.items() for name in names])
def test_names_that_are_ignored(reason, name):
    assert intake.delivered(Names(name), PREFIX) == ([], {reason: Ignored(1, PREFIX + name)})


def test_hidden_is_asked_of_what_is_below_the_prefix_alone():
    read, ignored = intake.delivered(Names("a.json"), "_lake/.x/landing/")
    assert ([one.key for one in read], ignored) == (["_lake/.x/landing/a.json"], {})


def test_every_object_is_accounted_for():
    """And the first of the keys is the example, whatever the order of the listing."""
    names = [*READ, *(name for names in UNREAD.values() for name in names)]
    read, ignored = intake.delivered(Names(*reversed(names)), PREFIX)
    assert [one.key for one in read] == sorted(PREFIX + name for name in READ)
    assert ignored == {reason: Ignored(len(names), PREFIX + min(names)) for reason, names in UNREAD.items()}
    assert list(ignored) == sorted(UNREAD)
    assert len(read) + sum(found.objects for found in ignored.values()) == len(names)


def test_inputs_say_what_is_not_read():
    inputs = {**BEFORE, "ignored/hidden": "1", "ignored/unknown_name": "2", "ignored_by": "3", f"{PREFIX}ignored/a.json": "4"}
    assert intake.ignored(inputs) == {"ignored/hidden": "1", "ignored/unknown_name": "2"}
    assert intake.ignored(BEFORE) == {}


def test_nothing_is_delivered_to_a_place_that_is_not_there(store):
    assert intake.delivered(store, PREFIX) == ([], {})


# --- the rules ---


@pytest.fixture
def package(tmp_path, monkeypatch):
    put(tmp_path, "job.py", "sql/a.sql", "contracts.json")
    monkeypatch.setattr(intake, "files", lambda name: tmp_path)
    return tmp_path


def test_rules_are_the_same_every_time_and_others_with_other_settings():
    assert intake.rules("as-of") == intake.rules("as-of")
    assert intake.rules("as-of") != intake.rules("ever")


@pytest.mark.parametrize("name", ["job.py", "sql/a.sql", "contracts.json", "new.py"])
def test_rules_change_with_the_code_the_selects_and_the_contracts(package, name):
    before = intake.rules("as-of")
    (package / name).write_text("y")
    assert intake.rules("as-of") != before


def test_rules_change_when_a_file_moves(package):
    before = intake.rules("as-of")
    (package / "sql" / "a.sql").rename(package / "a.sql")
    assert intake.rules("as-of") != before


def test_rules_do_not_change_with_what_python_leaves_behind(package):
    before = intake.rules("as-of")
    put(package, "__pycache__/job.cpython-311.pyc", "__pycache__/x.py", "notes.txt")
    assert intake.rules("as-of") == before


# --- stores ---


def test_folder_lists_what_is_below_a_prefix_with_version_and_size(store, tmp_path):
    put(tmp_path, "a/x.json", "a/b/y.json", "c/z.json")
    assert sorted((one.key, one.size) for one in store.list("a/")) == [("a/b/y.json", 1), ("a/x.json", 1)]


def test_folder_says_when_an_object_was_put_there(store, tmp_path):
    """In whole ms, cut off: what is later than its file is so by its ms."""
    put(tmp_path, "a/x.json")
    os.utime(tmp_path / "a/x.json", ns=(5, 1_700_000_000_123_999_999))
    (one,) = store.list("a/")
    assert one.modified == 1_700_000_000_123


@pytest.mark.parametrize(("key", "packed"), [("a.json.gz", True), ("a.JSON.GZ", True), ("a.json", False), ("a.gz/b.json", False)])
def test_a_gzip_is_known_by_its_name(key, packed):
    assert Object(key, "1", 1, 1000).is_packed is packed


def test_folder_version_changes_with_the_content_and_the_time(store, tmp_path):
    put(tmp_path, "a/x.json")
    seen = set()
    for content, seconds in (("x", 1), ("x", 2), ("xy", 2)):
        (tmp_path / "a/x.json").write_text(content)
        os.utime(tmp_path / "a/x.json", (seconds, seconds))
        (one,) = store.list("a/")
        seen.add(one.version)
    assert len(seen) == 3


def test_folder_opens_an_object_as_it_was_listed_and_no_other(store, tmp_path):
    put(tmp_path, "a/x.json")
    (listed,) = store.list("a/")
    with store.open(listed) as file:
        assert file.read() == b"x"
    for change in (lambda path: path.write_text("xy"), lambda path: os.utime(path, (5, 5)), lambda path: path.unlink()):
        (tmp_path / "a/x.json").write_text("x")
        os.utime(tmp_path / "a/x.json", ns=(1, int(listed.version.partition("-")[0])))
        store.open(listed).close()
        change(tmp_path / "a/x.json")
        with pytest.raises(FileNotFoundError):
            store.open(listed)


def test_folder_writes_below_new_folders_in_one_step_and_leaves_nothing_else(store, tmp_path):
    store.write("a/b/c.json", b"1")
    store.write("a/b/c.json", b"2")
    assert store.read("a/b/c.json") == b"2"
    assert store.read("a/b") is None
    assert store.read("a/none.json") is None
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["c.json"]


@pytest.mark.parametrize("key", ["a/b.json", "a b%.json"])
def test_folder_names_objects_by_their_key(store, key):
    assert store.uri(key).startswith("file:/")
    assert store.uri(key).endswith(f"/{key}")


@pytest.mark.parametrize("uri", ["http://lake", "lake", "/lake", "s3a://lake", ""])
def test_a_lake_of_another_kind_is_an_error(uri):
    with pytest.raises(LakehouseError, match=rf"--lake_uri is '{uri}', expected s3://bucket or file:///folder"):
        storage.open_store(uri)


def test_a_folder_is_opened_by_its_uri(tmp_path):
    folder = tmp_path / "a lake"
    put(folder, "a.json")
    opened = storage.open_store(Path(folder).as_uri())
    assert [one.key for one in opened.list("")] == ["a.json"]


@pytest.fixture
def s3(monkeypatch):
    """The client of an S3 that answers what it is told to, and nothing else."""
    client = boto3.client("s3", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(boto3, "client", lambda name: {"s3": client}[name])
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def test_bucket_lists_all_pages_without_the_quotes_of_the_etag(s3):
    page = {"Bucket": "lake", "Prefix": "a/"}
    when = datetime(2026, 5, 1, 12, tzinfo=UTC)
    found = [{"Key": f"a/{name}.json", "ETag": f'"{name}"', "Size": 5, "LastModified": when} for name in "xyz"]
    s3.add_response("list_objects_v2", {"IsTruncated": True, "NextContinuationToken": "n", "Contents": found[:2]}, page)
    s3.add_response("list_objects_v2", {"Contents": found[2:]}, {**page, "ContinuationToken": "n"})
    wanted = [Object(f"a/{name}.json", f"{name}-1777636800000", 5, 1_777_636_800_000) for name in "xyz"]
    assert list(storage.open_store("s3://lake").list("a/")) == wanted


def test_bucket_version_changes_when_the_same_content_is_put_again(s3):
    """Without KMS its ETag stays, and how late its times may be does not (R12)."""
    whens = [datetime(2026, 5, 1, 12, tzinfo=UTC), datetime(2026, 5, 1, 14, 0, 1, tzinfo=timezone(timedelta(hours=2)))]
    for when in whens:
        found = {"Key": "a.json", "ETag": '"x"', "Size": 5, "LastModified": when}
        s3.add_response("list_objects_v2", {"Contents": [found]}, {"Bucket": "lake", "Prefix": ""})
    (first,), (second,) = (list(S3Store("lake").list("")) for _ in whens)
    assert (first.version, second.version) == ("x-1777636800000", "x-1777636801000")
    assert second.modified - first.modified == 1000


def test_bucket_with_nothing_below_a_prefix_lists_nothing(s3):
    s3.add_response("list_objects_v2", {"KeyCount": 0})
    assert list(S3Store("lake").list("a/")) == []


WHEN = datetime(2026, 5, 1, tzinfo=UTC)
FOUND = {"Contents": [{"Key": key, "ETag": '"x"', "Size": 3, "LastModified": WHEN} for key in ("a.json", "a.json.old")]}


def test_bucket_reads_and_writes_objects(s3):
    where = {"Bucket": "lake", "Key": "a.json"}
    s3.add_response("put_object", {}, {**where, "Body": b"xyz"})
    s3.add_response("list_objects_v2", FOUND, {"Bucket": "lake", "Prefix": "a.json"})
    s3.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"xyz"), 3)}, where)
    store = S3Store("lake")
    store.write("a.json", b"xyz")
    assert store.read("a.json") == b"xyz"


def test_bucket_without_the_object_reads_none_and_other_errors_are_not_hidden(s3):
    # Not by asking for it: S3 says "no such key" to those only who may list the whole bucket.
    s3.add_response("list_objects_v2", {"Contents": FOUND["Contents"][1:]}, {"Bucket": "lake", "Prefix": "a.json"})
    s3.add_response("list_objects_v2", FOUND)
    s3.add_client_error("get_object", "AccessDenied", http_status_code=403)
    store = S3Store("lake")
    assert store.read("a.json") is None
    # An object that may not be read is no object that is not there: all would be read anew, run after run.
    with pytest.raises(Exception, match="AccessDenied"):
        store.read("a.json")


def test_an_object_whose_transfer_breaks_off_is_not_taken_for_a_damaged_one(s3):
    whole = gzip.compress(b'{"email": "planted"}' * 100)
    for content, length in ((whole, len(whole)), (whole[:-9], len(whole) - 9), (whole[:-9], len(whole))):
        body = StreamingBody(io.BytesIO(content), length)
        s3.add_response("get_object", {"Body": body}, {"Bucket": "lake", "Key": "a.json.gz", "IfMatch": '"x"'})
    store, listed = S3Store("lake"), Object("a.json.gz", "x-1777636800000", len(whole), 1_777_636_800_000)
    assert [is_damaged(store.open(listed)) for _ in range(2)] == [False, True]
    with pytest.raises(IncompleteReadError):
        is_damaged(store.open(listed))


def test_bucket_opens_an_object_as_it_was_listed_and_no_other(s3):
    where = {"Bucket": "lake", "Key": "a.json", "IfMatch": '"x-1"'}
    s3.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"xyz"), 3)}, where)
    s3.add_client_error("get_object", "PreconditionFailed", http_status_code=412, expected_params=where)
    # The ETag of an object that was put in parts has a hyphen too.
    store, listed = S3Store("lake"), Object("a.json", "x-1-1777636800000", 3, 1_777_636_800_000)
    assert store.open(listed).read() == b"xyz"
    with pytest.raises(Exception, match="PreconditionFailed"):
        store.open(listed)


@pytest.mark.parametrize(("now", "raised"), [("x", ClientError), ("y", storage.Changed)])
def test_bucket_takes_a_conflict_for_a_change_only_when_it_was_one(s3, now, raised):
    """Who is in the way may put nothing in the end: lines that stay in an object must not be taken for gone."""
    s3.add_response("list_object_versions", {}, {"Bucket": "lake", "Prefix": "a.json"})
    s3.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    found = {"Key": "a.json", "ETag": f'"{now}"', "Size": 3, "LastModified": WHEN}
    s3.add_response("list_objects_v2", {"Contents": [found]}, {"Bucket": "lake", "Prefix": "a.json"})
    listed = Object("a.json", "x-1777593600000", 3, 1_777_593_600_000)
    with pytest.raises(raised):
        S3Store("lake").replace(listed, io.BytesIO(b"z"))


def test_bucket_lists_all_versions_and_what_says_that_an_object_was_deleted(s3):
    page = {"Bucket": "lake", "Prefix": "a/"}
    when = {"LastModified": datetime(2026, 5, 1, 12, tzinfo=UTC)}
    new, old = ({"Key": "a/x", "VersionId": name, "Size": 5, "IsLatest": name == "2", **when} for name in "21")
    gone, put = {"Key": "a/y", "VersionId": "4", "IsLatest": True, **when}, {**old, "Key": "a/y", "VersionId": "3"}
    more = {"IsTruncated": True, "NextKeyMarker": "a/x", "NextVersionIdMarker": "2"}
    s3.add_response("list_object_versions", {**more, "Versions": [new]}, page)
    following = {**page, "KeyMarker": "a/x", "VersionIdMarker": "2"}
    s3.add_response("list_object_versions", {"Versions": [old, put], "DeleteMarkers": [gone]}, following)
    assert list(S3Store("lake").versions("a/")) == [
        Version("a/x", "2", 5, 1_777_636_800_000, True, False),
        Version("a/x", "1", 5, 1_777_636_800_000, False, False),
        Version("a/y", "3", 5, 1_777_636_800_000, False, False),
        Version("a/y", "4", 0, 1_777_636_800_000, True, True),
    ]


def test_bucket_opens_and_removes_the_version_that_is_meant(s3):
    version = Version("a.json", "v1", 3, 0, False, False)
    where = {"Bucket": "lake", "Key": "a.json", "VersionId": "v1"}
    s3.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"xyz"), 3)}, where)
    store = S3Store("lake")
    assert store.open_version(version).read() == b"xyz"
    for some in (1000, 1):
        named = {"Objects": [{"Key": "a.json", "VersionId": "v1"}] * some, "Quiet": True}
        s3.add_response("delete_objects", {}, {"Bucket": "lake", "Delete": named})
    store.delete_versions([version] * 1001)
    s3.add_response("delete_objects", {"Errors": [{"Key": "a.json", "VersionId": "v1", "Code": "AccessDenied"}]})
    with pytest.raises(LakehouseError, match=r"1 objects of the lake cannot be removed \(AccessDenied\)"):
        store.delete_versions([version])


def test_folder_has_one_version_of_each_object(tmp_path):
    for name in ("a/x", "a/y", "b/x"):
        put(tmp_path, name)
    store = FolderStore(tmp_path)
    versions = sorted(store.versions("a/"), key=lambda one: one.key)
    assert [(one.key, one.id, one.is_current, one.is_marker) for one in versions] == [
        ("a/x", "", True, False),
        ("a/y", "", True, False),
    ]
    with store.open_version(versions[0]) as file:
        assert file.read() == (tmp_path / "a" / "x").read_bytes()
    store.delete_versions(versions)
    assert [one.key for one in store.versions("")] == ["b/x"]


def test_bucket_names_objects_by_their_key(s3):
    assert storage.open_store("s3://lake/").uri("a b/c.json") == "s3://lake/a b/c.json"
