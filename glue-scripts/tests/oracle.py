"""The rules R1 to R17 once more, in plain Python: what the five target tables must hold for a folder of landing files.

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
import re
import sys
import unicodedata
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
MALFORMED, WRONG_TYPE, MISSING_KEY = "malformed", "wrong_type", "missing_key"
MALFORMED_EMAIL, IMPLAUSIBLE_TIME, FUTURE_TIME = "malformed_email", "implausible_time", "future_time"
HIDDEN, FOLDER_MARKER, UNKNOWN_NAME = "hidden", "folder_marker", "unknown_name"


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


class Word(NamedTuple):
    """R13: what can be read of a customer record that cannot be used; None is what cannot be read either."""

    email: str
    updated: int | None
    serial: str | None
    # SHA-256 of the line, and the first moment (ms) at which it was delivered.
    line: str
    delivered: int


@dataclass
class Delivered:
    """What the landing files of one source hold. Paths are relative to the lake, with slashes."""

    # Good rows, with the modification time (ms) and the path of their file.
    rows: list[tuple[Any, int, str]] = field(default_factory=list)
    # Path, line (0: the whole file), reason.
    quarantine: list[tuple[str, int, str]] = field(default_factory=list)
    # Rows by key that is no column.
    drift: Counter = field(default_factory=Counter)
    # R14: path and line (0: the whole file) of what is an unknown number of rows.
    unknown: list[tuple[str, int]] = field(default_factory=list)
    # R13, only of customers: what is quarantined and can be read to be somebody's, and what cannot.
    words: list[Word] = field(default_factory=list)
    unnamed: list[tuple[str, int]] = field(default_factory=list)
    # R15: paths by reason.
    ignored: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Landing:
    """Everything delivered, by source."""

    sources: dict[str, Delivered]

    @property
    def customers(self) -> list[tuple[Customer, int, str]]:
        return self.sources["customer"].rows

    @property
    def words(self) -> list[Word]:
        return self.sources["customer"].words

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
    sorted, with line 0 for a whole file; `drift` counts by source and unknown key the rows that are not malformed; `unknown`
    lists by source what is an unknown number of rows (R14), and `unnamed` the customers' quarantined rows of nobody knows whom
    (R13), as (file, line); `suspending` are the bad records that suspend somebody now, `suspended` the e-mails of these people
    (R13); `ignored` lists by source and reason the files that are not read (R15).
    """

    tables: dict[str, list[tuple]]
    outcomes: dict[str, Counter]
    landing: dict[str, int]
    quarantine: dict[str, list[tuple[str, int, str]]]
    drift: dict[str, dict[str, int]]
    unknown: dict[str, list[tuple[str, int]]]
    unnamed: dict[str, list[tuple[str, int]]]
    suspending: list[Word]
    ignored: dict[str, dict[str, list[str]]]

    @property
    def suspended(self) -> set[str]:
        return {word.email for word in self.suspending}

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


def compute(landing_dir: str | Path, gate: str, erased: Erased | None = None) -> Result:
    """Apply the rules to the landing files below landing_dir (`<source>/landing/**`)."""
    if gate not in GATES:
        raise ValueError(f"unknown consent gate {gate!r}; known are {', '.join(GATES)}")
    landing = read_landing(Path(landing_dir))

    outcomes = {table: Counter() for table in TARGET_TABLES}
    erased = erased or Erased({}, {})
    records = [one for one in landing.customers if not erased.refuses(*one[:2])]
    if refused := len(landing.customers) - len(records):
        outcomes["customer_trusted"]["erased"] = refused
    people = known_people(records, landing.words)
    trusted = trusted_customers(people, records, outcomes["customer_trusted"])
    samples = trusted_samples(people, landing.samples, gate, erased, outcomes["accelerometer_trusted"])
    curated = curated_customers(trusted, samples, outcomes["customer_curated"])
    steps = trusted_steps(people, curated, landing.steps, gate, erased, outcomes["step_trainer_trusted"])
    learning = machine_learning(curated, samples, steps, outcomes["machine_learning_curated"])

    tables = (trusted.values(), samples, curated.values(), steps, learning)
    sources = landing.sources
    return Result(
        tables={name: sort_rows(rows) for name, rows in zip(TARGET_TABLES, tables, strict=True)},
        outcomes=outcomes,
        landing={f"{name}_landing": len(found.rows) + len(found.quarantine) for name, found in sources.items()},
        quarantine={name: sorted(found.quarantine) for name, found in sources.items()},
        drift={name: dict(found.drift) for name, found in sources.items()},
        unknown={name: sorted(found.unknown) for name, found in sources.items()},
        unnamed={"customer": sorted(sources["customer"].unnamed)},
        suspending=[word for person in people.values() for word in person.words],
        ignored={name: {reason: sorted(paths) for reason, paths in found.ignored.items()} for name, found in sources.items()},
    )


