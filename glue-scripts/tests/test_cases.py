"""Deliveries that broke the product once: people who withdrew stayed in the tables, readings passed that came before consent, or
files vanished without a word. Each is made here anew; what a line is by itself, test_lines.py says."""

import gzip
import json
from hashlib import sha256

import pytest
from compared import content
from lakehouse import tables
from lakehouse.errors import LakehouseError, TooManyQuarantined
from support import KEEPS, TARGETS, T, both_engines, customer, sample, step

CUSTOMERS, READINGS, STEPS = "customer_landing_to_trusted", "accelerometer_landing_to_trusted", "step_trainer_trusted"
JOSE = "jos\u00e9@example.com"
# How six people write their address when they withdraw (case 06).
SPELLINGS = {
    "tab@example.com": "tab@example.com\t",
    "cr@example.com": "\rcr@example.com",
    "nbsp@example.com": "\u00a0nbsp@example.com",
    "zw@example.com": "zw@example.com\u200b",
    JOSE: "jose\u0301@example.com",
    "space@example.com": "  SPACE@Example.com ",
}
# People who deliver a second record that cannot be used; the last one's can.
SECONDS, MISTYPED, TWICE, FUTURE, LOWER = (f"{name}@example.com" for name in ("seconds", "mistyped", "twice", "future", "lower"))
SUSPENDED = (SECONDS, MISTYPED, TWICE, FUTURE)
STAYS, SHARES = "stays@example.com", "shares@example.com"
PEOPLE = (*SPELLINGS, *SUSPENDED, LOWER, STAYS)


def written(row):
    """With its characters as they are."""
    return json.dumps(row, ensure_ascii=False)


def device(email):
    return email.split("@")[0]


def newer(email, **changes):
    """A record that withdraws."""
    return {"email": email, "serialNumber": device(email), "lastUpdateDate": T + 1000, **changes}


def people_in(lake):
    """Who has rows, by table; devices by their owner's name, pseudonyms by their person."""
    pseudonyms = {sha256(f"{email} {device(email)}".encode()).hexdigest(): email for email in (*PEOPLE, SHARES)}
    pseudonyms |= {device(email): email for email in (*PEOPLE, SHARES)}
    columns = ("email", "user", "email", "serialnumber", "subject_id")
    return {
        table: {pseudonyms.get(who, who) for who in lake.arrow(table)[column].to_pylist()}
        for table, column in zip(TARGETS, columns, strict=True)
    }


def versions(lake):
    return {table: lake.tables.version(table) for table in (*TARGETS, *KEEPS)}


def in_ledger(lake, outcome):
    """Its lines with that outcome, oldest first."""
    lines = lake.load("run_ledger").scan(row_filter=f"outcome = '{outcome}'").to_arrow().to_pylist()
    return sorted(lines, key=lambda line: line["recorded_at"])


