"""Every SELECT against rows small enough to check by hand: each reason, and the rule it comes from."""

import hashlib
import random

import oracle
import pytest
from lakehouse import contracts, queries
from support import both_engines

pytestmark = both_engines

ANN, BEN, CLEO, DAN, EVE = (f"{name}@example.com" for name in ("ann", "ben", "cleo", "dan", "eve"))
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


def word(email, updated=None, serial=None, delivered=EARLY, line="line"):
    """What a record that cannot be used says, as customer_suspension has it."""
    return {"email": email, "fingerprint": line, "lastupdatedate": updated, "serialnumber": serial, "delivered": delivered}


def suspend(desk, *people):
    """Who is suspended, each with a device or none: known as `suspended`."""
    desk.rows("suspended", {"email": "string", "serialnumber": "string"}, people)


def records(desk, *rows):
    """Delivered customer records as customer_records gives them, known by that name."""
    desk.view("customer_landing", rows)
    return made(desk, "landing", "customer_records")


def made(desk, zone, name):
    """The rows of a SELECT, known by its name."""
    desk.view_of(zone, name)
    return desk.fetched(desk.named[name])


def table(desk, zone, name):
    """The rows of a SELECT that gives those of a table."""
    rows = queries.select(desk.engine, zone, name, **desk.named)
    assert list(rows.columns) == contracts.load(name).names
    return desk.fetched(rows)


def passing(desk, source, rows):
    """Rows that have passed the first gate, or (the boolean) are in the table already."""
    columns = {**contracts.load(f"{source}_trusted").types, "in_table": "boolean"}
    values = [tuple({"in_table": in_table, **row}[name] for name in columns) for row, in_table in rows]
    desk.rows(f"{source}_passing", columns, values)


def gated(desk, source, consent_gate):
    """All rows that the first gate gives, passing or not; the readings have to be known."""
    return desk.select("trusted", f"{source}_gated", {"consent_gate": consent_gate})


class TestCustomerRecords:
    @pytest.fixture
    def records_of(self, desk):
        def run(*rows):
            return records(desk, *rows)

        return run

    def test_an_address_is_taken_as_it_is(self, records_of):
        """It is normalised where it is read (R11), and in no other place: test_emails.py has the spellings."""
        spellings = (ANN, " Ann@Example.com", "jose\u0301@x", "\u03a3@x", "a b@x")
        rows = records_of(*(customer(email) for email in spellings))
        assert sorted(row.email for row in rows) == sorted(spellings)
        assert len({row.fingerprint for row in rows}) == len(spellings)

    def test_all_records_stay_with_their_file(self, records_of):
        rows = records_of(customer(ANN, phone="1", file_path="b.json", file_modified=LATE), customer(ANN, phone="1"))
        assert sorted((row.file_path, row.file_modified, row.phone) for row in rows) == [
            ("a.json", EARLY, "1"),
            ("b.json", LATE, "1"),
        ]

    def test_fingerprint_is_that_of_the_record_and_not_of_its_file(self, records_of):
        rows = records_of(customer(ANN), customer(ANN, file_path="b.json", file_modified=LATE))
        assert len({row.fingerprint for row in rows}) == 1
        # By hand: the values in order, each with its length, absent ones as a dash.
        assert rows[0].fingerprint == hashlib.sha256(b"-15:ann@example.com----4:1000---").hexdigest()

    def test_fingerprint_has_all_columns_in_the_order_of_the_contract(self, records_of):
        """Lengths are in characters, whatever a character is made of."""
        names = contracts.load("customer_trusted").names
        values = ["Zo\u00eb \U0001f600", ANN, "", "1980-01-01", "3:x", 5, 1000, -7, 0, 2**63 - 1]
        (row,) = records_of({**customer(ANN), **dict(zip(names, values, strict=True))})
        text = "5:Zo\u00eb \U0001f60015:ann@example.com0:10:1980-01-013:3:x1:54:10002:-71:019:9223372036854775807"
        assert row.fingerprint == hashlib.sha256(text.encode()).hexdigest()
        assert row.fingerprint == oracle.fingerprint(oracle.Customer(*values))

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

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"phone": "p\x1fq", "birthday": "b"}, {"phone": "p", "birthday": "q\x1fb"}),
            ({"phone": "\\N"}, {"phone": None}),
            ({"phone": "-"}, {"phone": None}),
            ({"phone": ""}, {"phone": None}),
            ({"phone": "1:a", "birthday": ""}, {"phone": "1", "birthday": "a"}),
            ({"phone": "a1:b", "birthday": None}, {"phone": "a", "birthday": "b"}),
            ({"phone": "-", "birthday": "-"}, {"phone": None, "birthday": "--"}),
            ({"registrationdate": 1, "sharewithpublicasofdate": None}, {"registrationdate": None, "sharewithpublicasofdate": 1}),
        ],
        ids=["separator", "N", "dash", "empty", "length in a text", "entry in a text", "dashes", "numbers"],
    )
    def test_no_two_records_have_one_fingerprint(self, records_of, one, other):
        rows = records_of(customer(ANN, **one), customer(ANN, **other))
        assert len({row.fingerprint for row in rows}) == 2


