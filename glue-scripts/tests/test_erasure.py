"""Who asks to be forgotten is gone from landing, quarantine and tables, and from nobody else anything is (R17)."""

import gzip
import hashlib
import json
import os
from contextlib import suppress

import pytest
from lakehouse import erasure, intake
from lakehouse.errors import LakehouseError
from support import DATABASE, TARGETS, Lake, T, customer, sample, step

ANN, BEN, CLEO, DAN = (f"{name}@example.com" for name in ("ann", "ben", "cleo", "dan"))
# After all files that a lake's deliver() writes.
NOW = 1_800_000_000_000


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.create_tables()
    return lake


def ask(lake, *lines, name="a.json"):
    folder = lake.folder / "erasure" / "requests"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))


def erase(lake, now=NOW):
    return erasure.erase(erasure.Options(lake.uri, DATABASE), now)


def lines(lake, source):
    """Lines of all landing files of a source, by file."""
    found = {}
    for file in sorted((lake.folder / source / "landing").rglob("*")):
        if file.is_file():
            data = file.read_bytes()
            found[file.name] = (gzip.decompress(data) if file.name.endswith(".gz") else data).splitlines()
    return found


def people(lake, *names, serials=None):
    """Delivers consenting people with a reading each of phone and device, at one time."""
    for number, email in enumerate(names):
        serial = (serials or {}).get(email) or email.split("@")[0]
        lake.deliver("customer", customer(email, 10, research=20, serial=serial))
        lake.deliver("accelerometer", sample(email, 100 + number))
        lake.deliver("step_trainer", step(serial, 100 + number))


def content(lake):
    return {table: lake.rows(table) for table in (*TARGETS, "customer_consent", "accelerometer_index", "step_trainer_index")}


def test_a_person_goes_and_all_others_stay(lake):
    people(lake, ANN, BEN)
    lake.deliver("customer", customer(DAN, 10, research=20), customer(ANN, 5), {**customer("ANN@example.com", 1), "phone": 5})
    lake.deliver("accelerometer", sample(BEN, 300), sample(" Ann@Example.com", 300), name="both.json.gz")
    lake.run(quarantined_share=1.0)
    before = content(lake)
    assert len(before["machine_learning_curated"]) == 2
    ask(lake, {"id": "r1", "email": "Ann@example.com"})
    assert erase(lake)["people"] == 1
    entries = lake.run()
    assert {entry.mode for entry in entries.values()} == {"incremental"}
    assert [json.loads(line)["email"] for file in lines(lake, "customer").values() for line in file] == [BEN, DAN]
    assert [json.loads(line)["user"] for file in lines(lake, "accelerometer").values() for line in file] == [BEN, BEN]
    assert [json.loads(line)["serialNumber"] for file in lines(lake, "step_trainer").values() for line in file] == ["ben"]
    after = content(lake)
    for table, rows in after.items():
        assert rows == [row for row in before[table] if row in rows], table
        assert not any("ann" in str(row) for row in rows)
    assert [len(after[table]) for table in TARGETS] == [2, 2, 1, 1, 1]
    assert lake.rows("customer_quarantine") == []
    full = lake.run(full_refresh=True)
    assert all(entry.inserted + entry.updated + entry.removed == 0 for entry in full.values())
    assert content(lake) == after


def landed(lake, source, key):
    return [json.loads(line)[key] for file in lines(lake, source).values() for line in file]


def outcome(lake, table):
    """Modes of the next run, and that a run over everything changes nothing more."""
    modes = {entry.mode for entry in lake.run(quarantined_share=1.0).values()}
    after = content(lake)
    full = lake.run(full_refresh=True, quarantined_share=1.0)
    assert {name: entry for name, entry in full.items() if entry.inserted + entry.updated + entry.removed} == {}
    assert content(lake) == after
    return modes


