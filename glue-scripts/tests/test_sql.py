"""Every SELECT against rows small enough to check by hand: each reason, and the rule it comes from."""

import hashlib

import oracle
import pytest
from lakehouse import contracts, queries
from pyspark.sql.types import BooleanType, StructType
from support import gate, view, view_of

ANN, BEN, CLEO, DAN = "ann@example.com", "ben@example.com", "cleo@example.com", "dan@example.com"
EARLY, LATE = 1_700_000_000_000, 1_700_000_001_000  # ms; modification times of files


def customer(email, updated=1000, research=None, serial=None, **other):
    row = {"email": email, "lastupdatedate": updated, "sharewithresearchasofdate": research, "serialnumber": serial}
    return {"file_path": "a.json", "file_modified": EARLY, **row, **other}


def trusted(*rows):
    """The same without the file: rows of customer_trusted or customer_curated."""
    return [{name: value for name, value in row.items() if not name.startswith("file_")} for row in rows]


def known(*rows, **changes):
    """The same as customer_consent has them."""
    names = contracts.load("customer_consent").names
    rows = [{"fingerprint": "f", **row, **changes} for row in rows]
    return [{name: value for name, value in row.items() if name in names} for row in rows]


def records(spark, *rows):
    """Delivered customer records as customer_records gives them, under that name."""
    view(spark, "customer_landing", rows)
    view_of(spark, "landing", "customer_records")


def passing(spark, source, rows):
    """Rows that have passed the first gate, or (the boolean) are in the table already."""
    schema = StructType([*contracts.load(f"{source}_trusted").schema.fields]).add("in_table", BooleanType())
    values = [tuple({"in_table": in_table, **row}[name] for name in schema.names) for row, in_table in rows]
    spark.createDataFrame(values, schema).createOrReplaceTempView(f"{source}_passing")


def gated(spark, source, consent_gate):
    """All rows that the first gate gives, passing or not; the readings' own view has to be there."""
    return queries.select(spark, "trusted", f"{source}_gated", {"consent_gate": consent_gate}).collect()


class TestCustomerRecords:
    @pytest.fixture
    def records_of(self, spark):
        def run(*rows):
            records(spark, *rows)
            return spark.table("customer_records").collect()

        return run

    def test_an_email_is_the_same_whatever_its_spelling(self, records_of):
        # Spaces around are no part of an address; other blanks are.
        odd = (" Ann@Example.com", "ann@example.COM  ", "\u00a0Ann@x", "\tann@x\r\n", "a b@x")
        letters = ("ÄNN@x", "İ@x", "ΑΣ@x", "ẞ@x", "\u212a@x", "tom@rnt")
        rows = records_of(*(customer(email) for email in odd + letters))
        assert sorted(row.email for row in rows) == sorted(oracle.normalise(email) for email in odd + letters)
        assert [row.email for row in rows].count(ANN) == 2

    def test_all_records_stay_with_their_file(self, records_of):
        rows = records_of(customer(ANN, phone="1", file_path="b.json", file_modified=LATE), customer(ANN, phone="1"))
        assert sorted((row.file_path, row.file_modified, row.phone) for row in rows) == [
            ("a.json", EARLY, "1"),
            ("b.json", LATE, "1"),
        ]

    def test_fingerprint_is_that_of_the_record_and_not_of_its_file(self, records_of):
        rows = records_of(customer(ANN), customer(" ANN@example.com", file_path="b.json", file_modified=LATE))
        assert len({row.fingerprint for row in rows}) == 1
        # By hand: the values in order, absent ones as \N, with a character between them that no text has.
        values = ["\\N", ANN, "\\N", "\\N", "\\N", "\\N", "1000", "\\N", "\\N", "\\N"]
        assert rows[0].fingerprint == hashlib.sha256("\x1f".join(values).encode()).hexdigest()

    def test_fingerprint_differs_with_every_column(self, records_of):
        texts = {"customername": "x", "phone": "x", "birthday": "x", "serialnumber": "x"}
        numbers = dict.fromkeys(("registrationdate", "sharewithpublicasofdate", "sharewithfriendsasofdate"), 1)
        other = [
            {name: value} for name, value in (texts | numbers | {"lastupdatedate": 1, "sharewithresearchasofdate": 1}).items()
        ]
        rows = records_of(customer(ANN), customer(BEN), *({**customer(ANN), **change} for change in other))
        assert len({row.fingerprint for row in rows}) == len(rows) == len(other) + 2

    def test_fingerprint_tells_absent_from_empty_and_one_column_from_the_next(self, records_of):
        rows = records_of(customer(ANN), customer(ANN, phone=""), customer(ANN, phone="1"), customer(ANN, birthday="1"))
        assert len({row.fingerprint for row in rows}) == 4