# --- the rules ---


@dataclass(frozen=True)
class Erased:
    """R17: until when (ms) nothing passes of people, by e-mail, and of devices, by serial number."""

    people: dict[str, int]
    devices: dict[str, int]

    def refuses(self, customer: Customer, delivered: int) -> bool:
        """Was the record delivered, changed or agreed to before its person was erased?"""
        dates = [delivered, customer.updated, *([customer.research] if customer.consents else [])]
        return customer.email in self.people and min(dates) <= self.people[customer.email]


@dataclass
class Person:
    """Somebody of whom a record was delivered, good or bad."""

    # None: only bad records.
    current: Customer | None = None
    # The bad records that suspend them.
    words: list[Word] = field(default_factory=list)

    @property
    def suspended(self) -> bool:
        return bool(self.words)

    @property
    def serials(self) -> set[str]:
        """R4: the devices that are theirs, or may be by now."""
        serials = {word.serial for word in self.words} | ({self.current.serial} if self.current else set())
        return serials - {None}

    def closed(self) -> str | None:
        """R2, R3, R4: why nothing of theirs passes, whenever it was taken."""
        if self.current and not self.current.consents:
            return "no_consent"
        return "suspended" if self.suspended else None


def known_people(records: list[tuple[Customer, int, str]], words: list[Word]) -> dict[str, Person]:
    """R1, R13: everybody with their current record and what suspends them, by e-mail."""
    current = current_customers(records)
    people = {email: Person(customer) for email, customer in current.items()}
    first: dict[str, int] = {}
    for customer, delivered, _ in records:
        if customer == current[customer.email]:
            first[customer.email] = min(delivered, first.get(customer.email, delivered))
    for word in words:
        person = people.setdefault(word.email, Person())
        if not (person.current and is_newer(person.current.updated, first[word.email], word)):
            person.words.append(word)
    return people


def is_newer(updated: int, delivered: int, word: Word) -> bool:
    """R13: does a current record with this date and first delivery end what a bad one began?"""
    return delivered > word.delivered if word.updated is None else updated > word.updated


def current_customers(records: list[tuple[Customer, int, str]]) -> dict[str, Customer]:
    """R1: the current record of everybody, by e-mail.

    The last change wins; of those at one time the content alone decides: no consent, the later date, the greater fingerprint.
    """
    best: dict[str, tuple] = {}
    for customer, _, _ in records:
        # No date is before every date.
        date = (customer.research is not None, customer.research or 0)
        rank = (customer.updated, not customer.consents, date, fingerprint(customer))
        if customer.email not in best or rank > best[customer.email][0]:
            best[customer.email] = (rank, customer)
    return {email: customer for email, (_, customer) in best.items()}


def fingerprint(customer: Customer) -> str:
    """R1: stands for the content of a record; lengths keep the values of two columns apart."""
    values = ("-" if value is None else f"{len(str(value))}:{value}" for value in customer)
    return hashlib.sha256("".join(values).encode()).hexdigest()


