"""Deliveries of every kind at random, with people who ask to be forgotten in between, some of whom come again (R17).

After every run the tables are what the rules say of the landing files that are left, nothing of who was erased is in those that
were delivered before, and in the end one run over everything changes nothing. ERASURES says how many histories (default: 2).
"""

import os
import re
import shutil

import oracle
from compared import content
from histories import DEVICES, SOURCES, START, Folder, apply, histories
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from lakehouse import erasure, intake, requests
from lakehouse.storage import open_store
from support import DATABASE, TARGETS, Lake
from test_erasure import ask
from test_random_histories import run

ERASURES, SEED = int(os.environ.get("ERASURES", "2")), int(os.environ.get("SEED", "1"))
DAY = 24 * 60 * 60 * 1000
DUCKDB = ["duckdb"] * 5
# Who is erased after which delivery.
_SOME = st.lists(st.sampled_from(list(DEVICES)), min_size=1, max_size=2)
ASKED = st.dictionaries(st.integers(0, 3), _SOME, min_size=1, max_size=3)


def test_tables_are_what_the_rules_say_after_erasures(tmp_path_factory):
    @seed(SEED)
    @settings(
        max_examples=ERASURES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(history=histories(), asked=ASKED)
    def holds(history, asked):
        equals_the_rules(history, asked, tmp_path_factory.mktemp("history"))

    holds()


def equals_the_rules(history, asked, root):
    lake, clock = Lake(root / "lake"), START
    lake.create_tables()
    folder, erased, complete = Folder(lake.folder), oracle.Erased({}, {}), False
    for number, delivery in enumerate(history):
        clock = apply(delivery, folder, clock)
        if number in asked and complete:
            erased = erase(lake, asked[number], (clock - 1) * 1000 + 1, erased, number)
            for name in asked[number]:
                assert_gone(lake, name)
        if complete := complete or all(folder.read(source) for source in SOURCES):
            run(lake, DUCKDB)
            expected = oracle.compute(as_delivered(lake, root / f"copy-{number}"), "as-of", erased)
            for table in TARGETS:
                assert lake.rows(table) == expected.tables[table], table
    if complete:
        before = content(lake)
        entries = run(lake, DUCKDB, full_refresh=True)
        changed = {name: entry for name, entry in entries.items() if entry.inserted + entry.updated + entry.removed}
        assert changed == {}
        # Where a line stands in a file that was put anew is another place.
        assert {table: rows for table, rows in content(lake).items() if "quarantine" not in table} == {
            table: rows for table, rows in before.items() if "quarantine" not in table
        }


def erase(lake, names, now, erased, number):
    ask(lake, *({"id": f"r{number}-{place}", "email": f"{name}@example.com"} for place, name in enumerate(names)), name="a.json")
    erasure.erase(erasure.Options(lake.uri, DATABASE), now)
    store = open_store(lake.uri)
    people, devices = dict(erased.people), dict(erased.devices)
    for request in requests.pending(store).values():
        for person in request.people:
            people[person.email] = now
            devices |= dict.fromkeys(person.serials, now) | dict.fromkeys(person.shared, now + DAY)
    # As if it were proven: the requests go.
    store.delete([requests.PENDING, "erasure/requests/a.json"])
    return oracle.Erased(people, devices)


def assert_gone(lake, name):
    """Landing files that can be read hold no row of theirs, nor a line with the address in it."""
    landing = oracle.read_landing(lake.folder)
    email = f"{name}@example.com"
    assert not [path for customer, _, path in landing.customers if customer.email == email]
    assert not [sample for sample in landing.samples if sample.user == email]
    assert not [word for word in landing.words if word.email == email]
    assert not re.search(email, str(lake.rows("customer_quarantine")) + str(lake.rows("accelerometer_quarantine")), re.IGNORECASE)


def as_delivered(lake, copy):
    """The landing files with the times at which they were delivered."""
    delivered = {key: entry.delivered_as for key, entry in intake.rewritten(open_store(lake.uri)).items()}
    for source in SOURCES:
        prefix = f"{source}/landing"
        shutil.copytree(lake.folder / prefix, copy / prefix)
        for one in open_store(lake.uri).list(prefix):
            if one.key in delivered:
                milliseconds = delivered[one.key](one).modified
                os.utime(copy / one.key, (milliseconds / 1000, milliseconds / 1000))
    return copy
