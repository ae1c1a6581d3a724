"""The oracle against cases small enough to check by hand, one group a rule, and against the published counts."""

import gzip
import hashlib
import json
import os
import re
import zlib
from pathlib import Path

import pytest
from oracle import (
    EARLIEST_MS,
    GATES,
    TARGET_TABLES,
    address,
    compute,
    expected_counts,
    expected_reasons,
    expected_tables,
    fingerprint,
    normalise,
    read_landing,
)

ANN, BEN, CLEO = "ann@example.com", "ben@example.com", "cleo@example.com"

T = 1_650_000_000_000  # a plausible time
MODIFIED = 1_700_000_000  # seconds
# The latest time that a row of a file modified then may have.
LATEST = MODIFIED * 1000 + 24 * 60 * 60 * 1000


def customer(email=ANN, updated=T + 1000, research=None, serial="device-a", **other):
    row = {"customerName": "A Person", "email": email, "phone": "5550100", "birthDay": "1980-01-01"}
    row |= {"serialNumber": serial, "registrationDate": T, "lastUpdateDate": updated}
    return row | ({} if research is None else {"shareWithResearchAsOfDate": research}) | other


def sample(user=ANN, time=T + 2000, x=0.5, y=0.0, z=-1.0):
    return {"user": user, "timestamp": time, "x": x, "y": y, "z": z}


def step(serial="device-a", time=T + 2000, distance=200):
    return {"sensorReadingTime": time, "serialNumber": serial, "distanceFromObject": distance}


# A value written as it is, not as JSON of a text.
RAW = "raw: "


def line(row):
    return re.sub(f'"{RAW}([^"]*)"', r"\1", json.dumps(row))


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


class Lake:
    """A landing folder, written row by row; each call of deliver() makes a file, later than the one before."""

    def __init__(self, folder):
        self.folder, self.files = folder, 0
        for source in ("customer", "accelerometer", "step_trainer"):
            (folder / source / "landing").mkdir(parents=True)

    def deliver(self, *rows, name=None, modified=None, source=None):
        source = source or ("customer" if "email" in rows[0] else "accelerometer" if "user" in rows[0] else "step_trainer")
        name = name or f"{source}-{self.files + 1:03}.json"
        content = "".join((row if isinstance(row, str) else line(row)) + "\n" for row in rows).encode()
        return self.put(f"{source}/landing/{name}", gzip.compress(content) if name.endswith(".gz") else content, modified)

    def put(self, path, content, modified=None):
        """A file as it is."""
        self.files += 1
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        seconds = modified if modified is not None else 1_700_000_000 + self.files
        os.utime(file, (seconds, seconds))
        return self

    def lines(self, *lines, source="accelerometer", end="\n"):
        """Lines as they are, in the file bad.json, and why which of them are quarantined."""
        text = end.join(given if isinstance(given, str) else line(given) for given in lines)
        self.put(f"{source}/landing/bad.json", text.encode("utf-8", "surrogateescape"), MODIFIED)
        rows = compute(self.folder, "as-of").quarantine[source]
        assert all(path == f"{source}/landing/bad.json" for path, _, _ in rows)
        return [(number, reason) for _, number, reason in rows]

    def quarantine(self, source):
        return compute(self.folder, "as-of").quarantine[source]

    def table(self, name, gate="as-of"):
        return expected_tables(self.folder, gate)[name]

    def outcomes(self, name, gate="as-of"):
        return expected_reasons(self.folder, gate)[name]

    def suspended(self):
        return compute(self.folder, "as-of").suspended

    def phones(self):
        return [row[2] for row in self.table("customer_trusted")]


# --- R1: the person and their current record ---


def test_email_is_compared_trimmed_and_lower_cased(lake):
    lake.deliver(customer("  Ann@Example.COM ", research=T + 1)).deliver(sample("ANN@example.com "))
    assert [row[1] for row in lake.table("customer_trusted")] == [ANN]
    assert lake.table("accelerometer_trusted") == [(ANN, T + 2000, 0.5, 0.0, -1.0)]


def test_the_last_change_is_current_whatever_the_order_of_delivery(lake):
    lake.deliver(customer(updated=T + 3000, research=T + 1, phone="new"))
    lake.deliver(customer(updated=T + 2000, research=T + 1, phone="old"))
    assert lake.phones() == ["new"]
    assert lake.outcomes("customer_trusted") == {"accepted": 1, "superseded": 1}


@pytest.mark.parametrize("last", ["a.json", "b.json"])
def test_of_equal_last_changes_the_one_without_consent_is_current_whichever_came_last(lake, last):
    for name, research in (("a.json", T + 1), ("b.json", None)):
        lake.deliver(customer(research=research), name=name, modified=MODIFIED + (name == last))
    assert lake.outcomes("customer_trusted") == {"no_consent": 1, "superseded": 1}


@pytest.mark.parametrize("last", ["a.json", "b.json"])
def test_of_equal_last_changes_with_consent_the_later_one_counts_whichever_came_last(lake, last):
    for name, research in (("a.json", T + 1), ("b.json", T + 2)):
        lake.deliver(customer(research=research, phone=name), name=name, modified=MODIFIED + (name == last))
    assert lake.phones() == ["b.json"]


def test_of_records_without_consent_one_without_a_date_is_the_least(lake):
    for serial, research in (("a", None), ("b", -5), ("c", 0)):
        lake.deliver(customer(serial=serial) | {"shareWithResearchAsOfDate": research})
    lake.deliver(step("a"), step("b"), step("c"))
    assert lake.outcomes("step_trainer_trusted") == {"no_consent": 1, "unknown_customer": 2}
    assert read_landing(lake.folder).customers[-1][0].serial == "c"


def by_hand(row):
    """The fingerprint of one of the customer records here."""
    values = [row["customerName"], ANN, row["phone"], row["birthDay"], row["serialNumber"]]
    values += [str(row[key]) for key in ("registrationDate", "lastUpdateDate", "shareWithResearchAsOfDate")] + [None, None]
    text = "".join("-" if value is None else f"{len(value)}:{value}" for value in values)
    return hashlib.sha256(text.encode()).hexdigest()


def test_of_equal_dates_the_greatest_fingerprint_is_current(lake):
    rows = [customer(" ANN@example.com", research=T + 1, phone=phone) for phone in ("2", "3", "", "\u00e9\U0001f600", None)]
    for number, row in enumerate(rows):
        lake.deliver(row, name=f"{number % 3}-{number}.json", modified=MODIFIED - number % 2)
    greatest = max(rows, key=by_hand)
    assert lake.phones() == [greatest["phone"]]
    assert fingerprint(lake.table("customer_trusted")[0]) == by_hand(greatest)


def test_the_fingerprint_is_the_documented_one(lake):
    """Written out, for it is stored: a record must keep its fingerprint."""
    lake.deliver(customer(research=T + 1, serial="", phone=None, customerName="Zo\u00eb", updated=T))
    text = "3:Zo\u00eb15:ann@example.com-10:1980-01-010:13:165000000000013:165000000000013:1650000000001--"
    assert fingerprint(lake.table("customer_trusted")[0]) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"phone": "p\x1fq", "birthDay": "b"}, {"phone": "p", "birthDay": "q\x1fb"}),
        ({"phone": "\\N"}, {"phone": None}),
        ({"phone": "-"}, {"phone": None}),
        ({"phone": ""}, {"phone": None}),
        ({"phone": "1:a", "birthDay": ""}, {"phone": "1", "birthDay": "a"}),
    ],
)
def test_two_records_never_have_one_fingerprint(lake, one, other):
    lake.deliver(customer(research=T + 1, **one), customer(research=T + 1, **other))
    prints = {fingerprint(record) for record, _, _ in read_landing(lake.folder).customers}
    assert len(prints) == 2
    assert lake.outcomes("customer_trusted") == {"accepted": 1, "superseded": 1}


