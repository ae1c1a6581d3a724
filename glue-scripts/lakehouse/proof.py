"""The proof of an erasure: looks through every version of every object of the lake and of the query results, removes what old
versions still hold, looks again, and says what is left."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pyiceberg.table import Table

from lakehouse import contents, contracts, intake, maintenance, tables
from lakehouse.storage import Store, Version
from lakehouse.tables import Tables
from lakehouse.traces import Finder, Person

ERASED, NOT_ERASED, NOT_COMPLETE = "erased", "not erased", "not complete"
LAKE, RESULTS = "lake", "results"
WITHHELD = "(withheld: it names whom a request is about)"
# What a name may end with, and still be an address that a file is called after.
_SUFFIXES = re.compile(r"(\.(csv|gz|jsonl?|ndjson|orc|parquet|txt|zip))+$", re.IGNORECASE)
# An object's first byte is waited for, more than anything else.
_AT_ONCE, _AT_MOST = 4, 1000
_FAILED = "cannot be read now"
LEFT_BY_DESIGN = (
    {"what": "access logs", "holds": "keys of objects, none of their content", "until": "the retention of access logs"},
    {
        "what": "erasure ledger",
        "holds": "a keyed hash of the address and of each device, which only the holder of the key can check",
        "until": "somebody drops it, see docs/operations.md",
    },
    {"what": "logs of the jobs", "holds": "no value of a row", "until": "the retention of logs"},
)


@dataclass(frozen=True)
class Hit:
    """A trace of whom a request is about. `kind`: the object's zone and format; `where` in it, never what stands there."""

    store: str
    key: str
    version: str
    is_current: bool
    kind: str
    where: str


@dataclass(frozen=True)
class Unreadable:
    """A version that could not be looked into, or not to its end."""

    store: str
    key: str
    version: str
    reason: str


