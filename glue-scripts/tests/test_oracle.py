"""The oracle against cases small enough to check by hand, one group a rule, and against the published counts."""

import gzip
import hashlib
import json
import os
import re
import zlib
from pathlib import Path

import pytest
from oracle import GATES, TARGET_TABLES, compute, expected_counts, expected_reasons, expected_tables, fingerprint, read_landing

ANN, BEN, CLEO = "ann@example.com", "ben@example.com", "cleo@example.com"

MODIFIED = 1_700_000_000  # seconds
# The latest time that a row of a file modified then may have.
LATEST = MODIFIED * 1000 + 24 * 60 * 60 * 1000


def customer(email=ANN, updated=1000, research=None, serial="device-a", **other):
    row = {"customerName": "A Person", "email": email, "phone": "5550100", "birthDay": "1980-01-01"}
    row |= {"serialNumber": serial, "registrationDate": 1000, "lastUpdateDate": updated}
    return row | ({} if research is None else {"shareWithResearchAsOfDate": research}) | other


def sample(user=ANN, time=2000, x=0.5, y=0.0, z=-1.0):
    return {"user": user, "timestamp": time, "x": x, "y": y, "z": z}


def step(serial="device-a", time=2000, distance=200):
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

    def deliver(self, *rows, name=None, modified=None):
        source = "customer" if "email" in rows[0] else "accelerometer" if "user" in rows[0] else "step_trainer"
        name = name or f"{source}-{self.files + 1:03}.json"
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
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

    def phones(self):
        return [row[2] for row in self.table("customer_trusted")]


# --- R1: the person and their current record ---


def test_email_is_compared_trimmed_and_lower_cased(lake):
    lake.deliver(customer("  Ann@Example.COM ", research=1)).deliver(sample("ANN@example.com "))
    assert [row[1] for row in lake.table("customer_trusted")] == [ANN]
    assert lake.table("accelerometer_trusted") == [(ANN, 2000, 0.5, 0.0, -1.0)]


def test_the_last_change_is_current_whatever_the_order_of_delivery(lake):
    lake.deliver(customer(updated=3000, research=1, phone="new"))
    lake.deliver(customer(updated=2000, research=1, phone="old"))
    assert lake.phones() == ["new"]
    assert lake.outcomes("customer_trusted") == {"accepted": 1, "superseded": 1}


def test_of_equal_last_changes_the_file_delivered_last_is_current(lake):
    lake.deliver(customer(research=1, phone="late"), name="a.json", modified=1_700_000_009)
    lake.deliver(customer(research=1, phone="early"), name="b.json", modified=1_700_000_001)
    assert lake.phones() == ["late"]


def test_of_files_delivered_at_once_the_greatest_path_is_current(lake):
    for name in ("b.json", "a.json"):
        lake.deliver(customer(research=1, phone=name), name=name, modified=1_700_000_000)
    assert lake.phones() == ["b.json"]


def test_the_path_is_that_below_the_lake(lake):
    for name in ("b/1.json", "a/2.json"):
        lake.deliver(customer(research=1, phone=name), name=name, modified=1_700_000_000)
    assert lake.phones() == ["b/1.json"]


def test_within_one_file_the_greatest_fingerprint_is_current(lake):
    rows = [customer(" ANN@example.com", research=1, phone=phone) for phone in ("2", "3", None)]

    def by_hand(row):
        values = [row["customerName"], ANN, row["phone"] or "\\N", row["birthDay"], row["serialNumber"]]
        values += ["1000", "1000", "1", "\\N", "\\N"]
        return hashlib.sha256("\x1f".join(values).encode()).hexdigest()

    lake.deliver(*rows)
    greatest = max(rows, key=by_hand)
    assert lake.phones() == [greatest["phone"]]
    assert fingerprint(lake.table("customer_trusted")[0]) == by_hand(greatest)


