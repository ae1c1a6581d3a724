"""Every SELECT about people against rows small enough to check by hand: each reason, and the rule it comes from."""

import hashlib
import random

import oracle
import pytest
from lakehouse import contracts, queries
from planted import ANN, BEN, CLEO, DAN, EARLY, LATE, customer, known, made, suspend
from support import both_engines

pytestmark = both_engines


def word(email, updated=None, serial=None, delivered=EARLY, line="line"):
    """What a record that cannot be used says, as customer_suspension has it."""
    return {"email": email, "fingerprint": line, "lastupdatedate": updated, "serialnumber": serial, "delivered": delivered}


def records(desk, *rows):
    """Delivered customer records as customer_records gives them, known by that name."""
    desk.view("customer_landing", rows)
    return made(desk, "landing", "customer_records")


def table(desk, zone, name):
    """The rows of a SELECT that gives those of a table."""
    rows = queries.select(desk.engine, zone, name, **desk.named)
    assert list(rows.columns) == contracts.load(name).names
    return desk.fetched(rows)


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
