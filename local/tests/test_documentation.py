"""What the documentation tells people to type, typed: in a copy of the project, with a lakehouse that a demo has left running.

docs/extending.md is followed to the letter first: its files, its commands, and what it promises. So the other commands meet a
lakehouse with one source more.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from embedded import ROOT, connect

GUIDE = (ROOT / "docs" / "extending.md").read_text()
FILE = re.compile(r"^`([^`]+)`\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = ("make", "npx", "aws", "go", "git")

# Commands of the documentation that something else runs, and what. All others are run here.
ELSEWHERE = {
    "make demo": "test_end_to_end.py, and here with KEEP=1",
    "make demo DATA=data/generated": "test_end_to_end.py, with other data",
    "make test": "runs this",
    "make lint": ".ci/run",
    "make golden": "test_the_guide",
    "make erase STAGE=prod": "tools/erase, with a lakehouse in memory: it asks for somebody",
    "make erasure-proof STAGE=prod REQUEST=2026-11-27-1a2b3c4d": "tools/erase, with a lakehouse in memory",
    "make stop": "test_the_kept_demo_is_stopped",
    "git diff --stat stacks/testdata": "only shows",
    "npx cdk bootstrap": "the demo runs it",
    "npx cdk deploy --all -c stage=dev": "the demo runs it, for stage local",
    "npx cdk deploy --all -c stage=prod": "the demo runs it, for stage local",
    "npx cdk destroy --all -c stage=dev": "make stop runs it, for stage local",
    "npx cdk deploy --all -c stage=prod -c dataRemoval=delete -c allowDataRemoval=stedi": "internal/config tests the switches",
    "npx cdk destroy --all -c stage=prod -c dataRemoval=delete -c allowDataRemoval=stedi": "tools/destroyplan says what it does",
    "make diff": "tools/review, and here with BASE=HEAD",
    "make diff DEPLOYED=1 STAGE=prod": "test_end_to_end.py, for stage local",
    "go run ./data/generator -people 100000 -seed 1 -out data/generated": "data/generator",
    "go run ./data/generator -people 1000 -deliveries 10 -out data/generated": "data/generator",
    "go run ./data/generator -people 60 -readings 20 -seed 1 -files 3 -out data/sample -force": "data/generator",
}


def commands(text: str) -> list[str]:
    """The commands in the fenced blocks of a page, without what is said about them behind a #."""
    lines = [line for language, block in BLOCK.findall(text) if language in ("", "sh") for line in block.splitlines()]
    stripped = [re.sub(r"\s+#\s.*$", "", line).strip() for line in lines]
    return [line for line in stripped if re.match(rf"({'|'.join(PROGRAMS)}) \S", line)]


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "data" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def documented() -> list[str]:
    found = [command for page in PAGES for command in commands(page.read_text())]
    return list(dict.fromkeys(found))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


