"""What a job's last finished run had read, and so what the next one has to read.

Kept as one object a job: a line for each input with its version. It is written last: a run that dies
before leaves the old one, and the next run does the same work again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable

from lakehouse.contracts import Job
from lakehouse.errors import LakehouseError
from lakehouse.storage import Object, Store

RULES, IGNORED = "rules", "ignored"
# The object that says which landing objects were put anew for the erased; the job that erases people writes it.
REWRITTEN = "erasure/state/rewritten.json"
# With or without .gz, in upper or lower case.
SUFFIXES = (".json", ".jsonl", ".ndjson")
HIDDEN, FOLDER_MARKER, UNKNOWN_NAME = "hidden", "folder_marker", "unknown_name"

Inputs = dict[str, str]
"""Version by input: the key of a landing object, the name of a table, `rules`, or `ignored/<reason>`: objects not read."""


@dataclass(frozen=True)
class Ignored:
    """Objects that are not read for one reason (R15): how many, and the first of their keys."""

    objects: int
    example: str


@dataclass(frozen=True)
class Plan:
    """What a run reads of its landing objects. `full`: everything anew, nothing of an earlier run counts."""

    full: bool
    new: tuple[Object, ...]
    known: tuple[Object, ...]
    before: Inputs

    def everything(self) -> Plan:
        """The same with everything read anew."""
        return Plan(True, (*self.known, *self.new), (), self.before)


def load(store: Store, job: Job) -> Inputs:
    """Inputs of the last finished run; empty when there was none, or when its record cannot be read: then all is read anew."""
    content = store.read(job.intake)
    try:
        lines = [json.loads(line) for line in (content or b"").splitlines()]
        return {line["input"]: line["version"] for line in lines}
    except (ValueError, KeyError, TypeError):
        return {}


def save(store: Store, job: Job, inputs: Mapping[str, str], run_id: str) -> None:
    lines = [json.dumps({"job": job.name, "input": key, "version": inputs[key], "run_id": run_id}) for key in sorted(inputs)]
    store.write(job.intake, "".join(f"{line}\n" for line in lines).encode())


@dataclass(frozen=True)
class Rewritten:
    """A landing object that was put anew without the lines of the erased, or removed with them (R17).

    `was`: its versions before. `version`: that without them; None when it is gone. `delivered`: when it was delivered, in ms.
    `content`: SHA-256 of what is being put, empty once that is done.
    """

    key: str
    was: tuple[str, ...]
    version: str | None
    delivered: int
    content: str = ""

    def delivered_as(self, one: Object) -> Object:
        """The object, as delivered when it was delivered first."""
        return replace(one, modified=self.delivered) if one.version == self.version else one


def rewritten(store: Store, prefix: str = "") -> dict[str, Rewritten]:
    """What was put anew for the erased below a prefix, by key."""
    lines = map(json.loads, (store.read(REWRITTEN) or b"").splitlines())
    return {line["key"]: Rewritten(**{**line, "was": tuple(line["was"])}) for line in lines if line["key"].startswith(prefix)}


def save_rewritten(store: Store, entries: Mapping[str, Rewritten]) -> None:
    lines = [json.dumps(asdict(entries[key])) for key in sorted(entries)]
    store.write(REWRITTEN, "".join(f"{line}\n" for line in lines).encode())


def require_finished(entries: Mapping[str, Rewritten]) -> None:
    """Fails when nobody knows whether an object is as it was put anew, or delivered since."""
    if unfinished := [key for key, one in entries.items() if one.content]:
        raise LakehouseError(
            f"{min(unfinished)}: an erasure ended while it took lines out of files; run the job erase_people first"
        )


def followed(before: Inputs, entries: Mapping[str, Rewritten]) -> Inputs:
    """What was read, with the versions that objects have without the lines of the erased: nothing else of them is new."""

    def now(key: str, version: str) -> str | None:
        return entries[key].version if key in entries and version in entries[key].was else version

    return {key: version for key, given in before.items() if (version := now(key, given)) is not None}


def delivered(
    store: Store, prefix: str, entries: Mapping[str, Rewritten] | None = None
) -> tuple[list[Object], dict[str, Ignored]]:
    """The objects below a landing prefix that are read, by key, and those that are not, by reason (R15)."""
    read: list[Object] = []
    others: dict[str, list[str]] = {}
    for one in sorted(store.list(prefix), key=lambda one: one.key):
        if reason := _ignored(one.key.removeprefix(prefix)):
            others.setdefault(reason, []).append(one.key)
        else:
            read.append(entries[one.key].delivered_as(one) if entries and one.key in entries else one)
    return read, {reason: Ignored(len(keys), keys[0]) for reason, keys in sorted(others.items())}


def ignored(inputs: Inputs) -> Inputs:
    """Those of the inputs that say what is not read."""
    return {key: version for key, version in inputs.items() if key.startswith(f"{IGNORED}/")}


def _ignored(path: str) -> str | None:
    """Why an object is not read; None when it is. `path`: its key below the prefix."""
    if any(part.startswith((".", "_")) for part in path.split("/")):
        return HIDDEN
    if path.endswith(("/", "_$folder$")) or not path:
        return FOLDER_MARKER
    return None if path.lower().removesuffix(".gz").endswith(SUFFIXES) else UNKNOWN_NAME


def plan(before: Inputs, objects: Iterable[Object], prefix: str, full: bool) -> Plan:
    """New objects only, or everything when an object that was read has changed or is gone: its rows may be in the tables."""
    objects = tuple(objects)
    present = {one.key: one.version for one in objects}
    read = {key: version for key, version in before.items() if prefix and key.startswith(prefix)}
    if full or any(present.get(key) != version for key, version in read.items()):
        return Plan(True, objects, (), before)
    new = tuple(one for one in objects if one.key not in read)
    return Plan(False, new, tuple(one for one in objects if one.key in read), before)


def rules(settings: str) -> str:
    """Fingerprint of everything that decides about a row: this package with contracts.json and the SELECTs, and the settings."""
    digest = hashlib.sha256(settings.encode())
    for path, content in sorted(_contents(files("lakehouse"), "")):
        digest.update(f"\n{path}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _contents(folder: Traversable, path: str) -> Iterable[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _contents(entry, f"{path}/{entry.name}")
        elif entry.name.endswith((".py", ".sql", ".json")):
            yield f"{path}/{entry.name}", entry.read_bytes()
