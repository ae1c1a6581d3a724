"""What the documentation tells people to type, typed: in a copy of the project, with a lakehouse that a demo has left running.

docs/extending.md is followed to the letter first: its files, its commands, and what it promises. So the other commands meet a
lakehouse with one source more. docs/using.md is followed as an analyst does, with the rights of their role.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import boto3
import pytest
from clients import Clients
from embedded import ROOT, ask, connect

GUIDE = (ROOT / "docs" / "extending.md").read_text()
USING = (ROOT / "docs" / "using.md").read_text()
FILE = re.compile(r"^`([^`]+)`\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = ("make", "npx", "aws", "go", "git", r"\.stedi/dbt/bin/dbt")

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


def blocks(text: str, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of these languages."""
    return [block for language, block in BLOCK.findall(text) if language in languages]


def commands(text: str) -> list[str]:
    """The commands in the fenced blocks of a page, without what is said about them behind a #."""
    lines = [line for block in blocks(text, "", "sh") for line in block.splitlines()]
    stripped = [re.sub(r"\s+#\s.*$", "", line).strip() for line in lines]
    return [line for line in stripped if re.match(rf"(\w+=\S+ )*({'|'.join(PROGRAMS)}) \S", line)]


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
            if made.suffix == ".done" or made.name in ("jars", "checks", "clients", "dbt", "uv", "class-archives"):
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

    def named(self, text: str) -> str:
        """A text of the documentation with the kept demo's outputs in place of their names."""
        outputs = json.loads((self.demo / "outputs.json").read_text())
        for name, value in {name: value for stack in outputs.values() for name, value in stack.items()}.items():
            text = re.sub(rf"\b{name}\b", value, text)
        return text

    def environment(self) -> dict[str, str]:
        """Of whoever asks the kept demo, with the profiles of docs/using.md."""
        (profiles,) = blocks(USING, "ini")
        (self.demo / "profiles").write_text(self.named(profiles))
        endpoint = json.loads((self.demo / "emulator.json").read_text())["endpoint"]
        return {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ENDPOINT_URL_S3": endpoint.replace("localhost", "127.0.0.1"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(self.demo / "profiles"),
            "PYICEBERG_CATALOG__STEDI__S3__ENDPOINT": endpoint,
        }


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
    command = copy.named(command)
    command = re.sub(r"\bSTAGE=dev\b", "STAGE=local", command)
    command = re.sub(r"\bstage=(dev|prod)\b", "stage=local", command)
    command = command.replace("BASE=HEAD~1", "BASE=HEAD")
    environment = copy.environment()
    endpoint = environment["AWS_ENDPOINT_URL"]
    if shlex.split(command)[:2] == ["make", "diff"]:
        copy.commit()
    answer = copy.run(command, **environment)
    if "dbt build" in command:
        made = "select sum(readings) from activity_by_second"
        given = "select count(*) from stedi_local.machine_learning_curated"
        asked = (role_of(copy, "ResearchRoleArn"), "stedi_local_research_scratch", "stedi-local-research")
        assert ask(asked[0], made, *asked[1:])[2] == ask(asked[0], given, *asked[1:])[2]
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


@pytest.fixture(scope="module")
def clients(copy):
    started = Clients(copy.environment())
    yield started
    started.stop()


def role_of(copy, name: str):
    """An Athena client with the rights of one of the roles of docs/using.md, given by its output."""
    endpoint = copy.environment()["AWS_ENDPOINT_URL"]
    taken = connect(endpoint, "sts").assume_role(RoleArn=copy.named(name), RoleSessionName="analyst")["Credentials"]
    return boto3.client(
        "athena",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
    )


@pytest.fixture(scope="module")
def training_set(copy):
    """Columns and rows of machine_learning_curated."""
    athena = connect(copy.environment()["AWS_ENDPOINT_URL"], "athena")
    names, types, rows = ask(athena, "select * from machine_learning_curated", "stedi_local", "stedi-local")
    read = [{"bigint": int, "integer": int, "double": float}.get(one, str) for one in types]
    return [names, sorted([kind(value) for kind, value in zip(read, row, strict=True)] for row in rows)]


@pytest.mark.parametrize("number", range(len(blocks(USING, "python"))))
def test_every_example_ends_with_the_same_frame(copy, clients, training_set, number):
    code = copy.named(blocks(USING, "python")[number])
    assert clients("[list(frame.columns), sorted(frame.astype(object).values.tolist())]", code) == training_set


