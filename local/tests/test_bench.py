"""The benchmark's arithmetic and its report. Nothing here measures time: that would be a test of the machine."""

import gzip
import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bench import contestants, datasets, plot, report
from bench.__main__ import parse
from bench.contestants import (
    ALL,
    DUCKDB,
    FULL,
    LAKEHOUSE,
    LIMIT,
    NAIVE,
    NAIVE_APART,
    NEW,
    NOTHING,
    ON_SPARK,
    SESSION,
    SINGLE_NODE,
    SPARK,
    TABLES,
    TOGETHER,
    WITHDRAWN,
    FolderJobs,
    Lakehouse,
    Measurement,
    ledger_entry,
    pack,
    said,
)
from bench.datasets import Dataset, withdrawals
from bench.errors import BenchError
from bench.figures import GIB, Figures, limits
from bench.process import Cost, measure
from bench.written import Written, difference, listing

ROOT = Path(__file__).resolve().parents[2]
ONE_TABLE, OTHER_TABLE = "customer_trusted", "machine_learning_curated"


def measured(seconds, contestant=LAKEHOUSE, scenario=FULL, scale=100, step=ONE_TABLE, repetition=0, peak=GIB, written=None):
    cost = Cost(seconds, 2 * seconds, peak)
    return Measurement(contestant, scenario, scale, step, cost, written or Written(1, 2, 1000), 5000, repetition)


def session(seconds, scale=100, repetition=0):
    return measured(seconds, scale=scale, step=SESSION, repetition=repetition)


def test_a_run_is_the_sum_of_its_jobs_and_a_session_start_each():
    figures = Figures([session(4), measured(14), measured(24, step=OTHER_TABLE)])
    run = figures.runs[LAKEHOUSE, FULL, 100]
    assert (run.seconds, run.session_starts, run.work) == (38, 8, 30)
    assert (run.processor_seconds, run.rows_per_second) == (76, pytest.approx(5000 / 38))
    assert run.written == Written(2, 4, 2000)
    step = figures.steps[LAKEHOUSE, FULL, 100, OTHER_TABLE]
    assert (step.work, step.processor_seconds, step.written) == (20, 40, Written(1, 2, 1000))


def test_medians_are_over_repetitions_each_with_its_own_session_start():
    seconds, starts = (20, 90, 30), (4, 10, 5)
    repetitions = enumerate(zip(seconds, starts, strict=True))
    figures = Figures([m for i, (job, start) in repetitions for m in (session(start, repetition=i), measured(job, repetition=i))])
    run = figures.runs[LAKEHOUSE, FULL, 100]
    assert (run.seconds, run.fastest, run.slowest) == (30, 20, 90)
    assert (run.session_starts, run.work) == (5, 25)
    assert figures.session_seconds == 5


def test_of_a_program_in_one_process_what_no_table_took_is_its_start():
    figures = Figures([measured(7, NAIVE), measured(5, NAIVE, step=OTHER_TABLE), measured(20, NAIVE, step=ALL)])
    run = figures.runs[NAIVE, FULL, 100]
    assert (run.seconds, run.session_starts, run.work) == (20, 8, 12)
    assert figures.steps[NAIVE, FULL, 100, OTHER_TABLE].work == 5


def test_peak_memory_is_the_highest_of_all_jobs_and_repetitions():
    figures = Figures([measured(1, peak=3), measured(1, step=OTHER_TABLE, peak=9), measured(1, peak=5, repetition=1)])
    assert figures.runs[LAKEHOUSE, FULL, 100].peak_bytes == 9


def test_ratio_of_wall_times():
    figures = Figures([measured(30), measured(20, NAIVE, step=ALL)])
    assert figures.ratio((LAKEHOUSE, FULL, 100), (NAIVE, FULL, 100)) == 1.5
    assert figures.ratio((LAKEHOUSE, FULL, 100), (NAIVE, FULL, 10)) is None


MEASURED = [
    session(4),
    measured(54),
    measured(60, NAIVE_APART),
    measured(40, TOGETHER, step=ALL),
    measured(80, NAIVE, step=ALL),
    measured(90, ON_SPARK),
    measured(27, SINGLE_NODE),
    measured(14, scenario=NEW),
    measured(30, scenario=WITHDRAWN),
    measured(7, scenario=NOTHING),
    session(4, scale=10),
    measured(9, scale=10),
    measured(6, SINGLE_NODE, scale=10),
]


