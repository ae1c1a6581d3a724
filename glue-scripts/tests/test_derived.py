"""Changes of consent, devices and readings reach customer_curated and machine_learning_curated, and what has not changed is not
written."""

import hashlib

import pytest
from lakehouse import contracts, drafts, engines
from support import JOBS, customer, sample, step

ANN, BEN, CLEO = (f"{name}@example.com" for name in ("ann", "ben", "cleo"))
CURATED, ML = "customer_curated", "machine_learning_curated"
READINGS = ("accelerometer_landing_to_trusted", "step_trainer_trusted")
PEOPLE = {ANN: "a", BEN: "b"}


def person(email, updated=1, research=1, **other):
    return {**customer(email, updated, research=research, serial=PEOPLE.get(email, "c")), **other}


def subject(email, serial=None):
    """The pseudonym of a person with a device."""
    return hashlib.sha256(f"{email} {serial or PEOPLE[email]}".encode()).hexdigest()


@pytest.fixture
def lake(lake):
    """Two people who share, with two readings each that both devices took, at times of their own."""
    lake.deliver("customer", *(person(email) for email in PEOPLE))
    for number, (email, serial) in enumerate(PEOPLE.items(), 1):
        times = (number * 1000, number * 1000 + 1)
        lake.deliver("accelerometer", *(sample(email, time) for time in times))
        lake.deliver("step_trainer", *(step(serial, time) for time in times))
    entry = lake.run()[ML]
    assert (entry.mode, entry.inserted) == ("full", 4)
    return lake


def counts(entry):
    return entry.inserted, entry.updated, entry.removed


def curated(lake):
    return [row["email"] for row in lake.arrow(CURATED).sort_by("email").to_pylist()]


def subjects(lake):
    """How many rows each pseudonym has."""
    found = [row["subject_id"] for row in lake.arrow(ML).to_pylist()]
    return {one: found.count(one) for one in set(found)}


def test_nothing_has_changed(lake):
    versions = {table: lake.tables.version(table) for table in (CURATED, ML)}
    entries = lake.run()
    assert {entries[table].mode for table in versions} == {"unchanged"}
    assert {table: lake.tables.version(table) for table in versions} == versions


def test_added_readings_and_changed_ones(lake):
    lake.deliver("accelerometer", sample(ANN, 1002), sample(ANN, 1003))
    lake.deliver("step_trainer", step("a", 1002))
    entry = lake.run()[ML]
    assert (entry.mode, entry.read, entry.accepted, entry.excluded) == ("incremental", 6, 5, {"no_step_reading": 1})
    assert counts(entry) == (1, 0, 0)
    assert subjects(lake) == {subject(ANN): 3, subject(BEN): 2}
    lake.deliver("step_trainer", step("a", 1000, distance=3))
    assert counts(lake.run(*JOBS[3:])[ML]) == (0, 1, 0)
    assert sorted(row["distancefromobject"] for row in lake.arrow(ML).to_pylist()) == [3, 9, 9, 9, 9]


def test_the_first_reading_of_somebody(lake):
    """Of customers without one customer_curated has none, and so no reading of their device passes (R5)."""
    lake.deliver("customer", person(CLEO))
    lake.deliver("step_trainer", step("c", 3000))
    entries = lake.run()
    assert entries[CURATED].excluded == {"no_readings": 1}
    assert counts(entries[CURATED]) == counts(entries[ML]) == (0, 0, 0)
    lake.deliver("accelerometer", sample(CLEO, 3000))
    entries = lake.run()
    assert counts(entries[CURATED]) == counts(entries[ML]) == (1, 0, 0)
    assert curated(lake) == [ANN, BEN, CLEO]
    assert subjects(lake) == {subject(ANN): 2, subject(BEN): 2, subject(CLEO, "c"): 1}


def test_consent_that_is_withdrawn_given_again_and_given_from_a_later_time_on(lake):
    before = lake.rows(ML)
    lake.deliver("customer", person(ANN, 2, research=None))
    entries = lake.run()
    assert counts(entries[CURATED]) == (0, 0, 1)
    assert counts(entries[ML]) == (0, 0, 2)
    assert (curated(lake), subjects(lake)) == ([BEN], {subject(BEN): 2})
    lake.deliver("customer", person(ANN, 3))
    entries = lake.run()
    assert counts(entries[CURATED]) == (1, 0, 0)
    assert counts(entries[ML]) == (2, 0, 0)
    assert lake.rows(ML) == before
    assert curated(lake) == [ANN, BEN]
    lake.deliver("customer", person(ANN, 4, research=1001))
    entries = lake.run()
    assert counts(entries[CURATED]) == (0, 1, 0)
    assert counts(entries[ML]) == (0, 0, 1)
    assert subjects(lake) == {subject(ANN): 1, subject(BEN): 2}


def test_another_device(lake):
    """Readings of the old one are nobody's, those of the new one get a pseudonym of their own (R6)."""
    lake.deliver("customer", {**person(ANN, 2), "serialNumber": "new"})
    lake.deliver("step_trainer", step("new", 1000))
    entries = lake.run()
    assert counts(entries[CURATED]) == (0, 1, 0)
    assert counts(entries[ML]) == (1, 0, 2)
    assert subjects(lake) == {subject(ANN, "new"): 1, subject(BEN): 2}


def test_a_person_is_looked_at_again_whatever_has_changed_in_customer_curated(lake):
    """Not only what names them: a SELECT may use any column. What comes out the same is not written."""
    version = lake.tables.version(ML)
    lake.deliver("customer", person(ANN, 2, phone="5550100"))
    entries = lake.run()
    assert counts(entries[CURATED]) == (0, 1, 0)
    entry = entries[ML]
    assert (entry.mode, entry.read, entry.accepted, counts(entry)) == ("incremental", 4, 4, (0, 0, 0))
    assert lake.tables.version(ML) == version
    assert set(lake.load(ML).refs()) == {"main"}


def test_rows_that_only_moved_to_another_file_have_not_changed(lake):
    lake.deliver("accelerometer", sample(BEN, 9000))
    lake.deliver("step_trainer", step("b", 9000))
    lake.run(*READINGS, ML)
    version = lake.tables.version(ML)
    files = {table: lake.data_files(table) for table in ("accelerometer_trusted", "step_trainer_trusted")}
    engine = engines.start(lake.engine, lake.uri)
    for table in files:
        drafts.rearrange(engine, lake.tables, contracts.load(table))
        assert len(files[table]) > len(lake.data_files(table))
    engine.close()
    assert counts(lake.run(ML)[ML]) == (0, 0, 0)
    assert lake.tables.version(ML) == version


def test_a_change_and_back_is_none(lake):
    """As between two runs of the derived jobs."""
    version = lake.tables.version(ML)
    first, others = JOBS[:2], JOBS[2:]
    lake.deliver("customer", person(ANN, 2, research=None))
    lake.run(*first)
    lake.deliver("customer", person(ANN, 3))
    lake.run(*first)
    entries = lake.run(*others)
    assert counts(entries[ML]) == (0, 0, 0)
    assert lake.tables.version(ML) == version
    assert counts(entries[CURATED]) == (0, 1, 0)
