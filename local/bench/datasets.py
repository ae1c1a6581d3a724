"""Landing data of a size, and what is delivered later: new people, and people who withdraw their consent."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.errors import BenchError

SOURCES = ("customer", "accelerometer", "step_trainer")
PEOPLE = 956  # of the public data set, which is size 1
LATER_PERCENT = 1


def _later(*columns: str) -> list[str]:
    return [f'"{column}" + r * 1000000000 as "{column}"' for column in columns]


# What replica r of the public data set has in each column.
_SERIAL = "serialNumber || '-r' || r as serialNumber"
COPIES = {
    "customer": [
        *(
            "customerName",
            "replace(email, '@', '+r' || r || '@') as email",
            "phone",
            "cast(birthDay as varchar) as birthDay",
            _SERIAL,
        ),
        *_later("registrationDate", "lastUpdateDate", "shareWithResearchAsOfDate", "shareWithPublicAsOfDate"),
        *_later("shareWithFriendsAsOfDate"),
    ],
    "accelerometer": ["replace(\"user\", '@', '+r' || r || '@') as \"user\"", *_later("timestamp"), "x", "y", "z"],
    "step_trainer": [*_later("sensorReadingTime"), _SERIAL, "distanceFromObject"],
}


@dataclass(frozen=True)
class Dataset:
    """`lake/<source>/landing/` is there from the start; `new` and `withdrawn` are folders of the same layout."""

    scale: int
    origin: str  # public or generated
    lake: Path
    new: Path
    withdrawn: Path

    def deliver(self, part: Path) -> None:
        for file in _files(part):
            shutil.copyfile(file, self.lake / file.relative_to(part))

    def take_back(self) -> None:
        """Leave only what was there from the start."""
        for part in (self.new, self.withdrawn):
            for file in _files(part):
                (self.lake / file.relative_to(part)).unlink(missing_ok=True)

    def rows(self) -> int:
        """Landing rows now."""
        return sum(1 for file in _files(self.lake) for _ in _lines(file))


def replicate(data: Path, folder: Path, scale: int) -> Dataset:
    """The public data set, `scale` times. One replica more is made, of which 1 % of `scale` is delivered later."""
    made = folder / "made"
    _copy(data, made, scale + 1)
    dataset = _dataset(folder, scale, "public")
    extra = _split_customers(made / "customer" / "landing" / "customer-00000.json", f"+r{scale}@")
    people = extra[: math.ceil(PEOPLE * scale * LATER_PERCENT / 100)]
    _write(dataset.new, "customer", people)
    users, serials = {row["email"] for row in people}, {row["serialNumber"] for row in people}
    for source, field, wanted in (("accelerometer", "user", users), ("step_trainer", "serialNumber", serials)):
        last = made / source / "landing" / f"{source}-{scale:05d}.json"
        _write(dataset.new, source, (row for row in _rows(last) if row[field] in wanted))
        last.unlink()
    made.rename(dataset.lake)
    return _with_withdrawals(dataset)


def _copy(data: Path, out: Path, replicas: int) -> None:
    """Replica r has e-mails and serial numbers of its own, and all times r million seconds later, so that joins grow as the
    data does. All customers are in one file, the readings in one for each replica."""
    db = duckdb.connect()
    db.execute("set memory_limit = '6GB'; set preserve_insertion_order = false")
    for source, columns in COPIES.items():
        (out / source / "landing").mkdir(parents=True)
        files = [(0, replicas)] if source == "customer" else [(r, r + 1) for r in range(replicas)]
        for i, (first, end) in enumerate(files):
            rows = f"read_json('{data}/{source}/landing/*.json', format = 'newline_delimited'), range({first}, {end}) t(r)"
            file = out / source / "landing" / f"{source}-{i:05d}.json"
            db.execute(f"copy (select {', '.join(columns)} from {rows}) to '{file}' (format json)")


def generate(repo: Path, folder: Path, scale: int) -> Dataset:
    """The same from the project's generator: it writes people in order, so the last of 101 files is the last 1 % of them."""
    made, files = folder / "made", 100 // LATER_PERCENT + 1
    people = math.ceil(PEOPLE * scale * (100 + LATER_PERCENT) / 100)
    flags = ["-people", str(people), "-files", str(files), "-seed", "1", "-out", str(made)]
    _run(["go", "run", "./data/generator", *flags], repo)
    dataset = _dataset(folder, scale, "generated")
    for source in SOURCES:
        last = made / source / "landing" / f"{source}-{files - 1:05d}.json.gz"
        target = dataset.new / last.relative_to(made)
        target.parent.mkdir(parents=True)
        last.rename(target)
    made.rename(dataset.lake)
    return _with_withdrawals(dataset)


def _dataset(folder: Path, scale: int, origin: str) -> Dataset:
    return Dataset(scale, origin, folder / "lake", folder / "new", folder / "withdrawn")


def _run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BenchError(f"{' '.join(command[:2])} could not make the data: {said[-1] if said else 'no message'}")


def _split_customers(file: Path, mark: str) -> list[dict]:
    """Take the rows whose e-mail holds the mark out of the file."""
    kept, taken = [], []
    for row in _rows(file):
        (taken if mark in row["email"] else kept).append(row)
    file.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return taken


def _with_withdrawals(dataset: Dataset) -> Dataset:
    rows = (row for file in _files(dataset.lake) if "customer" in file.relative_to(dataset.lake).parts for row in _rows(file))
    _write(dataset.withdrawn, "customer", withdrawals(rows, math.ceil(PEOPLE * dataset.scale * LATER_PERCENT / 100)))
    return dataset


def withdrawals(customers: Iterable[dict], people: int) -> list[dict]:
    """A newer record without consent for so many consenting people, evenly over all of them."""
    current: dict[str, dict] = {}
    for row in customers:
        email = row["email"].strip(" ").lower()
        if email not in current or row["lastUpdateDate"] > current[email]["lastUpdateDate"]:
            current[email] = row
    consenting = [row for _, row in sorted(current.items()) if row.get("shareWithResearchAsOfDate")]
    if people > len(consenting):
        raise BenchError(f"{people} people are to withdraw their consent, and only {len(consenting)} gave it")
    chosen = [consenting[i * len(consenting) // people] for i in range(people)]
    return [
        {k: v for k, v in row.items() if k != "shareWithResearchAsOfDate"} | {"lastUpdateDate": row["lastUpdateDate"] + 1}
        for row in chosen
    ]


def _write(part: Path, source: str, rows: Iterable[dict]) -> None:
    folder = part / source / "landing"
    folder.mkdir(parents=True)
    with (folder / f"{source}-{part.name}.json").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _files(folder: Path) -> Iterator[Path]:
    for source in SOURCES:
        yield from sorted((folder / source / "landing").glob("*.json*"))


def _lines(file: Path) -> Iterator[bytes]:
    with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as lines:
        yield from lines


def _rows(file: Path) -> Iterator[dict]:
    return map(json.loads, _lines(file))


def public_data(repo: Path) -> Path | None:
    """The public data set, which is no part of the project."""
    folder = Path(os.environ.get("STEDI_DATA", repo.parent / "shared" / "data" / "stedi"))
    return folder if folder.is_dir() else None