class TestCustomerConsent:
    @pytest.fixture
    def current_of(self, spark):
        def run(*rows, before=()):
            records(spark, *rows)
            view(spark, "customer_consent", before)
            found = queries.select(spark, "consent", "customer_consent")
            assert found.columns == contracts.load("customer_consent").names
            return found.collect()

        return run

    def test_one_row_a_person_with_or_without_consent(self, current_of):
        rows = current_of(customer(" Ann@Example.com", 1000), customer("ann@example.COM ", 2000), customer(BEN, 500, research=5))
        found = sorted((row.email, row.lastupdatedate, row.sharewithresearchasofdate) for row in rows)
        assert found == [(ANN, 2000, None), (BEN, 500, 5)]

    def test_ties_are_decided_by_delivery_then_path_then_content(self, current_of):
        rows = current_of(
            customer(ANN, serial="9"),
            customer(ANN, serial="1", file_modified=LATE),
            customer(BEN, serial="9"),
            customer(BEN, serial="1", file_path="b.json"),
        )
        assert {row.email: row.serialnumber for row in rows} == {ANN: "1", BEN: "1"}

    def test_a_tie_within_a_file_is_decided_alike_whatever_the_order(self, current_of):
        pair = [customer(ANN, serial="1"), customer(ANN, serial="2")]
        assert current_of(*pair) == current_of(*reversed(pair))

    def test_a_later_update_beats_a_later_delivery(self, current_of):
        rows = current_of(
            customer(ANN, 2000, serial="1"), customer(ANN, 1000, serial="2", file_modified=LATE, file_path="b.json")
        )
        assert [row.serialnumber for row in rows] == ["1"]

    @pytest.mark.parametrize(
        ("before", "wins"),
        [
            ({"lastupdatedate": 2000}, True),
            ({"lastupdatedate": 500, "file_modified": LATE}, False),
            ({"file_modified": LATE}, True),
            ({"file_path": "b.json"}, True),
            ({"file_path": "_.json"}, False),
            ({"fingerprint": "~"}, True),
            ({"fingerprint": ""}, False),
        ],
        ids=["newer", "older", "delivered later", "path", "path before", "fingerprint", "fingerprint before"],
    )
    def test_what_was_known_is_compared_in_the_same_way(self, current_of, before, wins):
        rows = current_of(customer(ANN, serial="read now"), before=known(customer(ANN, serial="before"), **before))
        assert [row.serialnumber for row in rows] == ["before" if wins else "read now"]

    def test_only_people_read_now_are_looked_at(self, current_of):
        rows = current_of(customer(ANN), before=known(customer(BEN), customer(CLEO)))
        assert [row.email for row in rows] == [ANN]