def test_the_current_record_again_is_a_duplicate_also_when_the_email_is_spelled_differently(lake):
    lake.deliver(customer(research=1), customer(ANN.upper(), research=1), customer(updated=999, research=1))
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
    lake.deliver(customer(updated=1000, research=1000), customer(updated=9000)).deliver(sample()).deliver(step())
    for gate in GATES:
        assert all(rows == [] for rows in expected_tables(lake.folder, gate).values())
        assert lake.outcomes("step_trainer_trusted", gate) == {"no_consent": 1}


def test_consent_given_again_counts_from_the_current_date(lake):
    lake.deliver(customer(updated=1000, research=1000), customer(updated=1500), customer(updated=2500, research=2500))
    lake.deliver(sample(time=1200), sample(time=2500))
    assert [row[1] for row in lake.table("accelerometer_trusted")] == [2500]


def test_other_shares_are_no_consent_and_are_kept(lake):
    lake.deliver(customer(shareWithPublicAsOfDate=5), customer(BEN, research=7, shareWithFriendsAsOfDate=6, serial="device-b"))
    assert lake.table("customer_trusted") == [("A Person", BEN, "5550100", "1980-01-01", "device-b", 1000, 1000, 7, None, 6)]


# --- R3: as of ---


def test_a_reading_at_the_very_time_of_consent_passes(lake):
    lake.deliver(customer(research=2000)).deliver(sample(time=1999), sample(time=2000), sample(time=2001))
    assert [row[1] for row in lake.table("accelerometer_trusted")] == [2000, 2001]
    assert lake.outcomes("accelerometer_trusted") == {"accepted": 2, "before_consent": 1}
    assert lake.outcomes("accelerometer_trusted", "ever") == {"accepted": 3}


def test_a_reading_of_nobody_known(lake):
    lake.deliver(customer(research=1)).deliver(sample(BEN))
    assert lake.outcomes("accelerometer_trusted") == {"unknown_customer": 1}


def test_a_reading_delivered_twice_is_one_reading_and_several_at_one_time_are_several(lake):
    lake.deliver(customer(research=1)).deliver(sample(x=0.1), sample(x=0.2), sample(x=0.1))
    lake.deliver(sample(" Ann@example.com", x=0.2), name="again.json.gz")
    assert [row[2] for row in lake.table("accelerometer_trusted")] == [0.1, 0.2]
    assert lake.outcomes("accelerometer_trusted") == {"accepted": 2, "duplicate": 2}


def test_before_consent_comes_before_duplicate(lake):
    lake.deliver(customer(research=5000)).deliver(sample(), sample())
    assert lake.outcomes("accelerometer_trusted") == {"before_consent": 2}
    assert lake.outcomes("accelerometer_trusted", "ever") == {"accepted": 1, "duplicate": 1}


# --- R4: the device ---


def test_a_step_reading_of_one_customer(lake):
    lake.deliver(customer(research=2000)).deliver(sample(time=2000))
    lake.deliver(step(time=1999), step(time=2000), step("device-x"), step("DEVICE-A"), step(" device-a"))
    assert lake.table("step_trainer_trusted") == [(2000, "device-a", 200)]
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "before_consent": 1, "unknown_customer": 3}
    assert lake.outcomes("step_trainer_trusted", "ever") == {"accepted": 2, "unknown_customer": 3}


def test_a_device_of_an_earlier_record_belongs_to_nobody(lake):
    lake.deliver(customer(research=1, serial="old"), customer(updated=1500, research=1, serial="new"))
    lake.deliver(sample()).deliver(step("old"), step("new"))
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "unknown_customer": 1}


def test_a_customer_without_a_device_owns_no_reading(lake):
    lake.deliver(customer(research=1, serial=None)).deliver(sample()).deliver(step("None"))
    assert lake.outcomes("step_trainer_trusted") == {"unknown_customer": 1}
    assert lake.outcomes("machine_learning_curated") == {"no_step_reading": 1}