def test_a_copy_of_a_record_does_not_make_it_newer(lake):
    """Of two records with one date the one without consent counts, however often the other comes again."""
    shares, withdraws = customer(research=T + 1, phone="A"), customer(phone="B")
    for number, row in enumerate((shares, withdraws, shares)):
        lake.deliver(row, name=f"{number}.json", modified=MODIFIED + number)
    assert lake.outcomes("customer_trusted") == {"no_consent": 1, "superseded": 2}


def test_the_current_record_again_is_a_duplicate_also_when_the_email_is_spelled_differently(lake):
    lake.deliver(customer(research=T + 1), customer(ANN.upper(), research=T + 1), customer(updated=T + 999, research=T + 1))
    assert lake.outcomes("customer_trusted") == {"accepted": 1, "duplicate": 1, "superseded": 1}


# --- R2: consent ---


@pytest.mark.parametrize("research", [None, 0, -1])
def test_no_date_is_no_consent(lake, research):
    row = customer() | {"shareWithResearchAsOfDate": research}
    lake.deliver(row).deliver(sample())
    assert lake.table("customer_trusted") == []
    assert lake.outcomes("customer_trusted") == {"no_consent": 1}
    assert lake.outcomes("accelerometer_trusted", "ever") == {"no_consent": 1}


def test_consent_withdrawn_in_the_current_record_counts_for_all_readings(lake):
    lake.deliver(customer(updated=T + 1000, research=T + 1000), customer(updated=T + 9000)).deliver(sample()).deliver(step())
    for gate in GATES:
        assert all(rows == [] for rows in expected_tables(lake.folder, gate).values())
        assert lake.outcomes("step_trainer_trusted", gate) == {"no_consent": 1}


def test_consent_given_again_counts_from_the_current_date(lake):
    lake.deliver(customer(updated=T + 1000, research=T + 1000), customer(updated=T + 1500))
    lake.deliver(customer(updated=T + 2500, research=T + 2500))
    lake.deliver(sample(time=T + 1200), sample(time=T + 2500))
    assert [row[1] for row in lake.table("accelerometer_trusted")] == [T + 2500]


def test_other_shares_are_no_consent_and_are_kept(lake):
    lake.deliver(customer(shareWithPublicAsOfDate=T + 5))
    lake.deliver(customer(BEN, research=T + 7, shareWithFriendsAsOfDate=T + 6, serial="device-b"))
    assert lake.table("customer_trusted") == [
        ("A Person", BEN, "5550100", "1980-01-01", "device-b", T, T + 1000, T + 7, None, T + 6)
    ]


# --- R3: as of ---


def test_a_reading_at_the_very_time_of_consent_passes(lake):
    lake.deliver(customer(research=T + 2000)).deliver(sample(time=T + 1999), sample(time=T + 2000), sample(time=T + 2001))
    assert [row[1] for row in lake.table("accelerometer_trusted")] == [T + 2000, T + 2001]
    assert lake.outcomes("accelerometer_trusted") == {"accepted": 2, "before_consent": 1}
    assert lake.outcomes("accelerometer_trusted", "ever") == {"accepted": 3}


def test_a_reading_of_nobody_known(lake):
    lake.deliver(customer(research=T + 1)).deliver(sample(BEN))
    assert lake.outcomes("accelerometer_trusted") == {"unknown_customer": 1}


def test_a_reading_delivered_twice_is_one_reading_and_several_at_one_time_are_several(lake):
    lake.deliver(customer(research=T + 1)).deliver(sample(x=0.1), sample(x=0.2), sample(x=0.1))
    lake.deliver(sample(" Ann@example.com", x=0.2), name="again.json.gz")
    assert [row[2] for row in lake.table("accelerometer_trusted")] == [0.1, 0.2]
    assert lake.outcomes("accelerometer_trusted") == {"accepted": 2, "duplicate": 2}


def test_before_consent_comes_before_duplicate(lake):
    lake.deliver(customer(research=T + 5000)).deliver(sample(), sample())
    assert lake.outcomes("accelerometer_trusted") == {"before_consent": 2}
    assert lake.outcomes("accelerometer_trusted", "ever") == {"accepted": 1, "duplicate": 1}


# --- R4: the device ---


def test_a_step_reading_of_one_customer(lake):
    lake.deliver(customer(research=T + 2000)).deliver(sample(time=T + 2000))
    lake.deliver(step(time=T + 1999), step(time=T + 2000), step("device-x"), step("DEVICE-A"), step(" device-a"))
    assert lake.table("step_trainer_trusted") == [(T + 2000, "device-a", 200)]
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "before_consent": 1, "unknown_customer": 3}
    assert lake.outcomes("step_trainer_trusted", "ever") == {"accepted": 2, "unknown_customer": 3}


def test_a_device_of_an_earlier_record_belongs_to_nobody(lake):
    lake.deliver(customer(research=T + 1, serial="old"), customer(updated=T + 1500, research=T + 1, serial="new"))
    lake.deliver(sample()).deliver(step("old"), step("new"))
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "unknown_customer": 1}


def test_a_customer_without_a_device_owns_no_reading(lake):
    lake.deliver(customer(research=T + 1, serial=None)).deliver(sample()).deliver(step("None"))
    assert lake.outcomes("step_trainer_trusted") == {"unknown_customer": 1}
    assert lake.outcomes("machine_learning_curated") == {"no_step_reading": 1}


def test_a_shared_device_passes_when_all_its_customers_pass(lake):
    lake.deliver(customer(research=T + 1500), customer(BEN, research=T + 2500))
    lake.deliver(sample(time=T + 3000), sample(BEN, time=T + 3000))
    lake.deliver(step(time=T + 2000), step(time=T + 2499), step(time=T + 2500))
    assert [row[0] for row in lake.table("step_trainer_trusted")] == [T + 2500]
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "ambiguous_device": 2}
    assert lake.outcomes("step_trainer_trusted", "ever") == {"accepted": 3}


@pytest.mark.parametrize("research", [None, 1])
def test_a_shared_device_with_one_who_does_not_consent_or_has_no_readings(lake, research):
    lake.deliver(customer(research=T + 1), customer(BEN, research=research)).deliver(sample()).deliver(step())
    for gate in GATES:
        assert lake.outcomes("step_trainer_trusted", gate) == {"ambiguous_device": 1}


def test_of_one_device_and_time_the_smallest_distance_stays(lake):
    lake.deliver(customer(research=T + 1)).deliver(sample())
    lake.deliver(step(distance=230), step(distance=210)).deliver(step(distance=220))
    assert lake.table("step_trainer_trusted") == [(T + 2000, "device-a", 210)]
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "duplicate": 2}


# --- R5: curated customers ---


def test_curated_are_trusted_customers_with_a_trusted_reading_once_each(lake):
    lake.deliver(
        customer(ANN, research=T + 1, serial="a"),
        customer(BEN, research=T + 9000, serial="b"),
        customer(CLEO, research=T + 1, serial="c"),
    )
    lake.deliver(sample(ANN, T + 2000), sample(ANN, T + 2001), sample(BEN, T + 2000))
    lake.deliver(step("a"), step("b"), step("c"))
    assert [row[1] for row in lake.table("customer_curated")] == [ANN]
    assert lake.outcomes("customer_curated") == {"accepted": 1, "no_readings": 2}
    assert [row[1] for row in lake.table("customer_curated", "ever")] == [ANN, BEN]
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "no_readings": 2}
    assert lake.outcomes("step_trainer_trusted", "ever") == {"accepted": 2, "no_readings": 1}