@both_engines
def test_who_withdraws_or_cannot_be_read_is_in_no_table(lake):
    """Cases 05, 06, 10 and 14. A record suspends until the next one that can be read, and in a full refresh too (R13)."""
    lake.deliver("customer", *(written(customer(email, 0, research=10, serial=device(email))) for email in PEOPLE))
    lake.deliver("accelerometer", *(written(sample(email, 100)) for email in PEOPLE))
    lake.deliver("step_trainer", *(written(step(device(email), 100)) for email in PEOPLE))
    lake.run()
    assert people_in(lake) == {table: set(PEOPLE) for table in TARGETS}

    lake.deliver(
        "customer",
        *(written(newer(spelling, serialNumber=device(email))) for email, spelling in SPELLINGS.items()),
        newer(SECONDS, lastUpdateDate=1_656_000_000),
        newer(MISTYPED, phone=5550100),
        written(newer(TWICE))[:-1] + ', "phone": "1", "PHONE": "2"}',
        newer(FUTURE, shareWithResearchAsOfDate=T + 10**12),
        newer(LOWER, sharewithresearchasofdate=T + 10),
        *(customer(f"p{number}@example.com", 0) for number in range(400)),
    )
    entries = lake.run()
    assert people_in(lake) == {table: {STAYS, LOWER} for table in TARGETS}
    entry = entries["customer_trusted"]
    assert entry.quarantined == {"future_time": 1, "implausible_time": 1, "malformed": 1, "wrong_type": 1}
    assert (entry.suspended, entry.drift) == (len(SUSPENDED), {})
    told = [(line["table_name"], line["reason"], line["rows"]) for line in in_ledger(lake, "suspended")]
    assert told == [("customer_trusted", "all", n) for n in (0, 4)]

    # Delivered again, in any way, nothing changes. One device that a suspended person may have by now is nobody's.
    before = content(lake)
    lake.deliver("customer", customer(SECONDS, 0, research=10), newer(MISTYPED, phone=5550100))
    assert lake.run(CUSTOMERS, quarantined_share=1.0)["customer_trusted"].suspended == len(SUSPENDED)
    lake.run(full_refresh=True, quarantined_share=1.0)
    assert {table: rows for table, rows in content(lake).items() if "quarantine" not in table} == {
        table: rows for table, rows in before.items() if "quarantine" not in table
    }

    lake.deliver("customer", *(newer(email, lastUpdateDate=T + 2000, shareWithResearchAsOfDate=T + 10) for email in SUSPENDED))
    lake.deliver("customer", {"email": SHARES, "serialNumber": device(STAYS), "lastUpdateDate": T, "phone": 1})
    assert lake.run(quarantined_share=0.5)["customer_trusted"].suspended == 1
    found = people_in(lake)
    assert found["customer_trusted"] == {STAYS, LOWER, *SUSPENDED}
    # Whom nobody can read may have the device of the one who stays.
    assert found["step_trainer_trusted"] == {LOWER, *SUSPENDED}
    before = content(lake)
    lake.run(full_refresh=True, quarantined_share=0.5)
    assert content(lake) == before


@pytest.mark.parametrize("first", ["bad", "good"])
def test_the_order_of_delivery_does_not_decide_whether_a_record_suspends(lake, first):
    good, bad = customer(STAYS, 10, research=10), newer(STAYS, phone=1)
    for row in (bad, good) if first == "bad" else (good, bad):
        lake.deliver("customer", row)
        lake.run(CUSTOMERS, quarantined_share=1.0)
    assert lake.rows("customer_trusted") == []
    assert len(lake.rows("customer_consent")) == len(lake.rows("customer_suspension")) == 1
    lake.deliver("customer", customer(STAYS, 1001, research=10))
    assert lake.run(CUSTOMERS)["customer_trusted"].inserted == 1


@both_engines
def test_consent_in_seconds_lets_no_reading_pass(lake):
    """Case 04."""
    for email, research in (("a@example.com", 1_655_000_000), ("b@example.com", T + 1000)):
        lake.deliver("customer", {**customer(email, 0), "shareWithResearchAsOfDate": research})
        lake.deliver("accelerometer", sample(email, 10))
    entries = lake.run(CUSTOMERS, READINGS, quarantined_share=0.5)
    assert entries["customer_trusted"].quarantined == {"implausible_time": 1}
    assert entries["accelerometer_trusted"].excluded == {"before_consent": 1, "suspended": 1}
    assert lake.rows("accelerometer_trusted") == []


MANY = [newer(f"p{number}@example.com") for number in range(500)]
UNKNOWN = {
    "concatenated.json": ("".join(map(json.dumps, MANY)).encode(), "line 1 of"),
    "array.json": (json.dumps(MANY).encode(), "line 1 of"),
    "pretty.json": (json.dumps(MANY, indent=1).encode(), "line 1 of"),
    "cut.json.gz": (gzip.compress(b"\n".join(json.dumps(row).encode() for row in MANY))[:-10], "the whole of"),
    "misnamed.json": (gzip.compress(b"\n".join(json.dumps(row).encode() for row in MANY)), "the whole of"),
    "wrapped.json": (json.dumps({"Records": MANY}).encode(), "line 1 of"),
    "utf-16.json": ("\n".join(map(json.dumps, MANY)).encode("utf-16"), "the whole of"),
    "zstd.json": (b"\x28\xb5\x2f\xfd\x04\x58" + bytes(range(256)), "the whole of"),
    "plain.json.gz": (b"\n".join(json.dumps(row).encode() for row in MANY), "the whole of"),
}


