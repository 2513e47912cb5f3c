"""A program of another environment that is asked a line at a time, since its start takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ANSWER = "the answer is "


class Driven:
    """Code that answers each line of its input: `ANSWER`, then JSON. `log` is what else it wrote."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.log = ""

    def ask(self, question: Any) -> Any:
        """The answer to a question; AssertionError, with what the program wrote, if it ends without one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        self.log = ""
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
            self.log += line
        raise AssertionError(self.log)


@contextmanager
def driven(
    python: Path, code: str, *arguments: Path, folder: Path, **environment: str
) -> Iterator[Driven]:
    """Run code with an interpreter, in a folder, until the end of the block."""
    # What is on this interpreter's path must not be found by the other one.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        [python, "-c", code, *arguments],
        cwd=folder,
        env={**kept, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            yield Driven(process)
        finally:
            process.kill()
