"""Deliveries of every kind at random, with a run after each: the tables are what the rules say of everything that lies there.

Nobody is in one of them whose latest word is no valid consent, and in the end one run over everything changes nothing in
them. HISTORIES says how many (default: 2).
"""

import os

import heard
import oracle
from histories import SOURCES, histories, play
from hypothesis import HealthCheck, Phase, given, seed, settings
from support import KEEPS, TARGETS, Lake

# The tables whose entries in the ledger account for the files of a source.
FIRST = {"customer": "customer_trusted", "accelerometer": "accelerometer_trusted", "step_trainer": "step_trainer_trusted"}
HISTORIES = int(os.environ.get("HISTORIES", "2"))


# One history takes Spark a minute or two; trying to find a smaller one that fails as well would take hours.
@seed(int(os.environ.get("SEED", "1")))
@settings(max_examples=HISTORIES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_a_run_after_each_delivery_equals_one_run_over_everything(spark, tmp_path_factory, history):
    folder = tmp_path_factory.mktemp("history")
    lake = Lake(spark, folder)
    lake.create_tables()
    try:
        for delivered in play(history, folder):
            complete = all(delivered.read(source) for source in SOURCES)
            if complete:
                entries = run(lake)
                assert_equals_oracle(lake, entries)
                assert heard.trespassers(heard.closed(delivered), {table: lake.rows(table) for table in TARGETS}) == {}
        if complete:
            before = {table: content(lake, table) for table in (*TARGETS, *KEEPS[:-1])}
            entries = run(lake, full_refresh=True)
            assert all(entry.inserted + entry.updated + entry.removed == 0 for entry in entries.values())
            for table, rows in before.items():
                assert content(lake, table) == rows, table
    finally:
        lake.drop_tables()


def run(lake, **options):
    """Many faults in few rows: the share that may be bad is not what is tested here, nor is whom nobody knows."""
    entries = lake.run(quarantined_share=1.0, **options)
    for entry in entries.values():
        assert entry.read == entry.accepted + sum(entry.excluded.values()) + sum(entry.quarantined.values()), entry
    return entries


def assert_equals_oracle(lake, entries):
    """Rows, what is quarantined and ignored, and who is suspended."""
    expected = oracle.compute(lake.folder, "as-of")
    for table, rows in expected.tables.items():
        assert lake.rows(table) == rows, table
    for source, rows in expected.quarantine.items():
        name = lake.name(f"{source}_quarantine")
        found = lake.spark.table(name).select("file", "position", "reason").collect()
        assert sorted(map(tuple, found)) == rows, source
        entry = entries[FIRST[source]]
        # The entry of a run without news says nothing (R7).
        if entry.read or entry.ignored:
            found = {reason: (some.objects, some.example) for reason, some in entry.ignored.items()}
            assert found == {reason: (len(keys), min(keys)) for reason, keys in expected.ignored[source].items()}, source
    entry = entries["customer_trusted"]
    if entry.read:
        assert entry.suspended == len(expected.suspended)
    # Records that suspend nobody any more may be kept as well.
    kept = lake.spark.table(lake.name("customer_suspension")).select("email", "lastupdatedate", "serialnumber").collect()
    assert {(word.email, word.updated, word.serial) for word in expected.suspending} <= set(map(tuple, kept))


def content(lake, table):
    """Rows without what says when and by which run they were written."""
    return sorted(str(row) for row in lake.spark.table(lake.name(table)).drop("run_id", "quarantined_at").collect())
