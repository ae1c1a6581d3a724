"""Turns one run of a Glue job into a Python process on this machine, as near to the job's definition as a laptop allows.

Taken over from the definition: script, --extra-py-files, every argument, and --conf for a script that asks for a Spark session.
Replaced: the endpoints and credentials of AWS, Spark's master (local[2] for the workers), the scratch folders. Added: the jars
that Glue brings itself. Spark's settings wait in the environment, where PySpark looks for them when a script makes a session; a
script that makes none needs no PySpark, no jars and no Java.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import boto3

# Environment of a job: nothing of the caller's environment but what Java and Python need to start.
_KEPT = ("PATH", "HOME", "JAVA_HOME", "LANG")
_FROM_ENVIRONMENT = "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider"
# How a line begins that says what is missing here, and not in the job.
EXPLAINS = "embedded AWS: "
_CLASSES_SECONDS = 60  # Java takes a few to write down its classes
_KILLED_SECONDS = 5


class BadDefinition(Exception):
    """The job's definition cannot be run, and why."""


def parse_conf(chained: str) -> dict[str, str]:
    """Glue's one --conf argument, "a=b --conf c=d", as a dict."""
    pairs = {}
    for setting in re.split(r"\s+--conf\s+", chained.strip()):
        if not setting:
            continue
        key, equals, value = setting.partition("=")
        if not equals:
            raise BadDefinition(f"--conf holds {setting!r}, expected key=value")
        pairs[key.strip()] = value.strip()
    return pairs