def test_a_shared_device_passes_when_all_its_customers_pass(lake):
    lake.deliver(customer(research=1500), customer(BEN, research=2500))
    lake.deliver(sample(time=3000), sample(BEN, time=3000))
    lake.deliver(step(time=2000), step(time=2499), step(time=2500))
    assert [row[0] for row in lake.table("step_trainer_trusted")] == [2500]
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "ambiguous_device": 2}
    assert lake.outcomes("step_trainer_trusted", "ever") == {"accepted": 3}


@pytest.mark.parametrize("research", [None, 1])
def test_a_shared_device_with_one_who_does_not_consent_or_has_no_readings(lake, research):
    lake.deliver(customer(research=1), customer(BEN, research=research)).deliver(sample()).deliver(step())
    for gate in GATES:
        assert lake.outcomes("step_trainer_trusted", gate) == {"ambiguous_device": 1}


def test_of_one_device_and_time_the_smallest_distance_stays(lake):
    lake.deliver(customer(research=1)).deliver(sample())
    lake.deliver(step(distance=230), step(distance=210)).deliver(step(distance=220))
    assert lake.table("step_trainer_trusted") == [(2000, "device-a", 210)]
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "duplicate": 2}


# --- R5: curated customers ---


def test_curated_are_trusted_customers_with_a_trusted_reading_once_each(lake):
    lake.deliver(
        customer(ANN, research=1, serial="a"),
        customer(BEN, research=9000, serial="b"),
        customer(CLEO, research=1, serial="c"),
    )
    lake.deliver(sample(ANN, 2000), sample(ANN, 2001), sample(BEN, 2000))
    lake.deliver(step("a"), step("b"), step("c"))
    assert [row[1] for row in lake.table("customer_curated")] == [ANN]
    assert lake.outcomes("customer_curated") == {"accepted": 1, "no_readings": 2}
    assert [row[1] for row in lake.table("customer_curated", "ever")] == [ANN, BEN]
    assert lake.outcomes("step_trainer_trusted") == {"accepted": 1, "no_readings": 2}
    assert lake.outcomes("step_trainer_trusted", "ever") == {"accepted": 2, "no_readings": 1}


# --- R6: the machine learning table ---


def test_rows_join_by_person_and_time_and_carry_a_pseudonym(lake):
    lake.deliver(customer("Ann@example.com", research=1), customer(BEN, research=1, serial="device-b"))
    lake.deliver(sample(x=0.1), sample(x=0.2), sample(time=2001), sample(BEN, x=0.3))
    lake.deliver(step(distance=210), step("device-b", distance=250))
    ann = hashlib.sha256(b"ann@example.com|device-a").hexdigest()
    ben = hashlib.sha256(b"ben@example.com|device-b").hexdigest()
    assert lake.table("machine_learning_curated") == sorted(
        [(ann, 2000, 210, 0.1, 0.0, -1.0), (ann, 2000, 210, 0.2, 0.0, -1.0), (ben, 2000, 250, 0.3, 0.0, -1.0)]
    )
    assert lake.outcomes("machine_learning_curated") == {"accepted": 3, "no_step_reading": 1}


def test_a_shared_device_joins_to_each_of_its_customers(lake):
    lake.deliver(customer(research=1), customer(BEN, research=1)).deliver(sample(), sample(BEN)).deliver(step())
    rows = lake.table("machine_learning_curated")
    assert len({row[0] for row in rows}) == len(rows) == 2


# --- R8: which files are read ---


def test_files_of_both_kinds_are_read_also_in_folders_below(lake):
    for number, name in enumerate(("a.json", "b.json.gz", "2024/01/c.json", "d.json/e.json")):
        lake.deliver(customer(f"{number}@example.com", research=1), name=name)
    assert len(lake.table("customer_trusted")) == 4
    assert lake.quarantine("customer") == []


