"""Requests to be forgotten (R17): what is asked, and what is known of it until it is proven to be done."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lakehouse import contracts, emails, files, queries
from lakehouse.drafts import OP, Drafts
from lakehouse.engines import Engine
from lakehouse.lines import LONGEST_LINE, MALFORMED, Judge
from lakehouse.quarantine import as_text
from lakehouse.storage import Object, Store
from lakehouse.tables import Tables
from lakehouse.traces import Person

TABLE, QUARANTINE = "erasure_requests", "erasure_quarantine"
# What is known of the requests that are not proven yet; it names people, as they do, and goes with them.
PENDING = "erasure/state/pending.json"
SEVERAL = "several_people"
# Certificates and the ledger are named so: nobody's address fits in.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True)
class Line:
    """A line of a request object. `line`: as it was put. `reason`, `detail`: why it cannot be done; no value in it."""

    object: Object
    position: int
    line: bytes
    id: str = ""
    email: str = ""
    serial: str = ""
    reason: str | None = None
    column: str | None = None
    detail: str | None = None

    def refused(self, reason: str, column: str | None, detail: str) -> Line:
        return replace(self, reason=reason, column=column, detail=detail)


@dataclass
class Request:
    """A request by its id. `objects`: keys it was put under, each with its version. Times in ms: `requested_at`: of the first of
    them, `erased_at`: until when what is delivered of these people is refused. `lines` of landing files, objects `rewritten` and
    `removed`, rows `quarantined`: what runs took out, put anew or removed, for this one and those that waited with it."""

    objects: dict[str, str] = field(default_factory=dict)
    requested_at: int = 0
    erased_at: int = 0
    people: list[Person] = field(default_factory=list)
    lines: int = 0
    rewritten: int = 0
    removed: int = 0
    quarantined: int = 0


def read(store: Store, prefix: str) -> list[Line]:
    """The lines of the request objects below a prefix, in the order of their keys."""
    objects = sorted((one for one in store.list(prefix) if one.size), key=lambda one: one.key)
    return [line for one in objects for line in _lines(store, one)]


def _lines(store: Store, one: Object) -> Iterator[Line]:
    try:
        pieces = list(files.whole_lines(files.pieces(store.open(one), one.is_packed)))
        if pieces and pieces[0].startswith(files.NO_TEXT):
            raise files.Damaged
    except files.Damaged:
        with closing(store.open(one)) as file:
            content = file.read(LONGEST_LINE)
        yield Line(one, 0, content).refused(MALFORMED, None, "no text, or a damaged gzip; of it the first MiB is kept here")
        return
    judge, position = Judge(contracts.load(TABLE)), 0
    for piece in pieces:
        for line in files.split(piece):
            position += 1
            if line.strip():
                yield _judged(judge, Line(one, position, line))


def _judged(judge: Judge, line: Line) -> Line:
    found = judge.judge(line.line, line.object.modified)
    if found.reason:
        return line.refused(found.reason, found.column, found.detail or "")
    request, email, serial = found.values
    # A blank names no device; looked for, it would be found in every line.
    line = replace(line, id=request, email=email or "", serial=serial if emails.strip(serial or "") else "")
    if found.drift:
        return line.refused(MALFORMED, None, "a key that is none of id, email, serialNumber")
    if not _ID.match(request):
        return line.refused(MALFORMED, "id", "id: want up to 64 letters, digits, dots, hyphens and underscores")
    if not line.email and not line.serial:
        return line.refused("missing_key", "email", "email, serialNumber: missing, want one of them or both")
    return line


def pending(store: Store) -> dict[str, Request]:
    """What is not proven yet, by request."""
    known = json.loads(store.read(PENDING) or b"{}")
    return {name: Request(**{**one, "people": [_person(person) for person in one["people"]]}) for name, one in known.items()}


def _person(given: dict[str, Any]) -> Person:
    return Person(given["email"], tuple(given["serials"]), tuple(given["shared"]))


def save_pending(store: Store, known: dict[str, Request]) -> None:
    """Of what was there before no version stays."""
    before = [one for one in store.versions(PENDING) if one.key == PENDING]
    if known:
        store.write(PENDING, json.dumps({name: asdict(one) for name, one in known.items()}).encode())
        before = [one for one in before if one.id]
    store.delete_versions(before)


def quarantine(engine: Engine, of: Tables, run_id: str, refused: Sequence[Line]) -> None:
    """Puts aside what cannot be done, with its reason: nothing of it is lost, and it is there once however often it is met."""
    contract = contracts.load(QUARANTINE)
    with Drafts(engine, of) as opened:
        rows = engine.rows({**contract.types, OP: "string"}, [_row(line, run_id) for line in refused])
        same = queries.same(contract.key, "rows", "present")
        text = f"select rows.* from rows anti join present on {same}"
        opened.change(QUARANTINE, engine.sql(text, rows=rows, present=opened.rows(QUARANTINE)))
        opened.publish(())


def _row(line: Line, run_id: str) -> tuple[Any, ...]:
    text, encoding = as_text(line.line)
    given = {
        "file": line.object.key,
        "version": line.object.version,
        "position": line.position,
        "reason": line.reason,
        "line": text,
        "encoding": encoding,
        "run_id": run_id,
        "quarantined_at": int(time.time() * 1000),
        "column_name": line.column,
        "detail": line.detail,
        OP: "insert",
    }
    return tuple(given[name] for name in (*contracts.load(QUARANTINE).names, OP))
