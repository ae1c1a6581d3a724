"""Reads what was delivered since the last run, and says what of it cannot be used, and whether that is too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lakehouse import queries
from lakehouse.contracts import Contract
from lakehouse.engines import Engine, Rows
from lakehouse.errors import TooManyQuarantined
from lakehouse.storage import Object, Store

# Places, columns and unknown keys that are told at most.
_MOST_PLACES, _MOST_DETAILS, _MOST_NAMES = 20, 5, 20


@dataclass(frozen=True)
class Found:
    """What a run met in its landing files.

    `good`: rows that can be used, `quarantined`: the others by reason, a file quarantined whole counting as one row.
    `rejected`: those rows as Landed.rejected gives them, with `version`; None when there are none.
    `drift`: rows with a key that the contract does not know, by key.
    """

    good: int
    quarantined: dict[str, int]
    rejected: Rows | None
    drift: dict[str, int]

    @property
    def read(self) -> int:
        return self.good + sum(self.quarantined.values())


class Delivery:
    """Landing objects as rows. `rows`: the good ones, with the contract's columns, `file_path` and `file_modified`.

    `found`: what was found in them. Asking for it fails when more rows are bad than is allowed, also of an unknown number.
    `share`: see Options.quarantined_share.
    """

    def __init__(self, engine: Engine, contract: Contract, store: Store, objects: Sequence[Object], share: float | None) -> None:
        self._engine, self._contract, self._share = engine, contract, share
        # An object without bytes holds no row.
        self._objects = [one for one in objects if one.size]
        self._landed = engine.read(contract, store, self._objects)
        self._all = self._landed.rows
        self.rows = engine.sql(
            f"select {queries.listed(contract.names)}, file_path, file_modified from landed where reason is null",
            landed=self._all,
        )

    @cached_property
    def found(self) -> Found:
        engine = self._engine
        counted = engine.fetch("select reason, drift, count(*) from landed group by reason, drift", landed=self._all)
        good = sum(number for reason, _, number in counted if reason is None)
        drift: dict[str, int] = {}
        for _, names, number in counted:
            for name in names.split(",") if names else ():
                drift[name] = drift.get(name, 0) + number
        drift = dict(sorted(drift.items(), key=lambda one: (-one[1], one[0]))[:_MOST_NAMES])
        if good == sum(number for *_, number in counted):
            return Found(good, {}, None, drift)
        versions = engine.rows({"file": "string", "version": "string"}, [(one.key, one.version) for one in self._objects])
        rejected = engine.keep(
            engine.sql(
                "select rejected.*, version from rejected join versions on rejected.file = versions.file",
                rejected=self._landed.rejected,
                versions=versions,
            )
        )
        reasons = engine.fetch("select reason, count(*) from rejected group by reason order by reason", rejected=rejected)
        found = Found(good, dict(reasons), rejected, drift)
        self._require_few(found, rejected)
        return found

    # --- how much may be put aside ---

    def _require_few(self, found: Found, rejected: Rows) -> None:
        """Fails when more rows are bad than is allowed."""
        limits, given = self._contract.limits, self._share
        number, places = self._places(rejected, "many")
        # Of all rows an unknown number is any share.
        if (given is None or given < 1) and number:
            raise self._too_many(found, f"{number} files or lines hold an unknown number of rows (R14): {places}")
        share = limits.unnamed_share if given is None else given
        if share is not None and self._contract.address:
            number, places = self._places(rejected, f'"{self._contract.address}" is null')
            if number > share * found.read:
                what = f"{number} of {found.read} rows cannot be used and do not say whose they are (R13): {places}"
                raise self._too_many(found, what)
        share = limits.quarantined_share if given is None else given
        if (bad := sum(found.quarantined.values())) > share * found.read:
            (first, *_) = self._some(rejected, "true", 1)
            what = f"{bad} of {found.read} rows cannot be used, more than {share:.2%}: {self._reasons(found, rejected)}"
            raise self._too_many(found, f"{what}; for example {_place(*first[:2])}")

    def _some(self, rejected: Rows, which: str, most: int) -> list[tuple]:
        text = f"select file, position, detail from rejected where {which} order by file, position limit {most}"
        return self._engine.fetch(text, rejected=rejected)

    def _places(self, rejected: Rows, which: str) -> tuple[int, str]:
        """How many rows there are for which it is so, and where the first of them are."""
        ((number,),) = self._engine.fetch(f"select count(*) filter (where {which}) from rejected", rejected=rejected)
        if not number:
            return 0, ""
        shown = self._some(rejected, which, _MOST_PLACES)
        more = f", and {number - len(shown)} more" if number > len(shown) else ""
        return number, "; ".join(f"{_place(file, position)} ({detail})" for file, position, detail in shown) + more

    def _too_many(self, found: Found, what: str) -> TooManyQuarantined:
        drift = ", ".join(f"{name} {count}" for name, count in found.drift.items())
        unknown = f" Keys that the contract does not know, by rows: {drift}." if drift else ""
        # A customer record that is removed suspends nobody any more.
        mend = "Correct the files" if self._contract.limits.unnamed_share is not None else "Correct or remove the files"
        return TooManyQuarantined(
            f"{self._contract.table}: {what}. Nothing was written.{unknown} "
            f"{mend}; or run the job with --quarantined_share 1 to put these rows aside"
        )

    def _reasons(self, found: Found, rejected: Rows) -> str:
        """How many rows for which reason, and what was wrong with their columns most often."""
        details = self._engine.fetch(
            "select reason, detail, count(*) as number from rejected group by reason, detail order by number desc, detail",
            rejected=rejected,
        )
        told = []
        for reason, number in found.quarantined.items():
            columns = dict.fromkeys(part for one, detail, _ in details if one == reason for part in detail.split(", "))
            shown = [*list(columns)[:_MOST_DETAILS], *["..."][: len(columns) > _MOST_DETAILS]]
            told.append(f"{number} {reason} ({', '.join(shown)})")
        return ", ".join(told)


def _place(file: str, position: int) -> str:
    return f"line {position} of {file}" if position else f"the whole of {file}"
