"""Every SELECT about readings, and about what is made of them, against rows small enough to check by hand."""

import hashlib

import oracle
import pytest
from lakehouse import contracts
from planted import ANN, BEN, CLEO, DAN, EVE, customer, known, made, suspend, trusted
from support import both_engines

pytestmark = both_engines


def sample(user, time, x=0.0):
    return {"user": user, "timestamp": time, "x": x, "y": 0.0, "z": 0.0}


def passing(desk, source, rows):
    """Rows that have passed the first gate, or (the boolean) are in the table already."""
    columns = {**contracts.load(f"{source}_trusted").types, "in_table": "boolean"}
    values = [tuple({"in_table": in_table, **row}[name] for name in columns) for row, in_table in rows]
    desk.rows(f"{source}_passing", columns, values)


def gated(desk, source, consent_gate):
    """All rows that the first gate gives, passing or not; the readings have to be known."""
    return desk.select("trusted", f"{source}_gated", {"consent_gate": consent_gate})


class TestPeople:
    def test_everybody_we_know_and_from_when_they_share(self, desk):
        people = [customer(ANN, research=1000), customer(BEN), customer(CLEO, research=0), customer(DAN, research=-5)]
        desk.view("customer_consent", known(*people))
        suspend(desk)
        rows = desk.select("trusted", "people")
        assert {row.subject: (row.refusal, row.passes_from) for row in rows} == {
            ANN: (None, 1000),
            BEN: ("no_consent", None),
            CLEO: ("no_consent", 0),
            DAN: ("no_consent", -5),
        }
        assert {row.early for row in rows} == {"before_consent"}

    def test_who_is_suspended_passes_nothing_also_when_nothing_else_is_known_of_them(self, desk):
        """R13. Who does not share at all is left out for that reason; and one row a person, whatever suspends them."""
        desk.view("customer_consent", known(customer(ANN, research=1000), customer(BEN), customer(CLEO, research=7)))
        suspend(desk, (ANN, "a"), (ANN, "b"), (ANN, None), (BEN, "b"), (DAN, None), (DAN, "d"))
        rows = desk.select("trusted", "people")
        assert sorted((row.subject, row.refusal, row.passes_from) for row in rows) == [
            (ANN, "suspended", 1000),
            (BEN, "no_consent", None),
            (CLEO, None, 7),
            (DAN, "suspended", None),
        ]
        assert {row.early for row in rows} == {"before_consent"}


# The readings below that pass at no time, whatever the gate.
CLOSED = {4.0: "no_consent", 5.0: "no_consent", 6.0: "unknown_customer", **dict.fromkeys((7.0, 8.0, 9.0), "suspended")}


class TestAccelerometerGated:
    @pytest.fixture
    def gated(self, desk):
        people = [customer(ANN, research=1000), customer(BEN), customer(CLEO, research=0), customer(EVE, research=1000)]
        desk.view("customer_consent", known(*people))
        suspend(desk, (EVE, "e"), (DAN, None), (BEN, None))
        desk.view_of("trusted", "people")

        def run(*rows, consent_gate="as-of"):
            desk.view("accelerometer_landing", rows)
            return gated(desk, "accelerometer", consent_gate)

        return run

    ROWS = (
        sample(ANN, 999, 1.0),
        sample(ANN, 1000, 2.0),
        sample(ANN, 1001, 3.0),
        sample(BEN, 1000, 4.0),
        sample(CLEO, 1000, 5.0),
        sample("nobody@example.com", 1000, 6.0),
        sample(DAN, 1000, 7.0),
        sample(EVE, 999, 8.0),
        sample(EVE, 1000, 9.0),
    )

    def test_as_of(self, gated):
        reasons = {row.x: row.reason for row in gated(*self.ROWS)}
        assert reasons == {1.0: "before_consent", 2.0: None, 3.0: None, **CLOSED}

    def test_ever(self, gated):
        reasons = {row.x: row.reason for row in gated(*self.ROWS, consent_gate="ever")}
        assert reasons == {1.0: None, 2.0: None, 3.0: None, **CLOSED}

    def test_user_is_taken_as_it_is_and_the_file_stays(self, gated):
        """Addresses are normalised where they are read (R11)."""
        rows = gated({**sample(ANN, 1000), "file_path": "a.json"}, sample(f" {ANN}", 1001), sample(ANN.upper(), 1002))
        assert {(row.user, row.reason, row.file_path) for row in rows} == {
            (ANN, None, "a.json"),
            (f" {ANN}", "unknown_customer", None),
            (ANN.upper(), "unknown_customer", None),
        }

    def test_every_reading_is_one_row(self, gated):
        assert [row.reason for row in gated(sample(ANN, 1000), sample(ANN, 1000), sample(BEN, 1), sample(BEN, 1))].count(
            None
        ) == 2