def test_promises_are_judged_at_the_largest_scale():
    found = {limit.promise: (limit.measured, limit.limit, limit.holds) for limit in limits(Figures(MEASURED))}
    assert found == {
        "full run at 100x, a process for each table, against the naive program with as many": (0.9, 0.4, False),
        "full run at 100x, in one process, against the naive program in one": (0.5, 0.7, True),
        "1 % new at 100x, against the naive program's full run": (pytest.approx(14 / 60), 0.2, False),
        "1 % withdrew at 100x, against the naive program's full run": (0.5, 0.4, False),
        "full run at 100x on Spark, a process for each table, against the naive program with as many": (1.5, 1.3, False),
        "full run at 10x, against the trial on one node, which does less": (1.5, 1.8, True),
        "full run at 100x, against the trial on one node, which does less": (2, 1.8, False),
        "nothing new at 100x, against processes that load packages and catalog": (1.75, 1.6, False),
        "peak memory of any job on DuckDB": (1, 2.5, True),
        "full run from 10x to 100x": (6, 13, True),
    }


def test_promises_that_were_not_measured_are_not_made():
    assert [limit.promise for limit in limits(Figures([measured(54)]))] == ["peak memory of any job on DuckDB"]
    assert limits(Figures([measured(54, NAIVE, step=ALL)])) == []


def test_the_report_has_a_row_for_everything_that_was_measured():
    text = report.text(Figures(MEASURED), "Measured somewhere.")
    assert "| full run at 100x, in one process, against the naive program in one | 0.50 times | 0.7 times | yes |" in text
    assert "| nothing new at 100x, against processes that load packages and catalog | 1.75 times | 1.6 times | **no** |" in text
    assert "| 100x | 5,000 | lakehouse on Spark | 90.0 |" in text
    full = "| 100x | 5,000 | lakehouse | 54.0 | 54.0 to 54.0 | 4.0 | 50.0 | 108.0 | 93 | 1,024 | 1 | 2 | 0.0 |"
    assert full in text
    assert "| 100x | 1 % new | 14.0 | 26% | 10.0 | 20.0% | 28.0 | 1,024 | 1 | 2 | 0.0 |" in text
    assert "| `customer_trusted` | 50.0 | 100% | 100.0 | 1,024 | 1 | 2 | 0.0 |  |  |  |" in text
    assert "| `customer_trusted` | 50.0 | 3.0 | 10.0 | 26.0 |" in text


def test_every_row_of_a_table_has_a_cell_for_every_column():
    lines = report.text(Figures(MEASURED), "Measured somewhere.").splitlines()
    for above, line in itertools.pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert line.count("|") == above.count("|"), line


@pytest.mark.parametrize(("load", "warned"), [(0.0, False), (1000.0, True)])
def test_the_report_says_when_other_programs_disturbed_it(load, warned):
    about = report.surroundings("3g", 1, "generated", load)
    assert "driver memory 3g; 1x is data of the project's generator; medians of 1 run." in about
    assert ("these seconds are too many" in about) == warned


def test_the_plot_is_the_same_for_the_same_figures(tmp_path):
    for name in ("one.svg", "two.svg"):
        plot.draw(tmp_path / name, Figures(MEASURED))
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    for label in ("lakehouse, full run", "naive Spark", "1 % new data", "nothing new", "10x", "100x"):
        assert f">{label}<" in drawn
    assert "DuckDB" not in drawn  # it was not measured


def test_only_the_part_between_the_markers_is_replaced():
    document = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.insert(document, "new")
    assert once == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    assert report.insert(once, "new") == once


@pytest.mark.parametrize("document", ["nothing", f"{report.END} {report.BEGIN}", report.BEGIN])
def test_a_document_without_markers_is_an_error(document):
    with pytest.raises(BenchError, match="bench: begin"):
        report.insert(document, "new")


def test_the_committed_page_has_the_markers():
    report.insert((ROOT / "docs" / "performance.md").read_text(), "new")


def test_what_was_written_is_what_is_new_or_changed(tmp_path):
    for name, content in (("old.parquet", "1"), ("rewritten.json", "12")):
        (tmp_path / name).write_text(content)
    before = listing(tmp_path)
    (tmp_path / "deep").mkdir()
    for name, content in (("deep/new.parquet", "1234"), ("rewritten.json", "12345"), (".new.parquet.crc", "x")):
        (tmp_path / name).write_text(content)
    assert difference(before, listing(tmp_path)) == Written(data_files=1, other_files=1, bytes=9)


def test_memory_and_processor_time_are_those_of_the_whole_tree():
    child = "x = bytearray(80_000_000)\nimport time\ntime.sleep(2.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); sum(range(10_000_000)); sys.exit(3)"
    status, cost = measure(lambda: subprocess.Popen([sys.executable, "-c", parent], start_new_session=True), 60)
    assert status == 3
    assert 80_000_000 < cost.peak_bytes < 400_000_000
    assert cost.processor_seconds > 0