@both_engines
def test_an_unknown_number_of_rows_stops_the_run(lake):
    """Case 07, among many good files, packed ones too."""
    lake.deliver("customer", *(customer(row["email"], 0, research=10) for row in MANY))
    lake.run(CUSTOMERS)
    lake.deliver("customer", *(customer(f"q{number}@example.com", 0) for number in range(200)), name="good.json.gz")
    for name, (data, _) in UNKNOWN.items():
        lake.deliver("customer", name=name).write_bytes(data)
    before = versions(lake)
    for share in ({}, {"quarantined_share": 0.99}):
        with pytest.raises(TooManyQuarantined) as caught:
            lake.run(CUSTOMERS, **share)
        assert str(caught.value).startswith("customer_landing: 9 files or lines hold an unknown number of rows (R14): ")
        assert all(f"{place} customer/landing/{name}" in str(caught.value) for name, (_, place) in UNKNOWN.items())
        assert "@" not in str(caught.value)
        assert versions(lake) == before
    assert lake.run(CUSTOMERS, quarantined_share=1.0)["customer_trusted"].accepted == 0
    assert len(lake.rows("customer_trusted")) == 500  # somebody has accepted that


def test_a_run_that_dies_while_it_publishes_lets_nobody_pass(lake, monkeypatch):
    """Whatever it has published of consent and suspensions, a job that runs then finds nobody who may not pass."""
    undated, shares = newer(SECONDS, lastUpdateDate=1_656_000_000), customer(SECONDS, 0, research=10)
    lake.deliver("customer", shares, customer(STAYS, 0, research=10), name="first.json")
    lake.deliver("customer", undated, name="undated.json")
    lake.deliver("accelerometer", *(sample(email, 100) for email in (SECONDS, STAYS)))
    lake.run(CUSTOMERS, READINGS, quarantined_share=1.0)
    deliveries = [
        # One record would lift the suspension, and the other one suspends again.
        lambda: lake.deliver("customer", customer(SECONDS, 500, research=10), newer(SECONDS, phone=1)),
        # The one that suspended is corrected, to a withdrawal that is newer than all others.
        lambda: lake.deliver("customer", newer(SECONDS, lastUpdateDate=T + 2000), name="undated.json"),
    ]
    for deliver in deliveries:
        deliver()
        for number in range(4):
            published = []

            def publish(draft, published=published, number=number, real=tables.Draft.publish):
                if len(published) == number:
                    raise ConnectionError
                published.append(draft.name)
                real(draft)

            with monkeypatch.context() as dying, pytest.raises((ConnectionError, LakehouseError)):
                dying.setattr(tables.Draft, "publish", publish)
                lake.run(CUSTOMERS, quarantined_share=1.0)
                raise ConnectionError  # it had less to publish
            lake.run(READINGS)
            assert [row[0] for row in lake.rows("accelerometer_trusted")] == [STAYS]
        lake.run(CUSTOMERS, READINGS, quarantined_share=1.0)
        assert [row[0] for row in lake.rows("accelerometer_trusted")] == [STAYS]
        before = content(lake)
        lake.run(CUSTOMERS, READINGS, quarantined_share=1.0, full_refresh=True)
        assert content(lake) == before


def test_an_earlier_copy_may_lift_a_suspension_of_somebody_whose_old_record_comes_with_it(lake):
    """A run over everything then: the current record is not among those read now."""
    undated = newer(SECONDS, lastUpdateDate=1_656_000_000)
    lake.deliver("customer", customer(SECONDS, 5, research=10), modified=1_700_000_020)
    lake.deliver("customer", undated, modified=1_700_000_030)
    assert lake.run(CUSTOMERS, quarantined_share=1.0)["customer_trusted"].suspended == 1
    lake.deliver("customer", undated, customer(SECONDS, 1), modified=1_700_000_010)
    entry = lake.run(CUSTOMERS, quarantined_share=1.0)["customer_trusted"]
    assert (entry.mode, entry.suspended, entry.inserted) == ("full", 0, 1)


