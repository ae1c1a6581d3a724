"""The report's page in headless Chromium: of a run that succeeded, of one that failed, and of one about which little is known."""

import json
import re
import subprocess
from pathlib import Path

import browser
import pytest
from embedded import ROOT

SAVED = ROOT / "internal" / "report" / "testdata"


@pytest.fixture
def page(tmp_path: Path):
    """Writes the page of a report given as JSON."""

    def write(report: dict) -> Path:
        saved = tmp_path / "saved.json"
        saved.write_text(json.dumps(report))
        subprocess.run(
            ["go", "run", "./tools/report", "-from", saved, "-out", tmp_path], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        assert json.loads((tmp_path / "report.json").read_text()) == report
        return tmp_path / "report.html"

    return write


def saved(name: str) -> dict:
    return json.loads((SAVED / f"{name}.json").read_text())


def charts(seen: dict) -> set[str]:
    return {chart["id"] for chart in seen["views"][0]["charts"]}


def test_a_run_that_succeeded(page) -> None:
    report = saved("succeeded")
    seen = browser.check(page(report), "succeeded")
    assert charts(seen) == {"funnel-chart", "quarantine-chart", "jobs-chart"}
    text = seen["text"]
    for job in report["jobs"]:
        engine = next(funnel["engine"] for funnel in report["funnels"] if funnel["run_id"] == job["run_id"])
        assert re.search(rf"{job['name']}\s+succeeded\s+on {engine}\s", text), job["name"]
    for funnel in report["funnels"]:
        assert f"{funnel['accepted']:,} of {funnel['read']:,}" in text or not funnel["read"]
    for entry in report["quarantine"]:
        assert entry["file"] in text
    assert "2 people: who has sent a record that may be newer" in text
    for ignored in report["funnels"][0]["ignored"]:
        assert ignored["example"] in text
    assert "read = accepted + excluded + quarantined" in text
    assert "not started" not in text
    assert "did not succeed" not in text


def test_a_run_that_failed(page) -> None:
    report = saved("failed")
    seen = browser.check(page(report), "failed")
    assert charts(seen) == {"jobs-chart"}
    text = seen["text"]
    assert "The run did not succeed" in text
    assert report["jobs"][0]["message"] in text
    # A job that did not run never looks as if it had.
    assert "succeeded" not in text
    assert "passed" not in text
    for job in report["jobs"][1:]:
        assert re.search(rf"{job['name']}\s+not started", text), job["name"]


def test_a_run_about_which_little_is_known(page) -> None:
    report = saved("failed")
    report |= {"tables": [], "versions": [], "checks": [], "missing": ["tables of the catalog: <b>AccessDenied</b>"]}
    seen = browser.check(page(report), "little-known")
    assert "tables of the catalog: <b>AccessDenied</b>" in seen["text"]
    assert "Nothing is in quarantine" not in seen["text"]
