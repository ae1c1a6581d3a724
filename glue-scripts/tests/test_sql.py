"""Every SELECT against rows small enough to check by hand: each reason, and the rule it comes from."""

from datetime import datetime

import pytest
from lakehouse import queries
from support import gate, view

ANN, BEN, CLEO, DAN = "ann@example.com", "ben@example.com", "cleo@example.com", "dan@example.com"


def customer(email, updated=1000, research=None, serial=None, **other):
    row = {"email": email, "lastupdatedate": updated, "sharewithresearchasofdate": research, "serialnumber": serial}
    return {"file_path": "a.json", "file_modified": datetime(2026, 1, 1), **row, **other}


def current(*rows):
    """The same without the file: a row of customer_current."""
    return [{name: value for name, value in row.items() if not name.startswith("file_")} for row in rows]


class TestCustomerCurrent:
    @pytest.fixture
    def current_of(self, spark):
        def run(*rows):
            view(spark, "customer_landing", rows)
            return spark.sql(queries.text("landing", "customer_current")).collect()

        return run

    def test_one_row_a_person_whatever_the_spelling(self, current_of):
        rows = current_of(customer(" Ann@Example.com", 1000), customer("ann@example.COM ", 2000), customer(BEN, 500))
        assert sorted((row.email, row.lastupdatedate) for row in rows) == [(ANN, 2000), (BEN, 500)]

    def test_ties_are_decided_by_delivery_then_path_then_content(self, current_of):
        late = datetime(2026, 1, 2)
        rows = current_of(
            customer(ANN, phone="9"),
            customer(ANN, phone="1", file_modified=late),
            customer(BEN, phone="9"),
            customer(BEN, phone="1", file_path="b.json"),
            customer(CLEO, phone="1"),
            customer(CLEO, phone="9"),
            customer(DAN, phone=None, birthday="2000-01-01"),
            customer(DAN, phone="1"),
        )
        assert {row.email: row.phone for row in rows} == {ANN: "1", BEN: "1", CLEO: "9", DAN: "1"}

    def test_a_later_update_beats_a_later_delivery(self, current_of):
        rows = current_of(customer(ANN, 2000, phone="1"), customer(ANN, 1000, phone="2", file_modified=datetime(2026, 2, 1)))
        assert [row.phone for row in rows] == ["1"]


class TestCustomerTrusted:
    @pytest.fixture
    def gated(self, spark):
        def run(*rows):
            view(spark, "customer_landing", rows)
            queries.view(spark, "landing", "customer_current")
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

    def test_of_equal_deliveries_one_stays(self, gated):
        again = {"file_path": "b.json", "file_modified": datetime(2026, 1, 2)}
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
        rows = gated(customer(ANN, research=1, phone=None), customer(ANN, research=1, phone="1"))
        assert {row.phone: row.reason for row in rows} == {None: "superseded", "1": None}


def sample(user, time, x=0.0):
    return {"user": user, "timestamp": time, "x": x, "y": 0.0, "z": 0.0}


class TestAccelerometerTrusted:
    @pytest.fixture
    def gated(self, spark, request):
        people = [customer(ANN, research=1000), customer(BEN), customer(CLEO, research=0)]
        view(spark, "customer_current", current(*people), contract("customer_trusted"))
        view(spark, "customer_trusted", current(people[0]))

        def run(*rows, consent_gate="as-of"):
            view(spark, "accelerometer_landing", rows)
            return gate(spark, "accelerometer_trusted", consent_gate)

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

    def test_user_is_normalised(self, gated):
        assert {row.user for row in gated(sample("ANN@example.com", 1000), sample(f" {ANN}", 1001))} == {ANN}

    def test_equal_readings_count_once_and_others_at_the_same_time_stay(self, gated):
        rows = gated(sample(ANN, 1000, 1.0), sample("ANN@example.com", 1000, 1.0), sample(ANN, 1000, 2.0), sample(ANN, 1000, 1.0))
        reasons = sorted((row.x, row.reason or "") for row in rows)
        assert reasons == [(1.0, ""), (1.0, "duplicate"), (1.0, "duplicate"), (2.0, "")]

    def test_a_row_left_out_anyway_keeps_that_reason_when_it_comes_twice(self, gated):
        assert [row.reason for row in gated(sample(BEN, 1000), sample(BEN, 1000))] == ["no_consent", "no_consent"]


