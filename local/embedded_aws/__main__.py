"""Start the embedded AWS on 127.0.0.1: python -m embedded_aws --port PORT --work FOLDER --jars FOLDER

Writes nothing outside the work folder. Stops on SIGTERM, and with it every job that still runs.
"""

import argparse
import os
from pathlib import Path


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="embedded_aws", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--work", type=Path, required=True, help="folder for the logs and scratch files of job runs")
    parser.add_argument("--jars", type=Path, required=True, help="folder with the Spark jars (make spark), if there is one")
    parser.add_argument("--driver-memory", default="2g", help="heap of Spark, in jobs that ask for it (default 2g)")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    work = args.work.resolve()
    # The emulator's temporary files are copies of what is queried.
    temporary = work / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    # The emulator reads its settings from the environment when it is imported.
    os.environ |= {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(args.port),
        "S3_DATA_DIR": str(work / "s3"),
        "TMPDIR": str(temporary),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        # boto3 calls of the adapter itself go to the emulator and nowhere else.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{args.port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        os.environ.pop(name, None)

    # Before the emulator is imported: it reads the switch of its IAM checks then.
    os.environ["AUTH"] = "true"
    from ministack import app

    from embedded_aws import (
        athena_queries,
        glue_jobs,
        iceberg_tables,
        named_queries,
        permissions,
        security_configurations,
        security_groups,
        step_functions,
    )
    from embedded_aws.job_processes import JobProcesses

    processes = JobProcesses(
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        jars=args.jars.resolve(),
        work=work / "runs",
        archives=args.jars.absolute().parent / "class-archives",
        driver_memory=args.driver_memory,
    )
    athena_queries.install()
    glue_jobs.install(processes)
    iceberg_tables.install()
    named_queries.install()
    permissions.install(app)
    security_configurations.install()
    security_groups.install()
    step_functions.install()
    # The emulator parses the command line itself; it has nothing to find there.
    import sys

    sys.argv = sys.argv[:1]
    app.main()


if __name__ == "__main__":
    main()