class TestCustomerConsent:
    @pytest.fixture
    def current_of(self, desk):
        def run(*rows, before=()):
            records(desk, *rows)
            desk.view("customer_consent", before)
            return table(desk, "consent", "customer_consent")

        return run

    def test_one_row_a_person_with_or_without_consent(self, current_of):
        rows = current_of(customer(ANN, 1000), customer(ANN, 2000), customer(BEN, 500, research=5))
        found = sorted((row.email, row.lastupdatedate, row.sharewithresearchasofdate) for row in rows)
        assert found == [(ANN, 2000, None), (BEN, 500, 5)]

    # Of two records with one date, the one that is current.
    TIES = (
        ({}, {"research": 5}),
        ({"research": 0}, {"research": 5}),
        ({"research": -5}, {"research": 5}),
        ({"research": 6}, {"research": 5}),
        ({"research": -5}, {}),
        ({"research": 0}, {"research": -5}),
    )
    DELIVERIES = (
        ({}, {}),
        ({}, {"file_modified": LATE}),
        ({"file_modified": LATE}, {}),
        ({"file_path": "b.json"}, {}),
        ({}, {"file_path": "b.json"}),
    )

    @pytest.mark.parametrize(("first", "second"), DELIVERIES)
    def test_ties_are_decided_by_the_content_alone(self, current_of, first, second):
        """No consent before consent, then the later date: whenever, and in whichever order, they were delivered."""
        rows = []
        for number, (wins, loses) in enumerate(self.TIES):
            rows += [
                customer(f"{number}", serial="wins", **wins, **first),
                customer(f"{number}", serial="loses", **loses, **second),
            ]
        for given in (rows, rows[::-1]):
            assert [row.serialnumber for row in current_of(*given)] == ["wins"] * len(self.TIES)

    @pytest.mark.parametrize(("first", "second"), DELIVERIES)
    def test_last_of_all_the_greater_fingerprint_decides(self, desk, current_of, first, second):
        pairs = [(customer(f"{n}", serial="1", **first), customer(f"{n}", serial="2", **second)) for n in range(8)]
        rows = [row for pair in pairs for row in pair]
        wanted = {(row.email, row.fingerprint) for row in current_of(*rows)}
        greatest = {}
        for row in desk.fetched(desk.named["customer_records"]):
            greatest[row.email] = max(row.fingerprint, greatest.get(row.email, ""))
        assert wanted == set(greatest.items())
        # Of eight persons it is not always the same one of the two.
        assert {row.serialnumber for row in current_of(*rows[::-1])} == {"1", "2"}

    def test_a_tie_within_a_file_is_decided_alike_whatever_the_order(self, current_of):
        pair = [customer(ANN, serial="1"), customer(ANN, serial="2")]
        assert current_of(*pair) == current_of(*reversed(pair))

    def test_a_copy_of_a_record_does_not_make_it_newer(self, current_of):
        shares, withdraws = customer(ANN, research=5), customer(ANN, file_path="b.json", file_modified=LATE)
        (row,) = current_of(shares, withdraws, {**shares, "file_path": "c.json", "file_modified": LATE + 1})
        assert row.sharewithresearchasofdate is None

    def test_of_copies_the_first_delivery_is_kept(self, current_of):
        places = [(LATE, "0.json"), (EARLY, "c.json"), (EARLY, "b.json"), (LATE, "a.json")]
        copies = [customer(ANN, research=1, file_modified=modified, file_path=path) for modified, path in places]
        older = customer(ANN, 500, research=1, file_modified=EARLY - 1, file_path="_.json")
        for given in ([older, *copies], [*copies[::-1], older]):
            (row,) = current_of(*given)
            assert (row.lastupdatedate, row.file_modified, row.file_path) == (1000, EARLY, "b.json")

    def test_a_later_update_beats_a_later_delivery(self, current_of):
        rows = current_of(
            customer(ANN, 2000, serial="1"), customer(ANN, 1000, serial="2", file_modified=LATE, file_path="b.json")
        )
        assert [row.serialnumber for row in rows] == ["1"]

    LATER, SOONER = {"file_modified": LATE, "file_path": "b.json"}, {"file_modified": EARLY - 1, "file_path": "_.json"}

    @pytest.mark.parametrize("delivery", [{}, LATER, SOONER], ids=["same file", "later", "sooner"])
    @pytest.mark.parametrize(
        ("before", "wins"),
        [
            ({"lastupdatedate": 2000}, True),
            ({"lastupdatedate": 500}, False),
            ({"sharewithresearchasofdate": None}, True),
            ({"sharewithresearchasofdate": 0}, True),
            ({"sharewithresearchasofdate": 6}, True),
            ({"sharewithresearchasofdate": 4}, False),
            ({"fingerprint": "~"}, True),
            ({"fingerprint": ""}, False),
            ({"fingerprint": "", "sharewithresearchasofdate": None}, True),
            ({"fingerprint": "~", "lastupdatedate": 999, "sharewithresearchasofdate": None}, False),
        ],
        ids=[
            *("newer", "older", "no consent", "consent of 0", "later consent", "earlier consent", "fingerprint"),
            *("fingerprint before", "no consent, fingerprint before", "older without consent"),
        ],
    )
    def test_what_was_known_is_compared_in_the_same_way_whenever_it_was_delivered(self, current_of, before, wins, delivery):
        rows = current_of(
            customer(ANN, research=5, serial="read now"),
            before=known(customer(ANN, research=5, serial="before"), **delivery, **before),
        )
        assert [row.serialnumber for row in rows] == ["before" if wins else "read now"]

    @pytest.mark.parametrize(
        ("before", "kept"),
        [
            ((EARLY - 1, "z.json"), (EARLY - 1, "z.json")),
            ((LATE, "_.json"), (EARLY, "a.json")),
            ((EARLY, "_.json"), (EARLY, "_.json")),
            ((EARLY, "b.json"), (EARLY, "a.json")),
        ],
        ids=["sooner", "later", "path before", "path behind"],
    )
    def test_of_a_record_that_was_known_the_first_delivery_stays(self, desk, current_of, before, kept):
        """R13: delivering it again must not lift a suspension."""
        fingerprint = records(desk, customer(ANN, research=5))[0].fingerprint
        modified, path = before
        was = known(customer(ANN, research=5, file_modified=modified, file_path=path), fingerprint=fingerprint)
        (row,) = current_of(customer(ANN, research=5), before=was)
        assert (row.fingerprint, row.file_modified, row.file_path) == (fingerprint, *kept)

    def test_only_people_read_now_are_looked_at(self, current_of):
        rows = current_of(customer(ANN), before=known(customer(BEN), customer(CLEO)))
        assert [row.email for row in rows] == [ANN]


