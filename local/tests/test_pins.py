"""What is asked for is what is locked: else a new version would be tested in nobody's environment."""

import re
import tomllib

import pytest
from embedded import ROOT

PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    return {name.lower().replace("_", "-"): version for name, version in PINNED.findall(text)}


def project() -> str:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [document["project"].get("dependencies", []), *document["project"].get("optional-dependencies", {}).values()]
    groups += document.get("dependency-groups", {}).values()
    return "\n".join(name for group in groups for name in group)


@pytest.mark.parametrize(
    ("wanted", "lock"),
    [
        (project(), "requirements.lock"),
        ((ROOT / "local/setup/checks.in").read_text(), "local/setup/checks.lock"),
    ],
    ids=["requirements", "checks"],
)
def test_every_pin_is_in_its_lock(wanted, lock):
    asked, locked = pins(wanted), pins((ROOT / lock).read_text())
    assert asked
    assert {name: locked.get(name) for name in asked} == asked
