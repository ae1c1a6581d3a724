"""What a job's last finished run had read, and so what the next one has to read.

Kept as one object a job, `intake/ledger/<job>.json`: a line for each input with its version. It is written last: a run that dies
before leaves the old one, and the next run does the same work again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from lakehouse.storage import Object, Store

RULES = "rules"
SUFFIXES = (".json", ".json.gz")

Inputs = dict[str, str]
"""Version by input: the key of a landing object, the name of a table, or `rules`."""


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


def load(store: Store, job: str) -> Inputs:
    """Inputs of the last finished run; empty when there was none, or when its record cannot be read: then all is read anew."""
    content = store.read(_key(job))
    try:
        lines = [json.loads(line) for line in (content or b"").splitlines()]
        return {line["input"]: line["version"] for line in lines}
    except (ValueError, KeyError, TypeError):
        return {}


def save(store: Store, job: str, inputs: Mapping[str, str], run_id: str) -> None:
    lines = [json.dumps({"job": job, "input": key, "version": inputs[key], "run_id": run_id}) for key in sorted(inputs)]
    store.write(_key(job), "".join(f"{line}\n" for line in lines).encode())


def _key(job: str) -> str:
    return f"intake/ledger/{job}.json"


def delivered(store: Store, prefix: str) -> list[Object]:
    """The landing objects below a prefix, by key. Names that begin with a dot or an underscore are not data, as for Spark."""
    found = [one for one in store.list(prefix) if one.key.endswith(SUFFIXES) and not _hidden(one.key.removeprefix(prefix))]
    return sorted(found, key=lambda one: one.key)


def _hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))


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
    """Fingerprint of everything that decides about a row: this package with its contracts and SELECTs, and the settings."""
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