class TestCustomerTrusted:
    @pytest.fixture
    def gated(self, spark):
        def run(*rows, before=()):
            records(spark, *rows)
            view(spark, "customer_consent", before)
            current = queries.select(spark, "consent", "customer_consent").collect()
            view(spark, "customer_current", [row.asDict() for row in current], contracts.load("customer_consent"))
            return gate(spark, "customer_trusted")

        return run

    def test_consent_is_a_date_after_zero(self, gated):
        rows = gated(customer(ANN, research=1), customer(BEN), customer(CLEO, research=0), customer(DAN, research=-5))
        assert {row.email: row.reason for row in rows} == {ANN: None, BEN: "no_consent", CLEO: "no_consent", DAN: "no_consent"}

    def test_sharing_with_others_is_no_consent_to_research(self, gated):
        (row,) = gated(customer(ANN, sharewithpublicasofdate=1, sharewithfriendsasofdate=1))
        assert row.reason == "no_consent"

    def test_only_the_current_record_counts(self, gated):
        rows = gated(customer(ANN, 1000, research=1), customer(ANN, 2000), customer(BEN, 1000), customer(BEN, 2000, research=1))
        assert {(row.email, row.lastupdatedate): row.reason for row in rows} == {
            (ANN, 1000): "superseded",
            (ANN, 2000): "no_consent",
            (BEN, 1000): "superseded",
            (BEN, 2000): None,
        }

    def test_a_record_older_than_what_is_known_is_superseded(self, gated):
        rows = gated(customer(ANN, 1000, research=1), customer(BEN, 2000, research=1), before=known(customer(ANN, 2000)))
        assert {row.email: row.reason for row in rows} == {ANN: "superseded", BEN: None}

    def test_the_current_record_delivered_again_is_current(self, spark, gated):
        """Also by a file older than the one it is known from."""
        records(spark, customer(ANN, research=1))
        fingerprint = spark.table("customer_records").first().fingerprint
        before = known(customer(ANN, research=1, file_modified=LATE), fingerprint=fingerprint)
        assert [row.reason for row in gated(customer(ANN, research=1), before=before)] == [None]

    def test_of_equal_deliveries_one_stays(self, gated):
        again = {"file_path": "b.json", "file_modified": LATE}
        rows = gated(
            customer(ANN, research=1),
            customer(" ANN@example.com", research=1, **again),
            customer(ANN, research=1, **again),
            customer(BEN),
            customer(BEN, **again),
        )
        reasons = sorted((row.email, row.reason or "") for row in rows)
        assert reasons == [(ANN, ""), (ANN, "duplicate"), (ANN, "duplicate"), (BEN, "duplicate"), (BEN, "no_consent")]

    def test_equal_but_for_one_column_is_superseded_not_duplicate(self, gated):
        later = {"file_path": "b.json"}
        rows = gated(customer(ANN, research=1, phone=None), customer(ANN, research=1, phone="1", **later))
        assert {row.phone: row.reason for row in rows} == {None: "superseded", "1": None}


def sample(user, time, x=0.0):
    return {"user": user, "timestamp": time, "x": x, "y": 0.0, "z": 0.0}


class TestPeople:
    def test_everybody_we_know_and_from_when_they_share(self, spark):
        people = [customer(ANN, research=1000), customer(BEN), customer(CLEO, research=0), customer(DAN, research=-5)]
        view(spark, "customer_consent", known(*people))
        rows = queries.select(spark, "trusted", "people").collect()
        assert {row.subject: (row.refusal, row.passes_from) for row in rows} == {
            ANN: (None, 1000),
            BEN: ("no_consent", None),
            CLEO: ("no_consent", 0),
            DAN: ("no_consent", -5),
        }
        assert {row.early for row in rows} == {"before_consent"}


class TestAccelerometerGated:
    @pytest.fixture
    def gated(self, spark):
        view(spark, "customer_consent", known(customer(ANN, research=1000), customer(BEN), customer(CLEO, research=0)))
        view_of(spark, "trusted", "people")

        def run(*rows, consent_gate="as-of"):
            view(spark, "accelerometer_landing", rows)
            return gated(spark, "accelerometer", consent_gate)

        return run

    ROWS = (
        sample(ANN, 999, 1.0),
        sample(ANN, 1000, 2.0),
        sample(" ANN@Example.com ", 1001, 3.0),
        sample(BEN, 1000, 4.0),
        sample(CLEO, 1000, 5.0),
        sample("nobody@example.com", 1000, 6.0),
    )

    def test_as_of(self, gated):
        reasons = {row.x: row.reason for row in gated(*self.ROWS)}
        no_consent = {4.0: "no_consent", 5.0: "no_consent"}
        assert reasons == {1.0: "before_consent", 2.0: None, 3.0: None, **no_consent, 6.0: "unknown_customer"}

    def test_ever(self, gated):
        reasons = {row.x: row.reason for row in gated(*self.ROWS, consent_gate="ever")}
        no_consent = {4.0: "no_consent", 5.0: "no_consent"}
        assert reasons == {1.0: None, 2.0: None, 3.0: None, **no_consent, 6.0: "unknown_customer"}

    def test_user_is_normalised_and_the_file_stays(self, gated):
        rows = gated({**sample("ANN@example.com", 1000), "file_path": "a.json"}, sample(f"  {ANN} ", 1001))
        assert {row.user for row in rows} == {ANN}
        assert {row.file_path for row in rows} == {"a.json", None}

    def test_every_reading_is_one_row(self, gated):
        assert [row.reason for row in gated(sample(ANN, 1000), sample(ANN, 1000), sample(BEN, 1), sample(BEN, 1))].count(
            None
        ) == 2


