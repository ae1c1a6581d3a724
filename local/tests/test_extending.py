"""docs/extending.md followed to the letter, in a copy of the project: its files, its commands, and what it promises."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from embedded import ROOT

GUIDE = (ROOT / "docs" / "extending.md").read_text()
FILE = re.compile(r"^`([^`]+)`\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project as it is committed or about to be, with the files of the guide; what was installed is shared."""
    folder = tmp_path_factory.mktemp("extended") / "project"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for path, text in FILE.findall(GUIDE):
        assert not (folder / path).exists(), f"{path} is there already"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for shared in (".venv", "node_modules"):
        (folder / shared).unlink(missing_ok=True)
        (folder / shared).symlink_to(ROOT / shared)
    (folder / ".stedi").mkdir()
    for made in (ROOT / ".stedi").iterdir():
        if made.suffix == ".done" or made.name == "jars":
            (folder / ".stedi" / made.name).symlink_to(made)
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    return folder


def run(folder: Path, command: str) -> str:
    environment = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_the_guide_as_it_is_written(copy):
    commands = [line.strip() for block in COMMANDS.findall(GUIDE) for line in block.splitlines()]
    # What `make lint` and `make test` do with the new files, without all the rest that they do in the project itself.
    instead = {
        "make lint": "sqlfluff lint glue-scripts/sql",
        "make test": "go test ./internal/... ./stacks && python -m pytest -q glue-scripts/tests/test_contracts.py",
        "git diff --stat stacks/testdata": "true",  # the copy has no history
    }
    assert set(instead) < set(commands)
    output = {}
    for command in commands:
        path = f"export PATH={copy}/node_modules/.bin:{copy}/.venv/bin:$PATH; "
        output[command] = run(copy, path + instead.get(command, command))
    (promise,) = re.findall(r"^> `(.*)`$", GUIDE, re.MULTILINE)
    lines = output["make demo"].splitlines()
    job = next(place for place, line in enumerate(lines) if "heart_rate_landing_to_trusted" in line)
    assert promise in lines[job + 1]
    frozen = (copy / "stacks/testdata/frozen-tables.json").read_text()
    assert {"HeartRateTrusted", "HeartRateCurated", "HeartRateIndex", "HeartRateQuarantine"} <= set(
        re.findall(r"HeartRate\w+", frozen)
    )


def test_a_personal_column_in_it_is_refused_at_synth(copy):
    select = copy / "glue-scripts/sql/curated/heart_rate_curated.sql"
    before = select.read_text()
    select.write_text(before.replace("heart_rate_trusted.bpm,", "length(heart_rate_trusted.`user`) as bpm,"))
    try:
        command = ["go", "run", "."]
        refused = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, env={**os.environ, "CDK_CONTEXT_JSON": context(copy)}
        )
    finally:
        select.write_text(before)
    assert refused.returncode == 1
    assert "sql/curated/heart_rate_curated.sql: column bpm carries personal data (heart_rate_trusted.user)" in refused.stderr


def context(folder: Path) -> str:
    """The context as the CDK CLI hands it to the app."""
    return json.dumps(json.loads((folder / "cdk.json").read_text())["context"])
