"""The writer of histories does what it says, the oracle reads whatever it writes, and its world is as crowded as it should be."""

import gzip
import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from histories import BARELY_FUTURE, ENDINGS, HIDDEN, NAMES, START, UNREAD, Folder, T, apply, histories, play
from hypothesis import HealthCheck, Phase, given, settings
from oracle import GATES, compute

# The same histories in every run, and nothing kept between runs.
STEADY = settings(derandomize=True, database=None, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
ROW = {"email": "ann@example.com", "lastUpdateDate": T + 500}
LATER = {"email": "ann@example.com", "lastUpdateDate": T + 1000}


def deliver(*lines, source="customer", name="m", ending=".json", damage=None):
    return {"op": "deliver", "source": source, "name": name, "ending": ending, "lines": list(lines), "damage": damage}


def overwrite(*lines, pick=0, damage=None):
    return {"op": "overwrite", "source": "customer", "pick": pick, "lines": list(lines), "damage": damage}


def replay(pick, name="m"):
    return {"op": "replay", "pick": pick, "name": name}


def at(op, pick=0):
    return {"op": op, "source": "customer", "pick": pick}


def written(root):
    """Content and modification time of every file."""
    files = (file for file in Path(root).rglob("*") if file.is_file())
    return {file.relative_to(root).as_posix(): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def after(history):
    """What is in the folder after every delivery."""
    with tempfile.TemporaryDirectory() as root:
        return [written(root) for _ in play(history, root)]


def text(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def seconds(number):
    return (START + number) * 10**9


# --- the operations ---


def test_files_of_one_delivery_have_one_time_and_the_next_ones_a_later_one():
    first, second = after([[deliver(ROW), deliver(ROW, LATER, name="z/a", ending=".json.gz")], [deliver(LATER, name="b")]])
    assert first == {
        "customer/landing/m-000.json": (text(ROW), seconds(0)),
        "customer/landing/z/a-001.json.gz": (gzip.compress(text(ROW, LATER), mtime=0), seconds(0)),
    }
    assert second == first | {"customer/landing/b-002.json": (text(LATER), seconds(1))}


def test_a_file_is_overwritten_touched_and_deleted():
    states = after([[deliver(ROW)], [overwrite(LATER, pick=7)], [at("touch")], [at("delete")]])
    name = "customer/landing/m-000.json"
    assert states[1:] == [{name: (text(LATER), seconds(1))}, {name: (text(LATER), seconds(2))}, {}]


@pytest.mark.parametrize("ending", [".json.gz", ".JSONL.GZ"])
def test_a_packed_file_is_overwritten_by_a_packed_one(ending):
    [state] = after([[deliver(ROW, ending=ending), overwrite(LATER)]])
    assert [gzip.decompress(data) for data, _ in state.values()] == [text(LATER)]


@pytest.mark.parametrize("ending", [*ENDINGS, "", ".csv", "_$folder$"])
def test_a_file_comes_again_under_a_name_of_its_kind(ending):
    [state] = after([[deliver(ROW, name="9:30", ending=ending), overwrite(LATER), replay(0), replay(1, "_SUCCESS")]])
    assert sorted(state) == [f"customer/landing/{name}{ending}" for name in ("9:30-000", "_SUCCESS-003", "m-002")]
    assert len({data for data, _ in state.values()}) == 2


def test_the_names_that_are_read_are_those_that_the_oracle_reads(tmp_path):
    names = [(name, ending) for name in (*NAMES, *HIDDEN) for ending in (*ENDINGS, *UNREAD)]
    folder = Folder(tmp_path)
    apply([deliver(ROW, name=name, ending=ending) for name, ending in names], folder, START)
    ignored = [path for paths in compute(tmp_path, "as-of").ignored["customer"].values() for path in paths]
    read = [file.relative_to(tmp_path).as_posix() for file in folder.read("customer")]
    assert len(read) == len(NAMES) * len(ENDINGS)
    assert sorted([*ignored, *read]) == sorted(file.relative_to(tmp_path).as_posix() for file in folder.files("customer"))


def test_what_was_overwritten_or_deleted_comes_again_under_a_new_name():
    *_, last = after([[deliver(ROW)], [overwrite(LATER)], [at("delete")], [replay(0), replay(1, "b"), replay(2)]])
    assert {name: data for name, (data, _) in last.items()} == {
        "customer/landing/m-002.json": text(ROW),
        "customer/landing/b-003.json": text(LATER),
        "customer/landing/m-004.json": text(ROW),
    }


@pytest.mark.parametrize("operation", [overwrite(ROW), at("touch"), at("delete"), replay(3)])
def test_nothing_can_be_done_to_a_file_when_there_is_none(operation):
    assert after([[operation]]) == [{}]


@pytest.mark.parametrize("ending", [".json", ".JSONL.GZ"])
@pytest.mark.parametrize("damage", ["mistaken", "cut"])
def test_a_damaged_file_is_quarantined_as_a_whole_or_from_where_it_is_cut(tmp_path, damage, ending):
    apply([deliver(ROW, LATER, ending=ending, damage=damage)], Folder(tmp_path), START)
    result = compute(tmp_path, "as-of")
    line = 2 if (damage, ending) == ("cut", ".json") else 0
    [(_, found, reason)] = result.quarantine["customer"]
    assert (found, reason) == (line, "malformed")
    assert result.outcomes["customer_trusted"].total() == (1 if line else 0)


@pytest.mark.parametrize("ending", [".json", ".JSONL.GZ"])
def test_an_empty_file_is_read_and_holds_nothing(tmp_path, ending):
    folder = Folder(tmp_path)
    apply([deliver(ROW, ending=ending, damage="empty")], folder, START)
    assert len(folder.files("customer")) == 1
    assert folder.read("customer") == []
    assert compute(tmp_path, "as-of").landing["customer_landing"] == 0


def test_a_line_that_is_not_utf_8_is_written_as_such():
    [state] = after([[deliver("\udcff")]])
    assert state["customer/landing/m-000.json"][0] == b"\xff\n"


@pytest.mark.parametrize("again", [at("touch"), replay(0)])
def test_a_row_of_the_near_future_is_in_time_when_its_file_comes_again(tmp_path, again):
    history = [[deliver(ROW | {"lastUpdateDate": BARELY_FUTURE})], [again], [again]]
    results = [compute(tmp_path, "as-of") for _ in play(history, tmp_path)]
    assert [result.outcomes["customer_trusted"].total() for result in results] == [0, 0, 1]
    assert [result.suspended for result in results] == [{"ann@example.com"}, {"ann@example.com"}, set()]


# --- random histories ---


@STEADY
@given(histories())
def test_the_same_history_gives_the_same_files(history):
    again = json.loads(json.dumps(history))
    assert again == history
    assert after(again) == after(history)


@STEADY
@given(histories())
def test_a_delivery_gives_its_time_to_what_it_changes_and_leaves_the_rest(history):
    before = {}
    for number, state in enumerate(after(history)):
        changed = [name for name, file in state.items() if file != before.get(name)]
        assert all(state[name][1] == seconds(number) for name in changed)
        before = state


@STEADY
@given(histories())
def test_the_oracle_reads_whatever_comes_and_adds_up(history):
    with tempfile.TemporaryDirectory() as root:
        for _ in play(history, root):
            for gate in GATES:
                assert_adds_up(compute(root, gate))


def assert_adds_up(result):
    main_source = {
        "customer_trusted": "customer",
        "accelerometer_trusted": "accelerometer",
        "step_trainer_trusted": "step_trainer",
    }
    for table, source in main_source.items():
        quarantined = len(result.quarantine[source])
        assert result.landing[f"{source}_landing"] == result.outcomes[table].total() + quarantined
    for table, rows in result.tables.items():
        assert result.outcomes[table]["accepted"] == len(rows)


@STEADY
@given(histories(faults=False))
def test_without_faults_nothing_is_quarantined(history):
    with tempfile.TemporaryDirectory() as root:
        for _ in play(history, root):
            result = compute(root, "as-of")
            assert not any(result.quarantine.values())
            assert not any(result.drift.values())
            assert not any(result.ignored.values())
            assert not result.suspended


# --- the world ---

REASONS = {
    "customer_trusted": {"accepted", "superseded", "duplicate", "no_consent", "suspended"},
    "accelerometer_trusted": {"accepted", "unknown_customer", "no_consent", "suspended", "before_consent", "duplicate"},
    "customer_curated": {"accepted", "no_readings"},
    "step_trainer_trusted": {
        "accepted",
        "unknown_customer",
        "no_consent",
        "suspended",
        "no_readings",
        "before_consent",
        "ambiguous_device",
        "duplicate",
    },
    "machine_learning_curated": {"accepted", "no_step_reading"},
}


def test_every_reason_comes_up_and_rows_leave_every_table():
    """So that a few histories are worth their runs."""
    found, count = Counter(), 0

    @settings(STEADY, max_examples=150, phases=[Phase.generate])
    @given(histories())
    def collect(history):
        nonlocal count
        with tempfile.TemporaryDirectory() as root:
            found.update(seen([compute(root, "as-of") for _ in play(history, root)]))
        count += 1

    collect()
    wanted = {(table, reason) for table, reasons in REASONS.items() for reason in reasons}
    reasons = ("malformed", "wrong_type", "missing_key", "malformed_email", "implausible_time", "future_time")
    wanted |= {("quarantine", reason) for reason in reasons}
    wanted |= {("ignored", reason) for reason in ("hidden", "folder_marker", "unknown_name")}
    wanted |= {("leaves", table) for table in REASONS} | {("drift", "extra"), ("unknown", "customer"), ("unnamed", "customer")}
    wanted |= {(change, "suspended") for change in ("comes", "goes")}
    assert {what: found[what] for what in wanted if found[what] < count * 0.03} == {}


def seen(results):
    """What came up in a history, given what the oracle makes of it after every delivery."""
    things = set()
    for earlier, result in zip([results[0], *results], results, strict=False):
        things |= {(table, reason) for table, outcomes in result.outcomes.items() for reason in outcomes}
        things |= {("quarantine", reason) for rows in result.quarantine.values() for _, _, reason in rows}
        things |= {("drift", key) for keys in result.drift.values() for key in keys}
        things |= {("ignored", reason) for reasons in result.ignored.values() for reason in reasons}
        things |= {("unknown", source) for source, places in result.unknown.items() if places}
        things |= {("unnamed", source) for source, places in result.unnamed.items() if places}
        things |= {("comes", "suspended")} if result.suspended - earlier.suspended else set()
        things |= {("goes", "suspended")} if earlier.suspended - result.suspended else set()
        things |= {("leaves", table) for table, rows in result.tables.items() if set(earlier.tables[table]) - set(rows)}
    return things
