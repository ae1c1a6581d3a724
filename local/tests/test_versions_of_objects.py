"""Versions on S3, in the embedded AWS: those that hold somebody who was erased go for good, and all others stay."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from embedded import EmbeddedAWS
from lakehouse import proof
from lakehouse.storage import S3Store
from lakehouse.tables import Tables
from lakehouse.traces import Person
from support import create_table, iceberg_contracts

ANN, OTHER = b'{"user":"ann@example.com"}\n', b'{"user":"joann@example.com"}\n'
LAKE, RESULTS, DATABASE = "versions-lake", "versions-results", "versions"
IGNORED = ("erasure/requests/", "erasure/proofs/", "erasure/state/pending.json")


@pytest.fixture(scope="module")
def s3(aws: EmbeddedAWS) -> Iterator[Any]:
    """A client; the lakehouse's own find the same S3 and Glue."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_ENDPOINT_URL_S3": aws.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        client = aws.client("s3")
        for bucket in (LAKE, RESULTS):
            client.create_bucket(Bucket=bucket)
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield client


@pytest.fixture(scope="module")
def of(s3: Any) -> Tables:
    made = Tables(f"s3://{LAKE}", DATABASE, "us-east-1")
    made.catalog.create_namespace(DATABASE)
    for contract in iceberg_contracts():
        create_table(made, contract)
    return made


def put(s3: Any, bucket: str, key: str, *contents: bytes) -> list[str]:
    """Puts an object again and again; the ids of its versions."""
    return [s3.put_object(Bucket=bucket, Key=key, Body=content)["VersionId"] for content in contents]


def test_versions_are_listed_read_and_removed(s3: Any) -> None:
    old, new = put(s3, LAKE, "a/x", b"old", b"newer")
    (gone,) = put(s3, LAKE, "a/y", b"gone")
    s3.delete_object(Bucket=LAKE, Key="a/y")
    store = S3Store(LAKE)
    versions = sorted(store.versions("a/"), key=lambda one: (one.key, one.is_current))
    marker = versions[-1]
    assert [(one.key, one.id, one.size, one.is_current, one.is_marker) for one in versions] == [
        ("a/x", old, 3, False, False),
        ("a/x", new, 5, True, False),
        ("a/y", gone, 4, False, False),
        ("a/y", marker.id, 0, True, True),
    ]
    assert [store.open_version(one).read() for one in versions[:3]] == [b"old", b"newer", b"gone"]
    store.delete_versions([versions[0], *versions[2:]])
    assert [one.id for one in store.versions("a/")] == [new]
    store.delete_versions(versions[1:2])
    assert list(store.versions("a/")) == []


def test_a_noncurrent_version_goes_and_others_of_the_object_stay(s3: Any, of: Tables) -> None:
    packed = [gzip.compress(content) for content in (OTHER, ANN + OTHER, OTHER * 2)]
    first, _, last = put(s3, LAKE, "accelerometer/landing/a.json.gz", *packed)
    put(s3, LAKE, "accelerometer/landing/b.json", ANN)
    s3.delete_object(Bucket=LAKE, Key="accelerometer/landing/b.json")
    put(s3, LAKE, "accelerometer/landing/ann@example.com.json", b"{}")
    s3.delete_object(Bucket=LAKE, Key="accelerometer/landing/ann@example.com.json")
    put(s3, LAKE, "erasure/requests/r1.json", ANN)
    put(s3, RESULTS, "research/a.csv", OTHER, ANN, OTHER)
    put(s3, RESULTS, "research/b.csv", OTHER, ANN)
    stores = S3Store(LAKE), S3Store(RESULTS)
    proven = proof.prove(*stores, of, {"r1": [Person("ann@example.com")]}, IGNORED)["r1"]
    assert (proven.verdict, proven.left, proven.unreadable) == (proof.ERASED, (), ())
    assert proven.removed == {"noncurrent versions": 5, "versions of query results": 2}
    assert proven.looked_at["landing/gzip"]["noncurrent_objects"] == 2
    landing = [one for one in stores[0].versions("accelerometer/landing/") if not one.is_marker]
    assert {(one.id, one.is_current) for one in landing} == {(first, False), (last, True)}
    assert sorted((one.key, one.is_current) for one in stores[1].versions("")) == [
        ("research/a.csv", False),
        ("research/a.csv", True),
    ]
    # What holds the request stays: the job removes it with the proof.
    assert len(list(stores[0].versions("erasure/"))) == proven.requests == 1
    again = proof.prove(*stores, of, {"r1": [Person("ann@example.com")]}, IGNORED)["r1"]
    assert (again.found, again.removed) == ((), {})
    current = proof.prove(*stores, of, {"r2": [Person("joann@example.com")]}, IGNORED)["r2"]
    assert [(hit.key, hit.is_current, hit.where) for hit in current.left] == [("accelerometer/landing/a.json.gz", True, "line 1")]
