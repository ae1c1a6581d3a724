"""What is asked for is what is locked: else a new version would be tested in nobody's environment."""

import re
import tomllib

import pytest
from embedded import ROOT

PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    return {name.lower().replace("_", "-"): version for name, version in PINNED.findall(text)}


GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
INPUTS = {name: "\n".join(wanted) for name, wanted in GROUPS.items()} | {
    name: (ROOT / f"local/setup/{name}.in").read_text() for name in ("checks", "clients", "dbt", "uv")
}


def locked(name: str) -> dict[str, str]:
    return pins((ROOT / f"local/setup/{name}.lock").read_text())


@pytest.mark.parametrize("name", INPUTS)
def test_every_pin_is_in_its_lock(name):
    asked = pins(INPUTS[name])
    assert asked
    assert {package: locked(name).get(package) for package in asked} == asked


def test_what_is_added_to_the_environment_of_the_demo_changes_nothing_in_it():
    together: dict[str, str] = {}
    for name in GROUPS:
        for package, version in locked(name).items():
            assert together.setdefault(package, version) == version, f"{package} of {name}"


def test_the_demo_needs_neither_spark_nor_tools():
    assert not {"pyspark", "py4j", "pytest", "ruff", "awscli", "matplotlib", "cfn-lint"} & set(locked("demo"))


@pytest.mark.parametrize("name", ["clients", "dbt"])
def test_the_page_for_users_names_the_versions_that_were_tried(name):
    page = (ROOT / "docs" / "using.md").read_text().lower()
    core = {"dbt-core"}  # comes with its adapter
    assert [one for one, version in pins(INPUTS[name]).items() if one not in core and f"{one} {version}" not in page] == []
