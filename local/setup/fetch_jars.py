"""Fetch the jars Spark needs for Iceberg, S3 and the catalog of a local folder into a folder: fetch_jars.py FOLDER

What AWS Glue 6.0 brings itself (Iceberg, an S3 file system) has to be added to the PyPI Spark of a laptop. Spark's own resolver
fetches the coordinates of jars.lock.json; each file must then have the SHA-256 written there. About 125 MB, once.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).with_name("jars.lock.json")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def jar_name(coordinate: str) -> str:
    """The file name of group:artifact:version in a jar folder."""
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def wrong(folder: Path, packages: dict[str, str]) -> list[str]:
    """The coordinates whose jar is absent from the folder or is not the pinned one."""
    paths = {c: folder / jar_name(c) for c in packages}
    return [c for c, want in packages.items() if not paths[c].is_file() or sha256(paths[c]) != want]


def resolve(ivy: Path, packages: dict[str, str], excludes: list[str]) -> subprocess.CompletedProcess[str]:
    """Let Spark's resolver download the packages into ivy/jars. Submitting a script that does nothing is enough for it."""
    script = ivy / "nothing.py"
    script.write_text("")
    conf = {
        "spark.jars.packages": ",".join(packages),
        "spark.jars.excludes": ",".join(excludes),
        "spark.jars.ivy": str(ivy),
        "spark.driver.memory": "512m",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
    }
    flags = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    command = [sys.executable, "-c", "from pyspark.find_spark_home import _find_spark_home as f; print(f())"]
    home = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    env = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_HOME": home}
    submit = [f"{home}/bin/spark-submit", *flags, str(script)]
    return subprocess.run(submit, env=env, capture_output=True, text=True, check=False)


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    lock = json.loads(LOCK.read_text())
    packages: dict[str, str] = lock["packages"]
    if not wrong(folder, packages):
        return
    print(f"fetching {len(packages)} Spark jars (about 113 MB, once)", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        done = resolve(Path(scratch), packages, lock["excludes"])
        for coordinate in packages:
            group, artifact, version = coordinate.split(":")
            fetched = Path(scratch, "jars", f"{group}_{artifact}-{version}.jar")
            if fetched.is_file():
                shutil.move(fetched, folder / jar_name(coordinate))
    if missing := wrong(folder, packages):
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        sys.exit(f"{tail}\nfetch_jars: not fetched, or not with the SHA-256 of {LOCK.name}: {', '.join(missing)}")


if __name__ == "__main__":
    main()
