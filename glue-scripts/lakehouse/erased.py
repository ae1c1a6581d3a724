"""Who was erased (R17). The ledger keeps a keyed hash of them: nobody who guesses an address can ask it whether it is there."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from lakehouse.engines import Engine, Rows
from lakehouse.errors import LakehouseError
from lakehouse.storage import Store

LEDGER = "erasure_ledger"
# The key of the hashes; the job that erases people makes it.
SECRET = "erasure/state/secret"
_COLUMNS = {"subject": "string", "erased_at": "bigint"}


def keyed(secret: bytes, hashed: str) -> str:
    """How the ledger names who has this SHA-256, hex, of the normalised address or of the serial number."""
    return hmac.digest(secret, hashed.encode(), "sha256").hex()


def lost() -> LakehouseError:
    return LakehouseError(
        f"{LEDGER} knows who was erased, but the key of its hashes is gone ({SECRET}): put it back; "
        f"or, to forget for good who was erased, delete all rows of {LEDGER}"
    )


def among(engine: Engine, store: Store, ledger: Rows, subjects: Rows) -> Rows:
    """Those of the `subject`s whom the ledger knows: `subject`, and `erased_at`, until when nothing of theirs passes."""
    until = dict(engine.fetch("select subject, max(erased_at) from ledger group by subject", ledger=ledger))
    if not until:
        return engine.rows(_COLUMNS, [])
    asked = engine.fetch("select distinct subject, sha2(subject, 256) from asked where subject is not null", asked=subjects)
    met = _known(store, until.keys(), asked)
    return engine.rows(_COLUMNS, [(subject, until[name]) for subject, name in met])


def since(engine: Engine, store: Store, before: Rows, now: Rows, hashes: Rows) -> Rows | None:
    """Those of the hashes (`subject`: SHA-256, hex) that the ledger knows now and did not before, but for devices that others
    have too; None when it knows nobody anew."""
    new = engine.fetch(
        "select distinct now.subject from now anti join before "
        "on now.subject = before.subject and now.erased_at = before.erased_at where now.kind <> 'shared_device'",
        now=now,
        before=before,
    )
    if not new:
        return None
    asked = engine.fetch("select distinct subject, subject from hashes", hashes=hashes)
    met = _known(store, {name for (name,) in new}, asked)
    return engine.rows({"subject": "string"}, [(subject,) for subject, _ in met])


def _known(store: Store, names: Iterable[str], asked: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of pairs of a subject and its hash those that the ledger knows: the subject, and how the ledger names it."""
    secret, known = store.read(SECRET), set(names)
    if secret is None:
        raise lost()
    pairs = ((subject, keyed(secret, hashed)) for subject, hashed in asked)
    return [(subject, name) for subject, name in pairs if name in known]