class TestCustomerTrusted:
    @pytest.fixture
    def gated(self, desk):
        def run(*rows, before=(), suspended=()):
            records(desk, *rows)
            desk.view("customer_consent", before)
            current = [row._asdict() for row in desk.select("consent", "customer_consent")]
            desk.view("customer_current", current, contracts.load("customer_consent"))
            suspend(desk, *suspended)
            return desk.gate("customer_trusted")

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

    def test_the_current_record_delivered_again_is_current(self, desk, gated):
        """Also by a file older than the one it is known from."""
        fingerprint = records(desk, customer(ANN, research=1))[0].fingerprint
        before = known(customer(ANN, research=1, file_modified=LATE), fingerprint=fingerprint)
        assert [row.reason for row in gated(customer(ANN, research=1), before=before)] == [None]

    def test_of_equal_deliveries_one_stays(self, gated):
        again = {"file_path": "b.json", "file_modified": LATE}
        rows = gated(
            customer(ANN, research=1),
            customer(ANN, research=1, file_path="c.json"),
            customer(ANN, research=1, **again),
            customer(BEN),
            customer(BEN, **again),
        )
        reasons = sorted((row.email, row.reason or "") for row in rows)
        assert reasons == [(ANN, ""), (ANN, "duplicate"), (ANN, "duplicate"), (BEN, "duplicate"), (BEN, "no_consent")]

    def test_equal_but_for_one_column_is_superseded_not_duplicate(self, gated):
        later = {"file_path": "b.json"}
        rows = gated(customer(ANN, research=1, phone=None), customer(ANN, research=1, phone="1", **later))
        assert sorted(row.reason or "" for row in rows) == ["", "superseded"]

    def test_who_is_suspended_is_left_out_for_the_first_reason_that_holds(self, gated):
        """R7, R13: one row in, one row out, however many records suspend them, and with whatever device."""
        rows = gated(
            customer(ANN, 1000, research=1),
            customer(ANN, 2000, research=1, phone="1"),
            customer(ANN, 2000, research=1, phone="1", file_path="b.json"),
            customer(BEN),
            customer(CLEO, research=1),
            customer(DAN, research=1),
            suspended=[(ANN, "a"), (ANN, "b"), (ANN, None), (BEN, None), (DAN, "d"), ("nobody@example.com", "n")],
        )
        assert sorted((row.email, row.reason or "") for row in rows) == [
            (ANN, "duplicate"),
            (ANN, "superseded"),
            (ANN, "suspended"),
            (BEN, "no_consent"),
            (CLEO, ""),
            (DAN, "suspended"),
        ]