def test_a_program_that_takes_too_long_is_ended_with_its_children():
    read, write = os.pipe()
    program = "import subprocess; subprocess.run(['sleep', '600'])"
    start = dict(start_new_session=True, pass_fds=(write,))
    status, _ = measure(lambda: subprocess.Popen([sys.executable, "-c", program], **start), 0.5)
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.read() == b""  # nobody holds the other end any more
    assert status is None


def customer(email, updated, research=None):
    return {"email": email, "lastUpdateDate": updated} | ({} if research is None else {"shareWithResearchAsOfDate": research})


def test_people_withdraw_with_a_newer_record_that_has_no_consent():
    rows = [customer("ann@example.com", 1, 5), customer(" ANN@example.com", 9, 5), customer("ben@example.com", 3)]
    assert withdrawals(rows, 1) == [customer(" ANN@example.com", 10)]


def test_only_people_whose_present_record_has_consent_can_withdraw():
    rows = [customer("ann@example.com", 1, 5), customer("ann@example.com", 2), customer("ben@example.com", 3, 0)]
    with pytest.raises(BenchError, match="1 people are to withdraw their consent, and only 0 gave it"):
        withdrawals(rows, 1)


def test_those_who_withdraw_are_spread_over_all():
    rows = [customer(f"{i:03}@example.com", 1, 5) for i in range(100)]
    assert [row["email"][:3] for row in withdrawals(rows, 4)] == ["000", "025", "050", "075"]


def test_deliveries_can_be_taken_back(tmp_path):
    dataset = Dataset(1, "public", tmp_path / "lake", tmp_path / "new", tmp_path / "withdrawn")
    for part, name in ((dataset.lake, "a.json"), (dataset.new, "b.json.gz"), (dataset.withdrawn, "c.json")):
        file = part / "customer" / "landing" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(gzip.compress(b"{}\n{}\n") if name.endswith(".gz") else b"{}\n")
    dataset.deliver(dataset.new)
    assert dataset.rows() == 3
    dataset.deliver(dataset.withdrawn)
    assert dataset.rows() == 4
    dataset.take_back()
    assert dataset.rows() == 1


def test_generated_data_keeps_one_percent_back(tmp_path):
    dataset = datasets.generate(ROOT, tmp_path, 1)
    before = dataset.rows()
    dataset.deliver(dataset.new)
    assert 0.003 * before < dataset.rows() - before < 0.03 * before
    (withdrawn,) = (dataset.withdrawn / "customer" / "landing").iterdir()
    assert len(withdrawn.read_text().splitlines()) == 10
    assert dataset.origin == "generated"


@pytest.fixture
def public():
    data = datasets.public_data(ROOT)
    if not data:
        pytest.skip("no public data: set STEDI_DATA")
    return data


def test_public_data_is_copied_and_one_percent_more_kept_back(public, tmp_path):
    dataset = datasets.replicate(public, tmp_path, 2)
    assert dataset.rows() == 2 * 110_909
    customers = [json.loads(row) for row in next((dataset.new / "customer" / "landing").iterdir()).open()]
    assert len(customers) == 20
    assert all("+r2@" in row["email"] for row in customers)
    readings = [json.loads(row) for row in next((dataset.new / "accelerometer" / "landing").iterdir()).open()]
    assert {row["user"] for row in readings} == {row["email"] for row in customers}


def test_what_a_job_says_about_its_table_is_found_among_other_lines():
    stdout = 'a warning\n{"table": "customer_trusted", "accepted": 3}\n{"no": "table"}\nbye\n'
    assert ledger_entry(stdout, "a_table")["accepted"] == 3
    with pytest.raises(BenchError, match="a_table printed no ledger entry"):
        ledger_entry("bye", "a_table")


def test_the_rivals_lines_are_read():
    assert said("WARN something\ncustomer_trusted 482 1.25s\ntotal 37.00s\n") == [("customer_trusted", 482, 1.25)]


def test_the_package_holds_contracts_and_sql(tmp_path):
    pack(ROOT / "glue-scripts", tmp_path / "lakehouse.zip")
    names = zipfile.ZipFile(tmp_path / "lakehouse.zip").namelist()
    assert "lakehouse/contracts.json" in names
    assert "lakehouse/engines/duckdb.py" in names
    assert "lakehouse/sql/curated/machine_learning_curated.sql" in names
    assert not [name for name in names if not name.startswith("lakehouse/") or "__pycache__" in name]


