"""Jobs as processes of their own, on a lake in a folder."""

import os
import signal
import subprocess
import sys

from support import SCRIPTS

# What the script of every job does, and what a test wants to be otherwise in that process.
PROGRAM = """
import sys
{before}
from lakehouse.jobs import main
main()
"""


def start(lake, table, *argv, before="", program=PROGRAM, **environment):
    """Starts the job that makes a table. `before`: Python that is run first."""
    arguments = ["--table", table, "--lake_uri", lake.uri, "--database", lake.database, "--engine", lake.engine, *argv]
    command = [sys.executable, "-c", program.format(before=before), *arguments]
    given = {**os.environ, "PYTHONPATH": str(SCRIPTS), **environment}
    return subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    """Its status, and what it said."""
    out, err = process.communicate()
    return process.returncode, out, err


def run(lake, table, *argv, **how):
    return ended(start(lake, table, *argv, **how))


def kill(process, number=signal.SIGKILL):
    """Ends a process; what it said."""
    process.send_signal(number)
    return ended(process)