def test_no_more_than_twenty_such_places_are_named(lake):
    for number in range(23):
        lake.deliver("accelerometer", "[", name=f"{number:02}.json")
    lake.deliver("customer", customer(STAYS, 0))
    lake.run(CUSTOMERS)
    with pytest.raises(TooManyQuarantined) as caught:
        lake.run(READINGS)
    assert str(caught.value).count("line 1 of accelerometer/landing/") == 20
    assert "19.json (not one JSON object), and 3 more. Nothing was written." in str(caught.value)


def test_a_record_that_does_not_say_whose_it_is_stops_the_run(lake):
    """R13: nobody knows who is to be suspended. Readings of nobody are a matter of the share."""
    good = [customer(f"p{number}@example.com", 0, research=10) for number in range(300)]
    lake.deliver("customer", *good, {**newer("x"), "email": None, "e_mail": "planted@example.com"}, name="a.json")
    with pytest.raises(TooManyQuarantined) as caught:
        lake.run(CUSTOMERS)
    assert str(caught.value).startswith(
        "customer_landing: 1 of 301 rows cannot be used and do not say whose they are (R13): "
        "line 301 of customer/landing/a.json (email: missing, met e_mail). Nothing was written."
    )
    assert "planted" not in str(caught.value)
    assert set(versions(lake).values()) == {tables.NEVER_WRITTEN}
    assert lake.run(CUSTOMERS, quarantined_share=0.01)["customer_trusted"].accepted == 300
    lake.deliver("accelerometer", *(sample("p1@example.com", time) for time in range(100, 300)), sample("in valid@x", 1))
    assert lake.run(READINGS)["accelerometer_trusted"].quarantined == {"malformed_email": 1}


@both_engines
def test_messages_name_columns_and_what_was_met(lake):
    """Case 01; and 02, of which every row is read."""
    row = {**customer(STAYS, 0), "phone": 5550100, "shareWithResearchAsOfDate": float(T)}
    lake.deliver("customer", *[row] * 3, {**row, "birthDay": 1}, name="a.json")
    with pytest.raises(TooManyQuarantined) as caught:
        lake.run(CUSTOMERS)
    assert str(caught.value).startswith(
        "customer_landing: 4 of 4 rows cannot be used, more than 1.00%: 4 wrong_type (phone: number for string, "
        "birthDay: number for string); for example line 1 of customer/landing/a.json. Nothing was written."
    )
    lake.deliver("customer", {**row, "phone": "5550100"}, name="a.json")
    time_stamp = {"timeStamp" if key == "timestamp" else key: value for key, value in sample(STAYS, 100).items()}
    lake.deliver("accelerometer", time_stamp)
    assert [entry.accepted for entry in lake.run(CUSTOMERS, READINGS).values()] == [1, 1]


@both_engines
def test_every_object_is_accounted_for(lake):
    """Cases 08 and 09: what Spark, Firehose, other tools and Windows write."""
    names = ("a.jsonl", "a.ndjson", "a.JSON", "out.json/part-00000-aaaa.json", "b.NDJSON.GZ", "2026-11-26T10:00:00.json")
    for number, name in enumerate(names):
        lines = [json.dumps(customer(f"{number}@example.com", 0, research=10))]
        file = lake.deliver("customer", *lines, name=name)
        if name.endswith(".GZ"):
            file.write_bytes(gzip.compress(file.read_bytes()))
    for number in range(1, 200):
        lake.deliver("customer", name=f"out.json/part-{number:05}-aaaa.json").write_bytes(b"")
    lake.deliver("customer", name="empty.json.gz").write_bytes(b"")
    for name in ("out.json/_SUCCESS", "2026/05/01/12/stream-1-uuid", "stream.gz", "x.csv"):
        lake.deliver("customer", "not read", name=name)
    entry = lake.run(CUSTOMERS)["customer_trusted"]
    assert (entry.read, entry.accepted, entry.quarantined) == (len(names), len(names), {})
    found = {reason: (one.objects, one.example) for reason, one in entry.ignored.items()}
    assert found == {
        "hidden": (1, "customer/landing/out.json/_SUCCESS"),
        "unknown_name": (3, "customer/landing/2026/05/01/12/stream-1-uuid"),
    }
    assert {line["reason"]: (line["rows"], line["example"]) for line in in_ledger(lake, "ignored")} == found
    assert lake.run(CUSTOMERS)["customer_trusted"].mode == "unchanged"
    # What comes later and is not read is told as well.
    lake.deliver("customer", "not read", name="y.csv")
    entry = lake.run(CUSTOMERS)["customer_trusted"]
    assert (entry.mode, entry.read, entry.ignored["unknown_name"].objects) == ("incremental", 0, 4)