def trusted_customers(
    people: dict[str, Person], records: list[tuple[Customer, int, str]], outcomes: Counter
) -> dict[str, Customer]:
    """R2: the current records with consent. Of equal records one is the current one, the others are duplicates."""
    trusted: dict[str, Customer] = {}
    taken: set[str] = set()
    for customer, _, _ in records:
        person = people[customer.email]
        if customer != person.current:
            outcomes["superseded"] += 1
        elif customer.email in taken:
            outcomes["duplicate"] += 1
        else:
            taken.add(customer.email)
            reason = person.closed()
            outcomes[reason or ACCEPTED] += 1
            if reason is None:
                trusted[customer.email] = customer
    return trusted


def trusted_samples(
    people: dict[str, Person], samples: list[Sample], gate: str, erased: Erased, outcomes: Counter
) -> set[Sample]:
    """R3: each reading of a consenting customer once, at a time the gate lets pass."""
    accepted: set[Sample] = set()
    for sample in samples:
        reason = sample_reason(people.get(sample.user), sample, gate, erased.people.get(sample.user))
        if reason is None and sample in accepted:
            reason = "duplicate"
        outcomes[reason or ACCEPTED] += 1
        if reason is None:
            accepted.add(sample)
    return accepted


def sample_reason(person: Person | None, sample: Sample, gate: str, until: int | None) -> str | None:
    if person is None:
        return "unknown_customer" if until is None else "erased"
    if closed := person.closed():
        return closed
    if until is not None and sample.time <= until:
        return "erased"
    return None if person.current.allows(sample.time, gate) else "before_consent"


def curated_customers(trusted: dict[str, Customer], samples: set[Sample], outcomes: Counter) -> dict[str, Customer]:
    """R5: trusted customers with at least one trusted reading."""
    users = {sample.user for sample in samples}
    curated = {email: customer for email, customer in trusted.items() if email in users}
    outcomes.update(ACCEPTED if email in curated else "no_readings" for email in trusted)
    return curated


def trusted_steps(
    people: dict[str, Person], curated: dict[str, Customer], steps: list[Step], gate: str, erased: Erased, outcomes: Counter
) -> list[Step]:
    """R4, R5: readings that all customers of the device let pass; of one device and time the smallest distance."""
    owners: dict[str, list[Person]] = defaultdict(list)
    for person in people.values():
        for serial in person.serials:
            owners[serial].append(person)

    nearest: dict[tuple[str, int], Step] = {}
    for step in steps:
        reason = step_reason(owners.get(step.serial, []), curated, step, gate, erased.devices.get(step.serial))
        key = (step.serial, step.time)
        if reason is None and key in nearest:
            reason = "duplicate"
        outcomes[reason or ACCEPTED] += 1
        if reason is None or (reason == "duplicate" and step.distance < nearest[key].distance):
            nearest[key] = step
    return list(nearest.values())


def step_reason(owners: list[Person], curated: dict[str, Customer], step: Step, gate: str, until: int | None) -> str | None:
    if not owners:
        return "unknown_customer" if until is None else "erased"
    reasons = [owner_reason(owner, curated, step, gate) for owner in owners]
    if until is not None and step.time <= until and set(reasons) <= {None, "before_consent"}:
        return "erased"
    if len(owners) == 1:
        return reasons[0]
    return "ambiguous_device" if any(reasons) else None


def owner_reason(owner: Person, curated: dict[str, Customer], step: Step, gate: str) -> str | None:
    if closed := owner.closed():
        return closed
    if owner.current.email not in curated:
        return "no_readings"
    return None if owner.current.allows(step.time, gate) else "before_consent"


def machine_learning(curated: dict[str, Customer], samples: set[Sample], steps: list[Step], outcomes: Counter) -> list[tuple]:
    """R6: each trusted accelerometer reading with the step reading of the same person at the same time."""
    by_device_and_time = {(step.serial, step.time): step for step in steps}
    rows = []
    for sample in samples:
        serial = curated[sample.user].serial
        step = by_device_and_time.get((serial, sample.time))
        outcomes[ACCEPTED if step else "no_step_reading"] += 1
        if step:
            rows.append((subject_id(sample.user, serial), step.time, step.distance, sample.x, sample.y, sample.z))
    return rows


