"""The rules R1-R6 once more, in plain Python: what the five target tables must hold for a folder of landing files.

The product computes the tables with SQL on Spark; this module reads the same files with the standard library and
shares nothing with it, not even the contracts, so that a mistake in the one does not repeat itself in the other.
Where the rules leave room, docs/consent-rules.md says what both sides do. Every row has to be valid: the first one
that is not raises ValueError with file and line.

    python oracle.py FOLDER [as-of|ever]     prints rows accepted and excluded per table
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

GATES = ("as-of", "ever")
LANDING_TABLES = ("customer_landing", "accelerometer_landing", "step_trainer_landing")
TARGET_TABLES = (
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
)
ACCEPTED = "accepted"


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


@dataclass(frozen=True)
class Landing:
    """Everything delivered. Customer records come with the modification time (ms) and the path of their file."""

    customers: list[tuple[Customer, int, str]]
    samples: list[Sample]
    steps: list[Step]


@dataclass
class Result:
    """The accepted rows of every target table, and how many rows of its main source had which outcome."""

    tables: dict[str, list[tuple]]
    outcomes: dict[str, Counter]
    landing: dict[str, int]

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
    """Per target table: rows of its main source by outcome, which is `accepted` or a reason of R7."""
    return {table: dict(counts) for table, counts in compute(landing_dir, gate).outcomes.items()}


def compute(landing_dir: str | Path, gate: str) -> Result:
    """Apply the rules to the landing files below landing_dir (`<source>/landing/*.json[.gz]`)."""
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
    sizes = (len(landing.customers), len(landing.samples), len(landing.steps))
    return Result(
        tables={name: sort_rows(rows) for name, rows in zip(TARGET_TABLES, tables, strict=True)},
        outcomes=outcomes,
        landing=dict(zip(LANDING_TABLES, sizes, strict=True)),
    )


# --- the rules ---


def normalise(email: str) -> str:
    """R1: an e-mail is compared without the spaces around it and in lower case."""
    return email.strip(" ").lower()


def current_customers(records: list[tuple[Customer, int, str]]) -> dict[str, Customer]:
    """R1: the current record of everybody, by e-mail.

    The last change wins; then the file delivered last, the path, and at the very end the greatest content.
    """
    best: dict[str, tuple] = {}
    for customer, delivered, path in records:
        rank = (customer.updated, delivered, path, nulls_first(customer))
        if customer.email not in best or rank > best[customer.email][0]:
            best[customer.email] = (rank, customer)
    return {email: customer for email, (_, customer) in best.items()}


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


def nulls_first(row: tuple) -> tuple:
    return tuple((value is not None, value) for value in row)


def nulls_last(row: tuple) -> tuple:
    return tuple((value is None, value) for value in row)


def sort_rows(rows: Iterable[tuple]) -> list[tuple]:
    """Plain tuples, sorted by all columns, nulls last."""
    return sorted((tuple(row) for row in rows), key=nulls_last)


# --- reading ---


def read_landing(folder: Path) -> Landing:
    return Landing(
        customers=[
            (customer, file.stat().st_mtime_ns // 1_000_000, file.name)
            for file, customer in read_source(folder, "customer", to_customer)
        ],
        samples=[sample for _, sample in read_source(folder, "accelerometer", to_sample)],
        steps=[step for _, step in read_source(folder, "step_trainer", to_step)],
    )


def read_source(folder: Path, source: str, convert: Callable[[dict], Any]) -> Iterator[tuple[Path, Any]]:
    """Every row of a source, with the file it came in."""
    landing = folder / source / "landing"
    if not landing.is_dir():
        raise FileNotFoundError(f"{landing}: no such folder")
    for file in sorted(landing.iterdir()):
        if file.name.endswith((".json", ".json.gz")):
            yield from ((file, row) for row in read_file(file, convert))


def read_file(file: Path, convert: Callable[[dict], Any]) -> Iterator[Any]:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = convert(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                # Neither the line nor the parser's message: both may hold personal data.
                raise ValueError(f"{file}:{number}: not a valid row ({type(error).__name__})") from None
            yield row


def to_customer(row: dict) -> Customer:
    return Customer(
        name=text(row.get("customerName")),
        email=normalise(row["email"]),
        phone=text(row.get("phone")),
        birthday=text(row.get("birthDay")),
        serial=text(row.get("serialNumber")),
        registered=integer(row.get("registrationDate")),
        updated=integer(row["lastUpdateDate"], required=True),
        research=integer(row.get("shareWithResearchAsOfDate")),
        public=integer(row.get("shareWithPublicAsOfDate")),
        friends=integer(row.get("shareWithFriendsAsOfDate")),
    )


def to_sample(row: dict) -> Sample:
    return Sample(
        user=normalise(row["user"]),
        time=integer(row["timestamp"], required=True),
        x=number(row["x"]),
        y=number(row["y"]),
        z=number(row["z"]),
    )


def to_step(row: dict) -> Step:
    return Step(
        time=integer(row["sensorReadingTime"], required=True),
        serial=text(row["serialNumber"], required=True),
        distance=integer(row["distanceFromObject"], required=True),
    )


def text(value: Any, required: bool = False) -> str | None:
    return typed(value, str, required)


def integer(value: Any, required: bool = False) -> int | None:
    return typed(value, int, required)


def number(value: Any) -> float:
    return float(value) if type(value) is int else typed(value, float, required=True)


def typed(value: Any, wanted: type, required: bool) -> Any:
    # type() and not isinstance(): true is an int in Python and none in JSON.
    if type(value) is wanted or (value is None and not required):
        return value
    raise TypeError(f"{wanted.__name__} expected")


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python oracle.py FOLDER [as-of|ever]")
    result = compute(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "as-of")
    for table, count in result.landing.items():
        print(f"{table}: {count:,} rows")
    for table, outcomes in result.outcomes.items():
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(outcomes.items()))
        print(f"{table}: {len(result.tables[table]):,} rows of {outcomes.total():,} ({reasons})")


if __name__ == "__main__":
    main()
