"""Random histories of a landing folder: what is delivered, replayed, changed and taken away between the runs of the pipeline.

A history is a list of deliveries, a delivery a list of operations, an operation a dict of plain JSON values: a failing
history can be printed, kept in a file and played again. The world is small on purpose, so that people, devices and times meet
often. Strategies name the simplest value first, which is where a failing history shrinks to. Good rows come in every way in
which they may be written; faults are those of the table at the top of docs/consent-rules.md.

    for _ in play(history, folder):
        ...  # after every delivery
"""

from __future__ import annotations

import gzip
import json
import os
import re
import unicodedata
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

SOURCES = ("customer", "accelerometer", "step_trainer")
# A plausible time (R12), in milliseconds; all others are little later.
T = 1_650_000_000_000
# Modification time of the files of the first delivery, in seconds.
START = 1_700_000_000
# Too late for a file of the first two deliveries, and in time for the third, should the row come again.
BARELY_FUTURE = (START + 2) * 1000 + 86_400_000
FUTURE = BARELY_FUTURE + 86_400_000

# The device that a person mostly has; cleo shares ben's. Nobody ever registers the last device.
DEVICES = {"ann": "s-1", "ben": "s-2", "cleo": "s-2", "josé": "s-3"}
SERIALS = ("s-1", "s-2", "s-3", "s-9")
TIMES = tuple(range(T + 500, T + 3001, 500))
# Of a customer record after the first ones, mostly later: so that something changes, and a suspension can end.
UPDATES = (*TIMES, *[*range(T + 3500, T + 6001, 500)] * 3)

# How a file is called. Those that are not read (R15) are so by how their name begins or ends.
NAMES = ("m", "b", "z/a", "B", "9:30")
ENDINGS = (".json", ".json.gz", ".jsonl", ".ndjson", ".JSON", ".JSONL.GZ")
HIDDEN = ("_SUCCESS", ".hidden", "_tmp/m")
UNREAD = ("", ".csv", "_$folder$")

# How a file is damaged: cut short, gzip under the name of plain text and the other way round, without a byte.
DAMAGES = ("cut", "mistaken", "empty")
# Lines that are no row of any source. The last one is not UTF-8.
BROKEN_LINES = ("{}", "[]", '{"email": "ann@exam', '{"user": NaN}', '{"a": 1, "A": 2}', "{'x': 1}", '{"email": "\udcff"}')


def is_packed(name: str) -> bool:
    return name.lower().endswith(".gz")


def is_read(file: Path, landing: Path) -> bool:
    """R15, of the names above."""
    hidden = any(part.startswith(("_", ".")) for part in file.relative_to(landing).parts)
    return not hidden and file.name.endswith(ENDINGS)