def subject_id(email: str, serial: str) -> str:
    """R6: the pseudonym of a person, e-mail normalised, and their device."""
    return hashlib.sha256(f"{email} {serial}".encode()).hexdigest()


# --- e-mails (R11) ---

# Unicode's properties White_Space and Default_Ignorable_Code_Point, which the module unicodedata does not have. White space
# is not str.isspace(), which takes U+001C to U+001F for it.
WHITE_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
IGNORABLE = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
BLANK = re.compile(f"[{WHITE_SPACE}{IGNORABLE}]")


def is_blank(character: str) -> bool:
    """White space, or not to be seen."""
    return bool(BLANK.match(character)) or unicodedata.category(character) == "Cf"


def trimmed(text: str) -> str:
    """The text without white space and invisible characters at its ends."""
    first, last = 0, len(text)
    while first < last and is_blank(text[first]):
        first += 1
    while first < last and is_blank(text[last - 1]):
        last -= 1
    return text[first:last]


def lower(text: str) -> str:
    """Every character by itself: `Σ` is never the final one."""
    return "".join(character.lower() for character in text)


def normalise(email: str) -> str:
    """R11: the form in which e-mails are compared, whether it is an address or not."""
    return unicodedata.normalize("NFC", lower(trimmed(unicodedata.normalize("NFC", email))))


def address(email: str) -> str | None:
    """R11: the normalised address; None when the text is blank or no address."""
    normalised = normalise(email)
    unfit = any(is_blank(character) or unicodedata.category(character)[0] in "ZC" for character in normalised)
    return None if unfit else normalised or None


# --- order ---


def nulls_last(row: tuple) -> tuple:
    return tuple((value is None, value) for value in row)


def sort_rows(rows: Iterable[tuple]) -> list[tuple]:
    """Plain tuples, sorted by all columns, nulls last."""
    return sorted((tuple(row) for row in rows), key=nulls_last)


# --- reading (R8) ---

LONGEST_LINE = 1024 * 1024  # bytes, without the line end
DEEPEST = 100  # levels of objects and arrays, that of the row included
LONGEST_NUMBER = 1000  # characters
EARLIEST_MS = 946_684_800_000  # 2000-01-01T00:00:00Z
CLOCK_SKEW_MS = 24 * 60 * 60 * 1000  # a time may be this much later than its file: clocks differ
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# How files begin that are no text: gzip, zip, bzip2, xz, zstd, lz4, Parquet, Avro, UTF-16.
NO_TEXT = tuple(
    bytes.fromhex(magic)
    for magic in ("1f8b", "504b0304", "425a68", "fd377a585a", "28b52ffd", "04224d18", "50415231", "4f626a01", "fffe", "feff")
)


@dataclass(frozen=True)
class Source:
    """How the rows of a source look: type by key, in the order of the fields of `row`."""

    row: Callable[..., Any]
    columns: dict[str, str]
    required: tuple[str, ...]
    event_times: tuple[str, ...]
    consent_times: tuple[str, ...] = ()
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
        event_times=("registrationDate", "lastUpdateDate"),
        consent_times=("shareWithResearchAsOfDate", "shareWithPublicAsOfDate", "shareWithFriendsAsOfDate"),
        email="email",
    ),
    "accelerometer": Source(
        Sample,
        {"user": "string", "timestamp": "bigint", "x": "double", "y": "double", "z": "double"},
        required=("user", "timestamp", "x", "y", "z"),
        event_times=("timestamp",),
        email="user",
    ),
    "step_trainer": Source(
        Step,
        {"sensorReadingTime": "bigint", "serialNumber": "string", "distanceFromObject": "int"},
        required=("sensorReadingTime", "serialNumber", "distanceFromObject"),
        event_times=("sensorReadingTime",),
    ),
}


def read_landing(folder: Path) -> Landing:
    return Landing({name: read_source(folder, name, source) for name, source in SOURCES.items()})