def test_a_device_that_others_have_too_keeps_its_lines_and_passes_from_then_on(lake):
    people(lake, ANN, BEN, serials={ANN: "s", BEN: "s"})
    lake.run()
    assert len(lake.rows("step_trainer_trusted")) == 2
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    assert outcome(lake, "step_trainer_trusted") == {"incremental"}
    assert landed(lake, "step_trainer", "serialNumber") == ["s", "s"]
    # Who measured what before cannot be told; what comes long enough after is of the one who is left.
    assert lake.rows("step_trainer_trusted") == []
    assert lake.rows("customer_trusted")[0][1] == BEN
    day = 24 * 60 * 60 * 1000
    lake.deliver("step_trainer", step("s", NOW + day - T), step("s", NOW + day + 1 - T), modified=NOW // 1000 + 90_000)
    lake.run()
    assert [row[0] for row in lake.rows("step_trainer_trusted")] == [NOW + day + 1]
    # Both asked: nobody is left who could have measured it.
    ask(lake, {"id": "r2", "email": BEN}, name="b.json")
    erase(lake, NOW + 10 * day)
    outcome(lake, "step_trainer_trusted")
    assert landed(lake, "step_trainer", "serialNumber") == []
    assert all(not rows for rows in content(lake).values())


@pytest.mark.parametrize("gate", ["as-of", "ever"])
def test_who_comes_back_starts_anew(lake, gate):
    people(lake, ANN, BEN)
    lake.run(gate=gate)
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    lake.run(gate=gate)
    later = NOW // 1000 + 100
    old, stale = customer(ANN, 10, research=20), customer(ANN, NOW - T + 50, research=20)
    lake.deliver("customer", old, stale, modified=later)
    lake.deliver("accelerometer", sample(ANN, 100), sample(ANN, NOW - T + 70), modified=later)
    entries = lake.run(gate=gate)
    assert entries["customer_trusted"].excluded == {"erased": 2}
    assert entries["accelerometer_trusted"].excluded == {"erased": 2}
    assert not any(ANN in row for table in TARGETS for row in lake.rows(table))
    lake.deliver("customer", customer(ANN, NOW - T + 60, research=NOW - T + 60), modified=later + 1)
    lake.run(gate=gate)
    assert [row[1] for row in lake.rows("accelerometer_trusted") if row[0] == ANN] == [NOW + 70]
    before = content(lake)
    lake.run(gate=gate, full_refresh=True)
    assert content(lake) == before


def test_requests_that_nobody_can_do_are_put_aside_and_told(lake):
    people(lake, ANN, BEN, CLEO, serials={BEN: "s", CLEO: "s"})
    lake.run()
    bad = [
        '{"id": "r1"}',
        '{"email": "ann@example.com"}',
        '{"id": "r 1", "email": "ann@example.com"}',
        '{"id": "r1", "email": "an n@example.com"}',
        '{"id": "r1", "email": "ann@example.com", "why": "x"}',
        '{"id": 5, "email": "ann@example.com"}',
        "no request",
        '{"id": "r1", "serialNumber": "s"}',
    ]
    ask(lake, *bad)
    done = erase(lake)
    assert (done["requests"], done["refused"], done["people"]) == (0, 8, 0)
    erase(lake)
    rows = sorted(lake.arrow("erasure_quarantine").to_pylist(), key=lambda row: row["position"])
    assert [row["line"] for row in rows] == bad
    wanted = ["missing_key", "missing_key", "malformed", "malformed_email", "malformed", "wrong_type", "malformed"]
    assert [row["reason"] for row in rows] == [*wanted, "several_people"]
    assert {entry.mode for entry in lake.run().values()} == {"unchanged"}


def test_a_device_alone_stands_for_whoever_has_it(lake):
    people(lake, ANN, BEN)
    lake.deliver("step_trainer", step("nobody", 5), step("ben", 7))
    lake.run()
    ask(lake, {"id": "r1", "serialNumber": "ann"}, {"id": "r2", "serialNumber": "nobody"}, {"id": "r3", "email": DAN})
    assert erase(lake)["people"] == 3
    outcome(lake, "customer_trusted")
    assert landed(lake, "customer", "email") == [BEN]
    assert landed(lake, "step_trainer", "serialNumber") == ["ben", "ben"]
    kinds = sorted((row["request_id"], row["kind"]) for row in lake.arrow("erasure_ledger").to_pylist())
    assert kinds == [("r1", "device"), ("r1", "person"), ("r2", "device"), ("r3", "person")]


def test_the_ledger_is_useless_to_who_guesses(lake):
    people(lake, ANN, BEN)
    lake.run()
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    lake.run()
    (lake.folder / "erasure/state/secret").unlink()
    with pytest.raises(LakehouseError, match="the key of its hashes is gone"):
        lake.run(full_refresh=True)


def test_an_erasure_that_died_is_ended_before_anything_is_read(lake, monkeypatch):
    """Everybody else's lines stay; when a file was delivered is not forgotten (R12, R13)."""
    people(lake, ANN, BEN)
    lake.deliver("customer", customer(CLEO, 10, research=20), customer(ANN, 4), name="mixed.json")
    lake.run()
    ask(lake, {"id": "r1", "email": ANN})
    before = content(lake)
    saved, deaths = intake.save_rewritten, 0
    for number in range(12):
        calls = []

        def dies(*given, number=number, calls=calls):
            calls.append(1)
            if len(calls) > number:
                raise KeyboardInterrupt
            saved(*given)

        monkeypatch.setattr(intake, "save_rewritten", dies)
        with suppress(KeyboardInterrupt):
            erase(lake)
            number = 12
        monkeypatch.undo()
        if number == 12:
            break
        deaths += 1
        if any(one.content for one in intake.rewritten(erasure.storage.open_store(lake.uri)).values()):
            with pytest.raises(LakehouseError, match="an erasure ended while"):
                lake.run()
    assert deaths > 2
    assert outcome(lake, "customer_trusted") == {"incremental"}
    assert landed(lake, "customer", "email") == [BEN, CLEO]
    for table, rows in content(lake).items():
        assert rows == [row for row in before[table] if row in rows], table
    delivered = {one.key: one.delivered for one in intake.rewritten(erasure.storage.open_store(lake.uri)).values()}
    assert delivered["customer/landing/mixed.json"] < 1_700_000_100_000


def test_what_is_put_meanwhile_wins(lake, monkeypatch):
    people(lake, ANN)
    file = lake.deliver("customer", customer(ANN, 10, research=20), customer(BEN, 10, research=20), name="mixed.json")
    lake.run()
    ask(lake, {"id": "r1", "email": ANN})
    replace, lines_now = erasure.storage.FolderStore.replace, json.dumps(customer(CLEO, 1, research=5)).encode() + b"\n"

    def put_first(store, one, content):
        if one.key.endswith("mixed.json"):
            file.write_bytes(lines_now)
        return replace(store, one, content)

    monkeypatch.setattr(erasure.storage.FolderStore, "replace", put_first)
    erase(lake)
    monkeypatch.undo()
    assert file.read_bytes() == lines_now
    lake.run()
    assert [row[1] for row in lake.rows("customer_trusted")] == [CLEO]


def prove(lake, **options):
    return erasure.prove(erasure.Options(lake.uri, DATABASE, "prove", **options))


def certificates(lake):
    return [json.loads(file.read_text()) for file in sorted((lake.folder / "erasure/certificates").rglob("*.json"))]


def test_a_proof_ends_the_request_and_can_be_had_once_more(lake):
    people(lake, ANN, BEN)
    lake.run()
    ask(lake, {"id": "r1", "email": ANN, "serialNumber": "ann"})
    erase(lake)
    lake.run()
    assert prove(lake) == {"requests": 1, "traces": 0}
    (certificate,) = certificates(lake)
    assert (certificate["request"], certificate["verdict"], certificate["left"]) == ("r1", "erased", [])
    assert certificate["done"] == {"lines": 3, "rewritten": 0, "removed": 3, "quarantined": 0}
    assert not list((lake.folder / "erasure/requests").iterdir())
    assert not (lake.folder / "erasure/state/pending.json").exists()
    assert not [file for file in lake.folder.rglob("*") if file.is_file() and ANN.encode() in file.read_bytes()]
    assert erase(lake) == {"requests": 0}
    assert prove(lake) == {"requests": 0}
    with pytest.raises(LakehouseError, match="no request r1 waits"):
        prove(lake, request="r1")
    again = lake.folder / "erasure/proofs/r1.json"
    again.parent.mkdir()
    again.write_text(json.dumps({"id": "r1", "email": BEN}))
    with pytest.raises(LakehouseError, match="no request of that name was about that person"):
        prove(lake, request="r1")
    again.write_text(json.dumps({"id": "r1", "email": ANN}))
    assert prove(lake, request="r1") == {"requests": 1, "traces": 0}
    assert len(certificates(lake)) == 2
    assert not again.exists()
    steps = [row["step"] for row in lake.arrow("erasure_ledger").to_pylist() if row["kind"] == "person"]
    assert sorted(steps) == ["erased", "proven", "proven"]


def test_a_request_stays_open_while_something_is_left(lake):
    people(lake, ANN, BEN)
    lake.run()
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    lake.deliver("customer", {**customer(DAN, 5), "friend": ANN}, name="friend.json")
    lake.run()
    with pytest.raises(LakehouseError, match="r1: 1 traces are left") as caught:
        prove(lake)
    assert ANN not in str(caught.value)
    (certificate,) = certificates(lake)
    assert certificate["verdict"] == "not erased"
    assert [(one["key"], one["where"]) for one in certificate["left"]] == [("customer/landing/friend.json", "line 1")]
    (lake.folder / "customer/landing/friend.json").unlink()
    lake.run()
    assert prove(lake) == {"requests": 1, "traces": 0}


def test_after_a_proof_nothing_is_read_anew(lake):
    """The versions that the jobs had read have expired with it, but for their rows."""
    people(lake, ANN, BEN, CLEO)
    lake.run()
    for number, email in enumerate((ANN, BEN)):
        ask(lake, {"id": f"r{number}", "email": email})
        erase(lake, NOW + number)
        assert {entry.mode for entry in lake.run().values()} == {"incremental"}
        prove(lake)
    assert [row[1] for row in lake.rows("customer_trusted")] == [CLEO]


def test_a_file_that_is_delivered_anew_before_the_job_runs_is_read(lake):
    people(lake, ANN)
    lake.deliver("customer", customer(ANN, 10, research=20), customer(CLEO, 10, research=20), name="mixed.json")
    lake.run()
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    # No job has run. In the file that comes now Cleo withdraws, and Ann is in it as before.
    lake.deliver("customer", customer(ANN, 10, research=20), customer(CLEO, 30), name="mixed.json")
    erase(lake, NOW + 1)
    outcome(lake, "customer_trusted")
    assert landed(lake, "customer", "email") == [CLEO]
    assert lake.rows("customer_trusted") == []


def test_a_file_that_somebody_removes_meanwhile_is_gone_with_all_rows(lake, monkeypatch):
    people(lake, ANN, BEN)
    file = lake.deliver("customer", customer(ANN, 11, research=20), customer(CLEO, 10, research=20), name="mixed.json")
    lake.run()
    ask(lake, {"id": "r1", "email": ANN})

    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(erasure.storage.FolderStore, "replace", dies)
    with suppress(KeyboardInterrupt):
        erase(lake)
    monkeypatch.undo()
    file.unlink()
    erase(lake)
    outcome(lake, "customer_trusted")
    assert [row[1] for row in lake.rows("customer_trusted")] == [BEN]


@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_is_no_part_of_a_line(lake, packed):
    people(lake, ANN)
    first, last = json.dumps({**customer(DAN, 5, research=6), "friend": ANN}).encode(), json.dumps(customer(ANN, 2)).encode()
    file = lake.deliver("customer", customer(DAN, 1), name="mark.json.gz" if packed else "mark.json")
    content = b"\xef\xbb\xbf" + first + b"\r\n" + last
    file.write_bytes(gzip.compress(b"") + gzip.compress(content) if packed else content)
    lake.run()
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    left = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
    assert left == b"\xef\xbb\xbf" + first + b"\r\n"
    file.write_bytes(
        b"\xef\xbb\xbf" + last + b"\n" + first if not packed else gzip.compress(b"\xef\xbb\xbf" + last + b"\n" + first)
    )
    erase(lake, NOW + 1)
    assert (gzip.decompress(file.read_bytes()) if packed else file.read_bytes()) == b"\xef\xbb\xbf" + first


@pytest.mark.parametrize("serial", ["ann", "12"])
def test_a_bad_record_of_somebody_else_stays_for_it_suspends_them(lake, serial):
    """It names who is erased, in one way or another: without it a run over everything would let the other one pass (R13)."""
    people(lake, ANN, BEN, serials={ANN: serial})
    bad = {**customer(BEN, 50), "phone": 12, "customerName": f"a friend of {ANN}"}
    lake.deliver("customer", bad, customer(DAN, 1, research=5))
    lake.run(quarantined_share=1.0)
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    outcome(lake, "customer_trusted")
    assert [row[1] for row in lake.rows("customer_trusted")] == [DAN]
    assert [row["line"] for row in lake.arrow("customer_quarantine").to_pylist()] == [json.dumps(bad)]


def test_what_the_proof_has_found_in_landing_goes_with_the_next_run(lake):
    """A line that cannot be used is in no index, and a quarantine keeps its rows for some days only."""
    people(lake, ANN, BEN, serials={ANN: "device-of-ann"})
    lake.deliver("accelerometer", {**sample(ANN, 5), "x": "bad"}, sample(BEN, 9), name="bad.json")
    lake.run(quarantined_share=1.0)
    lake.load("accelerometer_quarantine").delete()
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    lake.run(quarantined_share=1.0)
    with pytest.raises(LakehouseError, match="r1: 1 traces are left"):
        prove(lake)
    erase(lake, NOW + 1)
    assert landed(lake, "accelerometer", "user") == [BEN, BEN]
    lake.run()
    assert prove(lake) == {"requests": 1, "traces": 0}


def test_a_request_that_cannot_be_done_does_not_outlast_the_person(lake):
    people(lake, ANN, BEN, serials={ANN: "device-of-ann"})
    lake.run()
    ask(lake, {"id": "r 1", "email": ANN}, name="bad.json")
    ask(lake, {"id": "r 2", "email": BEN}, name="other.json")
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    lake.run()
    assert prove(lake) == {"requests": 1, "traces": 0}
    assert [file.name for file in (lake.folder / "erasure/requests").iterdir()] == ["other.json"]
    assert not [file for file in lake.folder.rglob("*") if file.is_file() and ANN.encode() in file.read_bytes()]


def test_a_device_alone_stands_for_all_devices_of_whoever_has_it(lake):
    people(lake, ANN, BEN)
    lake.deliver("customer", customer(ANN, 5, research=6, serial="old"))
    lake.deliver("step_trainer", step("old", 5))
    lake.run()
    ask(lake, {"id": "r1", "serialNumber": "ann"})
    erase(lake)
    outcome(lake, "customer_trusted")
    assert landed(lake, "step_trainer", "serialNumber") == ["ben"]


def test_who_has_the_device_later_is_not_asked_for(lake):
    """While a request is open its device is sold on."""
    people(lake, ANN, BEN)
    lake.run()
    ask(lake, {"id": "r1", "serialNumber": "ann"}, {"id": "r2", "serialNumber": "nobody"})
    erase(lake)
    lake.run()
    lake.deliver("customer", customer(CLEO, 10, research=20, serial="ann"), customer(DAN, 10, research=20, serial="nobody"))
    lake.deliver("step_trainer", step("ann", 500), step("nobody", 500))
    for number in range(2):
        assert erase(lake, NOW + 1 + number)["people"] == 2
        outcome(lake, "customer_trusted")
    assert [row[1] for row in lake.rows("customer_trusted")] == [BEN, CLEO, DAN]
    assert landed(lake, "step_trainer", "serialNumber") == ["ben", "ann", "nobody"]


def test_a_request_names_somebody_and_its_id_nobody(lake):
    people(lake, ANN, BEN)
    lake.deliver("customer", {**customer(BEN, 50), "phone": 5}, customer(DAN, 1, research=5))
    lake.run(quarantined_share=1.0)
    hashed = hashlib.sha256(ANN.encode()).hexdigest()
    ask(lake, {"id": "r1", "serialNumber": " "}, {"id": "ann", "email": ANN}, {"id": hashed, "email": ANN})
    done = erase(lake)
    assert (done["requests"], done["refused"], done["lines"], done["quarantined"]) == (0, 3, 0, 0)
    rows = sorted(lake.arrow("erasure_quarantine").to_pylist(), key=lambda row: row["position"])
    assert [(row["reason"], row["column_name"]) for row in rows] == [
        ("missing_key", "email"),
        ("malformed", "id"),
        ("malformed", "id"),
    ]


def test_who_comes_back_while_the_request_waits_stays(lake):
    """Something of them is in somebody else's file, so it waits; the moment stays the one at which they were erased first."""
    people(lake, ANN, BEN)
    lake.deliver("customer", {**customer(DAN, 5), "friend": ANN}, name="friend.json")
    lake.run()
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    lake.run()
    later = NOW // 1000 + 100
    lake.deliver("customer", customer(ANN, NOW - T + 60, research=NOW - T + 60), modified=later)
    lake.deliver("accelerometer", sample(ANN, NOW - T + 70), modified=later)
    erase(lake, NOW + 200_000)
    lake.run()
    assert [row[1] for row in lake.rows("accelerometer_trusted") if row[0] == ANN] == [NOW + 70]
    assert ANN in landed(lake, "customer", "email")


def test_who_is_named_in_a_request_that_is_refused_keeps_the_device_they_share(lake):
    people(lake, ANN, BEN, CLEO, serials={ANN: "s", CLEO: "s"})
    lake.run()
    ask(lake, {"id": "r1", "email": ANN, "serialNumber": "ben"}, {"id": "r2", "email": CLEO})
    done = erase(lake)
    assert (done["requests"], done["refused"]) == (1, 1)
    assert sorted(landed(lake, "step_trainer", "serialNumber")) == ["ben", "s", "s"]
    assert sorted(row["kind"] for row in lake.arrow("erasure_ledger").to_pylist()) == ["person", "shared_device"]


def test_copies_of_an_erasure_that_was_killed_are_removed_by_the_next(lake, tmp_path, monkeypatch):
    """They hold lines of everybody else."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    people(lake, ANN)
    lake.deliver("customer", customer(ANN, 10, research=20), customer(BEN, 10, research=20), name="mixed.json")
    seen, replace = [], erasure.storage.FolderStore.replace

    def look(store, one, content):
        seen.extend(file.parent.name for file in tmp_path.glob("lakehouse-*/*") if file.is_file() and BEN in file.read_text())
        return replace(store, one, content)

    monkeypatch.setattr(erasure.storage.FolderStore, "replace", look)
    ask(lake, {"id": "r1", "email": ANN})
    erase(lake)
    # So whoever comes after knows whose they were, and removes them when that process is gone.
    assert seen and all(name.startswith(f"lakehouse-{os.getpid()}-") for name in seen)
    assert not list(tmp_path.glob("lakehouse-*"))


def test_a_device_that_others_are_named_with_is_no_reason_to_hide_what_they_measured(lake):
    people(lake, ANN, BEN)
    lake.run()
    ask(lake, {"id": "r1", "email": ANN, "serialNumber": "ben"})
    assert (erase(lake)["refused"], lake.run()["step_trainer_trusted"].mode) == (1, "unchanged")
    (row,) = lake.arrow("erasure_quarantine").to_pylist()
    assert (row["reason"], row["column_name"]) == ("several_people", "serialNumber")
