"""The rules R1-R6 once more, in plain Python: what the five target tables must hold for a folder of landing files.

The product computes the tables with SQL on Spark; this module reads the same files with the standard library and
shares nothing with it, not even the contracts, so that a mistake in the one does not repeat itself in the other.
Where the rules leave room, docs/consent-rules.md says what both sides do. No file and no row makes it raise: what
cannot be used is left out and told with file, line and reason (R8), never with a value.

    python oracle.py FOLDER [as-of|ever]     prints rows accepted and excluded per table
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

GATES = ("as-of", "ever")
TARGET_TABLES = (
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
)
ACCEPTED = "accepted"
MALFORMED, WRONG_TYPE, MISSING_KEY, FUTURE_TIME = "malformed", "wrong_type", "missing_key", "future_time"

# What counts as blank around an e-mail and in a required text. Not str.strip(): that takes every space of Unicode.
BLANKS = " \t\r\n"


class Customer(NamedTuple):
    """A customer record, e-mail normalised; the fields are the columns of customer_trusted, in order."""

    name: str | None
    email: str
    phone: str | None
    birthday: str | None
    serial: str | None
    registered: int | None
    updated: int
    research: int | None
    public: int | None
    friends: int | None

    @property
    def consents(self) -> bool:
        """R2."""
        return self.research is not None and self.research > 0

    def allows(self, time: int, gate: str) -> bool:
        """R3: may a reading of this time pass? Only asked of customers who consent."""
        return gate == "ever" or time >= self.research


class Sample(NamedTuple):
    """An accelerometer reading, user normalised; the columns of accelerometer_trusted, in order."""

    user: str
    time: int
    x: float
    y: float
    z: float


class Step(NamedTuple):
    """A step trainer reading; the columns of step_trainer_trusted, in order."""

    time: int
    serial: str
    distance: int


@dataclass
class Delivered:
    """What the landing files of one source hold."""

    # Good rows, with the modification time (ms) and the path of their file.
    rows: list[tuple[Any, int, str]] = field(default_factory=list)
    # Path, line (0: the whole file), reason.
    quarantine: list[tuple[str, int, str]] = field(default_factory=list)
    # Rows by key that is no column.
    drift: Counter = field(default_factory=Counter)


@dataclass(frozen=True)
class Landing:
    """Everything delivered, by source. Paths are relative to the lake, with slashes."""

    sources: dict[str, Delivered]

    @property
    def customers(self) -> list[tuple[Customer, int, str]]:
        return self.sources["customer"].rows

    @property
    def samples(self) -> list[Sample]:
        return [sample for sample, _, _ in self.sources["accelerometer"].rows]

    @property
    def steps(self) -> list[Step]:
        return [step for step, _, _ in self.sources["step_trainer"].rows]


@dataclass
class Result:
    """The accepted rows of every target table, and how many usable rows of its main source had which outcome.

    `landing` counts the rows read, quarantined ones included; `quarantine` lists these by source as (file, line, reason),
    sorted, with line 0 for a whole file; `drift` counts by source and unknown key the rows that are not malformed.
    """

    tables: dict[str, list[tuple]]
    outcomes: dict[str, Counter]
    landing: dict[str, int]
    quarantine: dict[str, list[tuple[str, int, str]]]
    drift: dict[str, dict[str, int]]

    def counts(self) -> dict[str, int]:
        """The number of rows of all eight tables."""
        return self.landing | {table: len(rows) for table, rows in self.tables.items()}


def expected_tables(landing_dir: str | Path, gate: str) -> dict[str, list[tuple]]:
    """The rows of the five target tables: tuples in contract column order, sorted (nulls last)."""
    return compute(landing_dir, gate).tables


def expected_counts(landing_dir: str | Path, gate: str) -> dict[str, int]:
    """The number of rows of all eight tables."""
    return compute(landing_dir, gate).counts()


def expected_reasons(landing_dir: str | Path, gate: str) -> dict[str, dict[str, int]]:
    """Per target table: usable rows of its main source by outcome, which is `accepted` or a reason of R7."""
    return {table: dict(counts) for table, counts in compute(landing_dir, gate).outcomes.items()}


def compute(landing_dir: str | Path, gate: str) -> Result:
    """Apply the rules to the landing files below landing_dir (`<source>/landing/**/*.json[.gz]`)."""
    if gate not in GATES:
        raise ValueError(f"unknown consent gate {gate!r}; known are {', '.join(GATES)}")
    landing = read_landing(Path(landing_dir))

    outcomes = {table: Counter() for table in TARGET_TABLES}
    current = current_customers(landing.customers)
    trusted = trusted_customers(current, landing.customers, outcomes["customer_trusted"])
    samples = trusted_samples(current, landing.samples, gate, outcomes["accelerometer_trusted"])
    curated = curated_customers(trusted, samples, outcomes["customer_curated"])
    steps = trusted_steps(current, curated, landing.steps, gate, outcomes["step_trainer_trusted"])
    learning = machine_learning(curated, samples, steps, outcomes["machine_learning_curated"])

    tables = (trusted.values(), samples, curated.values(), steps, learning)
    sources = landing.sources
    return Result(
        tables={name: sort_rows(rows) for name, rows in zip(TARGET_TABLES, tables, strict=True)},
        outcomes=outcomes,
        landing={f"{name}_landing": len(found.rows) + len(found.quarantine) for name, found in sources.items()},
        quarantine={name: sorted(found.quarantine) for name, found in sources.items()},
        drift={name: dict(found.drift) for name, found in sources.items()},
    )


# --- the rules ---


def normalise(email: str) -> str:
    """R1: an e-mail is compared without the spaces around it and in lower case."""
    return email.strip(" ").lower()


def current_customers(records: list[tuple[Customer, int, str]]) -> dict[str, Customer]:
    """R1: the current record of everybody, by e-mail.

    The last change wins; then the file delivered last, the path, and at the very end the greatest fingerprint.
    """
    best: dict[str, tuple] = {}
    for customer, delivered, path in records:
        rank = (customer.updated, delivered, path, fingerprint(customer))
        if customer.email not in best or rank > best[customer.email][0]:
            best[customer.email] = (rank, customer)
    return {email: customer for email, (_, customer) in best.items()}


def fingerprint(customer: Customer) -> str:
    """R1: stands for the content of a record where nothing else tells two apart."""
    values = ("\\N" if value is None else str(value) for value in customer)
    return hashlib.sha256("\x1f".join(values).encode()).hexdigest()


def trusted_customers(
    current: dict[str, Customer], records: list[tuple[Customer, int, str]], outcomes: Counter
) -> dict[str, Customer]:
    """R2: the current records with consent. Of equal records one is the current one, the others are duplicates."""
    taken: set[str] = set()
    for customer, _, _ in records:
        if customer != current[customer.email]:
            outcomes["superseded"] += 1
        elif customer.email in taken:
            outcomes["duplicate"] += 1
        else:
            taken.add(customer.email)
            outcomes[ACCEPTED if customer.consents else "no_consent"] += 1
    return {email: customer for email, customer in current.items() if customer.consents}


def trusted_samples(current: dict[str, Customer], samples: list[Sample], gate: str, outcomes: Counter) -> set[Sample]:
    """R3: each reading of a consenting customer once, at a time the gate lets pass."""
    accepted: set[Sample] = set()
    for sample in samples:
        reason = sample_reason(current.get(sample.user), sample, gate)
        if reason is None and sample in accepted:
            reason = "duplicate"
        outcomes[reason or ACCEPTED] += 1
        if reason is None:
            accepted.add(sample)
    return accepted


def sample_reason(customer: Customer | None, sample: Sample, gate: str) -> str | None:
    if customer is None:
        return "unknown_customer"
    if not customer.consents:
        return "no_consent"
    return None if customer.allows(sample.time, gate) else "before_consent"


def curated_customers(trusted: dict[str, Customer], samples: set[Sample], outcomes: Counter) -> dict[str, Customer]:
    """R5: trusted customers with at least one trusted reading."""
    users = {sample.user for sample in samples}
    curated = {email: customer for email, customer in trusted.items() if email in users}
    outcomes.update(ACCEPTED if email in curated else "no_readings" for email in trusted)
    return curated


def trusted_steps(
    current: dict[str, Customer], curated: dict[str, Customer], steps: list[Step], gate: str, outcomes: Counter
) -> list[Step]:
    """R4, R5: readings that all customers of the device let pass; of one device and time the smallest distance."""
    owners: dict[str, list[Customer]] = defaultdict(list)
    for customer in current.values():
        if customer.serial is not None:
            owners[customer.serial].append(customer)

    nearest: dict[tuple[str, int], Step] = {}
    for step in steps:
        reason = step_reason(owners.get(step.serial, []), curated, step, gate)
        key = (step.serial, step.time)
        if reason is None and key in nearest:
            reason = "duplicate"
        outcomes[reason or ACCEPTED] += 1
        if reason is None or (reason == "duplicate" and step.distance < nearest[key].distance):
            nearest[key] = step
    return list(nearest.values())


def step_reason(owners: list[Customer], curated: dict[str, Customer], step: Step, gate: str) -> str | None:
    if not owners:
        return "unknown_customer"
    reasons = [owner_reason(owner, curated, step, gate) for owner in owners]
    if len(owners) == 1:
        return reasons[0]
    return "ambiguous_device" if any(reasons) else None


def owner_reason(owner: Customer, curated: dict[str, Customer], step: Step, gate: str) -> str | None:
    if not owner.consents:
        return "no_consent"
    if owner.email not in curated:
        return "no_readings"
    return None if owner.allows(step.time, gate) else "before_consent"


def machine_learning(curated: dict[str, Customer], samples: set[Sample], steps: list[Step], outcomes: Counter) -> list[tuple]:
    """R6: each trusted accelerometer reading with the step reading of the same person at the same time."""
    by_device_and_time = {(step.serial, step.time): step for step in steps}
    subjects = {email: subject_id(customer) for email, customer in curated.items()}
    rows = []
    for sample in samples:
        step = by_device_and_time.get((curated[sample.user].serial, sample.time))
        outcomes[ACCEPTED if step else "no_step_reading"] += 1
        if step:
            rows.append((subjects[sample.user], step.time, step.distance, sample.x, sample.y, sample.z))
    return rows


def subject_id(customer: Customer) -> str:
    """R6: the pseudonym of a person and their device."""
    return hashlib.sha256(f"{customer.email}|{customer.serial}".encode()).hexdigest()


# --- order ---


def nulls_last(row: tuple) -> tuple:
    return tuple((value is None, value) for value in row)


def sort_rows(rows: Iterable[tuple]) -> list[tuple]:
    """Plain tuples, sorted by all columns, nulls last."""
    return sorted((tuple(row) for row in rows), key=nulls_last)


# --- reading (R8) ---

LONGEST_LINE = 1024 * 1024  # bytes, without the line end
CLOCK_SKEW_MS = 24 * 60 * 60 * 1000  # a time may be this much later than its file: clocks differ
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Source:
    """How the rows of a source look: type by key, in the order of the fields of `row`."""

    row: Callable[..., Any]
    columns: dict[str, str]
    required: tuple[str, ...]
    time: str
    email: str | None = None


SOURCES = {
    "customer": Source(
        Customer,
        {
            "customerName": "string",
            "email": "string",
            "phone": "string",
            "birthDay": "string",
            "serialNumber": "string",
            "registrationDate": "bigint",
            "lastUpdateDate": "bigint",
            "shareWithResearchAsOfDate": "bigint",
            "shareWithPublicAsOfDate": "bigint",
            "shareWithFriendsAsOfDate": "bigint",
        },
        required=("email", "lastUpdateDate"),
        time="lastUpdateDate",
        email="email",
    ),
    "accelerometer": Source(
        Sample,
        {"user": "string", "timestamp": "bigint", "x": "double", "y": "double", "z": "double"},
        required=("user", "timestamp", "x", "y", "z"),
        time="timestamp",
        email="user",
    ),
    "step_trainer": Source(
        Step,
        {"sensorReadingTime": "bigint", "serialNumber": "string", "distanceFromObject": "int"},
        required=("sensorReadingTime", "serialNumber", "distanceFromObject"),
        time="sensorReadingTime",
    ),
}


def read_landing(folder: Path) -> Landing:
    return Landing({name: read_source(folder, name, source) for name, source in SOURCES.items()})


def read_source(folder: Path, name: str, source: Source) -> Delivered:
    found = Delivered()
    for file in landing_files(folder / name / "landing"):
        path, modified = file.relative_to(folder).as_posix(), file.stat().st_mtime_ns // 1_000_000
        content = unpacked(file)
        if content is None:
            found.quarantine.append((path, 0, MALFORMED))
            continue
        # bytes.splitlines() knows exactly \n, \r\n and \r, unlike that of str.
        for number, raw in enumerate(content.splitlines(), start=1):
            line = raw.removeprefix(BYTE_ORDER_MARK)
            if not line.strip(b" \t"):
                continue
            fields = parsed(line)
            if fields is not None:
                found.drift.update(fields.keys() - source.columns.keys())
            reason = MALFORMED if fields is None else row_reason(fields, source, modified + CLOCK_SKEW_MS)
            if reason:
                found.quarantine.append((path, number, reason))
            else:
                found.rows.append((to_row(fields, source), modified, path))
    return found


def landing_files(landing: Path) -> list[Path]:
    """All files below that are delivered data, sorted by path; none when the folder is missing."""
    files = (file for file in landing.rglob("*") if file.name.endswith((".json", ".json.gz")) and file.is_file())
    return sorted(file for file in files if not any(part.startswith((".", "_")) for part in file.relative_to(landing).parts))


def unpacked(file: Path) -> bytes | None:
    """The lines of a file; None when the file as a whole cannot be used."""
    content = file.read_bytes()
    if not content:
        return None
    if file.name.endswith(".gz"):
        return gunzip(content)
    return None if content.startswith(GZIP_MAGIC) else content


def gunzip(content: bytes) -> bytes | None:
    """Every member, checksums included. Not the module gzip: it skips zeros after the end and the header's checksum."""
    members = []
    while content:
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            members.append(member.decompress(content))
        except zlib.error:
            return None
        if not member.eof:
            return None
        content = member.unused_data
    return b"".join(members)