def read_source(folder: Path, name: str, source: Source) -> Delivered:
    found = Delivered()
    landing = folder / name / "landing"
    for file in sorted(file for file in landing.rglob("*") if file.is_file()):
        path, modified = file.relative_to(folder).as_posix(), file.stat().st_mtime_ns // 1_000_000
        if reason := ignored_reason(file.relative_to(landing)):
            found.ignored[reason].append(path)
            continue
        content = unpacked(file)
        if content is None:
            found.quarantine.append((path, 0, MALFORMED))
            found.unknown.append((path, 0))
            if source.row is Customer:
                found.unnamed.append((path, 0))
            continue
        # bytes.splitlines() knows exactly \n, \r\n and \r, unlike that of str.
        for number, line in enumerate(content.removeprefix(BYTE_ORDER_MARK).splitlines(), start=1):
            if line.strip(b" \t"):
                read_line(line, path, number, modified, source, found)
    found.words = first_delivered(found.words)
    return found


def read_line(line: bytes, path: str, number: int, modified: int, source: Source, found: Delivered) -> None:
    pairs = parsed(line)
    fields = None if pairs is None else known_fields(pairs, source)
    if fields is None:
        reason = MALFORMED
        if is_several(line):
            found.unknown.append((path, number))
    else:
        known = {key.lower() for key in source.columns}
        # Rows wrapped in an object that is none itself.
        if not any(lower(key) in known for key, _ in pairs) and is_several(line):
            found.unknown.append((path, number))
        found.drift.update(key for key, _ in pairs if lower(key) not in known)
        reason = row_reason(fields, source, modified)
    if reason is None:
        found.rows.append((to_row(fields, source), modified, path))
        return
    found.quarantine.append((path, number, reason))
    if source.row is Customer:
        if word := read_word(line, pairs or (), modified):
            found.words.append(word)
        else:
            found.unnamed.append((path, number))


# R15


def ignored_reason(name: Path) -> str | None:
    """Why a file, named relative to its landing zone, is not read."""
    if any(part.startswith((".", "_")) for part in name.parts):
        return HIDDEN
    if name.name.endswith("_$folder$"):
        return FOLDER_MARKER
    return None if re.search(r"\.(json|jsonl|ndjson)(\.gz)?\Z", name.name, re.IGNORECASE | re.ASCII) else UNKNOWN_NAME


def unpacked(file: Path) -> bytes | None:
    """The lines of a file; None when the file as a whole cannot be used."""
    content = file.read_bytes()
    if file.name.lower().endswith(".gz"):
        content = gunzip(content)
    return None if content is None or content.startswith(NO_TEXT) else content


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


# R13


def read_word(line: bytes, pairs: Iterable[tuple[str, Any]], modified: int) -> Word | None:
    """What a bad line says of whom; None when nobody knows whose it is."""

    def only(key: str) -> Any:
        values = [value for name, value in pairs if lower(name) == key.lower()]
        return values[0] if len(values) == 1 else None

    email, updated, serial = (only(key) for key in ("email", "lastUpdateDate", "serialNumber"))
    who = address(email) if type(email) is str else None
    if who is None:
        return None
    when = whole_number(updated, 64) if type(updated) is Number else None
    if when is not None and not EARLIEST_MS <= when <= modified + CLOCK_SKEW_MS:
        when = None
    return Word(who, when, serial if type(serial) is str else None, hashlib.sha256(line).hexdigest(), modified)


def first_delivered(words: list[Word]) -> list[Word]:
    """Each line as of its first delivery: another copy of it says nothing new."""
    first: dict[str, int] = {}
    for word in words:
        first[word.line] = min(word.delivered, first.get(word.line, word.delivered))
    return sorted({word._replace(delivered=first[word.line]) for word in words}, key=nulls_last)


# R14

SEVERAL = re.compile(rf"\A\ufeff?[{WHITE_SPACE}]*\[|\}}[^\"{{}}]*\{{")


def is_several(line: bytes) -> bool:
    """Does a malformed line look like an unknown number of rows?"""
    return bool(SEVERAL.search(line.decode("utf-8", "replace")))


# One line


