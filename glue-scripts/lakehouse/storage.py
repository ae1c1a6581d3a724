"""The objects of a lake: on S3 through boto3, or in a local folder for tests and measurements."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from lakehouse.errors import LakehouseError

# Keys that S3 deletes by one request.
_MOST_AT_ONCE = 1000


@dataclass(frozen=True)
class Object:
    """`key`: place in the lake, without a slash in front. `size`: bytes. `modified`: when it was put there, in ms.

    `version`: changes whenever it is put again. An ETag alone does so only where KMS encrypts the bucket, and what a row is
    depends on when its file was delivered (R12).
    """

    key: str
    version: str
    size: int
    modified: int

    @property
    def is_packed(self) -> bool:
        return self.key.lower().endswith(".gz")


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

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects for good."""

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
                etag = found["ETag"].strip('"')
                modified = round(found["LastModified"].timestamp() * 1000)
                yield Object(found["Key"], f"{etag}-{modified}", found["Size"], modified)

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

    def delete(self, keys: Sequence[str]) -> None:
        for first in range(0, len(keys), _MOST_AT_ONCE):
            some = [{"Key": key} for key in keys[first : first + _MOST_AT_ONCE]]
            failed = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": some, "Quiet": True}).get("Errors", [])
            if failed:
                raise LakehouseError(f"{len(failed)} objects of the lake cannot be removed ({failed[0].get('Code')})")

    def uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


def _version(file: os.stat_result) -> str:
    return f"{file.st_mtime_ns}-{file.st_size}"


class FolderStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self, prefix: str) -> Iterator[Object]:
        for folder, _, names in os.walk(self._folder / prefix):
            for name in names:
                path = Path(folder, name)
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

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            (self._folder / key).unlink(missing_ok=True)

    def uri(self, key: str) -> str:
        return f"file:{self._folder}/{key}"
