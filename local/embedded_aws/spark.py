"""Turns one run of a Glue job into a spark-submit on this machine, as near to the job's definition as a laptop allows.

Taken over from the definition: script, --extra-py-files, --conf, every argument. Replaced: the master (local[2] for the workers),
the endpoints and credentials of S3 and of the Glue catalog, the scratch folders. Added: the jars that Glue brings itself.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import boto3

# Environment of a job: nothing of the caller's environment but what Java and Python need to start.
_KEPT = ("PATH", "HOME", "JAVA_HOME", "LANG", "TMPDIR")
_FROM_ENVIRONMENT = "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider"


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
class LocalSpark:
    """Where and with what job runs are started. Every run gets the folder work/<run id>."""

    endpoint: str
    jars: Path
    work: Path
    archives: Path
    driver_memory: str = "2g"

    def command(self, run_id: str, script_location: str, arguments: dict[str, str]) -> list[str]:
        """Fetch script and packages from the emulated S3 and return the spark-submit command of the run.

        Raises BadDefinition when the script or a package is not there.
        """
        folder = self.work / run_id
        folder.mkdir(parents=True)
        script = self._fetch(script_location, folder)
        packages = [self._fetch(p, folder) for p in arguments.get("--extra-py-files", "").split(",") if p]
        conf = parse_conf(arguments.get("--conf", ""))
        conf |= self._local_conf(conf, folder)
        command = [str(_spark_home() / "bin" / "spark-submit"), "--master", "local[2]"]
        command += ["--driver-memory", self.driver_memory]
        if packages:
            command += ["--py-files", ",".join(map(str, packages))]
        for key, value in conf.items():
            command += ["--conf", f"{key}={value}"]
        command.append(str(script))
        for key, value in arguments.items():
            command += [key, value]
        return command

    def start(self, run_id: str, command: list[str], credentials: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start the command in a process group of its own, with the credentials of a run in its environment; its output goes to
        stdout.log and stderr.log of the run's folder."""
        folder = self.work / run_id
        with (folder / "stdout.log").open("wb") as out, (folder / "stderr.log").open("wb") as err:
            return subprocess.Popen(
                command,
                env=self._environment() | (credentials or {}),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def finish(self, run_id: str, succeeded: bool) -> None:
        """Keep the class archive of a run that made one, and remove its scratch files; its logs stay."""
        made = self.work / run_id / "classes.jsa"
        if made.exists() and succeeded:
            self.archives.mkdir(parents=True, exist_ok=True)
            made.replace(self._archive())
        made.unlink(missing_ok=True)
        shutil.rmtree(self.work / run_id / "scratch", ignore_errors=True)

    def _archive(self) -> Path:
        """The class archive for this Java, this Spark and these jars; Java uses it only with the jars in the same place."""
        version = subprocess.run([java(), "-version"], capture_output=True, text=True, check=True).stderr
        jars = sorted((jar.name, jar.stat().st_mtime_ns) for jar in self.jars.glob("*.jar"))
        return self.archives / f"{hashlib.sha256(f'{version}{_spark_home()}{self.jars}{jars}'.encode()).hexdigest()[:16]}.jsa"

    def _class_archive_option(self, folder: Path) -> str:
        """Start from the archive of loaded classes that an earlier run left, or leave one: it halves the start of a driver.

        In quotes: Spark parts the options at blanks, and the project's folder may have some.
        """
        archive = self._archive()
        if archive.exists():
            return f'"-XX:SharedArchiveFile={archive}" -Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off'
        return f'"-XX:ArchiveClassesAtExit={folder / "classes.jsa"}" -Xlog:cds=off -Xlog:cds+dynamic=off'

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

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        python = {"PYSPARK_PYTHON": sys.executable, "PYTHONUNBUFFERED": "1", "SPARK_HOME": str(_spark_home())}
        return kept | aws | python | {"SPARK_LOCAL_IP": "127.0.0.1"}

    def _driver_conf(self, folder: Path) -> dict[str, str]:
        """What every driver on this machine needs, whatever it reads from."""
        scratch = folder / "scratch"
        return {
            "spark.driver.extraClassPath": f"{self.jars}/*",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.local.dir": str(scratch),
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        }

    def _local_conf(self, conf: dict[str, str], folder: Path) -> dict[str, str]:
        scratch = folder / "scratch"
        local = self._driver_conf(folder) | {
            # On Glue s3:// is EMRFS; on a laptop it is Hadoop's S3A.
            "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
            "spark.hadoop.fs.s3a.endpoint": self.endpoint,
            "spark.hadoop.fs.s3a.endpoint.region": os.environ["AWS_REGION"],
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.aws.credentials.provider": _FROM_ENVIRONMENT,
            "spark.hadoop.fs.s3a.buffer.dir": str(scratch),
        }
        # Little data and short runs: Java's second compiler would take longer than it saves.
        quick = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
        options = [conf.get("spark.driver.extraJavaOptions", ""), quick, self._class_archive_option(folder)]
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


def _spark_home() -> Path:
    import pyspark

    return Path(pyspark.__file__).parent


def java() -> str:
    """The Java that Spark takes."""
    home = os.environ.get("JAVA_HOME")
    return f"{home}/bin/java" if home else "java"