class Copy:
    """A copy of the project's files as they are now, with its history of one commit; what was installed is shared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
            if (ROOT / name).is_symlink() or (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
        for shared in (".venv", "node_modules"):
            (folder / shared).symlink_to(ROOT / shared)
        (folder / ".stedi").mkdir()
        for made in (ROOT / ".stedi").iterdir():
            if made.suffix == ".done" or made.name in ("jars", "checks", "uv", "class-archives"):
                (folder / ".stedi" / made.name).symlink_to(made)
        self.run("git init -q . && printf '.venv\\nnode_modules\\n' >> .git/info/exclude")
        self.commit()

    def commit(self) -> None:
        self.run("git add -A && git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m changes")

    def run(self, command: str, **environment: str) -> str:
        path = f"{self.folder}/node_modules/.bin:{self.folder}/.venv/bin:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "AWS_EC2_METADATA_DISABLED": "true", **environment}
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    @property
    def demo(self) -> Path:
        return self.folder / ".stedi" / "demo"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    made = Copy(tmp_path_factory.mktemp("copy") / "project")
    yield made
    if (made.demo / "emulator.json").exists():
        made.run("make clean")


def test_every_command_is_run_somewhere():
    unknown = set(ELSEWHERE) - set(documented())
    assert not unknown, f"no page names {unknown} any more"
    assert len(documented()) > len(ELSEWHERE)


def test_the_guide(copy):
    for path, text in FILE.findall(GUIDE):
        # There already, as it is here, where somebody has followed the guide in the project itself.
        assert not (copy.folder / path).exists() or (copy.folder / path).read_text() == text, f"{path} is another one"
        (copy.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (copy.folder / path).write_text(text)
    # What `make lint` and `make test` do with the new files, without all the rest that they do in the project itself.
    instead = {
        "make lint": "sqlfluff lint glue-scripts/sql",
        "make test": "go test ./internal/... ./stacks ./local/demo && python -m pytest -q glue-scripts/tests/test_contracts.py",
    }
    output = {}
    for command in commands(GUIDE):
        if command != "make stop":  # the tests below need the demo
            output[command] = copy.run(instead.get(command, command))
    assert set(instead) < set(output)
    (promise,) = re.findall(r"^> `(.*)`$", GUIDE, re.MULTILINE)
    lines = output["make demo KEEP=1"].splitlines()
    job = next(place for place, line in enumerate(lines) if "heart_rate_landing_to_trusted" in line)
    assert promise in lines[job + 1]
    grid = next(line for line in lines if line.split()[:1] == ["heart_rate"])
    assert grid.split()[1:] == ["6", "2", "2", "0"]
    assert len(output["make query SQL='select * from heart_rate_curated'"].splitlines()) >= 2
    report = json.loads((copy.demo / "report.json").read_text())
    assert "heart_rate_trusted" in {funnel["table"] for funnel in report["funnels"]}
    frozen = json.loads((copy.folder / "stacks/testdata/frozen-tables.json").read_text())
    assert {f"HeartRate{zone}" for zone in ("Trusted", "Curated", "Index", "Quarantine")} < set(frozen)


def test_a_personal_column_is_refused_at_synth(copy):
    select = copy.folder / "glue-scripts/sql/curated/heart_rate_curated.sql"
    before = select.read_text()
    select.write_text(before.replace("heart_rate_trusted.bpm,", 'length(heart_rate_trusted."user") as bpm,'))
    context = json.dumps(json.loads((copy.folder / "cdk.json").read_text())["context"])
    try:
        environment = {**os.environ, "CDK_CONTEXT_JSON": context}
        refused = subprocess.run(["go", "run", "."], cwd=copy.folder, capture_output=True, text=True, env=environment)
    finally:
        select.write_text(before)
    assert refused.returncode == 1
    assert "sql/curated/heart_rate_curated.sql: column bpm carries personal data (heart_rate_trusted.user)" in refused.stderr


@pytest.mark.parametrize("command", [one for one in documented() if one not in ELSEWHERE and one not in commands(GUIDE)])
def test_command(copy, command):
    """As documented, for stage local in place of another, and with the outputs in place of their names."""
    state = json.loads((copy.demo / "emulator.json").read_text())
    outputs = json.loads((copy.demo / "outputs.json").read_text())
    for name, value in {name: value for stack in outputs.values() for name, value in stack.items()}.items():
        command = re.sub(rf"\b{name}\b", value, command)
    command = re.sub(r"\bSTAGE=dev\b", "STAGE=local", command)
    command = re.sub(r"\bstage=(dev|prod)\b", "stage=local", command)
    command = command.replace("BASE=HEAD~1", "BASE=HEAD")
    endpoint = state["endpoint"]
    environment = {"AWS_ENDPOINT_URL": endpoint, "AWS_ENDPOINT_URL_S3": endpoint.replace("localhost", "127.0.0.1")}
    environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    if shlex.split(command)[:2] == ["make", "diff"]:
        copy.commit()
    answer = copy.run(command, **environment)
    if "start-execution" in command:
        ended = wait(
            lambda: connect(endpoint, "stepfunctions").describe_execution(executionArn=json.loads(answer)["executionArn"]),
            "status",
        )
        assert ended == "SUCCEEDED"
    if "start-job-run" in command:
        run = {"JobName": "accelerometer_landing_to_trusted", "RunId": json.loads(answer)["JobRunId"]}
        assert wait(lambda: connect(endpoint, "glue").get_job_run(**run)["JobRun"], "JobRunState") == "SUCCEEDED"


def wait(ask, key: str) -> str:
    """The state of what was started, once it has ended."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        state = ask()[key]
        if state not in ("RUNNING", "STARTING", "STOPPING", "WAITING"):
            return state
        time.sleep(1)
    raise TimeoutError(f"still {state}")


def test_the_kept_demo_is_stopped(copy):
    copy.run("make stop")
    assert not (copy.demo / "emulator.json").exists()
