"""The objects of a lake: on S3 through boto3, or in a local folder for tests and measurements."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from lakehouse.errors import LakehouseError

# Keys that S3 deletes by one request.
_MOST_AT_ONCE = 1000
# What it says when an object is not what was listed.
_CHANGED = ("412", "404", "PreconditionFailed", "NoSuchKey", "ConditionalRequestConflict")


@dataclass(frozen=True)
class Object:
    """`key`: place in the lake, without a slash in front. `size`: bytes. `modified`: when it was put there, in ms.

    `version`: changes whenever it is put again. An ETag alone does so only where KMS encrypts the bucket, and what a row is
    depends on when its file was delivered (R12). Of one that was put anew since, without the lines of the erased (R17),
    `modified` is when it was delivered all the same.
    """

    key: str
    version: str
    size: int
    modified: int

    @property
    def is_packed(self) -> bool:
        return self.key.lower().endswith(".gz")


@dataclass(frozen=True)
class Version:
    """A version of an object, current or not. `id`: as S3 names it; empty in a folder, where there is one of each.

    `is_marker`: it only says that the object was deleted.
    """

    key: str
    id: str
    size: int
    modified: int
    is_current: bool
    is_marker: bool


class Changed(Exception):
    """An object has been put anew, or removed, since it was listed."""


class Store(Protocol):
    """What the jobs ask of a lake."""

    def list(self, prefix: str) -> Iterator[Object]:
        """All objects below a prefix, in no order."""

    def read(self, key: str) -> bytes | None:
        """The content of an object; None when there is none."""

    def open(self, one: Object) -> BinaryIO:
        """An object's content, as it was when it was listed, to be read piece by piece; fails when it has been put anew since."""

    def write(self, key: str, content: bytes) -> None:
        """Puts an object in one step: a reader sees the old content or the new."""

    def replace(self, one: Object, content: BinaryIO | None) -> Object | None:
        """Puts an object anew, or removes it where there is no content, and with it all versions that it had. Raises Changed, and
        changes nothing, when it is not what was listed."""

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects for good."""

    def versions(self, prefix: str) -> Iterator[Version]:
        """All versions of all objects below a prefix, and what says that one was deleted."""

    def open_version(self, one: Version) -> BinaryIO:
        """The content of a version, to be read piece by piece."""

    def delete_versions(self, some: Sequence[Version]) -> None:
        """Removes versions for good, where delete() leaves the older ones of an object."""

    def uri(self, key: str) -> str:
        """What the object is called outside the lake."""


def open_store(lake_uri: str) -> Store:
    parts = urlsplit(lake_uri)
    if parts.scheme == "s3":
        return S3Store(parts.netloc)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.path)))
    raise LakehouseError(f"--lake_uri is {lake_uri!r}, expected s3://bucket or file:///folder")


class S3Store:
    def __init__(self, bucket: str) -> None:
        # Only here: tests and measurements on folders need no AWS library.
        import boto3

        self._bucket, self._s3 = bucket, boto3.client("s3")

    def list(self, prefix: str) -> Iterator[Object]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                yield _object(found["Key"], found["Size"], found)

    def read(self, key: str) -> bytes | None:
        # S3 says "no such key" only to those who may list the whole bucket; to others, "access denied". A job may list this key.
        if all(found.key != key for found in self.list(key)):
            return None
        return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def open(self, one: Object) -> BinaryIO:
        etag = one.version.rpartition("-")[0]
        return self._s3.get_object(Bucket=self._bucket, Key=one.key, IfMatch=f'"{etag}"')["Body"]

    def write(self, key: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)

    def replace(self, one: Object, content: BinaryIO | None) -> Object | None:
        from botocore.exceptions import ClientError

        place = {"Bucket": self._bucket, "Key": one.key}
        listed = {**place, "IfMatch": f'"{one.version.rpartition("-")[0]}"'}
        before = [version for version in self.versions(one.key) if version.key == one.key]
        try:
            put = self._s3.head_object(**listed) if content is None else self._s3.put_object(**listed, Body=content)
        except ClientError as error:
            # Whoever is in the way by a conflict may put nothing in the end: then the object is still what was listed.
            code, same = error.response["Error"]["Code"], (one.key, one.version)
            if code == "ConditionalRequestConflict" and same in ((now.key, now.version) for now in self.list(one.key)):
                raise
            if code in _CHANGED:
                raise Changed from None
            raise
        if content is not None:
            self.delete_versions(before)
            found = self._s3.head_object(**place, VersionId=put["VersionId"])
            return _object(one.key, found["ContentLength"], found)
        last = [version for version in before if version.id == put["VersionId"]]
        # Without its older versions first, the last of them would be the object again.
        self.delete_versions([version for version in before if version.id != put["VersionId"] and not version.is_current])
        self.delete_versions(last)
        return None

    def delete(self, keys: Sequence[str]) -> None:
        self._delete([{"Key": key} for key in keys])

    def versions(self, prefix: str) -> Iterator[Version]:
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix):
            for kind in ("Versions", "DeleteMarkers"):
                for found in page.get(kind, ()):
                    where = found["Key"], found["VersionId"], found.get("Size", 0), _modified(found)
                    yield Version(*where, found["IsLatest"], kind == "DeleteMarkers")

    def open_version(self, one: Version) -> BinaryIO:
        return self._s3.get_object(Bucket=self._bucket, Key=one.key, VersionId=one.id)["Body"]

    def delete_versions(self, some: Sequence[Version]) -> None:
        self._delete([{"Key": one.key, "VersionId": one.id} for one in some])

    def _delete(self, named: Sequence[dict[str, str]]) -> None:
        for first in range(0, len(named), _MOST_AT_ONCE):
            some = {"Objects": named[first : first + _MOST_AT_ONCE], "Quiet": True}
            failed = self._s3.delete_objects(Bucket=self._bucket, Delete=some).get("Errors", [])
            if failed:
                raise LakehouseError(f"{len(failed)} objects of the lake cannot be removed ({failed[0].get('Code')})")

    def uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


def _object(key: str, size: int, found: dict[str, Any]) -> Object:
    etag, modified = found["ETag"].strip('"'), _modified(found)
    return Object(key, f"{etag}-{modified}", size, modified)


def _modified(found: dict[str, Any]) -> int:
    return round(found["LastModified"].timestamp() * 1000)


def _version(file: os.stat_result) -> str:
    return f"{file.st_mtime_ns}-{file.st_size}"


class FolderStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self, prefix: str) -> Iterator[Object]:
        place = self._folder / prefix
        paths = [place] if place.is_file() else (Path(folder, name) for folder, _, names in os.walk(place) for name in names)
        for path in paths:
            found = path.stat()
            modified = found.st_mtime_ns // 1_000_000
            yield Object(path.relative_to(self._folder).as_posix(), _version(found), found.st_size, modified)

    def read(self, key: str) -> bytes | None:
        path = self._folder / key
        return path.read_bytes() if path.is_file() else None

    def open(self, one: Object) -> BinaryIO:
        path = self._folder / one.key
        if _version(path.stat()) != one.version:
            raise FileNotFoundError("put anew since it was listed")
        return path.open("rb")

    def write(self, key: str, content: bytes) -> None:
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        new.write_bytes(content)
        new.replace(path)

    def replace(self, one: Object, content: BinaryIO | None) -> Object | None:
        path = self._folder / one.key
        if not path.is_file() or _version(path.stat()) != one.version:
            raise Changed
        if content is None:
            path.unlink()
            return None
        with content:
            self.write(one.key, content.read())
        return next(self.list(one.key))

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            (self._folder / key).unlink(missing_ok=True)

    def versions(self, prefix: str) -> Iterator[Version]:
        for one in self.list(prefix):
            yield Version(one.key, "", one.size, one.modified, is_current=True, is_marker=False)

    def open_version(self, one: Version) -> BinaryIO:
        return (self._folder / one.key).open("rb")

    def delete_versions(self, some: Sequence[Version]) -> None:
        self.delete([one.key for one in some])

    def uri(self, key: str) -> str:
        return f"file:{self._folder}/{key}"