# --- R6: the machine learning table ---


def test_rows_join_by_person_and_time_and_carry_a_pseudonym(lake):
    lake.deliver(customer("Ann@example.com", research=T + 1), customer(BEN, research=T + 1, serial="device-b"))
    lake.deliver(sample(x=0.1), sample(x=0.2), sample(time=T + 2001), sample(BEN, x=0.3))
    lake.deliver(step(distance=210), step("device-b", distance=250))
    ann = hashlib.sha256(b"ann@example.com device-a").hexdigest()
    ben = hashlib.sha256(b"ben@example.com device-b").hexdigest()
    assert lake.table("machine_learning_curated") == sorted(
        [(ann, T + 2000, 210, 0.1, 0.0, -1.0), (ann, T + 2000, 210, 0.2, 0.0, -1.0), (ben, T + 2000, 250, 0.3, 0.0, -1.0)]
    )
    assert lake.outcomes("machine_learning_curated") == {"accepted": 3, "no_step_reading": 1}


def test_a_shared_device_joins_to_each_of_its_customers(lake):
    lake.deliver(customer(research=T + 1), customer(BEN, research=T + 1)).deliver(sample(), sample(BEN)).deliver(step())
    rows = lake.table("machine_learning_curated")
    assert len({row[0] for row in rows}) == len(rows) == 2


@pytest.mark.parametrize(("first", "second"), [(("a|b", "c"), ("a", "b|c")), (("a", "b c"), ("a b", "c"))])
def test_no_two_subjects_are_one(lake, first, second):
    for user, serial in (first, second):
        lake.deliver(customer(user, research=T + 1, serial=serial)).deliver(sample(user)).deliver(step(serial))
    # An address with a space is none, so that a serial number may have one.
    addresses = [user for user, _ in (first, second) if " " not in user]
    assert len({row[0] for row in lake.table("machine_learning_curated")}) == len(addresses)


# --- R8, R15: which files are read ---


READ = ("a.json", "b.json.gz", "2024/01/c.json", "d.json/e.json", "f.jsonl", "g.ndjson", "h.jsonl.gz", "i.ndjson.gz", "j.JSON")
READ += ("k.Json.GZ", "l.JSONL.gz", "m.ndJSON", "2026-11-26T10:00:00.json", "n o.json", "p%20q.json", "q..json", "r.csv.json")


def test_files_of_all_kinds_are_read_also_in_folders_below(lake):
    for number, name in enumerate(READ):
        content = (json.dumps(customer(f"{number}@example.com", research=T + 1)) + "\n").encode()
        lake.put(f"customer/landing/{name}", gzip.compress(content) if name.lower().endswith(".gz") else content)
    assert len(lake.table("customer_trusted")) == len(READ)
    assert lake.quarantine("customer") == []
    assert compute(lake.folder, "as-of").ignored["customer"] == {}


IGNORED = {
    "hidden": [".c.json", "_c.json", "_tmp/c.json", "a/.b/c.json.gz", "_SUCCESS", ".json", "_$folder$"],
    "folder_marker": ["a_$folder$", "a.json_$folder$"],
    "unknown_name": [
        "c.json.part",
        "c.gz",
        "c.csv",
        "c",
        "c.json.gz.gz",
        "json",
        "c.json ",
        "c.jsonx",
        "c.json\n",
        "a/c.\u017fson",
    ],
}


@pytest.mark.parametrize("content", [b"no row", b""])
@pytest.mark.parametrize(("reason", "name"), [(reason, name) for reason, names in IGNORED.items() for name in names])
def test_other_and_hidden_files_are_counted_as_ignored(lake, reason, name, content):
    lake.put(f"customer/landing/{name}", content)
    result = compute(lake.folder, "as-of")
    assert result.counts()["customer_landing"] == 0
    assert result.ignored == {"customer": {reason: [f"customer/landing/{name}"]}, "accelerometer": {}, "step_trainer": {}}


def test_what_is_ignored_is_sorted_by_its_key(lake):
    for name in ("b.csv", "a/z.csv", "_a", "a.csv"):
        lake.put(f"step_trainer/landing/{name}", b"x")
    assert compute(lake.folder, "as-of").ignored["step_trainer"] == {
        "hidden": ["step_trainer/landing/_a"],
        "unknown_name": [f"step_trainer/landing/{name}.csv" for name in ("a", "a/z", "b")],
    }


def test_a_missing_folder_holds_no_files(tmp_path):
    result = compute(tmp_path / "nowhere", "as-of")
    assert set(result.counts().values()) == {0}
    assert result.quarantine == {"customer": [], "accelerometer": [], "step_trainer": []}


def test_an_unknown_gate_is_refused(lake):
    with pytest.raises(ValueError, match="unknown consent gate 'always'; known are as-of, ever"):
        lake.table("customer_trusted", "always")


# --- R8: files that cannot be used as a whole ---

ROW = (json.dumps(sample()) + "\n").encode()
PACKED = gzip.compress(ROW * 100, mtime=0)
# With a name and the checksum of the header, which not every reader checks.
NAMED = b"\x1f\x8b\x08\x0a" + bytes(4) + b"\x00\xff" + b"name\x00"
NAMED += (zlib.crc32(NAMED) & 0xFFFF).to_bytes(2, "little") + PACKED[10:]
UNUSABLE = {
    "packed.json": PACKED,
    "magic.json": b"\x1f\x8b",
    "plain.json.gz": ROW,
    "magic.json.gz": b"\x1f\x8b",
    "short.json.gz": PACKED[:-1],
    "half.json.gz": PACKED[: len(PACKED) // 2],
    "checksum.json.gz": PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:],
    "length.json.gz": PACKED[:-1] + bytes([PACKED[-1] ^ 1]),
    "header.json.gz": NAMED.replace(b"name", b"nome"),
    "followed.json.gz": PACKED + b"more",
    "second.json.gz": PACKED + PACKED[:-1],
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_cannot_be_read_to_its_end_is_not_used_at_all(lake, name):
    lake.deliver(customer(research=T + 1)).deliver(sample()).put(f"accelerometer/landing/{name}", UNUSABLE[name])
    result = compute(lake.folder, "as-of")
    assert result.quarantine["accelerometer"] == [(f"accelerometer/landing/{name}", 0, "malformed")]
    assert result.unknown == {"customer": [], "accelerometer": [(f"accelerometer/landing/{name}", 0)], "step_trainer": []}
    assert result.unnamed == {"customer": []}
    assert result.counts()["accelerometer_landing"] == 2
    assert lake.outcomes("accelerometer_trusted") == {"accepted": 1}


@pytest.mark.parametrize(
    "content", [PACKED + gzip.compress(ROW), gzip.compress(b"") + PACKED + gzip.compress(ROW[:-1]), NAMED + PACKED]
)
def test_a_file_may_have_several_gzip_members(lake, content):
    lake.put("accelerometer/landing/a.json.gz", content)
    assert lake.quarantine("accelerometer") == []
    assert expected_counts(lake.folder, "as-of")["accelerometer_landing"] in (101, 200)


@pytest.mark.parametrize("content", [b"", gzip.compress(b""), b"\n", b"\xef\xbb\xbf"])
def test_a_file_of_nothing_holds_no_row(lake, content):
    """As 199 of the 200 files that a Spark job leaves which had little to write."""
    name = "part-00001.json.gz" if content.startswith(b"\x1f") else "part-00001.json"
    lake.put(f"customer/landing/{name}", content).put("customer/landing/_SUCCESS", b"").put("customer/landing/none.json.gz", b"")
    result = compute(lake.folder, "as-of")
    assert result.counts()["customer_landing"] == 0
    assert result.quarantine["customer"] == result.unknown["customer"] == []
    assert result.ignored["customer"] == {"hidden": ["customer/landing/_SUCCESS"]}


# --- R8: lines ---


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "[]"])
def test_lines_end_in_three_ways_and_blank_ones_count_only_for_the_number(lake, end, last):
    found = lake.lines("", "[]", " \t", sample(), "", last, end=end)
    assert found == [(2, "malformed")] + [(6, "malformed")] * bool(last)
    assert expected_counts(lake.folder, "as-of")["accelerometer_landing"] == 1 + len(found)