@pytest.mark.parametrize("name", ["c.json.part", "c.JSON", "c.gz", ".c.json", "_c.json", "_tmp/c.json", "a/.b/c.json.gz"])
def test_other_and_hidden_files_are_not(lake, name):
    lake.put(f"customer/landing/{name}", b"no row")
    assert expected_counts(lake.folder, "as-of")["customer_landing"] == 0


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
    "empty.json": b"",
    "empty.json.gz": b"",
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
    lake.deliver(customer(research=1)).deliver(sample()).put(f"accelerometer/landing/{name}", UNUSABLE[name])
    assert lake.quarantine("accelerometer") == [(f"accelerometer/landing/{name}", 0, "malformed")]
    assert expected_counts(lake.folder, "as-of")["accelerometer_landing"] == 2
    assert lake.outcomes("accelerometer_trusted") == {"accepted": 1}


@pytest.mark.parametrize(
    "content", [PACKED + gzip.compress(ROW), gzip.compress(b"") + PACKED + gzip.compress(ROW[:-1]), NAMED + PACKED]
)
def test_a_file_may_have_several_gzip_members(lake, content):
    lake.put("accelerometer/landing/a.json.gz", content)
    assert lake.quarantine("accelerometer") == []
    assert expected_counts(lake.folder, "as-of")["accelerometer_landing"] in (101, 200)


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


def test_a_byte_order_mark_starts_a_line_once(lake):
    mark, row = "\ufeff", json.dumps(sample())
    assert lake.lines(mark + row, mark + row, mark, mark + " ", mark + mark + row, row + mark) == [
        (5, "malformed"),
        (6, "malformed"),
    ]


def test_a_line_may_have_a_mebibyte(lake):
    row = json.dumps(sample())
    fill = " " * (1024 * 1024 - len(row))
    assert lake.lines(row + fill, "\ufeff" + row + fill, row + fill + " ", end="\r\n") == [(3, "malformed")]


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
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed(lake, fault):
    assert lake.lines(sample(), MALFORMED[fault], sample()) == [(2, "malformed")]
    assert compute(lake.folder, "as-of").drift["accelerometer"] == {}


def test_what_looks_malformed_and_is_not(lake):
    smile = json.dumps(sample() | {"note": "\U0001f600", "N\\u": {"a": 1, "A": 2}})
    assert lake.lines(" \t" + smile + " ", smile.replace("note", "\\u006eote")) == []