@pytest.mark.parametrize("there", [False, True], ids=["made", "used"])
def test_folders_may_have_blanks(tmp_path, there):
    jobs = FolderJobs("", ROOT / ".stedi" / "jars", tmp_path / "my runs", tmp_path / "my classes", "3g")
    if there:
        jobs._archive().parent.mkdir()
        jobs._archive().touch()
    (options,) = [value for value in submitted(jobs, {}) if value.startswith("spark.driver.extraJavaOptions=")]
    (option,) = [part for part in shlex.split(options.partition("=")[2]) if "classes" in part]
    file = jobs._archive() if there else tmp_path / "my runs" / "run" / "scratch" / "classes.jsa"
    assert option == f"-XX:{'SharedArchiveFile' if there else 'ArchiveClassesAtExit'}={file}"


def test_a_job_is_submitted_with_files_in_place_of_s3(tmp_path):
    jobs = FolderJobs("", ROOT / ".stedi" / "jars", tmp_path / "runs", tmp_path / "archives", "3g")
    options = submitted(jobs, {"--extra-py-files": "/a.zip", "--conf": "a=b --conf c=d"})
    assert options[options.index("--driver-memory") + 1] == "3g"
    assert options[options.index("--py-files") + 1] == "/a.zip"
    assert {"a=b", "c=d"} <= {value for key, value in itertools.pairwise(options) if key == "--conf"}
    assert options[-1] == "pyspark-shell"
    assert not [part for part in options if "s3" in part.lower() and "jars" not in part]


def submitted(jobs: FolderJobs, arguments: dict[str, str]) -> list[str]:
    """The options with which a session of a job would start Spark."""
    launch = jobs.prepare("run", "/jobs/a.py", arguments)
    assert launch.command == [sys.executable, "/jobs/a.py", *itertools.chain(*arguments.items())]
    return shlex.split(launch.environment["PYSPARK_SUBMIT_ARGS"])


@pytest.mark.parametrize(("name", "engine"), [(LAKEHOUSE, DUCKDB), (ON_SPARK, SPARK)])
def test_jobs_run_as_they_are_measured(tmp_path, monkeypatch, name, engine):
    """With one of the five: on tables made for it, and on Spark from the classes that the process leaves that runs all."""
    monkeypatch.setattr(contestants, "TABLES", (ONE_TABLE,))
    shutil.copytree(ROOT / "data" / "sample", tmp_path / "lake")
    dataset = Dataset(1, "generated", tmp_path / "lake", tmp_path / "new", tmp_path / "withdrawn")
    jobs = Lakehouse(name, engine, ROOT, dataset, tmp_path / "work", "1g", tmp_path / "classes")
    jobs.prepare()
    assert (tmp_path / "classes").exists() == (engine == SPARK)
    start, step = itertools.islice(jobs.measure(), 2)
    assert (start.step, step.step) == (SESSION, ONE_TABLE)
    assert {start.contestant, step.contestant} == {name}
    assert step.written.data_files > 0
    assert step.landing_rows == dataset.rows()


RIVAL_ROWS = {
    # Consenting records, all their readings and all pairs of equal times: no rule of a date or of a person.
    NAIVE: {"customer_trusted": 482, "accelerometer_trusted": 40_981, "customer_curated": 482},
    # By date, with the readings of customers who have none on the accelerometer.
    LIMIT: contestants.PUBLIC_ROWS,
    SINGLE_NODE: contestants.PUBLIC_ROWS,
}


def made(name, data, out):
    """The rows of the tables that a rival makes, all in one process if it can."""
    program = [sys.executable, str(contestants.RIVALS / f"{name}.py"), str(data), str(out)]
    runs = [[*program, table] for table in TABLES] if name == SINGLE_NODE else [program]
    text = "".join(subprocess.run(run, check=True, capture_output=True, text=True).stdout for run in runs)
    return {table: rows for table, rows, _ in said(text)}


@pytest.mark.parametrize("name", RIVAL_ROWS)
def test_rivals_make_the_tables_of_the_public_data(public, tmp_path, name):
    """They do the same work as the jobs, so far as they do it; without dates of consent the naive program passes more."""
    found = made(name, public, tmp_path / "out")
    assert list(found) == list(TABLES)
    assert found | RIVAL_ROWS[name] == found


@pytest.mark.parametrize("name", [LIMIT, SINGLE_NODE])
def test_rivals_read_compressed_and_damaged_files(tmp_path, name):
    assert all(made(name, ROOT / "data" / "sample", tmp_path / "out").values())


@pytest.mark.parametrize("arguments", [["-n", "0"], ["-scales", "0"], ["-only", "oracle"]])
def test_bad_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        parse(arguments)
    assert arguments[0] in capsys.readouterr().err
