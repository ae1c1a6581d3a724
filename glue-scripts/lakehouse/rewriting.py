"""Takes the lines of people out of landing objects. All other lines stay, byte for byte, and the object keeps its key (R17)."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from lakehouse import files, intake
from lakehouse.contracts import Contract
from lakehouse.engines import scratch
from lakehouse.errors import unreadable
from lakehouse.intake import Rewritten
from lakehouse.lines import Judge
from lakehouse.storage import Changed, Object, Store
from lakehouse.traces import Finder

# Objects of which is noted at once that they are being put anew.
_AT_ONCE = 64
# In place of a digest, where nothing is left of an object.
_GONE = "gone"


@dataclass(frozen=True)
class Taken:
    """Lines that were taken out; objects that were put anew, that were removed, and that hold no lines."""

    lines: int = 0
    rewritten: int = 0
    removed: int = 0
    unreadable: int = 0

    def __add__(self, other: Taken) -> Taken:
        return Taken(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))


class Theirs:
    """Knows the lines of people in a source. `column`: what says whose a row is; `subjects`: theirs, as the judge gives them, and
    until when (ms) what was delivered is meant."""

    def __init__(self, contract: Contract, column: str, subjects: Mapping[str, float], finder: Finder) -> None:
        self._judge, self._place = Judge(contract), contract.names.index(column)
        self.subjects, self._finder = subjects, finder
        self._until = max(subjects.values(), default=math.inf)
        # What can be read of a bad record suspends whom it names (R13).
        self._suspends = contract.limits is not None and contract.limits.unnamed_share is not None

    def may_hold(self, text: bytes) -> bool:
        """False where none of these lines can be theirs."""
        # What is escaped, or written in other letters, the judge reads.
        return b"\\" in text or not text.isascii() or self._finder.in_text(text)

    def is_theirs(self, line: bytes, modified: int) -> bool:
        """A row of theirs, or what is no row of anybody and holds a trace of them."""
        if modified > self._until or not self.may_hold(line):
            return False
        verdict = self._judge.judge(line, modified)
        if verdict.reason is not None:
            return self._is_theirs(verdict.values[self._place], line)
        return modified <= self.subjects.get(verdict.values[self._place], -1)

    def is_theirs_of_bad(self, line: bytes) -> bool:
        """The same for a line of which it is known that it cannot be used."""
        return self._is_theirs(self._judge.judge(line, 0).values[self._place], line)

    def _is_theirs(self, whose: str | None, line: bytes) -> bool:
        if self._suspends and whose is not None:
            # Without a record of somebody else that suspends them, they would pass again.
            return whose in self.subjects
        return whose in self.subjects or self._finder.in_text(line)


def take_out(store: Store, theirs: Theirs, objects: Iterable[Object], entries: dict[str, Rewritten]) -> Taken:
    """Puts objects anew without these people's lines. `entries`: what is noted of objects that were put anew, here too: before
    anything is put, so that whoever comes after knows what became of it. An object that somebody puts meanwhile is left to them.
    """
    taken, folder = Taken(), scratch.folder()
    try:
        waiting = iter(objects)
        while some := list(islice(waiting, _AT_ONCE)):
            made = []
            for number, one in enumerate(some):
                try:
                    found = _without(store, theirs, one, folder / str(number))
                except files.Damaged:
                    taken += Taken(unreadable=1)
                    continue
                if found is not None:
                    made.append(found)
            if made:
                taken += _put(store, made, entries)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return taken


@dataclass(frozen=True)
class _Made:
    """`path`: the object without the lines; None when nothing is left of it."""

    object: Object
    lines: int
    path: Path | None

    def opened(self) -> BinaryIO | None:
        return self.path.open("rb") if self.path else None

    @property
    def digest(self) -> str:
        if self.path is None:
            return _GONE
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _without(store: Store, theirs: Theirs, one: Object, path: Path) -> _Made | None:
    """None when none of the lines is theirs."""
    lines, left = 0, False
    packed = gzip.GzipFile(path, "wb", mtime=0) if one.is_packed else path.open("wb")
    with packed as out:
        for piece in _pieces(store, one):
            if theirs.may_hold(piece):
                kept = [line for line in piece.splitlines(True) if not theirs.is_theirs(line.rstrip(b"\r\n"), one.modified)]
                lines += len(piece.splitlines()) - len(kept)
                piece = b"".join(kept)
            left = left or bool(piece.strip(b"\r\n\t \xef\xbb\xbf"))
            out.write(piece)
    if not lines:
        return None
    return _Made(one, lines, path if left else None)


def _pieces(store: Store, one: Object) -> Iterator[bytes]:
    """Whole lines, behind the byte-order mark that a file may begin with: it is no part of a line, and stays."""
    try:
        file = store.open(one)
    except Exception as error:
        raise unreadable(one.key, error) from error
    begins = bytearray()

    def noted() -> Iterator[bytes]:
        for piece in files.pieces(file, one.is_packed):
            begins.extend(piece[: len(codecs.BOM_UTF8) - len(begins)])
            yield piece

    for number, piece in enumerate(files.whole_lines(noted())):
        if not number and piece.startswith(files.NO_TEXT):
            raise files.Damaged
        if not number and begins == codecs.BOM_UTF8:
            yield codecs.BOM_UTF8
        yield piece


def _put(store: Store, made: list[_Made], entries: dict[str, Rewritten]) -> Taken:
    taken = Taken()
    for one in made:
        key, before = one.object.key, entries.get(one.object.key)
        # Of a version that was delivered since, nobody has read anything.
        was = (*(before.was if before and before.version == one.object.version else ()), one.object.version)
        # As the object was listed `modified` is when it was delivered, also if it was put anew before.
        entries[key] = Rewritten(key, was, None, one.object.modified, one.digest)
    intake.save_rewritten(store, entries)
    for one in made:
        key = one.object.key
        try:
            now = store.replace(one.object, one.opened())
        except Changed:
            del entries[key]
            continue
        entries[key] = replace(entries[key], version=now.version if now else None, content="")
        taken += Taken(one.lines, int(now is not None), int(now is None))
    intake.save_rewritten(store, entries)
    return taken


def finish(store: Store, entries: dict[str, Rewritten]) -> None:
    """Finds out what became of objects that an earlier run was putting anew when it died."""
    for key, entry in [(key, entry) for key, entry in entries.items() if entry.content]:
        now = next((one for one in store.list(key) if one.key == key), None)
        if now is None and entry.content == _GONE:
            entries[key] = replace(entry, version=None, content="")
        elif now is None:
            # Somebody has removed it, with what others have in it.
            del entries[key]
        elif now.version in entry.was or _digest(store, now) != entry.content:
            # It was not put any more, or somebody has delivered it since. It may have been put anew for others before.
            del entries[key]
            if now.version == entry.was[-1] and len(entry.was) > 1:
                entries[key] = replace(entry, was=entry.was[:-1], version=now.version, content="")
        else:
            entries[key] = replace(entry, version=now.version, content="")
            store.delete_versions([one for one in store.versions(key) if one.key == key and not one.is_current])
    intake.save_rewritten(store, entries)


def _digest(store: Store, one: Object) -> str:
    with closing(store.open(one)) as file:
        digest = hashlib.sha256()
        while piece := file.read(files.PIECE):
            digest.update(piece)
        return digest.hexdigest()