@pytest.mark.parametrize("character", ["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_nothing_else_ends_a_line(lake, character):
    assert lake.lines(sample(), f"[]{character}[]", "[]") == [(2, "malformed"), (3, "malformed")]


def test_a_byte_order_mark_starts_a_file_once(lake):
    mark, row = "\ufeff", json.dumps(sample())
    lines = [mark + row, row, mark + row, mark, mark + " ", row + mark]
    assert lake.lines(*lines) == [(number, "malformed") for number in range(3, 7)]
    assert lake.lines(mark + mark + row) == [(1, "malformed")]


def test_a_line_may_have_a_mebibyte(lake):
    row = json.dumps(sample())
    fill = " " * (1024 * 1024 - len(row))
    assert lake.lines("\ufeff" + row + fill, row + fill, row + fill + " ", end="\r\n") == [(3, "malformed")]


# --- R8: the reasons ---

MALFORMED = {
    "cut": '{"user": "ann@exam',
    "text": "no row",
    "array": "[]",
    "row in an array": json.dumps([sample()]),
    "scalar": "17",
    "null": "null",
    "two objects": json.dumps(sample()) * 2,
    "trailing comma": json.dumps(sample()) + ",",
    "comma within": '{"user": "a",}',
    "single quotes": str(sample()),
    "key without quotes": '{user: "a"}',
    "comment": json.dumps(sample()) + " // a",
    "NaN": json.dumps(sample(x=float("nan"))),
    "Infinity": json.dumps(sample(x=float("-inf"))),
    "NaN in another key": '{"a": NaN}',
    "leading zero": '{"timestamp": 01}',
    "leading plus": '{"timestamp": +1}',
    "no digit": '{"x": 1.}',
    "control character": '{"user": "a\tb"}',
    "escape": '{"user": "\\x41"}',
    "form feed": "\f" + json.dumps(sample()),
    "not UTF-8": '{"user": "\udcff"}',
    "not UTF-8 at the end": json.dumps(sample()) + "\udce4",
    "half a character": '{"user": "\\ud83d"}',
    "half a character in another key": '{"a": [{"b\\udc00": 1}]}',
    "a key twice": '{"user": "a", "user": "a"}',
    "a key twice ignoring case": '{"Note": 1, "nOTE": 1}',
    "very deep": '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}",
    "101 levels": '{"a": ' + "[" * 100 + "]" * 100 + "}",
    "101 levels, half of them objects": '{"a":[' * 50 + '{"a": 1}' + "]}" * 50,
    "a number of 1,001 characters": '{"a": 1' + "0" * 1000 + "}",
    "a fraction of 1,200 digits": '{"x": 0.' + "1" * 1200 + "}",
    "an exponent of 1,000 digits": '{"x": 1e' + "0" * 998 + "1}",
    "text behind it": json.dumps(sample()) + ',"end of line"',
    "text and a bracket behind it": json.dumps(sample()) + ',"end of line"]',
    "a word behind it": json.dumps(sample()) + " x",
    "a record separator in front": "\x1e" + json.dumps(sample()),
    "a no-break space behind it": json.dumps(sample()) + "\u00a0",
    "digits of another script": '{"x": \u0661}',
    "a column twice": json.dumps(sample())[:-1] + ', "Timestamp": 1}',
    "a column twice, once escaped": json.dumps(sample())[:-1] + ', "\\u0058": 1}',
    "a column twice, once null": json.dumps(sample())[:-1] + ', "USER": null}',
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed(lake, fault):
    assert lake.lines(sample(), MALFORMED[fault], sample()) == [(2, "malformed")]
    assert compute(lake.folder, "as-of").drift["accelerometer"] == {}


def test_what_looks_malformed_and_is_not(lake):
    smile = json.dumps(sample() | {"note": "\U0001f600", "N\\u": {"a": 1, "A": 2}})
    assert lake.lines(" \t" + smile + " ", smile.replace("note", "\\u006eote")) == []


def test_an_escaped_backslash_is_no_escape(lake):
    given = json.dumps(sample())[:-1]
    assert lake.lines(given + r', "note": "C:\\ud800"}', given + r', "note": "C:\\\ud800"}') == [(2, "malformed")]


@pytest.mark.parametrize(
    "value",
    [
        "[" * 99 + "]" * 99,
        '{"a":' * 99 + "1" + "}" * 99,
        '"' + "[{" * 5000 + '"',
        r'"\"' + "[" * 200 + r'\\"',
        "[[], []]",
    ],
)
def test_100_levels_and_brackets_in_texts_are_fine(lake, value):
    assert lake.lines(json.dumps(sample())[:-1] + f', "deep": {value}}}') == []


def test_many_short_arrays_are_not_deep(lake):
    assert lake.lines(sample() | {"list": [[[]]] * 500}) == []


@pytest.mark.parametrize("number", ["1" + "0" * 999, "-0." + "1" * 997, "1e" + "0" * 997 + "1"])
def test_a_number_may_have_1000_characters(lake, number):
    assert len(number) == 1000
    assert lake.lines(json.dumps(sample())[:-1] + f', "long": [{number}]}}') == []


def test_a_key_may_be_as_long_as_a_line(lake):
    assert lake.lines(sample() | {"k" * 60_000: 1}) == []


WRONG_TYPES = {
    "string": [1, True, 1.5, [], {}, ["a@example.com"]],
    "bigint": [
        *("1", 1.5, True, False, [], {}, 2**63, -(2**63) - 1, ""),
        *(RAW + number for number in ("1" * 1000, "1e-1", "10.01e1", "1e19", "0.1", "9223372036854775808.0")),
        *(RAW + number for number in ("1e999999999", "1e-999999999", "1e" + "9" * 998)),
    ],
    "int": ["1", 200.5, True, {}, 2**31, -(2**31) - 1, 2**63, RAW + "1e10", RAW + "2147483648.0"],
    "double": ["0.5", "NaN", "", True, [], {}, RAW + "1e309", RAW + "-1e309", RAW + "1" * 1000, RAW + "1e999999999"],
}
TYPED = {
    "string": (customer(), ["customerName", "email", "phone", "birthDay", "serialNumber"]),
    "bigint": (
        customer(research=T + 1, shareWithPublicAsOfDate=T + 1, shareWithFriendsAsOfDate=T + 1),
        ["registrationDate", "lastUpdateDate"] + [f"shareWith{who}AsOfDate" for who in ("Research", "Public", "Friends")],
    ),
    "int": (step(), ["distanceFromObject"]),
    "double": (sample(), ["x", "y", "z"]),
}


@pytest.mark.parametrize("kind", WRONG_TYPES)
def test_wrong_type(lake, kind):
    row, keys = TYPED[kind]
    source = "customer" if "email" in row else "accelerometer" if "user" in row else "step_trainer"
    lines = [row | {key: value} for key in keys for value in WRONG_TYPES[kind]]
    assert lake.lines(*lines, source=source) == [(number, "wrong_type") for number in range(1, len(lines) + 1)]


def test_the_other_columns_have_their_types_too(lake):
    assert lake.lines(sample(user=5), sample(time="2000")) == [(1, "wrong_type"), (2, "wrong_type")]
    assert lake.lines(step(serial=5), step(time=T + 0.5), source="step_trainer") == [(1, "wrong_type"), (2, "wrong_type")]


WHOLE = (
    "1650000002000",
    "1650000002000.0",
    "1.650000002e12",
    "1650000002E3",
    "16500000020000e-1",
    "0.1650000002e+13",
    "1650000002.000e3",
)


def test_a_whole_number_may_be_written_in_many_ways(lake):
    assert lake.lines(*(step(time=RAW + number) for number in WHOLE), source="step_trainer") == []
    assert {found.time for found in read_landing(lake.folder).steps} == {T + 2000}
    assert all(type(found.time) is int for found in read_landing(lake.folder).steps)


def test_a_whole_number_is_exact(lake):
    """Also where a double is not, and without computing powers of ten that nobody has room for."""
    distances = [
        "2147483647.0",
        "-2147483648e0",
        "0e999999999",
        "-0.0",
        "0.000e-5",
        "1" + "0" * 900 + "e-900",
        "0." + "0" * 900 + "7e901",
    ]
    assert lake.lines(*(step(distance=RAW + number) for number in distances), source="step_trainer") == []
    assert [found.distance for found in read_landing(lake.folder).steps] == [2**31 - 1, -(2**31), 0, 0, 0, 1, 7]
    late = "9223372036854775807"
    rows = [
        customer(updated=RAW + late + ".0"),
        customer(updated=RAW + "922337203685477580.7e1"),
        customer(updated=RAW + late + ".5"),
    ]
    assert lake.lines(*rows, source="customer") == [(1, "future_time"), (2, "future_time"), (3, "wrong_type")]


# Case 01: as a public data set was for a while.
def test_dates_as_decimals_are_read_and_a_phone_as_number_is_not(lake):
    lake.deliver(customer(research=float(T + 1)))
    assert lake.table("customer_trusted")[0][7] == T + 1
    lake.deliver(customer(BEN, research=float(T + 1), phone=5550100))
    assert lake.quarantine("customer") == [("customer/landing/customer-002.json", 1, "wrong_type")]


# --- R16: keys ---


def in_case(row, case):
    return {case(key): value for key, value in row.items()}


@pytest.mark.parametrize("case", [str.lower, str.upper, str.swapcase, str.title])
def test_keys_are_those_of_the_contract_whatever_their_case(lake, case):
    lake.deliver(in_case(customer(research=T + 1, shareWithFriendsAsOfDate=T + 2), case), source="customer")
    lake.deliver(in_case(sample(), case), source="accelerometer").deliver(in_case(step(), case), source="step_trainer")
    result = compute(lake.folder, "as-of")
    assert result.tables["customer_trusted"] == [
        ("A Person", ANN, "5550100", "1980-01-01", "device-a", T, T + 1000, T + 1, None, T + 2)
    ]
    assert all(len(rows) == 1 for rows in result.tables.values())
    assert not any(result.drift.values())


# Cases 02 and 10: as public files and exports of Athena have them.
def test_keys_as_others_write_them(lake):
    lake.deliver(customer(research=T + 1), customer(BEN, serial="device-b", sharewithresearchasofdate=T + 1))
    lake.deliver({"user": BEN, "timeStamp": T + 2000, "X": 0.5, "y": 0, "z": 0})
    assert [row[1] for row in lake.table("customer_trusted")] == [ANN, BEN]
    assert len(lake.table("accelerometer_trusted")) == 1


def test_an_unknown_key_counts_as_it_is_written(lake):
    lake.deliver(customer(Plan=1), customer(BEN, plan=1))
    assert compute(lake.folder, "as-of").drift["customer"] == {"Plan": 1, "plan": 1}


def test_the_greatest_and_smallest_values_are_read(lake):
    assert lake.lines(customer(updated=EARLIEST_MS, research=-(2**63), registrationDate=LATEST), source="customer") == []
    assert lake.lines(step(distance=2**31 - 1), step(distance=-(2**31)), step(distance=RAW + "-0"), source="step_trainer") == []
    values = [1.7976931348623157e308, 5e-324, RAW + "1e-999", RAW + "1E+2", -7, 2**63, RAW + "9" * 300]
    assert lake.lines(*(sample(x=value) for value in values)) == []
    read = [found.x for found in read_landing(lake.folder).samples]
    assert read == [1.7976931348623157e308, 5e-324, 0.0, 100.0, -7.0, 2.0**63, 1e300]
    assert all(type(x) is float for x in read)


def test_minus_zero_is_zero(lake):
    lake.deliver(customer(research=T + 1)).deliver(sample(x=0), sample(x=-0.0), sample(x=0.0))
    assert lake.lines(sample(x=RAW + "-0")) == []
    assert lake.outcomes("accelerometer_trusted") == {"accepted": 1, "duplicate": 3}
    assert str(lake.table("accelerometer_trusted")[0][2]) == "0.0"


@pytest.mark.parametrize(
    ("row", "required"),
    [(customer(), ["email", "lastUpdateDate"]), (sample(), list(sample())), (step(), list(step()))],
    ids=["customer", "accelerometer", "step_trainer"],
)
def test_missing_key(lake, row, required):
    lines = []
    for key in required:
        absent = {other: value for other, value in row.items() if other != key}
        lines += [absent, row | {key: None}, absent | {key.upper(): None}, absent | {f"{key}s": row[key]}]
        if isinstance(row[key], str):
            lines += [row | {key: blank} for blank in ("", " ", " \t\r\n", "\u00a0\u3000", "\u200b\ufeff", "\u3164 \u00ad")]
    source = "customer" if "email" in row else "accelerometer" if "user" in row else "step_trainer"
    assert lake.lines({}, *lines, source=source) == [(number, "missing_key") for number in range(1, len(lines) + 2)]


def test_the_other_columns_may_be_absent_or_null_or_blank(lake):
    nothing = dict.fromkeys(customer(), None) | {"email": "?", "lastUpdateDate": T}
    blank = customer(BEN, serial="", customerName=" ", phone="", birthDay="")
    assert lake.lines({"email": ANN, "lastUpdateDate": T}, nothing, blank, source="customer") == []


def test_a_blank_with_a_control_character_is_none(lake):
    assert lake.lines(step(serial="\x1f"), step(serial="\x00 "), source="step_trainer") == []
    assert lake.lines(sample("\x1f")) == [(1, "malformed_email")]


# --- R11: e-mails ---

EMAILS = json.loads((Path(__file__).parents[2] / "data" / "emails.json").read_text())


@pytest.mark.parametrize("example", EMAILS, ids=[example["why"] for example in EMAILS])
def test_an_address_is_normalised_as_the_examples_say(lake, example):
    written, normalised = example["written"], example["normalised"]
    assert address(written) == normalised
    lake.deliver(customer(written, research=T + 1)).deliver(sample(written))
    if normalised is not None:
        assert address(normalised) == normalise(normalised) == normalised
        assert [row[0] for row in lake.table("accelerometer_trusted")] == [normalised]
    else:
        reason = "malformed_email" if normalise(written) else "missing_key"
        assert lake.quarantine("accelerometer") == [("accelerometer/landing/accelerometer-002.json", 1, reason)]
        assert compute(lake.folder, "as-of").unnamed == {"customer": [("customer/landing/customer-001.json", 1)]}


def test_there_are_examples_enough():
    assert len(EMAILS) >= 25
    assert len({example["written"] for example in EMAILS}) == len(EMAILS)
    assert all(set(example) == {"written", "normalised", "why"} for example in EMAILS)


# Case 06: each of these withdrawals was somebody else's.
@pytest.mark.parametrize("spelling", ["{}\t", "{}\r", "\u00a0{}", "{}\u200b", "  {} ", "\ufeff{}\u3000"])
@pytest.mark.parametrize("change", [str, str.upper, lambda email: email.replace("\u00e9", "e\u0301")])
def test_a_withdrawal_counts_in_whatever_spelling(lake, spelling, change):
    email = "jos\u00e9@example.com"
    lake.deliver(customer(email, research=T + 1)).deliver(sample(email)).deliver(step())
    assert all(len(rows) == 1 for rows in expected_tables(lake.folder, "as-of").values())
    lake.deliver(customer(spelling.format(change(email)), updated=T + 2000))
    assert not any(expected_tables(lake.folder, "as-of").values())
    assert lake.outcomes("step_trainer_trusted") == {"no_consent": 1}


# --- R12: plausible times ---

TIMES = {
    "customer": (customer, ["registrationDate", "lastUpdateDate"]),
    "accelerometer": (sample, ["timestamp"]),
    "step_trainer": (step, ["sensorReadingTime"]),
}


@pytest.mark.parametrize("source", TIMES)
def test_a_time_before_2000_is_not_plausible(lake, source):
    row, keys = TIMES[source]
    for key in keys:
        times = [EARLIEST_MS, EARLIEST_MS - 1, T // 1000, T // 60_000, 1, 0, -1, -(2**63)]
        rows = [row() | {key: time} for time in times]
        assert lake.lines(*rows, source=source) == [(number, "implausible_time") for number in range(2, len(times) + 1)]


@pytest.mark.parametrize("source", TIMES)
def test_a_time_may_be_a_day_later_than_its_file(lake, source):
    row, keys = TIMES[source]
    for key in keys:
        rows = [row() | {key: time} for time in (LATEST, LATEST + 1, 2**63 - 1)]
        assert lake.lines(*rows, source=source) == [(2, "future_time"), (3, "future_time")]


@pytest.mark.parametrize("who", ["Research", "Public", "Friends"])
def test_a_consent_date_is_plausible_or_says_that_there_is_none(lake, who):
    dates = [None, 0, -1, -(2**63), EARLIEST_MS, LATEST, 1, T // 1000, EARLIEST_MS - 1, LATEST + 1, 2**63 - 1]
    rows = [customer() | {f"shareWith{who}AsOfDate": date} for date in dates]
    expected = [(number, "implausible_time") for number in (7, 8, 9)] + [(10, "future_time"), (11, "future_time")]
    assert lake.lines(*rows, source="customer") == expected


def test_a_consent_may_begin_after_its_delivery(lake):
    """As of then under `as-of`, and with the run that reads it under `ever`."""
    lake.deliver(customer(research=LATEST), modified=MODIFIED).deliver(sample(time=T + 2000), sample(time=LATEST, x=1.0))
    assert [row[1] for row in lake.table("accelerometer_trusted")] == [LATEST]
    assert [row[1] for row in lake.table("accelerometer_trusted", "ever")] == [T + 2000, LATEST]


def test_the_modification_time_counts_in_whole_milliseconds(lake):
    lake.deliver(sample(time=LATEST + 5), sample(time=LATEST + 6), name="a.json")
    os.utime(lake.folder / "accelerometer/landing/a.json", ns=(0, MODIFIED * 10**9 + 5_999_999))
    assert lake.quarantine("accelerometer") == [("accelerometer/landing/a.json", 2, "future_time")]


def test_a_record_of_the_future_is_never_the_current_one(lake):
    lake.deliver(customer(research=T + 1, phone="now"), customer(BEN, updated=LATEST + 9, phone="future"), modified=MODIFIED)
    assert lake.phones() == ["now"]
    assert lake.outcomes("customer_trusted") == {"accepted": 1}
    assert expected_counts(lake.folder, "as-of")["customer_landing"] == 2


def test_the_first_reason_counts(lake):
    everything = {"user": None, "x": "0.5", "timestamp": LATEST + 1}
    late = {"email": "an n", "lastUpdateDate": LATEST + 1, "registrationDate": 5}
    assert lake.lines(
        json.dumps(everything)[:-1] + ', "X": 1, "y": 1, "Y": 1}',
        everything,
        everything | {"x": 0.5},
        sample("an n", time=5),
        sample(time=LATEST + 1),
    ) == [(1, "malformed"), (2, "wrong_type"), (3, "missing_key"), (4, "malformed_email"), (5, "future_time")]
    assert lake.lines(late | {"phone": 1}, late, late | {"email": "ann"}, source="customer") == [
        (1, "wrong_type"),
        (2, "malformed_email"),
        (3, "implausible_time"),
    ]


def test_what_is_quarantined_is_sorted_by_file_and_line(lake):
    for name in ("b.json", "a/z.json", "a.json"):
        lake.put(f"customer/landing/{name}", b"[]\n" * 11)
    expected = [(f"customer/landing/{n}.json", line, "malformed") for n in ("a", "a/z", "b") for line in range(1, 12)]
    assert lake.quarantine("customer") == expected


def test_drift_counts_good_and_bad_rows_by_unknown_key(lake):
    lake.deliver(customer(research=T + 1, plan="x", level=2), customer(BEN, updated="1", plan=None), customer(CLEO))
    lake.put("customer/landing/bad.json", b'{"plan": 1, "PLAN": 1}')
    drift = compute(lake.folder, "as-of").drift
    assert drift == {"customer": {"plan": 2, "level": 1}, "accelerometer": {}, "step_trainer": {}}
    assert lake.table("customer_trusted")[0][0] == "A Person"


# --- R14: unknown numbers of rows ---

ROWS = json.dumps(sample())
SEVERAL = {
    "an array": f"[{ROWS}, {ROWS}]",
    "an empty array": "[]",
    "an array that is cut": f"[{ROWS}",
    "an array behind blanks": f" \t[{ROWS}]",
    "an array behind a byte-order mark": f"\ufeff[{ROWS}]",
    "two objects": ROWS * 2,
    "with a blank between": f"{ROWS} \t {ROWS}",
    "with a no-break space between": f"{ROWS}\u00a0{ROWS}",
    "with a comma between": f"{ROWS} , {ROWS}",
    "with a record separator between": f"\x1e{ROWS}\x1e{ROWS}",
    "a word between": f"{ROWS}x{ROWS}",
    "the second one cut": f"{ROWS}{{",
    "not UTF-8 either": '{"a": "\udcff"}{"a": 1}',
}
ONE = {
    "cut": ROWS[:-1],
    "a text behind": f'{ROWS},"text"',
    "an object in a list": f'{{"a": {ROWS}',
    "a record separator in front": f"\x1e{ROWS}",
    "a bracket within": '{"a": ["}", {"a": 1}]',
    "good": f'{ROWS[:-1]}, "note": "}}{{", "list": [{{}}, {{}}]}}',
}


@pytest.mark.parametrize("case", SEVERAL)
def test_several_documents_in_a_line_are_an_unknown_number(lake, case):
    assert lake.lines(sample(), SEVERAL[case], sample()) == [(2, "malformed")]
    assert compute(lake.folder, "as-of").unknown["accelerometer"] == [("accelerometer/landing/bad.json", 2)]


def test_rows_wrapped_in_an_object_that_is_none_are_an_unknown_number(lake):
    assert lake.lines(f'{{"Records": [{ROWS}, {ROWS}]}}', f'{{"Records": [{ROWS}]}}') == [(1, "missing_key"), (2, "missing_key")]
    assert compute(lake.folder, "as-of").unknown["accelerometer"] == [("accelerometer/landing/bad.json", 1)]


@pytest.mark.parametrize(
    "content", [b"\x28\xb5\x2f\xfd\n{", b"PK\x03\x04", ROWS.encode("utf-16"), gzip.compress(gzip.compress(b"x"))]
)
def test_a_file_that_is_no_text_is_lost_whole(lake, content):
    name = "accelerometer/landing/bad.json" + (".gz" if content.startswith(b"\x1f") else "")
    lake.put(name, content)
    assert compute(lake.folder, "as-of").unknown["accelerometer"] == [(name, 0)]


@pytest.mark.parametrize("case", ONE)
def test_other_lines_are_one_row(lake, case):
    lake.lines(ONE[case])
    assert compute(lake.folder, "as-of").unknown["accelerometer"] == []


# Case 07: five hundred who withdrew, in what counted as one bad row.
@pytest.mark.parametrize("kind", ["concatenated", "array", "cut", "misnamed"])
def test_withdrawals_that_nobody_can_count(lake, kind):
    people = [f"{number}@example.com" for number in range(5)]
    lake.deliver(*(customer(email, research=T + 1) for email in people))
    rows = [json.dumps(customer(email, updated=T + 2000)) for email in people]
    contents = {"concatenated": "".join(rows).encode(), "array": f"[{','.join(rows)}]".encode()}
    packed = gzip.compress("\n".join(rows).encode())
    name = "2.json.gz" if kind == "cut" else "2.json"
    lake.put(f"customer/landing/{name}", contents.get(kind, packed[:-3] if kind == "cut" else packed))
    found = [(f"customer/landing/{name}", 1 if kind in contents else 0)]
    result = compute(lake.folder, "as-of")
    assert result.unknown == {"customer": found, "accelerometer": [], "step_trainer": []}
    assert result.unnamed == {"customer": found}


# --- R13: what cannot be read suspends ---

# What becomes of a newer record of Ann that can be read in parts: its line, and whether its last change can be read.
BAD = {
    "a phone as number": (customer(updated=T + 2000, research=T + 1, phone=5), True),
    "a consent in seconds": (customer(updated=T + 2000, research=T // 1000), True),
    "a consent to come": (customer(updated=T + 2000, research=LATEST + 10**6), True),
    "a registration in seconds": (customer(updated=T + 2000, registrationDate=T // 1000), True),
    "an unknown key twice": (customer(updated=T + 2000, note=1, Note=2), True),
    "a column twice": (customer(updated=T + 2000, phone="1", PHONE="1"), True),
    "keys in another case": (in_case(customer(updated=T + 2000, phone=5), str.upper), True),
    "a change as 1e3": (customer(updated=RAW + "1650000002e3", phone=5), True),
    "another spelling": (customer("\u200bANN@example.com\u00a0", updated=T + 2000, phone=5), True),
    "a change in seconds": (customer(updated=T // 1000), False),
    "a change to come": (customer(updated=LATEST + 10**6), False),
    "a change as text": (customer(updated=str(T + 2000)), False),
    "no change": (customer(updated=None), False),
    "a broken change": (customer(updated=T + 0.5), False),
    "two changes": (customer(updated=T + 1, LASTUPDATEDATE=T + 1), False),
}


def everybody(lake):
    """Ann and Ben with all their rows."""
    lake.deliver(customer(research=T + 1), customer(BEN, research=T + 1, serial="device-b"), modified=MODIFIED)
    lake.deliver(sample(), sample(BEN)).deliver(step(), step("device-b"))
    assert all(len(rows) == 2 for rows in expected_tables(lake.folder, "as-of").values())


# Cases 04, 05 and 14.
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("case", BAD)
def test_a_newer_record_that_cannot_be_used_suspends(lake, case, gate):
    everybody(lake)
    lake.deliver(BAD[case][0], source="customer", modified=MODIFIED + 1)
    result = compute(lake.folder, gate)
    assert len(result.quarantine["customer"]) == 1
    assert (result.suspended, result.unnamed) == ({ANN}, {"customer": []})
    assert all(len(rows) == 1 for rows in result.tables.values())
    assert result.outcomes["customer_trusted"] == {"accepted": 1, "suspended": 1}
    assert result.outcomes["accelerometer_trusted"] == {"accepted": 1, "suspended": 1}
    assert result.outcomes["step_trainer_trusted"] == {"accepted": 1, "suspended": 1}


@pytest.mark.parametrize("case", BAD)
def test_a_readable_record_that_is_newer_ends_it(lake, case):
    bad, dated = BAD[case]
    lake.deliver(bad, source="customer", modified=MODIFIED + 1)
    # A change that can be read decides, else the delivery; the same moment is not newer. By change and delivery: is it over?
    ends = {(2000, 2): not dated, (2001, 1): dated, (2002, 0): dated, (2003, 2): True}
    for (updated, modified), over in ends.items():
        lake.deliver(customer(updated=T + updated, research=T + 1), name="good.json", modified=MODIFIED + modified)
        assert lake.suspended() == (set() if over else {ANN}), (updated, modified)


@pytest.mark.parametrize("case", [case for case, (_, dated) in BAD.items() if dated])
def test_an_older_record_that_cannot_be_used_suspends_nobody(lake, case):
    lake.deliver(customer(updated=T + 2001, research=T + 1), modified=MODIFIED)
    lake.deliver(BAD[case][0], source="customer", modified=MODIFIED + 1)
    assert lake.suspended() == set()
    assert lake.outcomes("customer_trusted") == {"accepted": 1}


def test_a_bad_and_a_good_record_in_one_file_leave_the_person_suspended(lake):
    lake.deliver(customer(research=T + 1), customer(updated="?"))
    assert lake.suspended() == {ANN}


def test_delivering_again_changes_nothing(lake):
    """Neither the good record, which would end a suspension, nor the bad one, which would begin another."""
    good, bad = customer(research=T + 1), customer(updated="?")
    lake.deliver(good, name="1.json", modified=MODIFIED).deliver(bad, name="2.json", modified=MODIFIED + 1)
    lake.deliver(customer("Ann@Example.com", research=T + 1), name="3.json", modified=MODIFIED + 2)
    assert lake.suspended() == {ANN}
    lake.deliver(customer(updated=T + 2000, research=T + 1), name="4.json", modified=MODIFIED + 3)
    lake.deliver(bad, name="5.json", modified=MODIFIED + 4).deliver(good, name="6.json", modified=MODIFIED + 5)
    assert lake.suspended() == set()
    # The same words in another line are another record.
    lake.deliver(customer("ANN@example.com", updated="?"), name="7.json", modified=MODIFIED + 6)
    assert lake.suspended() == {ANN}


def test_what_was_delivered_first_is_gone_with_its_file(lake):
    lake.deliver(customer(updated="?"), name="1.json", modified=MODIFIED)
    lake.deliver(customer(research=T + 1), name="2.json", modified=MODIFIED + 1)
    lake.deliver(customer(updated="?"), name="3.json", modified=MODIFIED + 2)
    assert lake.suspended() == set()
    (lake.folder / "customer/landing/1.json").unlink()
    assert lake.suspended() == {ANN}


def test_a_record_to_come_is_used_when_its_time_has_come(lake):
    """Whatever became of earlier copies, and however often they come again."""
    row = customer(updated=LATEST + 2000, research=T + 1)
    lake.deliver(row, name="f.json", modified=MODIFIED)
    assert lake.quarantine("customer") == [("customer/landing/f.json", 1, "future_time")]
    assert lake.suspended() == {ANN}
    lake.deliver(row, name="f-again.json", modified=MODIFIED + 2)
    lake.deliver(row, name="late.json", modified=MODIFIED + 1)
    result = compute(lake.folder, "as-of")
    assert [(path, reason) for path, _, reason in result.quarantine["customer"]] == [
        ("customer/landing/f.json", "future_time"),
        ("customer/landing/late.json", "future_time"),
    ]
    assert len(result.tables["customer_trusted"]) == 1
    assert result.suspended == set()


def test_a_change_that_one_copy_can_be_read_for_suspends_twice(lake):
    """Each copy is measured against its own file: what is undated in one may be dated in another, and both count."""
    bad = customer(updated=LATEST + 1000, phone=5)
    lake.deliver(bad, name="1.json", modified=MODIFIED).deliver(bad, name="2.json", modified=MODIFIED + 1)
    lake.deliver(customer(updated=LATEST + 1000, research=T + 1), name="3.json", modified=MODIFIED + 2)
    assert lake.suspended() == {ANN}
    lake.deliver(customer(updated=LATEST + 1001, research=T + 1), name="4.json", modified=MODIFIED + 2)
    assert lake.suspended() == set()


def test_every_record_that_suspends_has_to_be_older(lake):
    lake.deliver(customer(updated=T + 5000, phone=5), customer(updated=T + 3000, phone=5), modified=MODIFIED)
    lake.deliver(customer(updated=T + 4000, research=T + 1), modified=MODIFIED + 1)
    assert lake.suspended() == {ANN}


def test_no_consent_comes_before_suspended(lake):
    lake.deliver(customer(), customer(updated=T + 2000, phone=5)).deliver(sample()).deliver(step())
    result = compute(lake.folder, "as-of")
    assert result.suspended == {ANN}
    for table in ("customer_trusted", "accelerometer_trusted", "step_trainer_trusted"):
        assert result.outcomes[table] == {"no_consent": 1}, table


def test_superseded_and_duplicate_come_before_suspended(lake):
    lake.deliver(customer(updated=T + 1, research=T + 1), *[customer(research=T + 1)] * 2, customer(updated=T + 2000, phone=5))
    assert lake.outcomes("customer_trusted") == {"superseded": 1, "duplicate": 1, "suspended": 1}


@pytest.mark.parametrize("gate", GATES)
def test_somebody_known_only_by_bad_records_is_suspended_and_so_is_their_device(lake, gate):
    everybody(lake)
    lake.deliver(customer(CLEO, phone=5, serial="device-c")).deliver(sample(CLEO)).deliver(step("device-c"))
    result = compute(lake.folder, gate)
    assert result.suspended == {CLEO}
    assert result.outcomes["customer_trusted"] == {"accepted": 2}
    assert result.outcomes["accelerometer_trusted"] == {"accepted": 2, "suspended": 1}
    assert result.outcomes["step_trainer_trusted"] == {"accepted": 2, "suspended": 1}


def test_a_device_that_only_a_suspending_record_names_may_be_that_persons(lake):
    """Ann, who is suspended, may have Ben's device by now, and one that nobody else has."""
    everybody(lake)
    lake.deliver(customer(updated=T + 2000, phone=5, serial="device-b"), customer(updated=T + 2001, phone=5, serial="device-x"))
    lake.deliver(step("device-x"))
    assert lake.outcomes("step_trainer_trusted") == {"suspended": 2, "ambiguous_device": 1}
    # With a newer record the device is that of this record only.
    lake.deliver(customer(updated=T + 3000, research=T + 1))
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 2, "unknown_customer": 1}


@pytest.mark.parametrize("named", [{"serialNumber": 5}, {"serialNumber": None}, {"SERIALNUMBER": "device-b"}])
def test_a_device_that_cannot_be_read_is_nobodys(lake, named):
    everybody(lake)
    lake.deliver(customer(updated=T + 2000, phone=5, serial="device-b") | named)
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "suspended": 1}


UNNAMED = {
    "no object": "[]",
    "cut": json.dumps(customer())[:-1],
    "half a character": json.dumps(customer(note="\ud83d")),
    "not UTF-8": '{"email": "ann@example.com", "note": "\udcff"}',
    "too deep": '{"email": "ann@example.com", "a": ' + "[" * 100 + "]" * 100 + "}",
    "too long a number": '{"email": "ann@example.com", "a": 1' + "0" * 1000 + "}",
    "too long a line": json.dumps(customer()) + " " * 1024 * 1024,
    "no e-mail": {"lastUpdateDate": T},
    "e-mail null": customer(None),
    "e-mail as number": customer(5),
    "e-mail in a list": customer([ANN]),
    "e-mail blank": customer("\u00a0"),
    "e-mail with a space in it": customer("an n@example.com"),
    "two e-mails": customer(EMAIL=ANN),
    "two e-mails, one of them null": customer(EMAIL=None),
}


@pytest.mark.parametrize("case", UNNAMED)
def test_a_record_that_nobody_can_say_whose_it_is(lake, case):
    everybody(lake)
    assert len(lake.lines(UNNAMED[case], source="customer")) == 1
    result = compute(lake.folder, "as-of")
    assert result.unnamed == {"customer": [("customer/landing/bad.json", 1)]}
    assert result.suspended == set()


def test_a_reading_that_cannot_be_used_suspends_nobody(lake):
    everybody(lake)
    lake.deliver(sample(x="0.5"), sample(time=5)).deliver(step(time=5))
    result = compute(lake.folder, "as-of")
    assert result.suspended == set()
    assert result.unnamed == {"customer": []}


# --- the public data set ---

PUBLIC_COUNTS = {
    # customer, accelerometer and step trainer; trusted, curated and machine learning (shared design, section 3)
    "as-of": (956, 81_273, 28_680, 482, 32_025, 464, 11_297, 32_025),
    "ever": (956, 81_273, 28_680, 482, 40_981, 482, 14_460, 40_981),
}


@pytest.mark.parametrize("gate", GATES)
def test_the_public_data_gives_the_published_counts(gate):
    data = Path(os.environ.get("STEDI_DATA") or Path(__file__).parents[3] / "shared" / "data" / "stedi")
    if not data.is_dir():
        pytest.skip(f"the public STEDI data is not at {data} (set STEDI_DATA)")
    result = compute(data, gate)
    assert tuple(result.counts().values()) == PUBLIC_COUNTS[gate]
    for table, rows in result.tables.items():
        assert result.outcomes[table]["accepted"] == len(rows)


def test_all_target_tables_are_computed(lake):
    lake.deliver(customer(research=T + 1)).deliver(sample()).deliver(step())
    assert tuple(expected_tables(lake.folder, "as-of")) == TARGET_TABLES
    assert all(len(rows) == 1 for rows in expected_tables(lake.folder, "as-of").values())