@dataclass(frozen=True)
class Proof:
    """What was found of a request. `looked_at`: versions and bytes by kind; `found`: hits before anything was removed; `removed`:
    what went for good because of all requests of this proof; `left`: hits that nothing could be done about."""

    request: str
    looked_at: dict[str, dict[str, int]]
    requests: int
    found: tuple[Hit, ...]
    removed: dict[str, int]
    left: tuple[Hit, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def verdict(self) -> str:
        return NOT_ERASED if self.left else NOT_COMPLETE if self.unreadable else ERASED

    def certificate(self, requested: int, erased: int, proven: int, done: Mapping[str, Any]) -> dict[str, Any]:
        """The certificate as it is written as JSON. Times in ms; `done`: what the erasure itself rewrote and deleted."""
        times = {"requested": requested, "erased": erased, "proven": proven}
        said = {
            "request": self.request,
            "verdict": self.verdict,
            "times": {what: {"ms": ms, "iso": datetime.fromtimestamp(ms / 1000, UTC).isoformat()} for what, ms in times.items()},
            "looked_at": self.looked_at,
            "requests": {"objects": self.requests, "what": "the request, deleted with this proof"},
            "found": dict(sorted(Counter(one.kind for one in self.found).items())),
            "removed": self.removed,
            "done": dict(done),
            "left": [asdict(one) for one in self.left],
            "unreadable": [asdict(one) for one in self.unreadable],
            "left_by_design": list(LEFT_BY_DESIGN),
            "code": intake.rules(""),
        }
        return {**said, "digest": digest(said)}


def digest(certificate: Mapping[str, Any]) -> str:
    """SHA-256 of a certificate without its digest, as canonical JSON: sorted keys, no blanks, UTF-8."""
    said = {key: value for key, value in certificate.items() if key != "digest"}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def prove(
    lake: Store, results: Store | None, of: Tables, people: Mapping[str, Sequence[Person]], ignored: Iterable[str]
) -> dict[str, Proof]:
    """A proof for each request. `people`: whom each is about; `ignored`: prefixes of objects that hold the requests."""
    stores = {LAKE: lake} if results is None else {LAKE: lake, RESULTS: results}
    proving = _Proving(stores, of, people, tuple(ignored))
    proving.look()
    while proving.clean():
        proving.look()
    # Once more at what could not be read, and at what was put meanwhile.
    proving.look()
    return {request: proving.proof(request) for request in people}


@dataclass
class _Seen:
    """What a version was found to be. `where`: the first trace, by request and kind of place; `problem`: see Unreadable."""

    is_current: bool
    size: int
    kind: str
    where: dict[tuple[str, str], str] = field(default_factory=dict)
    problem: str = ""


class _Same(NamedTuple):
    """What tells versions apart: they never change, so none is looked at twice. In a folder, time and size tell."""

    store: str
    key: str
    version: str
    modified: int
    size: int


class _Proving:
    def __init__(self, stores: dict[str, Store], of: Tables, people: Mapping[str, Sequence[Person]], ignored: tuple[str, ...]):
        self._stores, self._tables, self._ignored = stores, of, ignored
        self._finder = Finder([one for some in people.values() for one in some])
        self._finders = {request: Finder(some) for request, some in people.items()}
        self._places = {
            maintenance.key_of(stores[LAKE], of.load(one.table).location()).rstrip("/") + "/": one
            for one in contracts.load_all()
            if one.format == "iceberg"
        }
        landing = {one.prefix: one.zone for one in contracts.load_all() if one.format != "iceberg"}
        self._zones = landing | {place: one.zone for place, one in self._places.items()}
        self._removed: Counter[str] = Counter()
        self._seen: dict[_Same, _Seen] = {}
        self._present: dict[_Same, Version] = {}
        self._requests: set[_Same] = set()

    # --- looking ---

    def look(self) -> None:
        """Looks at what is new."""
        self._present = {}
        for name, store in self._stores.items():
            for one in store.versions(""):
                same = _Same(name, one.key, one.id, one.modified, one.size)
                if name == LAKE and one.key.startswith(self._ignored):
                    self._requests.add(same)
                else:
                    self._present[same] = one
        new = [same for same in self._present if same not in self._seen or self._seen[same].problem.startswith(_FAILED)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for first in range(0, len(new), _AT_MOST):
                some = new[first : first + _AT_MOST]
                self._seen |= zip(some, pool.map(self._look_at, some), strict=True)

    def _look_at(self, same: _Same) -> _Seen:
        version, zone = self._present[same], self._zone(same)
        seen = _Seen(version.is_current, version.size, f"{zone}/deleted")
        named = f"{version.key}\n{_SUFFIXES.sub('', version.key)}"
        self._look_into(contents.Part(contents.TEXT, "key", named.encode()), seen)
        try:
            if not version.is_marker:
                with closing(self._stores[same.store].open_version(version)) as file:
                    for part in contents.of(file):
                        if part.how == contents.FORMAT:
                            seen.kind = f"{zone}/{part.where}"
                        elif part.how == contents.PROBLEM:
                            seen.problem = part.where
                        else:
                            self._look_into(part, seen)
        except Exception as error:
            seen.problem = f"{_FAILED} ({type(error).__name__})"
        return seen

    def _zone(self, same: _Same) -> str:
        zones = (zone for place, zone in self._zones.items() if same.key.startswith(place))
        return same.store if same.store == RESULTS else next(zones, "other")

    def _look_into(self, part: contents.Part, seen: _Seen) -> None:
        if not _holds(self._finder, part):
            return
        # Of many lines those that matter, so that asking for each request is quick.
        lines = enumerate(part.content.split(b"\n") if part.how == contents.TEXT else ())
        held = [(at, line) for at, line in lines if self._finder.in_text(line)]
        found = part._replace(content=b"\n".join(line for _, line in held) or part.content)
        what, _, number = part.where.rpartition("line ")
        for request, finder in self._finders.items():
            if _holds(finder, found):
                first = next((at for at, line in held if finder.in_text(line)), 0)
                told = f"{what}line {int(number) + first}" if number.isdigit() else part.where
                seen.where.setdefault((request, what or part.where), told)

    # --- cleaning ---

    def clean(self) -> bool:
        """Removes what is no longer current, and says whether anything has changed."""
        hits = [(same.store, one) for same, one in self._present.items() if self._seen[same].where]
        held = {store: {one.key for other, one in hits if other == store and one.is_current} for store in self._stores}
        gone: dict[str, dict[str, set[Version]]] = {store: {} for store in self._stores}
        for store, one in hits:
            if not one.is_current or one.is_marker:
                gone[store].setdefault("noncurrent versions", set()).add(one)
        if RESULTS in held:
            gone[RESULTS]["versions of query results"] = self._versions(RESULTS, held[RESULTS])
        changed = False
        for place, contract in self._places.items():
            if of_table := {key for key in held[LAKE] if key.startswith(place)}:
                before = self._tables.load(contract.table).metadata_location
                useless = self._versions(LAKE, self._expire(contract.table, of_table))
                gone[LAKE].setdefault("versions of files of tables", set()).update(useless)
                changed |= self._tables.load(contract.table).metadata_location != before
        for store, by_reason in gone.items():
            for reason, some in by_reason.items():
                self._removed[reason] += len(some)
            self._stores[store].delete_versions(sorted(set().union(*by_reason.values()), key=lambda one: (one.key, one.id)))
        return changed or any(any(by_reason.values()) for by_reason in gone.values())

    def _versions(self, store: str, keys: set[str]) -> set[Version]:
        return {one for same, one in self._present.items() if same.store == store and one.key in keys}

    def _expire(self, table: str, held: set[str]) -> set[str]:
        """Leaves a table its current version only. Gives the keys of files that only others knew, and of those held that none
        knows."""
        store = self._stores[LAKE]
        before = maintenance.known(self._tables.load(table))
        self._removed["drafts"] += self._tables.retried(table, tables.drop_drafts)
        self._tables.retried(table, tables.forget_gone_files)
        self._removed["versions of tables"] += self._tables.retried(table, _drop_versions)
        loaded = self._tables.load(table)
        # Earlier metadata is listed in the present one, but nobody needs it.
        needed = maintenance.known(loaded) - {entry.metadata_file for entry in loaded.metadata.metadata_log}
        kept = {maintenance.key_of(store, path) for path in needed}
        dropped = {maintenance.key_of(store, path) for path in before - maintenance.known(loaded)}
        return (dropped | held) - kept

    # --- what is said of it ---

    def proof(self, request: str) -> Proof:
        looked_at: dict[str, Counter[str]] = {}
        for seen in self._seen.values():
            kind = "current" if seen.is_current else "noncurrent"
            looked_at.setdefault(seen.kind, Counter()).update({f"{kind}_objects": 1, f"{kind}_bytes": seen.size})
        unreadable = [same for same in sorted(self._present) if self._seen[same].problem]
        return Proof(
            request,
            {kind: dict(sorted(counts.items())) for kind, counts in sorted(looked_at.items())},
            len(self._requests),
            self._hits(request, self._seen),
            {what: number for what, number in sorted(self._removed.items()) if number},
            self._hits(request, self._present),
            tuple(Unreadable(same.store, self._told(same.key), same.version, self._seen[same].problem) for same in unreadable),
        )

    def _hits(self, request: str, among: Iterable[_Same]) -> tuple[Hit, ...]:
        hits = []
        for same in sorted(among):
            seen, key = self._seen[same], self._told(same.key)
            is_current = self._present.get(same, seen).is_current
            for (whose, _), where in seen.where.items():
                if whose == request:
                    hits.append(Hit(same.store, key, same.version, is_current, seen.kind, self._told(where)))
        return tuple(hits)

    def _told(self, name: str) -> str:
        """A name that may come from outside."""
        return WITHHELD if self._finder.in_text(name.encode()) or self._finder.in_binary(name.encode()) else name


def _holds(finder: Finder, part: contents.Part) -> bool:
    if part.how in (contents.BINARY, contents.PREFIXED):
        return finder.in_binary(part.content, part.how == contents.PREFIXED)
    return finder.in_text(part.content) or (
        part.how == contents.BOUNDS and any(finder.in_bound(value) for value in part.content.split(b"\n"))
    )


def _drop_versions(loaded: Table) -> int:
    heads = {ref.snapshot_id for ref in loaded.refs().values()}
    old = [one for one in loaded.snapshots() if one.snapshot_id not in heads]
    if old:
        loaded.maintenance.expire_snapshots().older_than(datetime.max.replace(tzinfo=UTC)).commit()
    return len(old)