REJECTED = {
    "email": "string",
    "lastupdatedate": "bigint",
    "serialnumber": "string",
    "file_modified": "bigint",
    "line": "string",
}


class TestCustomerSuspension:
    @pytest.fixture
    def kept_of(self, desk):
        """What is kept after bad records were read: (email, lastUpdateDate, serial, delivered, line) each, and before."""

        def run(*rejected, before=()):
            desk.rows("customer_rejected", REJECTED, rejected)
            desk.view("customer_suspension", before)
            return oracle.sort_rows(map(tuple, table(desk, "suspension", "customer_suspension")))

        return run

    # printf 'line' | sha256sum
    LINE = "38a9c1e721584da284b90ceea4ed7eb8db15ac4ea86c2c75ec925d5f8799fcf0"

    def test_a_row_for_each_address_and_line(self, kept_of):
        other = hashlib.sha256("\u00e9 {".encode()).hexdigest()
        rows = kept_of((ANN, 1000, "a", EARLY, "line"), (ANN, None, None, LATE, "\u00e9 {"), (BEN, 5, None, EARLY, "line"))
        assert hashlib.sha256(b"line").hexdigest() == self.LINE
        assert rows == oracle.sort_rows(
            [(ANN, self.LINE, 1000, "a", EARLY), (ANN, other, None, None, LATE), (BEN, self.LINE, 5, None, EARLY)]
        )

    def test_whose_address_cannot_be_read_is_nobody(self, kept_of):
        assert kept_of((None, 1000, "a", EARLY, "line"), (None, None, None, EARLY, None)) == []

    @pytest.mark.parametrize("delivered", [(EARLY, LATE), (LATE, EARLY), (EARLY, EARLY)])
    def test_of_copies_the_first_delivery_counts(self, kept_of, delivered):
        copies = [(ANN, 1000, "a", modified, "line") for modified in delivered]
        assert kept_of(*copies) == [(ANN, self.LINE, 1000, "a", EARLY)]

    @pytest.mark.parametrize(("before", "kept"), [(EARLY - 1, EARLY - 1), (EARLY, EARLY), (LATE, EARLY)])
    def test_of_a_line_that_was_known_too(self, kept_of, before, kept):
        known_before = word(ANN, 1000, "a", before, self.LINE)
        assert kept_of((ANN, 1000, "a", EARLY, "line"), before=[known_before]) == [(ANN, self.LINE, 1000, "a", kept)]

    def test_what_was_known_of_others_and_of_other_lines_stays(self, kept_of):
        before = [word(BEN, 5, "b", EARLY, "f"), word(ANN, 7, None, LATE, "f")]
        rows = kept_of((ANN, 1000, "a", EARLY, "line"), before=before)
        assert rows == [(ANN, self.LINE, 1000, "a", EARLY), (ANN, "f", 7, None, LATE), (BEN, "f", 5, "b", EARLY)]

    @pytest.mark.parametrize("known_before", [True, False])
    def test_a_date_that_could_be_read_once_is_known(self, kept_of, known_before):
        """A copy may be delivered before its date is plausible (R12), and another one after that."""
        early, late = (ANN, None, "a", EARLY, "line"), (ANN, 1000, "a", LATE, "line")
        before = [word(ANN, None, "a", EARLY, self.LINE)] if known_before else []
        rejected = [late] if known_before else [early, late]
        assert kept_of(*rejected, before=before) == [(ANN, self.LINE, 1000, "a", EARLY)]