def test_ignored_objects_alone_are_named_by_the_error(lake):
    lake.deliver("customer", "x", name="x.csv")
    with pytest.raises(LakehouseError, match=r"deliver data first, .*; 1 unknown_name, such as customer/landing/x\.csv$"):
        lake.run(CUSTOMERS)


def test_a_copy_of_an_old_record_decides_nothing(lake):
    """Case replay-tie: of two records of one date the one without consent counts, whichever came last."""
    for row in (customer(STAYS, 5, research=5), customer(STAYS, 5), customer(STAYS, 5, research=5)):
        lake.deliver("customer", row)
        lake.run(CUSTOMERS)
    assert lake.rows("customer_trusted") == []
    before = content(lake)
    lake.run(CUSTOMERS, full_refresh=True)
    assert content(lake) == before


@both_engines
def test_a_copy_is_measured_against_its_own_file(lake):
    """Case replay-future: a copy that is delivered when its time has come counts, once and for all."""
    later = 1_700_000_000 + 3 * 86_400
    row = {**customer(STAYS, 0), "lastUpdateDate": later * 1000, "shareWithResearchAsOfDate": T}
    lake.deliver("customer", row)
    assert lake.run(CUSTOMERS, quarantined_share=1.0)["customer_trusted"].suspended == 1
    lake.deliver("customer", row, modified=later)
    assert lake.run(CUSTOMERS)["customer_trusted"].inserted == 1
    lake.deliver("customer", row, modified=1_700_000_050)
    assert lake.run(CUSTOMERS, quarantined_share=1.0)["customer_trusted"].suspended == 0
    before = content(lake)
    lake.run(CUSTOMERS, full_refresh=True, quarantined_share=1.0)
    assert content(lake) == before
    assert len(lake.rows("customer_trusted")) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"phone": "p\u001fq", "birthDay": "b"}, {"phone": "p", "birthDay": "q\u001fb"}),
        ({"phone": "\\N"}, {"phone": None}),
        ({"phone": "-"}, {"phone": None}),
        ({"phone": "1", "birthDay": "2"}, {"phone": "11:2", "birthDay": None}),
    ],
)
def test_different_records_have_different_fingerprints(lake, first, second):
    """Cases fingerprint and fingerprint-N: else a full refresh may keep another record than the runs did."""
    row = customer(STAYS, 5, research=5)
    for change in (first, second):
        lake.deliver("customer", row | change)
        entry = lake.run(CUSTOMERS)["customer_trusted"]
    assert "duplicate" not in entry.excluded
    before = content(lake)
    lake.run(CUSTOMERS, full_refresh=True)
    assert content(lake) == before


@both_engines
def test_two_subjects_have_two_pseudonyms(lake):
    """Case pseudonym."""
    for email, serial in (("a|b", "c"), ("a", "b|c"), ("a", "b c")):
        lake.deliver("customer", customer(email, 5, research=5, serial=serial))
        lake.deliver("accelerometer", sample(email, 9))
        lake.deliver("step_trainer", step(serial, 9))
    lake.run()
    assert len(lake.rows("customer_curated")) == len(lake.rows("machine_learning_curated")) == 2


def test_the_same_content_put_again_gives_the_same_tables(lake):
    """Its time decides what may be in the future: so it is read anew, as with KMS, where it has another ETag (R9)."""
    lake.deliver("customer", customer(STAYS, 0, research=10), newer(SHARES, phone=1), name="a.json")
    lake.run(CUSTOMERS, quarantined_share=1.0)
    lake.deliver("customer", customer(STAYS, 0, research=10), newer(SHARES, phone=1), name="a.json")
    assert lake.run(CUSTOMERS, quarantined_share=1.0)["customer_trusted"].mode == "full"
    before = content(lake)
    lake.run(CUSTOMERS, full_refresh=True, quarantined_share=1.0)
    assert content(lake) == before