class Number(str):
    """A number as it is written: what it is worth depends on its column."""

    def __new__(cls, token: str) -> Number:
        if len(token) > LONGEST_NUMBER:
            raise ValueError(f"a number of {len(token)} characters")
        return super().__new__(cls, token)


def no_number(literal: str) -> None:
    raise ValueError(f"{literal} is not JSON")


# Objects become tuples of pairs, which shows keys that come twice and tells objects from arrays.
STRICT = json.JSONDecoder(object_pairs_hook=tuple, parse_int=Number, parse_float=Number, parse_constant=no_number)
# A JSON string, or from where one is not closed to the end.
STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)', re.DOTALL)


def parsed(line: bytes) -> tuple[tuple[str, Any], ...] | None:
    """Keys and values of a line that is one JSON object within the limits, else None."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        text = line.decode("utf-8")
        if depth(text) > DEEPEST:
            return None
        pairs = STRICT.decode(text)
        if "\\u" in text:
            # Half a surrogate pair is no character: it cannot be encoded.
            json.dumps(pairs, ensure_ascii=False).encode()
    except ValueError:
        return None
    return pairs if isinstance(pairs, tuple) else None


def depth(text: str) -> int:
    """Levels of objects and arrays, at most; looked for only where there are brackets enough."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return 0
    level = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", STRING.sub("", text)):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def known_fields(pairs: tuple[tuple[str, Any], ...], source: Source) -> dict[str, Any] | None:
    """R16: the values by the key of their column; None when any key, of a column or not, comes twice."""
    found = {lower(key): value for key, value in pairs}
    return {key: found.get(key.lower()) for key in source.columns} if len(found) == len(pairs) else None


def row_reason(fields: dict[str, Any], source: Source, modified: int) -> str | None:
    """Why a row cannot be used: the first reason that holds."""
    values = {key: typed(fields[key], kind) for key, kind in source.columns.items()}
    if any(values[key] is None and fields[key] is not None for key in values):
        return WRONG_TYPE
    if any(values[key] is None or (isinstance(values[key], str) and not trimmed(values[key])) for key in source.required):
        return MISSING_KEY
    if source.email and address(values[source.email]) is None:
        return MALFORMED_EMAIL
    # A consent date of 0 or less says that there is no consent.
    consents = [key for key in source.consent_times if values[key] is not None and values[key] > 0]
    times = [values[key] for key in (*source.event_times, *consents) if values[key] is not None]
    if any(time < EARLIEST_MS for time in times):
        return IMPLAUSIBLE_TIME
    return FUTURE_TIME if any(time > modified + CLOCK_SKEW_MS for time in times) else None


def typed(value: Any, kind: str) -> Any:
    """The value as its column has it; None when it does not fit."""
    if kind == "string":
        return value if type(value) is str else None
    if type(value) is not Number:
        return None
    if kind == "double":
        number = float(value) + 0.0  # makes -0.0 to 0.0
        return number if math.isfinite(number) else None
    return whole_number(value, 64 if kind == "bigint" else 32)


def whole_number(token: Number, bits: int) -> int | None:
    """The exact value of a whole number, also of `1.0` or `1e3`; None when it is none, or has more bits."""
    sign, whole, fraction, exponent = re.fullmatch(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", token, re.ASCII).groups("")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return 0
    factor = digits.rstrip("0")
    power = int(exponent or 0) - len(fraction) + len(digits) - len(factor)
    # By its length first: nobody should have to compute 1e999999999.
    if power < 0 or len(factor) + power > 19:
        return None
    number = int(f"{sign}{factor}") * 10**power
    return number if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None


def to_row(fields: dict[str, Any], source: Source) -> Any:
    values = {key: typed(fields[key], kind) for key, kind in source.columns.items()}
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
    ignored = sum(len(paths) for reasons in result.ignored.values() for paths in reasons.values())
    unknown = sum(len(places) for places in result.unknown.values())
    print(f"suspended: {len(result.suspended):,}; files ignored: {ignored:,}; unknown numbers of rows: {unknown:,}")


if __name__ == "__main__":
    main()