class TestAccelerometerTrusted:
    @pytest.fixture
    def reasons(self, spark):
        def run(*rows):
            passing(spark, "accelerometer", rows)
            return sorted((row.x, row.reason or "") for row in gate(spark, "accelerometer_trusted"))

        return run

    def test_equal_readings_count_once_and_others_at_the_same_time_stay(self, reasons):
        rows = [(sample(ANN, 1000, x), False) for x in (1.0, 1.0, 2.0, 1.0)]
        assert reasons(*rows, (sample(BEN, 1000, 3.0), False)) == [
            (1.0, ""),
            (1.0, "duplicate"),
            (1.0, "duplicate"),
            (2.0, ""),
            (3.0, ""),
        ]

    def test_what_is_in_the_table_is_no_row_of_this_run_and_makes_others_duplicates(self, reasons):
        rows = [(sample(ANN, 1000, 1.0), True), (sample(ANN, 1000, 1.0), False), (sample(ANN, 1001, 2.0), False)]
        assert reasons(*rows, (sample(ANN, 1002, 3.0), True)) == [(1.0, "duplicate"), (2.0, "")]


class TestCustomerCurated:
    def test_trusted_customers_with_a_reading_once_each(self, spark):
        view(spark, "customer_trusted", trusted(customer(ANN, research=1, phone="1"), customer(BEN, research=1)))
        view(spark, "accelerometer_trusted", [sample(ANN, 1000), sample(ANN, 1001)])
        rows = gate(spark, "customer_curated")
        assert {row.email: row.reason for row in rows} == {ANN: None, BEN: "no_readings"}
        assert len(rows) == 2
        assert next(row for row in rows if row.email == ANN).phone == "1"


def step(serial, time, distance=1):
    return {"serialnumber": serial, "sensorreadingtime": time, "distancefromobject": distance}


PEOPLE = (
    customer(ANN, research=1000, serial="ann"),
    customer(BEN, serial="ben"),
    customer(CLEO, research=1000, serial="cleo"),
    customer("e@example.com", research=1000, serial="both-curated"),
    customer("f@example.com", research=2000, serial="both-curated"),
    customer("g@example.com", research=1000, serial="one-refuses"),
    customer("h@example.com", serial="one-refuses"),
    customer("i@example.com", research=1000, serial="one-idle"),
    customer("j@example.com", research=1000, serial="one-idle"),
    customer("k@example.com", serial="none-agrees"),
    customer("l@example.com", serial="none-agrees"),
    customer("m@example.com", research=1000, serial=None),
)
CURATED = (ANN, *(f"{letter}@example.com" for letter in "efgim"))


@pytest.fixture
def devices(spark):
    view(spark, "customer_consent", known(*PEOPLE))
    view(spark, "customer_curated", trusted(*(person for person in PEOPLE if person["email"] in CURATED)))
    view_of(spark, "trusted", "devices")
    return spark.table("devices")


class TestDevices:
    def test_a_device_passes_when_all_its_customers_do_and_from_the_last_of_them_on(self, devices):
        rows = {row.subject: (row.refusal, row.early) for row in devices.collect()}
        assert rows == {
            "ann": (None, "before_consent"),
            "ben": ("no_consent", "before_consent"),
            "cleo": ("no_readings", "before_consent"),
            "both-curated": (None, "ambiguous_device"),
            "one-refuses": ("ambiguous_device", "ambiguous_device"),
            "one-idle": ("ambiguous_device", "ambiguous_device"),
            "none-agrees": ("ambiguous_device", "ambiguous_device"),
        }
        passes_from = {row.subject: row.passes_from for row in devices.where("refusal is null").collect()}
        assert passes_from == {"ann": 1000, "both-curated": 2000}