class TestSuspended:
    @pytest.fixture
    def suspended(self, desk):
        def run(*words, current=()):
            desk.view("customer_suspension", words)
            desk.view("customer_consent", known(*current))
            rows = made(desk, "trusted", "suspended")
            assert list(desk.named["suspended"].columns) == ["email", "serialnumber"]
            return oracle.sort_rows(map(tuple, rows))

        return run

    @pytest.mark.parametrize(
        ("bad", "is_suspended"), [(999, False), (1000, True), (1001, True)], ids=["older", "same date", "newer"]
    )
    @pytest.mark.parametrize("delivered", [EARLY - 1, EARLY, LATE])
    @pytest.mark.parametrize("research", [5, None])
    def test_a_record_as_new_as_the_current_one_suspends_whenever_it_was_delivered(
        self, suspended, bad, is_suspended, delivered, research
    ):
        """Consenting or not: a person without consent whose device somebody else names has it still."""
        rows = suspended(word(ANN, bad, "a", delivered), current=[customer(ANN, 1000, research=research, serial="other")])
        assert rows == [(ANN, "a")] * is_suspended

    @pytest.mark.parametrize(
        ("delivered", "is_suspended"),
        [(EARLY - 1, False), (EARLY, True), (EARLY + 1, True)],
        ids=["sooner", "same moment", "later"],
    )
    @pytest.mark.parametrize("updated", [0, 1000, 2**63 - 1])
    def test_without_a_date_delivery_decides(self, suspended, delivered, is_suspended, updated):
        """The same moment is not later: both may be in one file."""
        rows = suspended(word(ANN, None, "a", delivered), current=[customer(ANN, updated, file_modified=EARLY)])
        assert rows == [(ANN, "a")] * is_suspended

    def test_somebody_of_whom_nothing_else_is_known_is_suspended(self, suspended):
        words = [word(ANN, 1, "a"), word(BEN), word(CLEO, None, None, LATE), word(DAN, 2**63 - 1)]
        assert suspended(*words, current=[customer("nobody@example.com", 2000)]) == [
            (ANN, "a"),
            (BEN, None),
            (CLEO, None),
            (DAN, None),
        ]

    def test_a_person_is_free_when_the_current_record_is_newer_than_every_one(self, suspended):
        words = [word(ANN, 900, "a", line="1"), word(ANN, 1000, "b", line="2"), word(ANN, None, "c", EARLY + 5, line="3")]
        for updated, modified, left in (
            (1000, LATE, ["b"]),
            (1001, LATE, []),
            (1001, EARLY + 5, ["c"]),
            (900, EARLY, ["a", "b", "c"]),
            (1001, EARLY + 6, []),
        ):
            rows = suspended(*words, current=[customer(ANN, updated, file_modified=modified)])
            assert [serial for _, serial in rows] == left

    def test_a_row_for_each_person_and_device_that_is_named(self, suspended):
        words = [word(ANN, 5, "a", line="1"), word(ANN, 6, "a", line="2"), word(ANN, 7, "b", line="3")]
        words += [word(ANN, 8, None, line="4"), word(ANN, 9, None, line="5"), word(BEN, 5, "a")]
        assert suspended(*words) == [(ANN, "a"), (ANN, "b"), (ANN, None), (BEN, "a")]

    def test_nobody_is_suspended_by_what_somebody_else_sent(self, suspended):
        assert suspended(word(ANN, 5000, "b"), current=[customer(BEN, 10, serial="b")]) == [(ANN, "b")]
        assert suspended(current=[customer(BEN, 10, serial="b")]) == []