WRONG_TYPES = {
    "string": [1, True, 1.5, [], {}, ["a@example.com"]],
    "bigint": ["1", 1.0, True, False, [], {}, 2**63, -(2**63) - 1, RAW + "1" * 5000, "", RAW + "1e3", RAW + "-0.0"],
    "int": ["1", 200.0, True, {}, 2**31, -(2**31) - 1, 2**63],
    "double": ["0.5", "NaN", "", True, [], {}, RAW + "1e309", RAW + "-1e309", RAW + "1" * 5000],
}
TYPED = {
    "string": (customer(), ["customerName", "email", "phone", "birthDay", "serialNumber"]),
    "bigint": (
        customer(research=1, shareWithPublicAsOfDate=1, shareWithFriendsAsOfDate=1),
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
    assert lake.lines(step(serial=5), step(time=2000.0), source="step_trainer") == [(1, "wrong_type"), (2, "wrong_type")]


def test_the_greatest_and_smallest_values_are_read(lake):
    assert lake.lines(customer(updated=-(2**63), research=2**63 - 1), source="customer") == []
    assert lake.lines(step(distance=2**31 - 1), step(distance=-(2**31)), step(distance=RAW + "-0"), source="step_trainer") == []
    values = [1.7976931348623157e308, 5e-324, RAW + "1e-999", RAW + "1E+2", -7, 2**63, RAW + "9" * 300]
    assert lake.lines(*(sample(x=value) for value in values)) == []
    read = [found.x for found in read_landing(lake.folder).samples]
    assert read == [1.7976931348623157e308, 5e-324, 0.0, 100.0, -7.0, 2.0**63, 1e300]
    assert all(type(x) is float for x in read)


def test_minus_zero_is_zero(lake):
    lake.deliver(customer(research=1)).deliver(sample(x=0), sample(x=-0.0), sample(x=0.0))
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
        lines += [absent, row | {key: None}, absent | {key.upper(): row[key]}]
        if isinstance(row[key], str):
            lines += [row | {key: blank} for blank in ("", " ", " \t\r\n")]
    source = "customer" if "email" in row else "accelerometer" if "user" in row else "step_trainer"
    assert lake.lines({}, *lines, source=source) == [(number, "missing_key") for number in range(1, len(lines) + 2)]


def test_the_other_columns_may_be_absent_or_null_or_blank(lake):
    nothing = dict.fromkeys(customer(), None) | {"email": "\u00a0", "lastUpdateDate": 1}
    blank = customer(BEN, serial="", customerName=" ", phone="", birthDay="")
    assert lake.lines({"email": ANN, "lastUpdateDate": 1}, nothing, blank, source="customer") == []


def test_a_time_may_be_a_day_later_than_its_file(lake):
    now, late = LATEST, LATEST + 1
    assert lake.lines(sample(time=now), sample(time=late)) == [(2, "future_time")]
    assert lake.lines(step(time=now), step(time=late), source="step_trainer") == [(2, "future_time")]
    rows = [customer(updated=now), customer(updated=late), customer(research=late, registrationDate=late)]
    assert lake.lines(*rows, source="customer") == [(2, "future_time")]


def test_the_modification_time_counts_in_whole_milliseconds(lake):
    lake.deliver(sample(time=LATEST + 5), sample(time=LATEST + 6), name="a.json")
    os.utime(lake.folder / "accelerometer/landing/a.json", ns=(0, MODIFIED * 10**9 + 5_999_999))
    assert lake.quarantine("accelerometer") == [("accelerometer/landing/a.json", 2, "future_time")]


def test_a_record_of_the_future_is_never_the_current_one(lake):
    lake.deliver(customer(research=1, phone="now"), customer(updated=LATEST + 9, phone="future"), modified=MODIFIED)
    assert lake.phones() == ["now"]
    assert lake.outcomes("customer_trusted") == {"accepted": 1}
    assert expected_counts(lake.folder, "as-of")["customer_landing"] == 2


def test_the_first_reason_counts(lake):
    everything = {"user": None, "x": "0.5", "timestamp": LATEST + 1}
    assert lake.lines(
        json.dumps(everything)[:-1] + ', "X": 1, "y": 1, "Y": 1}',
        everything,
        everything | {"x": 0.5},
        sample(time=LATEST + 1),
    ) == [(1, "malformed"), (2, "wrong_type"), (3, "missing_key"), (4, "future_time")]


def test_what_is_quarantined_is_sorted_by_file_and_line(lake):
    for name in ("b.json", "a/z.json", "a.json"):
        lake.put(f"customer/landing/{name}", b"[]\n" * 11)
    expected = [(f"customer/landing/{n}.json", line, "malformed") for n in ("a", "a/z", "b") for line in range(1, 12)]
    assert lake.quarantine("customer") == expected


def test_drift_counts_good_and_bad_rows_by_unknown_key(lake):
    lake.deliver(customer(research=1, plan="x", level=2), customer(updated="1", plan=None), customer(BEN))
    lake.put("customer/landing/bad.json", b'{"plan": 1, "PLAN": 1}')
    drift = compute(lake.folder, "as-of").drift
    assert drift == {"customer": {"plan": 2, "level": 1}, "accelerometer": {}, "step_trainer": {}}
    assert lake.table("customer_trusted")[0][0] == "A Person"


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
    lake.deliver(customer(research=1)).deliver(sample()).deliver(step())
    assert tuple(expected_tables(lake.folder, "as-of")) == TARGET_TABLES
    assert all(len(rows) == 1 for rows in expected_tables(lake.folder, "as-of").values())