@dataclass(frozen=True)
class Launch:
    """What starts a run: a command, and the environment it has beside the credentials."""

    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class JobProcesses:
    """Where and with what job runs are started. Every run gets the folder work/<run id>. `jars` need not be there."""

    endpoint: str
    jars: Path
    work: Path
    archives: Path
    driver_memory: str = "2g"

    def prepare(self, run_id: str, script_location: str, arguments: dict[str, str]) -> Launch:
        """Fetch script and packages from the emulated S3.

        Raises BadDefinition when the script or a package is not there, or --conf cannot be read.
        """
        folder = self.work / run_id
        self._scratch(run_id).mkdir(parents=True)
        script = self._fetch(script_location, folder)
        packages = [self._fetch(p, folder) for p in arguments.get("--extra-py-files", "").split(",") if p.strip()]
        command = [sys.executable, str(script)]
        for key, value in arguments.items():
            command += [key, value]
        conf = parse_conf(arguments.get("--conf", ""))
        return Launch(command, self._environment(run_id, packages) | self._for_spark(run_id, conf, packages))

    def start(self, run_id: str, launch: Launch, credentials: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a run in a process group of its own, with its credentials in the environment; its output goes to stdout.log and
        stderr.log of the run's folder."""
        folder = self.work / run_id
        with (folder / "stdout.log").open("wb") as out, (folder / "stderr.log").open("wb") as err:
            fcntl.flock(err, fcntl.LOCK_SH)  # held until the last one who can write has ended
            return subprocess.Popen(
                launch.command,
                env=launch.environment | (credentials or {}),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def wait_for_classes(self, run_id: str) -> None:
        """After a script that succeeded: let its Java leave the class archive, if it is to leave one and was started at all.

        Java lives on for a moment when the script has ended; whoever does not want the archive can end it.
        """
        if not self._archive().exists():
            self._wait_for_end(run_id, _CLASSES_SECONDS)

    def finish(self, run_id: str, succeeded: bool) -> None:
        """Of a run that was ended: keep the class archive, if it made one, and remove its scratch files; its logs stay."""
        self._wait_for_end(run_id, _KILLED_SECONDS)
        made = self._scratch(run_id) / "classes.jsa"
        if made.exists() and succeeded:
            self.archives.mkdir(parents=True, exist_ok=True)
            made.replace(self._archive())
        shutil.rmtree(self._scratch(run_id), ignore_errors=True)

    def _wait_for_end(self, run_id: str, seconds: float) -> None:
        """Until no process can write to the run's standard error any more."""
        file = self.work / run_id / "stderr.log"
        if not file.exists():
            return
        deadline = time.monotonic() + seconds
        with file.open("rb") as log:
            while time.monotonic() < deadline:
                try:
                    return fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.02)

    def _scratch(self, run_id: str) -> Path:
        return self.work / run_id / "scratch"

    def _archive(self) -> Path:
        """The class archive for this Java, this Spark and these jars; Java uses it only with the jars in the same place.

        Java's version is read and not asked for: most runs need no Java, and one that starts for its version is one too many.
        """
        found = Path(shutil.which(java()) or "java").resolve()
        release = found.parent.parent / "release"
        version = release.read_text() if release.is_file() else ""
        changed = found.stat().st_mtime_ns if found.is_file() else 0
        jars = sorted((jar.name, jar.stat().st_mtime_ns) for jar in self.jars.glob("*.jar"))
        key = f"{found}{changed}{version}{spark_home()}{self.jars}{jars}"
        return self.archives / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsa"

    def _class_archive_option(self, run_id: str) -> str:
        """Start from the archive of loaded classes that an earlier run left, or leave one: it halves the start of a driver.

        In quotes: Spark parts the options at blanks, and the project's folder may have some.
        """
        archive = self._archive()
        if archive.exists():
            return f'"-XX:SharedArchiveFile={archive}" -Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off'
        return f'"-XX:ArchiveClassesAtExit={self._scratch(run_id) / "classes.jsa"}" -Xlog:cds=off -Xlog:cds+dynamic=off'

    def _fetch(self, location: str, folder: Path) -> Path:
        url = urlparse(location.strip())
        if url.scheme != "s3":
            raise BadDefinition(f"{location!r} is not an s3:// location")
        target = folder / Path(url.path).name
        try:
            boto3.client("s3", endpoint_url=self.endpoint).download_file(url.netloc, url.path.lstrip("/"), str(target))
        except Exception as error:
            raise BadDefinition(f"{location} cannot be read: {error}") from error
        return target

    def _environment(self, run_id: str, packages: list[Path]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        if self.endpoint:
            # boto3 goes by these; a script hands the second on to PyArrow's S3, which does not.
            aws |= {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ENDPOINT_URL_S3": self.endpoint}
        python = {
            "PYTHONPATH": os.pathsep.join(map(str, packages)),
            "PYTHONSAFEPATH": "1",  # what lies in the run's folder hides no module
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self._scratch(run_id)),
        }
        return kept | aws | python

    def _for_spark(self, run_id: str, conf: dict[str, str], packages: list[Path]) -> dict[str, str]:
        """What PySpark reads when a script asks for a session: where Spark is, and the options of spark-submit."""
        home = spark_home()
        if home is None:
            return {}
        options = ["--master", "local[2]", "--driver-memory", self.driver_memory]
        if packages:
            options += ["--py-files", ",".join(map(str, packages))]
        for key, value in (conf | self._local_conf(conf, run_id)).items():
            options += ["--conf", f"{key}={value}"]
        if missing := self._missing():
            home = _refusing_spark(self._scratch(run_id) / "spark", missing)
        return {
            "SPARK_HOME": str(home),
            "PYSPARK_SUBMIT_ARGS": shlex.join([*options, "pyspark-shell"]),
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def _missing(self) -> str:
        if shutil.which(java()) is None:
            return f"{java()} is not there: install Java 17, then run `make spark`"
        if not any(self.jars.glob("*.jar")):
            return f"no jars in {self.jars}: run `make spark`"
        return ""

    def _driver_conf(self, run_id: str) -> dict[str, str]:
        """What every driver on this machine needs, whatever it reads from."""
        scratch = self._scratch(run_id)
        return {
            "spark.driver.extraClassPath": f"{self.jars}/*",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": str(scratch),
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        }

    def _java_options(self, run_id: str) -> str:
        """Java ends with its script, by force: what it would take away itself at its end lies in the scratch folder."""
        return f'"-Djava.io.tmpdir={self._scratch(run_id)}" -XX:-UsePerfData {self._class_archive_option(run_id)}'

    def _local_conf(self, conf: dict[str, str], run_id: str) -> dict[str, str]:
        local = self._driver_conf(run_id) | {
            # On Glue s3:// is EMRFS; on a laptop it is Hadoop's S3A.
            "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
            "spark.hadoop.fs.s3a.endpoint": self.endpoint,
            "spark.hadoop.fs.s3a.endpoint.region": os.environ["AWS_REGION"],
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.aws.credentials.provider": _FROM_ENVIRONMENT,
            "spark.hadoop.fs.s3a.buffer.dir": str(self._scratch(run_id)),
        }
        # Little data and short runs: Java's second compiler would take longer than it saves.
        quick = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
        options = [conf.get("spark.driver.extraJavaOptions", ""), quick, self._java_options(run_id)]
        local["spark.driver.extraJavaOptions"] = " ".join(options).strip()
        for key in conf:
            if re.fullmatch(r"spark\.sql\.catalog\.\w+", key):
                local |= {
                    f"{key}.glue.endpoint": self.endpoint,
                    f"{key}.s3.endpoint": self.endpoint,
                    f"{key}.s3.path-style-access": "true",
                    f"{key}.client.region": os.environ["AWS_REGION"],
                }
        return local


def _refusing_spark(home: Path, reason: str) -> Path:
    """A Spark in name only, which says why there is none when it is started."""
    submit = home / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(f"#!/bin/sh\necho {shlex.quote(EXPLAINS + reason)} >&2\nexit 1\n")
    submit.chmod(0o755)
    return home


def spark_home() -> Path | None:
    """Where PySpark is, without loading it; None if it is not installed."""
    found = importlib.util.find_spec("pyspark")
    return Path(found.origin).parent if found and found.origin else None


def java() -> str:
    """The Java that Spark takes."""
    home = os.environ.get("JAVA_HOME")
    return f"{home}/bin/java" if home else "java"
