"""Clients of Athena in the environment that their users have: a Python of its own beside that of the tests, asked line by line.

This file is both ends: the tests import `Clients`, whose process runs the file as a program.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[2] / ".stedi" / "clients"


class Clients:
    """A running Python with the clients, and with this environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [HOME / "bin" / "python", __file__],
            env=os.environ | {"WR_ATHENA_QUERY_WAIT_POLLING_DELAY": "0.1"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, value: str, after: str = "") -> Any:
        """An expression's value, as JSON has it, after some code; RuntimeError with class and message of what either raised."""
        self._process.stdin.write(json.dumps([after, value]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main() -> None:
    for line in sys.stdin:
        after, value = json.loads(line)
        names: dict[str, Any] = {}
        # What is printed must not be taken for an answer.
        with contextlib.redirect_stdout(sys.stderr):
            try:
                exec(after, names)
                answer = {"value": eval(value, names)}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