class TestStepTrainerGated:
    @pytest.fixture
    def gated(self, spark, devices):
        def run(*rows, consent_gate="as-of"):
            view(spark, "step_trainer_landing", rows)
            return gated(spark, "step_trainer", consent_gate)

        return run

    ROWS = (
        step("nobody", 1000),
        step("ANN", 1000),
        step(" ann", 1000),
        step("ann", 999),
        step("ann", 1000),
        step("ben", 1000),
        step("cleo", 999),
        step("both-curated", 1999),
        step("both-curated", 2000),
        step("one-refuses", 1000),
        step("one-idle", 1000),
        step("none-agrees", 1000),
    )

    def test_as_of(self, gated):
        assert {(row.serialnumber, row.sensorreadingtime): row.reason for row in gated(*self.ROWS)} == {
            ("nobody", 1000): "unknown_customer",
            ("ANN", 1000): "unknown_customer",
            (" ann", 1000): "unknown_customer",
            ("ann", 999): "before_consent",
            ("ann", 1000): None,
            ("ben", 1000): "no_consent",
            ("cleo", 999): "no_readings",
            ("both-curated", 1999): "ambiguous_device",
            ("both-curated", 2000): None,
            ("one-refuses", 1000): "ambiguous_device",
            ("one-idle", 1000): "ambiguous_device",
            ("none-agrees", 1000): "ambiguous_device",
        }

    def test_ever(self, gated):
        rows = gated(*self.ROWS, consent_gate="ever")
        accepted = {(row.serialnumber, row.sensorreadingtime) for row in rows if row.reason is None}
        assert accepted == {("ann", 999), ("ann", 1000), ("both-curated", 1999), ("both-curated", 2000)}


class TestStepTrainerTrusted:
    @pytest.fixture
    def reasons(self, spark):
        def run(*rows):
            passing(spark, "step_trainer", rows)
            return sorted((row.distancefromobject, row.reason or "") for row in gate(spark, "step_trainer_trusted"))

        return run

    def test_of_one_device_and_time_the_smallest_distance_stays(self, reasons):
        rows = [(step("ann", 1000, distance), False) for distance in (30, 10, 20, 10)]
        assert reasons(*rows, (step("ann", 1001, 40), False), (step("ben", 1000, 50), False)) == [
            (10, ""),
            (10, "duplicate"),
            (20, "duplicate"),
            (30, "duplicate"),
            (40, ""),
            (50, ""),
        ]

    @pytest.mark.parametrize(("in_table", "reason"), [(5, "duplicate"), (10, "duplicate"), (15, "")])
    def test_a_smaller_distance_than_that_in_the_table_takes_its_place(self, reasons, in_table, reason):
        rows = [(step("ann", 1000, 20), False), (step("ann", 1000, 10), False)]
        assert reasons(*rows, (step("ann", 1000, in_table), True)) == [(10, reason), (20, "duplicate")]


class TestSubjects:
    def test_subject_is_the_hash_of_person_and_device(self, spark):
        view(spark, "customer_curated", trusted(customer(ANN, serial="a"), customer(BEN)))
        rows = {row.email: row.subject_id for row in queries.select(spark, "curated", "subjects").collect()}
        # printf 'ann@example.com|a' | sha256sum
        assert rows == {ANN: "c3b10a33b9102b0fd0e82f2c4be078c716814c6966fe4550794864b087b1e653", BEN: None}


class TestMachineLearningCurated:
    @pytest.fixture
    def gated(self, spark):
        view(spark, "customer_curated", trusted(customer(ANN, serial="a"), customer(BEN, serial="b"), customer(CLEO)))
        view_of(spark, "curated", "subjects")

        def run(samples, steps):
            view(spark, "accelerometer_trusted", samples)
            view(spark, "step_trainer_trusted", steps)
            return gate(spark, "machine_learning_curated")

        return run

    def test_joined_on_person_and_time(self, gated):
        """Joined on the time alone, the first sample would meet both devices."""
        rows = gated([sample(ANN, 1000, 1.0), sample(BEN, 1000, 2.0)], [step("a", 1000, 10), step("b", 1000, 20)])
        assert {(row.x, row.distancefromobject, row.reason) for row in rows} == {(1.0, 10, None), (2.0, 20, None)}

    def test_a_reading_without_step_is_left_out(self, gated):
        samples = [sample(ANN, 1000, 1.0), sample(ANN, 1001, 2.0), sample("gone@example.com", 1000, 3.0), sample(CLEO, 1000, 4.0)]
        rows = gated(samples, [step("a", 1000)])
        assert {row.x: row.reason for row in rows} == {1.0: None, **dict.fromkeys((2.0, 3.0, 4.0), "no_step_reading")}

    def test_several_samples_at_one_time_share_the_step(self, gated):
        rows = gated([sample(ANN, 1000, 1.0), sample(ANN, 1000, 2.0)], [step("a", 1000, 10)])
        assert sorted((row.x, row.distancefromobject) for row in rows) == [(1.0, 10), (2.0, 10)]

    def test_nothing_in_it_is_personal(self, gated):
        (row,) = gated([sample(ANN, 1000)], [step("a", 1000)])
        assert len(row.subject_id) == 64
        assert not {ANN, "a"} & set(row)