class TestHistoriesOfRecords:
    """The SELECTs about people, one after the other as a job runs them, against the oracle."""

    PEOPLE = 150

    @pytest.fixture
    def drawn(self):
        """Good records and bad ones with few values, so that many are equal in most of them; by batch."""
        draw = random.Random(13)
        batches = []
        for _ in range(3):
            good, bad = [], []
            for number in range(self.PEOPLE):
                email = f"{number:03}@example.com"
                # Of some people no record can be used.
                for _ in range(draw.choice((0, 1, 2, 4)) if number % 10 else 0):
                    file = {"file_modified": EARLY + draw.randrange(3), "file_path": draw.choice(("a.json", "b.json"))}
                    research, serial = draw.choice((None, 0, -5, 5, 6)), draw.choice((None, "1", "2"))
                    good.append(customer(email, draw.randrange(3), research, serial, **file))
                for _ in range(draw.choice((0, 0, 1, 2))):
                    # One line says the same whenever it is delivered.
                    updated, serial = draw.choice((None, 0, 1, 2)), draw.choice((None, "1", "3"))
                    bad.append((email, updated, serial, EARLY + draw.randrange(3), f"{updated} {serial}"))
            batches.append((good, bad))
        return batches

    def run(self, desk, batches):
        """Of everybody the current record with its first delivery, and who is suspended with which devices."""
        desk.view("customer_consent", [])
        desk.view("customer_suspension", [])
        current = []
        for good, bad in batches:
            records(desk, *good)
            now = table(desk, "consent", "customer_consent")
            people = {row.email for row in now}
            now += [row for row in current if row.email not in people]
            desk.rows("customer_rejected", REJECTED, bad)
            words = table(desk, "suspension", "customer_suspension")
            current = now
            desk.view("customer_consent", [row._asdict() for row in current])
            desk.view("customer_suspension", [row._asdict() for row in words])
        return (
            {row.email: (row.fingerprint, row.file_modified) for row in current},
            {tuple(row) for row in made(desk, "trusted", "suspended")},
        )

    def expected(self, batches):
        names = contracts.load("customer_trusted").names
        good = [
            (oracle.Customer(*(row.get(name) for name in names)), row["file_modified"], row["file_path"])
            for rows, _ in batches
            for row in rows
        ]
        bad = [oracle.Word(email, updated, serial, line, at) for _, rows in batches for email, updated, serial, at, line in rows]
        # A line here is one only with its person.
        words = [word._replace(line=f"{word.email} {word.line}") for word in bad]
        people = oracle.known_people(good, oracle.first_delivered(words))
        first = {}
        for record, modified, _ in good:
            if record == people[record.email].current:
                first[record.email] = min(modified, first.get(record.email, modified))
        return (
            {email: (oracle.fingerprint(person.current), first[email]) for email, person in people.items() if person.current},
            {(email, word.serial) for email, person in people.items() for word in person.words},
        )

    def test_the_oracle_knows_the_same_current_records_and_suspensions(self, desk, drawn):
        current, suspended = self.run(desk, drawn)
        expected = self.expected(drawn)
        assert (current, suspended) == expected
        # Else what was compared says little.
        people = {email for email, _ in suspended}
        assert 20 < len(people & set(current)) < len(current) - 20
        assert people - set(current)

    def test_it_does_not_matter_in_which_runs_they_were_read(self, desk, drawn):
        together = [([row for good, _ in drawn for row in good], [row for _, bad in drawn for row in bad])]
        again = [*drawn[::-1], drawn[0], drawn[2]]
        assert self.run(desk, together) == self.run(desk, again) == self.expected(drawn)


def sample(user, time, x=0.0):
    return {"user": user, "timestamp": time, "x": x, "y": 0.0, "z": 0.0}


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
