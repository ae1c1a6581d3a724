"""The oracle against cases small enough to check by hand, one group a rule, and against the published counts."""

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest
from oracle import GATES, TARGET_TABLES, compute, expected_reasons, expected_tables

ANN, BEN, CLEO = "ann@example.com", "ben@example.com", "cleo@example.com"


def customer(email=ANN, updated=1000, research=None, serial="device-a", **other):
    row = {"customerName": "A Person", "email": email, "phone": "5550100", "birthDay": "1980-01-01"}
    row |= {"serialNumber": serial, "registrationDate": 1000, "lastUpdateDate": updated}
    return row | ({} if research is None else {"shareWithResearchAsOfDate": research}) | other


def sample(user=ANN, time=2000, x=0.5, y=0.0, z=-1.0):
    return {"user": user, "timestamp": time, "x": x, "y": y, "z": z}


def step(serial="device-a", time=2000, distance=200):
    return {"sensorReadingTime": time, "serialNumber": serial, "distanceFromObject": distance}


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
        self.files += 1
        file = self.folder / source / "landing" / (name or f"{source}-{self.files:03}.json")
        text = "".join(json.dumps(row) + "\n" for row in rows)
        file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
        seconds = modified if modified is not None else 1_700_000_000 + self.files
        os.utime(file, (seconds, seconds))
        return self

    def table(self, name, gate="as-of"):
        return expected_tables(self.folder, gate)[name]

    def outcomes(self, name, gate="as-of"):
        return expected_reasons(self.folder, gate)[name]

    def phones(self):
        return [row[2] for row in self.table("customer_trusted")]


# --- R1: the person and their current record ---


def test_email_is_compared_trimmed_and_lower_cased(lake):
    lake.deliver(customer(" Ann@Example.COM ", research=1)).deliver(sample("ANN@example.com  "))
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


def test_within_one_file_the_content_decides(lake):
    lake.deliver(customer(research=1, phone="2"), customer(research=1, phone="3"), customer(research=1, phone=None))
    assert lake.phones() == ["3"]


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
    lake.deliver(customer(research=1, serial=None)).deliver(sample()).deliver(step("None"), step(""))
    assert lake.outcomes("step_trainer_trusted") == {"unknown_customer": 2}
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


# --- reading ---


def test_files_of_both_kinds_are_read_and_others_are_not(lake):
    lake.deliver(customer(research=1), name="a.json").deliver(customer(BEN, research=1), name="b.json.gz")
    (lake.folder / "customer" / "landing" / "c.json.part").write_text("no row")
    assert len(lake.table("customer_trusted")) == 2


@pytest.mark.parametrize("line", ['{"user": ', "[]", "{}", '{"user":"a","timestamp":true,"x":0,"y":0,"z":0}'])
def test_a_row_that_is_not_valid_is_named_by_file_and_line_and_not_shown(lake, line):
    lake.deliver(sample("secret@example.com"))
    file = lake.folder / "accelerometer" / "landing" / "bad.json"
    file.write_text(json.dumps(sample()) + "\n" + line + "\n")
    with pytest.raises(ValueError, match=r"bad\.json:2: not a valid row") as error:
        lake.table("accelerometer_trusted")
    assert line not in str(error.value)


def test_an_unknown_gate_and_a_missing_folder_are_refused(lake, tmp_path):
    with pytest.raises(ValueError, match="unknown consent gate 'always'; known are as-of, ever"):
        lake.table("customer_trusted", "always")
    with pytest.raises(FileNotFoundError, match="landing: no such folder"):
        compute(tmp_path / "nowhere", "as-of")


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
