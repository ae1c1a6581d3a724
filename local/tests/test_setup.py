"""Each target of the Makefile installs what it needs and no more, with the settings that the user has."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from embedded import ROOT

FILES = ("Makefile", "package-lock.json", "go.sum", "local/setup")
UV, PYTHON, NODE, GO = "uv.done", "python.done", "node.done", "go.done"
SPARK, JARS, TESTS, LINT = "spark.done", "jars.done", "tests.done", "lint.done"
NODE_TOOLS, CHECKS = "node-tools.done", "checks.done"
CLIENTS = {"clients.done", "dbt.done"}
CDK = {UV, PYTHON, NODE}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which nothing is installed, with the files that make looks at."""
    folder = tmp_path_factory.mktemp("bare") / "project"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("demo", CDK | {GO}),
        ("cdk", CDK),
        ("synth", CDK),
        ("diff", CDK),
        ("destroy-plan", CDK),
        ("golden", CDK),
        ("stop", set()),
        ("query", set()),
        ("report", {NODE}),
        ("spark", {UV, PYTHON, SPARK, JARS}),
        ("clients", {UV} | CLIENTS),
        ("bench", {UV, PYTHON, SPARK, JARS, TESTS}),
        ("lint", CDK | {LINT}),
        ("checks", CDK | {LINT, CHECKS, NODE_TOOLS}),
        ("test", CDK | CLIENTS | {SPARK, JARS, TESTS, LINT, CHECKS, NODE_TOOLS}),
        ("lock", {UV}),
    ],
)
def test_a_target_installs_what_it_needs(bare: Path, target: str, parts: set[str]) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    dry = subprocess.run(["make", "--dry-run", target], cwd=bare, env=environment, check=True, capture_output=True, text=True)
    assert {word.removeprefix(".stedi/") for word in dry.stdout.split() if word.endswith(".done")} == parts


def test_uv_goes_by_what_pip_is_set_to(tmp_path: Path) -> None:
    tools = tmp_path / ".stedi" / "uv" / "bin"
    tools.mkdir(parents=True)
    (tmp_path / "local" / "setup").mkdir(parents=True)
    wrapper = shutil.copy2(ROOT / "local/setup/uv", tmp_path / "local/setup/uv")
    settings = f"""
        :env:.cert='/a/cert.pem'
        :env:.find-links='{tmp_path / "none"} https://wheels.example {tmp_path}'
        global.cert='/another/cert.pem'
        global.index-url='https://index.example/simple'
    """
    lines = "\n".join(line.strip() for line in settings.strip().splitlines())
    for name, text in (("python", f"cat <<'EOF'\n{lines}\nEOF"), ("uv", 'env; echo "$@"')):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    found = subprocess.run(
        [wrapper, "pip", "a b"], env={"PATH": os.environ["PATH"]}, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert found[-1] == "pip a b"
    assert "SSL_CERT_FILE=/a/cert.pem" in found
    assert "UV_DEFAULT_INDEX=https://index.example/simple" in found
    assert f"UV_FIND_LINKS=https://wheels.example,{tmp_path}" in found
    own = {"PATH": os.environ["PATH"], "UV_DEFAULT_INDEX": "https://own.example"}
    assert "UV_DEFAULT_INDEX=https://own.example" in subprocess.check_output([wrapper], env=own, text=True).splitlines()