class TestAccelerometerTrusted:
    @pytest.fixture
    def reasons(self, desk):
        def run(*rows):
            passing(desk, "accelerometer", rows)
            return sorted((row.x, row.reason or "") for row in desk.gate("accelerometer_trusted"))

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
    def test_trusted_customers_with_a_reading_once_each(self, desk):
        desk.view("customer_trusted", trusted(customer(ANN, research=1, phone="1"), customer(BEN, research=1)))
        desk.view("accelerometer_trusted", [sample(ANN, 1000), sample(ANN, 1001)])
        rows = desk.gate("customer_curated")
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
    # Suspended, see below; each with the device that their current record names.
    customer("n@example.com", research=1000, serial="suspended"),
    customer("o@example.com", research=1000, serial="old"),
    customer("p@example.com", research=1000, serial="named-by-another"),
    customer("q@example.com", serial="refuses-and-suspended"),
    customer("r@example.com", research=1000, serial="one-suspended"),
    customer("s@example.com", research=1000, serial="one-suspended"),
)
CURATED = (ANN, *(f"{letter}@example.com" for letter in "efgimpr"))
SUSPENDED = (
    ("n@example.com", "suspended"),
    ("n@example.com", None),
    ("o@example.com", "new"),
    ("o@example.com", "newer"),
    ("unknown@example.com", "named-by-another"),
    ("unknown@example.com", "of-an-unknown"),
    ("unknown-without-device@example.com", None),
    ("q@example.com", "refuses-and-suspended"),
    ("q@example.com", "named-by-who-refuses"),
    ("s@example.com", None),
)


@pytest.fixture
def devices(desk):
    desk.view("customer_consent", known(*PEOPLE))
    desk.view("customer_curated", trusted(*(person for person in PEOPLE if person["email"] in CURATED)))
    suspend(desk, *SUSPENDED)
    return made(desk, "trusted", "devices")


class TestDevices:
    def test_a_device_passes_when_all_its_customers_do_and_from_the_last_of_them_on(self, devices):
        rows = {row.subject: (row.refusal, row.early) for row in devices}
        assert rows == {
            "ann": (None, "before_consent"),
            "ben": ("no_consent", "before_consent"),
            "cleo": ("no_readings", "before_consent"),
            "both-curated": (None, "ambiguous_device"),
            "one-refuses": ("ambiguous_device", "ambiguous_device"),
            "one-idle": ("ambiguous_device", "ambiguous_device"),
            "none-agrees": ("ambiguous_device", "ambiguous_device"),
            # R13: what a suspended person has, and what a record that suspends somebody names, which may be theirs by now.
            "suspended": ("suspended", "before_consent"),
            "old": ("suspended", "before_consent"),
            "new": ("suspended", "before_consent"),
            "newer": ("suspended", "before_consent"),
            "of-an-unknown": ("suspended", "before_consent"),
            "named-by-another": ("ambiguous_device", "ambiguous_device"),
            "refuses-and-suspended": ("no_consent", "before_consent"),
            "named-by-who-refuses": ("no_consent", "before_consent"),
            "one-suspended": ("ambiguous_device", "ambiguous_device"),
        }
        passes_from = {row.subject: row.passes_from for row in devices if row.refusal is None}
        assert passes_from == {"ann": 1000, "both-curated": 2000}

    def test_one_row_a_device(self, devices):
        """However many records name it: a device without a name is none."""
        subjects = [row.subject for row in devices]
        assert len(subjects) == len(set(subjects))
        assert None not in subjects

    def test_who_is_suspended_and_in_customer_curated_still_is_suspended(self, desk, devices):
        """Before the job of customer_curated has run."""
        desk.view("customer_curated", trusted(*PEOPLE))
        refusals = {row.subject: row.refusal for row in made(desk, "trusted", "devices")}
        assert {refusals[serial] for serial in ("suspended", "old", "new", "newer", "of-an-unknown")} == {"suspended"}
        assert refusals["one-suspended"] == refusals["named-by-another"] == "ambiguous_device"