class TestCustomerCurated:
    def test_trusted_customers_with_a_reading_once_each(self, spark):
        view(spark, "customer_trusted", current(customer(ANN, research=1, phone="1"), customer(BEN, research=1)))
        view(spark, "accelerometer_trusted", [sample(ANN, 1000), sample(ANN, 1001)])
        rows = gate(spark, "customer_curated")
        assert {row.email: row.reason for row in rows} == {ANN: None, BEN: "no_readings"}
        assert len(rows) == 2
        assert next(row for row in rows if row.email == ANN).phone == "1"


def step(serial, time, distance=1):
    return {"serialnumber": serial, "sensorreadingtime": time, "distancefromobject": distance}


class TestStepTrainerTrusted:
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
        customer("k@example.com", research=1000, serial=None),
    )
    CURATED = (ANN, "e@example.com", "f@example.com", "g@example.com", "i@example.com", "k@example.com")

    @pytest.fixture
    def gated(self, spark):
        view(spark, "customer_current", current(*self.PEOPLE), contract("customer_trusted"))
        view(spark, "customer_curated", current(*(person for person in self.PEOPLE if person["email"] in self.CURATED)))

        def run(*rows, consent_gate="as-of"):
            view(spark, "step_trainer_landing", rows)
            return gate(spark, "step_trainer_trusted", consent_gate)

        return run

    ROWS = (
        step("nobody", 1000),
        step("ANN", 1000),
        step("ann", 999),
        step("ann", 1000),
        step("ben", 1000),
        step("cleo", 999),
        step("both-curated", 1999),
        step("both-curated", 2000),
        step("one-refuses", 1000),
        step("one-idle", 1000),
    )

    def test_as_of(self, gated):
        assert {(row.serialnumber, row.sensorreadingtime): row.reason for row in gated(*self.ROWS)} == {
            ("nobody", 1000): "unknown_customer",
            ("ANN", 1000): "unknown_customer",
            ("ann", 999): "before_consent",
            ("ann", 1000): None,
            ("ben", 1000): "no_consent",
            ("cleo", 999): "no_readings",
            ("both-curated", 1999): "ambiguous_device",
            ("both-curated", 2000): None,
            ("one-refuses", 1000): "ambiguous_device",
            ("one-idle", 1000): "ambiguous_device",
        }

    def test_ever(self, gated):
        rows = gated(*self.ROWS, consent_gate="ever")
        accepted = {(row.serialnumber, row.sensorreadingtime) for row in rows if row.reason is None}
        assert accepted == {("ann", 999), ("ann", 1000), ("both-curated", 1999), ("both-curated", 2000)}

    def test_of_one_device_and_time_the_smallest_distance_stays(self, gated):
        rows = gated(*(step("ann", 1000, distance) for distance in (30, 10, 20, 10)), step("ann", 1001, 40))
        reasons = sorted((row.distancefromobject, row.reason or "") for row in rows)
        assert reasons == [(10, ""), (10, "duplicate"), (20, "duplicate"), (30, "duplicate"), (40, "")]


class TestMachineLearningCurated:
    @pytest.fixture
    def gated(self, spark):
        view(spark, "customer_curated", current(customer(ANN, serial="a"), customer(BEN, serial="b")))

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
        rows = gated([sample(ANN, 1000, 1.0), sample(ANN, 1001, 2.0), sample("gone@example.com", 1000, 3.0)], [step("a", 1000)])
        assert {row.x: row.reason for row in rows} == {1.0: None, 2.0: "no_step_reading", 3.0: "no_step_reading"}

    def test_several_samples_at_one_time_share_the_step(self, gated):
        rows = gated([sample(ANN, 1000, 1.0), sample(ANN, 1000, 2.0)], [step("a", 1000, 10)])
        assert sorted((row.x, row.distancefromobject) for row in rows) == [(1.0, 10), (2.0, 10)]

    def test_subject_is_the_hash_of_person_and_device(self, gated):
        (row,) = gated([sample(ANN, 1000)], [step("a", 1000)])
        # printf 'ann@example.com|a' | sha256sum
        assert row.subject_id == "c3b10a33b9102b0fd0e82f2c4be078c716814c6966fe4550794864b087b1e653"

    def test_nothing_in_it_is_personal(self, gated):
        (row,) = gated([sample(ANN, 1000)], [step("a", 1000)])
        assert not {ANN, "a"} & set(row)


def contract(table):
    from lakehouse import contracts

    return contracts.load(table)