ROLE = re.compile(r"^\| `(\w+RoleArn)` \| `([\w-]+)` \| (.*?) \| `(\w+)` \|$", re.MULTILINE)


@pytest.mark.parametrize(
    ("role", "workgroup", "listed"), [found[:3] for found in ROLE.findall(USING)], ids=["research", "customers"]
)
def test_a_role_sees_the_tables_that_the_page_says_and_no_others(copy, role, workgroup, listed):
    listing = connect(copy.environment()["AWS_ENDPOINT_URL"], "glue").get_tables(DatabaseName="stedi_local")["TableList"]
    guide = tuple(Path(path).stem for path, _ in FILE.findall(GUIDE) if path.startswith("data/contracts/"))
    athena = role_of(copy, role)
    seen = set()
    for table in {one["Name"] for one in listing} - set(guide):
        try:
            ask(athena, f"select * from {table} limit 1", "stedi_local", workgroup)
            seen.add(table)
        except RuntimeError as refused:
            assert "not authorized" in str(refused), table
    assert seen == set(re.findall(r"`(\w+)`", listed))


@pytest.mark.parametrize(("role", "workgroup", "scratch"), [(*found[:2], found[3]) for found in ROLE.findall(USING)])
def test_a_role_makes_tables_where_the_page_says_and_nowhere_else(copy, role, workgroup, scratch):
    athena = role_of(copy, role)
    made = set()
    for database in {"stedi_local", *(found[3] for found in ROLE.findall(USING))}:
        try:
            ask(athena, f"create table {database}.mine as select 1 as x", database, workgroup)
            ask(athena, "drop table mine", database, workgroup)
            made.add(database)
        except RuntimeError as refused:
            assert "not authorized" in str(refused) or "NOT_SUPPORTED" in str(refused), database
    assert made == {scratch}


ASKED = """
import awswrangler as wr, boto3, pyathena, sqlalchemy
session = boto3.Session(profile_name="stedi-research")
asked = {"database": "stedi_local", "workgroup": "stedi-local-research", "boto3_session": session}
url = "awsathena+rest://@athena.us-east-1.amazonaws.com/stedi_local?work_group=stedi-local-research&profile_name=stedi-research"
engine = sqlalchemy.create_engine(url + "&catalog_name=AwsDataCatalog")
unloaded = {"unload_approach": True, "s3_output": "s3://ResultBucketName/stedi-local-research/kept/"}
"""


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("glue:DeleteTable", "wr.athena.read_sql_query('select * from machine_learning_curated', **asked)"),
        ("glue:GetTable", "wr.athena.read_sql_query('select * from customer_curated', ctas_approach=False, **asked)"),
        (
            "an execution parameter is no SQL value",
            "wr.athena.read_sql_query('select ?', params=['text'], paramstyle='qmark', ctas_approach=False, **asked)",
        ),
        (
            "HIVE_PATH_ALREADY_EXISTS",
            "[wr.athena.read_sql_query('select 1 as x', ctas_approach=False, **unloaded, **asked) for _ in range(2)]",
        ),
        ("athena:ListTableMetadata", "sqlalchemy.inspect(engine).get_table_names()"),
        (
            "athena:StartQueryExecution",
            "pyathena.connect(profile_name='stedi-research', work_group='stedi-local').cursor().execute('select 1')",
        ),
        (
            "athena:GetWorkGroup",
            "wr.athena.read_sql_query('select 1', ctas_approach=False, **asked | {'workgroup': 'stedi-local-customers'})",
        ),
    ],
)
def test_a_failure_has_the_message_that_the_page_explains(copy, clients, message, call):
    assert message in USING
    with pytest.raises(RuntimeError, match=message):
        clients(call, copy.named(ASKED))


def test_a_table_is_reflected_by_its_name(copy, clients):
    call = "sqlalchemy.Table('machine_learning_curated', sqlalchemy.MetaData(), autoload_with=engine).columns.keys()"
    columns = json.loads((ROOT / "data" / "contracts" / "machine_learning_curated.json").read_text())["columns"]
    assert clients(call, copy.named(ASKED)) == [column["name"] for column in columns]


def test_the_kept_demo_is_stopped(copy):
    copy.run("make stop")
    assert not (copy.demo / "emulator.json").exists()
