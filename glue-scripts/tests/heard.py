"""Who may be in a trusted or curated table, a third time: asked of what a history delivered, without a rule's machinery.

Neither the product's nor the oracle's way to the current record: every line of every customer file is a word of somebody, and a
person may pass only when the latest words are all valid consents. That is less than the rules ask for, so a row that
fails here is a row of somebody who did not agree. It knows what histories.py writes, and nothing else.

    closed = heard.closed(folder)
    heard.trespassers(closed, tables)        # rows of theirs, by table: none
"""

from __future__ import annotations

import gzip
import hashlib
import json
import unicodedata
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from histories import DEVICES, SERIALS, Folder

DAY = 86_400_000
EARLIEST = 946_684_800_000
DATES = ("registrationdate", "sharewithresearchasofdate")
# What is written instead of an address is nobody's: it holds something else than these letters between.
PEOPLE = {person.encode("ascii", "ignore"): unicodedata.normalize("NFC", f"{person}@example.com") for person in DEVICES}


@dataclass(frozen=True)
class Word:
    """A line of a customer file that names a person; `time` is its last change where that can be believed."""

    person: str
    time: int | None
    serial: str | None
    good: bool
    consent: bool
    content: str
    delivered: int

    @property
    def allows(self) -> bool:
        return self.good and self.consent


def words(folder: Folder) -> tuple[list[Word], set[tuple[str, int]]]:
    """Every word, and file and line (0: the whole file) of what cannot be said to be anybody's."""
    found, lost = [], set()
    for file in folder.read("customer"):
        path, delivered = file.relative_to(folder.root).as_posix(), file.stat().st_mtime_ns // 10**6
        try:
            lines = text_of(file.read_bytes(), file.name).split("\n")
        except (OSError, EOFError, zlib.error):
            lost.add((path, 0))
            continue
        for number, line in enumerate(lines, start=1):
            if word := word_of(line, delivered):
                found.append(word)
            elif line.strip():
                lost.add((path, number))
    return found, lost


def text_of(content: bytes, name: str) -> str:
    packed = content.startswith(b"\x1f\x8b")
    if packed != name.lower().endswith(".gz"):
        raise OSError("a name that does not fit")
    return (gzip.decompress(content) if packed else content).decode("utf-8", "surrogateescape")


def word_of(line: str, delivered: int) -> Word | None:
    try:
        line.encode()
        pairs = json.loads(line, object_pairs_hook=lambda pairs: [(key.lower(), value) for key, value in pairs])
    except ValueError:
        return None
    if not pairs or not all(isinstance(pair, tuple) for pair in pairs):
        return None
    values: dict[str, list[Any]] = defaultdict(list)
    for key, value in pairs:
        values[key].append(value)
    person = person_of(values["email"])
    if person is None:
        return None

    def when(key: str) -> int | None:
        given = values[key]
        whole = len(given) == 1 and isinstance(given[0], int | float) and given[0] == int(given[0])
        return int(given[0]) if whole and EARLIEST <= given[0] <= delivered + DAY else None

    def fits(key: str) -> bool:
        return not any(values[key]) or when(key) is not None

    texts = ("phone", "serialnumber")
    good = all(len(given) < 2 for given in values.values()) and when("lastupdatedate") is not None
    good = good and all(map(fits, DATES)) and all(value is None or type(value) is str for key in texts for value in values[key])
    record = {key: given[0] for key, given in values.items() if given and given[0] is not None and key != "extra"}
    content = json.dumps(
        {key: int(v) if isinstance(v, float) else v for key, v in record.items()} | {"email": person}, sort_keys=True
    )
    serial = values["serialnumber"][0] if len(values["serialnumber"]) == 1 else None
    serial = serial if isinstance(serial, str) else None
    consent = bool(when("sharewithresearchasofdate"))
    return Word(person, when("lastupdatedate"), serial, good, consent, content if good else line, delivered)


def person_of(emails: list[Any]) -> str | None:
    """Whom a spelling means: seen by its ASCII letters, once nothing is in between them."""
    if len(emails) != 1 or not isinstance(emails[0], str):
        return None
    seen = unicodedata.normalize("NFD", emails[0]).strip(" \t\n\u200b\u00a0\u3000\ufeff").lower()
    name, _, domain = seen.partition("@")
    if domain != "example.com" or any(not character.isalpha() and character != "\u0301" for character in name):
        return None
    return PEOPLE.get(unicodedata.normalize("NFC", name).encode("ascii", "ignore"))


def closed(folder: Folder) -> dict[str, list[Word]]:
    """People of whom nothing may pass, with the words that say so and the record that else would count."""
    found, _ = words(folder)
    first: dict[str, int] = {}
    for word in sorted(found, key=lambda word: word.delivered):
        first.setdefault((word.good, word.content), word.delivered)
    people = defaultdict(list)
    for word in found:
        people[word.person].append(word)

    shut = {}
    for person, said in people.items():
        last = max((word.time for word in said if word.time is not None), default=None)
        latest = [word for word in said if word.time is not None and word.time == last]
        consents = [word for word in latest if word.allows]
        since = max((first[word.good, word.content] for word in consents), default=0)
        undated = [word for word in said if word.time is None and first[word.good, word.content] >= since]
        if undated or len(consents) < len(latest) or not latest:
            shut[person] = undated + latest
    return shut


def trespassers(shut: dict[str, list[Word]], tables: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    """Rows of these people, by table: by e-mail, by a device that is surely theirs, or by the pseudonym of any device."""
    devices = {serial for said in shut.values() for serial in surely_theirs(said)}
    subjects = {hashlib.sha256(f"{person} {serial}".encode()).hexdigest() for person in shut for serial in SERIALS}
    named = {
        "customer_trusted": (1, set(shut)),
        "customer_curated": (1, set(shut)),
        "accelerometer_trusted": (0, set(shut)),
        "step_trainer_trusted": (1, devices),
        "machine_learning_curated": (0, subjects),
    }
    rows = {table: [row for row in tables[table] if row[place] in people] for table, (place, people) in named.items()}
    return {table: found for table, found in rows.items() if found}


def surely_theirs(said: list[Word]) -> set[str]:
    """Devices named by a bad word; or by the good ones, when these agree."""
    agreed = {word.serial for word in said if word.good}
    return ({word.serial for word in said if not word.good} | (agreed if len(agreed) == 1 else set())) - {None}