def whole_number(digits: str) -> int | float:
    """An integer of JSON. Longer than 64 bits: a float, which no integer column takes (and int() has a limit of digits)."""
    return int(digits) if len(digits) <= len("-9223372036854775808") else float(digits)


def no_number(literal: str) -> None:
    raise ValueError(f"{literal} is not JSON")


# Objects become tuples of pairs, which shows keys that come twice and tells objects from arrays.
STRICT = json.JSONDecoder(object_pairs_hook=tuple, parse_int=whole_number, parse_constant=no_number)


def parsed(line: bytes) -> dict[str, Any] | None:
    """The fields of a row; None when it is malformed."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        text = line.decode("utf-8")
        pairs = STRICT.decode(text)
        if "\\u" in text:
            # Half a surrogate pair is no character: it cannot be encoded.
            json.dumps(pairs, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, tuple) or len({key.lower() for key, _ in pairs}) < len(pairs):
        return None
    return dict(pairs)


def row_reason(fields: dict[str, Any], source: Source, latest: int) -> str | None:
    if not all(fields.get(key) is None or fits(fields[key], kind) for key, kind in source.columns.items()):
        return WRONG_TYPE
    if any(is_missing(fields.get(key)) for key in source.required):
        return MISSING_KEY
    return FUTURE_TIME if fields[source.time] > latest else None


def fits(value: Any, kind: str) -> bool:
    # type() and not isinstance(): true is an int in Python and none in JSON.
    if kind == "string":
        return type(value) is str
    if kind == "double":
        return type(value) in (int, float) and math.isfinite(value)
    limit = 2 ** (63 if kind == "bigint" else 31)
    return type(value) is int and -limit <= value < limit


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip(BLANKS))


def to_row(fields: dict[str, Any], source: Source) -> Any:
    values = {key: fields.get(key) for key in source.columns}
    for key, kind in source.columns.items():
        if kind == "double":
            values[key] = float(values[key]) + 0.0  # makes -0.0 to 0.0
    if source.email:
        values[source.email] = normalise(values[source.email])
    return source.row(*values.values())


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python oracle.py FOLDER [as-of|ever]")
    result = compute(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "as-of")
    for (table, count), rows in zip(result.landing.items(), result.quarantine.values(), strict=True):
        print(f"{table}: {count:,} rows, {len(rows):,} of them quarantined")
    for table, outcomes in result.outcomes.items():
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(outcomes.items()))
        print(f"{table}: {len(result.tables[table]):,} rows of {outcomes.total():,} ({reasons})")


if __name__ == "__main__":
    main()