class TestStepTrainerGated:
    @pytest.fixture
    def gated(self, desk, devices):
        def run(*rows, consent_gate="as-of"):
            desk.view("step_trainer_landing", rows)
            return gated(desk, "step_trainer", consent_gate)

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
        step("suspended", 999),
        step("old", 1000),
        step("new", 1000),
        step("of-an-unknown", 1000),
        step("named-by-another", 1000),
        step("refuses-and-suspended", 1000),
        step("one-suspended", 1000),
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
            ("suspended", 999): "suspended",
            ("old", 1000): "suspended",
            ("new", 1000): "suspended",
            ("of-an-unknown", 1000): "suspended",
            ("named-by-another", 1000): "ambiguous_device",
            ("refuses-and-suspended", 1000): "no_consent",
            ("one-suspended", 1000): "ambiguous_device",
        }

    def test_ever(self, gated):
        rows = gated(*self.ROWS, consent_gate="ever")
        accepted = {(row.serialnumber, row.sensorreadingtime) for row in rows if row.reason is None}
        assert accepted == {("ann", 999), ("ann", 1000), ("both-curated", 1999), ("both-curated", 2000)}


class TestStepTrainerTrusted:
    @pytest.fixture
    def reasons(self, desk):
        def run(*rows):
            passing(desk, "step_trainer", rows)
            return sorted((row.distancefromobject, row.reason or "") for row in desk.gate("step_trainer_trusted"))

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
    @pytest.fixture
    def subjects_of(self, desk):
        def run(*people):
            desk.view("customer_curated", trusted(*people))
            return [row.subject_id for row in sorted(desk.select("curated", "subjects"), key=lambda row: row.email)]

        return run

    def test_subject_is_the_hash_of_person_and_device(self, subjects_of):
        # printf 'ann@example.com a' | sha256sum
        assert subjects_of(customer(ANN, serial="a"), customer(BEN)) == [
            "4dd4dbb838b1885a4a1fa90ebc4d4018b997de3180982c022cda23675d6067de",
            None,
        ]
        assert oracle.subject_id(ANN, "a") == "4dd4dbb838b1885a4a1fa90ebc4d4018b997de3180982c022cda23675d6067de"

    def test_no_two_subjects_have_one_pseudonym(self, subjects_of):
        """An address holds no space, but any other visible character."""
        pairs = [("a@x", "b|c"), ("a@x|b", "c"), ("a@x", "b c"), ("a@x", " b"), ("a@x", "b"), ("a@x", "")]
        assert len(set(subjects_of(*(customer(email, serial=serial) for email, serial in pairs)))) == len(pairs)

    def test_text_is_hashed_as_utf_8(self, subjects_of):
        (subject,) = subjects_of(customer("jos\u00e9@x", serial="\U0001f600"))
        assert subject == hashlib.sha256(b"jos\xc3\xa9@x \xf0\x9f\x98\x80").hexdigest()


class TestMachineLearningCurated:
    @pytest.fixture
    def gated(self, desk):
        desk.view("customer_curated", trusted(customer(ANN, serial="a"), customer(BEN, serial="b"), customer(CLEO)))
        desk.view_of("curated", "subjects")

        def run(samples, steps):
            desk.view("accelerometer_trusted", samples)
            desk.view("step_trainer_trusted", steps)
            return desk.gate("machine_learning_curated")

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