class Folder:
    """Writes landing files below a folder. The same operations at the same times give the same files, byte for byte."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._written = 0
        # Source, how the name ends, content: of every file there ever was, in order.
        self._past: list[tuple[str, str, bytes]] = []

    def files(self, source: str) -> list[Path]:
        landing = self.root / source / "landing"
        return sorted(file for file in landing.rglob("*") if file.is_file())

    def read(self, source: str) -> list[Path]:
        """Those that a run reads, and that may hold a row."""
        landing = self.root / source / "landing"
        return [file for file in self.files(source) if is_read(file, landing) and file.stat().st_size]

    def deliver(self, clock: int, source: str, name: str, ending: str, lines: list, damage: str | None) -> None:
        """A new file."""
        self._write(self._new(source, name, ending), source, ending, content(lines, is_packed(ending), damage), clock)

    def overwrite(self, clock: int, source: str, pick: int, lines: list, damage: str | None) -> None:
        """Another content for a file that is there."""
        if files := self.files(source):
            file = files[pick % len(files)]
            # Names end in their number and what came after it.
            ending = re.sub(r"^.*-\d{3,}", "", file.name)
            self._write(file, source, ending, content(lines, is_packed(ending), damage), clock)

    def touch(self, clock: int, source: str, pick: int) -> None:
        """A file that is there once more, with the same content: its first delivery is later now (R13)."""
        if files := self.files(source):
            os.utime(files[pick % len(files)], (clock, clock))

    def replay(self, clock: int, pick: int, name: str) -> None:
        """A file under a new name that was delivered before, also one that has been overwritten or deleted since."""
        if self._past:
            source, ending, data = self._past[pick % len(self._past)]
            self._write(self._new(source, name, ending), source, ending, data, clock)

    def delete(self, clock: int, source: str, pick: int) -> None:
        if files := self.files(source):
            files[pick % len(files)].unlink()

    def _new(self, source: str, name: str, ending: str) -> Path:
        return self.root / source / "landing" / f"{name}-{self._written:03}{ending}"

    def _write(self, file: Path, source: str, ending: str, data: bytes, clock: int) -> None:
        self._written += 1
        self._past.append((source, ending, data))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (clock, clock))


def content(lines: list[dict | str], packed: bool, damage: str | None) -> bytes:
    """The bytes of a file. Lines are rows, or text as it is; lone surrogates in it stand for bytes that are not UTF-8."""
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    plain = "".join(f"{text}\n" for text in texts).encode("utf-8", "surrogateescape")
    zipped = gzip.compress(plain, mtime=0)
    if damage == "empty":
        return b""
    if damage == "cut":
        # Plain text that is cut still has whole lines: only its last one is broken.
        return zipped[:-5] if packed else plain[:-3]
    return zipped if packed != (damage == "mistaken") else plain


def apply(delivery: list[dict[str, Any]], folder: Folder, clock: int) -> int:
    """Carry out a delivery at a time in seconds; gives the time of the next one.

    All files of a delivery have one modification time, those of later deliveries greater ones: good and bad records of one
    person meet that came at once, and one before the other.
    """
    for operation in delivery:
        arguments = {key: value for key, value in operation.items() if key != "op"}
        getattr(folder, operation["op"])(clock, **arguments)
    return clock + 1


def play(history: list[list[dict[str, Any]]], root: str | Path) -> Iterator[Folder]:
    """Gives the folder after every delivery."""
    folder, clock = Folder(root), START
    for delivery in history:
        clock = apply(delivery, folder, clock)
        yield folder


# --- strategies ---


def histories(faults: bool = True) -> st.SearchStrategy[list[list[dict[str, Any]]]]:
    """Two to six deliveries, empty ones included: a run without news. Without faults every file and row can be used.

    Most people come with the first delivery, so that the later ones have something to change.
    """
    visits = [_visit(person, faults) for person in DEVICES]
    first = st.tuples(*visits)
    group = _weighted((3, _operation(faults).map(lambda operation: [operation])), (1, st.one_of(visits)))
    later = st.lists(st.lists(group, max_size=6), min_size=1, max_size=5)
    return st.builds(lambda first, later: [list(chain(*groups)) for groups in (first, *later)], first, later)


def _weighted(*choices: tuple[int, st.SearchStrategy]) -> st.SearchStrategy:
    """One of the strategies, by weight; one_of() takes each of them once, and takes apart those that are one_of() themselves."""
    return st.sampled_from([strategy for weight, strategy in choices for _ in range(weight)]).flatmap(lambda chosen: chosen)


def _merged(*parts: st.SearchStrategy[dict]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda drawn: {key: value for part in drawn for key, value in part.items()})


def _any_of(key: str, *values: Any) -> st.SearchStrategy[dict[str, Any]]:
    """The key with one of the values; the more often a value is given, the more often it is taken. None leaves the key out."""
    return st.sampled_from([{} if value is None else {key: value} for value in values])


def _email(key: str, person: str) -> st.SearchStrategy[dict[str, str]]:
    """In any spelling of one address (R11)."""
    email = f"{person}@example.com"
    decomposed = unicodedata.normalize("NFD", email)
    odd = (f" {email.upper()}", f"{email.title()}\t\n", f"\u200b{decomposed}", f"\u00a0{decomposed.upper()}\u3000\ufeff")
    return _any_of(key, *[email] * 4, *odd)


def _record(person: str, updates: tuple[int, ...] = UPDATES) -> st.SearchStrategy[dict[str, Any]]:
    """A customer record at any time of the small world: a first one, a change, an older one that comes late."""
    dates = (500, 500, 1000, 1000, 1500, 2000, 3000)
    return _merged(
        _email("email", person),
        _any_of("lastUpdateDate", *updates),
        _any_of("shareWithResearchAsOfDate", None, *(T + date for date in dates), 0),
        _any_of("serialNumber", *[DEVICES[person]] * 6, *SERIALS[:-1], None),
        _any_of("phone", None, "1", "2"),
    )


def _sample(person: str) -> st.SearchStrategy[dict[str, Any]]:
    return _merged(
        _email("user", person), _any_of("timestamp", *TIMES), _any_of("x", 0.0, 0.5, -0.0, 1), st.just({"y": 0.5, "z": 0.5})
    )


def _step(serial: str) -> st.SearchStrategy[dict[str, Any]]:
    return _merged(
        _any_of("sensorReadingTime", *TIMES),
        st.just({"serialNumber": serial}),
        _any_of("distanceFromObject", 200, 210, 220),
    )


ROWS = {
    "customer": st.one_of([_record(person) for person in DEVICES]),
    "accelerometer": st.one_of([_sample(person) for person in DEVICES]),
    "step_trainer": st.one_of([_step(serial) for serial in SERIALS]),
}

# How a row is written: keys in another case, whole numbers as 1.0 or 1.0e0 (R16).
STYLES = st.sampled_from([None] * 8 + ["lower", "upper", "decimal", "exponent"])


def _written(row: dict | str, style: str | None) -> dict | str:
    """A row in a style; that of numbers with an exponent is only to be had as text."""
    if style is None or isinstance(row, str):
        return row
    if style in ("lower", "upper"):
        return {getattr(key, style)(): value for key, value in row.items()}
    if style == "decimal":
        return {key: float(value) if type(value) is int else value for key, value in row.items()}
    return re.sub(r"(?<=: )(\d)(\d{12})\b", r"\1.\2e12", json.dumps(row))


# What makes a row bad, or at least odd, by source. Of a customer mostly something beside the e-mail (R13); where that is hit,
# nobody knows whose the record is.
FAULTS = {
    "customer": [
        *({"phone": 5}, {"phone": 5}, {"serialNumber": 7}, {"note": 1, "Note": 2}),
        *({"shareWithResearchAsOfDate": date} for date in (T // 1000, BARELY_FUTURE, FUTURE)),
        *({"lastUpdateDate": time} for time in (T // 1000, "1650000000500", None, BARELY_FUTURE, FUTURE, T + 0.5)),
        *({"registrationDate": 5}, {"LASTUPDATEDATE": T + 500}, {"extra": 1}),
        *({"email": email} for email in (None, 5, " ", "an n@example.com", "an\u200bn@example.com")),
        {"EMAIL": "ann@example.com"},
    ],
    "accelerometer": [
        *({"timestamp": time} for time in ("1000", None, BARELY_FUTURE, FUTURE, T // 1000)),
        *({"user": "an n@example.com"}, {"X": 1, "x": 1}, {"extra": 1}),
    ],
    "step_trainer": [
        *({"sensorReadingTime": time} for time in ("1000", None, BARELY_FUTURE, FUTURE, T // 1000)),
        *({"distanceFromObject": 200.5}, {"SERIALNUMBER": "s-1"}, {"extra": 1}),
    ],
}
# Several rows in a line (R14).
SEVERAL = ("{}{}", "{}, {}", "[{}, {}]", "\x1e{}\x1e{}")


def _lines(rows: st.SearchStrategy[dict], source: str, faults: bool) -> st.SearchStrategy[list[dict | str]]:
    # Few records of a customer at once, else the greatest time is soon taken and nothing changes any more.
    most = 2 if source == "customer" else 8
    good = st.lists(st.builds(_written, rows, STYLES), min_size=1, max_size=most)
    bad = st.builds(_written, _bad(source, rows), STYLES)
    mixed = st.lists(_weighted((1, st.builds(_written, rows, STYLES)), (1, bad)), min_size=1, max_size=most + 2)
    return _weighted((2, good), (1, mixed)) if faults else good


def _bad(source: str, rows: st.SearchStrategy[dict]) -> st.SearchStrategy[dict | str]:
    """A line that is quarantined, a row with a key too many, or a blank line, which is nothing."""
    several = st.builds(
        lambda form, one, other: form.format(json.dumps(one), json.dumps(other)), st.sampled_from(SEVERAL), rows, rows
    )
    return _weighted((8, _merged(rows, st.sampled_from(FAULTS[source]))), (1, st.sampled_from(["", *BROKEN_LINES])), (1, several))


def _file(source: str, faults: bool, lines: st.SearchStrategy[list]) -> dict[str, st.SearchStrategy]:
    """The arguments that operations on the content of a file share."""
    damage = st.sampled_from([None] * 21 + list(DAMAGES)) if faults else st.none()
    return {"source": st.just(source), "lines": lines, "damage": damage}


def _deliver(source: str, faults: bool, lines: st.SearchStrategy[list]) -> st.SearchStrategy[dict[str, Any]]:
    names, endings = [*NAMES] * 4, [*ENDINGS] * 4
    if faults:
        names, endings = [*names, *HIDDEN], [*endings, *UNREAD]
    return _does("deliver", **_file(source, faults, lines), name=st.sampled_from(names), ending=st.sampled_from(endings))


def _visit(person: str, faults: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A person's records, and readings of phone and device at the same times: else hardly any would meet."""
    # Mostly all three; else nothing or one, so that a failing history can shrink to it.
    chosen = st.sampled_from([(), *((source,) for source in SOURCES), *[SOURCES] * 12])
    walks = st.lists(st.tuples(_sample(person), _step(DEVICES[person])), min_size=1, max_size=8)
    records = _lines(_record(person, TIMES), "customer", faults)
    files = {source: _deliver(source, faults, records if source == "customer" else st.just([])) for source in SOURCES}

    @st.composite
    def visit(draw: st.DrawFn) -> list[dict[str, Any]]:
        operations = [draw(files[source]) for source in draw(chosen)]
        walk = draw(walks) if any(operation["source"] != "customer" for operation in operations) else []
        readings = {
            "accelerometer": [sample for sample, _ in walk],
            "step_trainer": [step | {"sensorReadingTime": sample["timestamp"]} for sample, step in walk],
        }
        style = draw(STYLES)
        written = {source: [_written(row, style) for row in rows] for source, rows in readings.items()}
        return [operation | {"lines": written.get(operation["source"], operation["lines"])} for operation in operations]

    return visit()


def _operation(faults: bool) -> st.SearchStrategy[dict[str, Any]]:
    anywhere, name, pick = st.sampled_from(SOURCES), st.sampled_from(NAMES), st.integers(0, 9)
    lines = {source: _lines(ROWS[source], source, faults) for source in SOURCES}
    deliver = {source: _deliver(source, faults, lines[source]) for source in SOURCES}
    overwrite = [_does("overwrite", **_file(source, faults, lines[source]), pick=pick) for source in SOURCES]
    return _weighted(
        # What a customer says later changes most.
        (4, deliver["customer"]),
        (1, deliver["accelerometer"]),
        (1, deliver["step_trainer"]),
        (2, st.one_of(overwrite)),
        (2, _does("replay", pick=pick, name=name)),
        (1, _does("touch", source=anywhere, pick=pick)),
        (1, _does("delete", source=anywhere, pick=pick)),
    )


def _does(op: str, **arguments: st.SearchStrategy) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"op": st.just(op), **arguments})
