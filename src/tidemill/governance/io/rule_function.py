"""Call a function of a rule in a process of its own, which ends when it takes too long."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from tidemill.core.errors import describe_error
from tidemill.core.python_command import inherited_path, python_module
from tidemill.governance.policy import RuleFunctionError
from tidemill.ledger.access_token import TOKEN_VARIABLE
from tidemill.ledger.policy import FactValue

_TIME_LIMIT = 30.0
# Bytes; a message is recorded in part.
_LONGEST_ANSWER = 1 << 20
_LONGEST_LINE = 4_096


class RuleProcess:
    """Calls `module:name` with facts, in a process per call with `folder` on its path.

    The process and its children end with the call.
    """

    def __init__(self, function: str, folder: Path, *, limit: float = _TIME_LIMIT) -> None:
        self._function = function
        self._folder = folder
        self._limit = limit

    def __call__(self, facts: Mapping[str, FactValue]) -> bool | str:
        path = [str(self._folder), *inherited_path(sys.path, os.getcwd())]
        request = {"function": self._function, "path": path, "facts": facts}
        with TemporaryFile() as asked, TemporaryFile() as answered:
            asked.write(json.dumps(request).encode())
            asked.seek(0)
            said, code = self._run(asked, answered)
            answered.seek(0)
            answer = _read(answered.read(_LONGEST_ANSWER))
        if answer is None:
            last = said.strip().splitlines()[-1:] or [f"exit code {code}"]
            raise RuleFunctionError(f"the process of {self._function} ended: {last[0]:.200}")
        if "error" in answer:
            raise RuleFunctionError(f"{self._function} {answer['error']}")
        value = answer["value"]
        assert isinstance(value, bool | str)
        return value

    def _run(self, asked: IO[bytes], answered: IO[bytes]) -> tuple[str, int]:
        """Run the process; what it printed last, and its exit code."""
        # A function of a rule acts for nobody.
        environment = {key: value for key, value in os.environ.items() if key != TOKEN_VARIABLE}
        process = subprocess.Popen(
            python_module("tidemill.governance.io.rule_function"),
            stdin=asked,
            stdout=answered,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            env=environment,
            process_group=0,
        )
        assert process.stderr is not None
        printed = _Printed(process.stderr)
        try:
            code = process.wait(self._limit)
        except subprocess.TimeoutExpired:
            raise RuleFunctionError(
                f"{self._function} didn't answer within {self._limit:g} s"
            ) from None
        finally:
            # Its children, too.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return printed.last(), code


class _Printed:
    """Reads what a process prints and keeps the end of it, so that it can't fill the memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="tidemill-rule", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream as stream:
            while part := stream.read1(1 << 16):  # type: ignore[attr-defined]
                self._kept = (self._kept + part)[-_LONGEST_LINE:]

    def last(self) -> str:
        # A child that left the group of its process may keep the stream open.
        self._thread.join(1)
        return self._kept.decode(errors="replace")


def _read(content: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(content.splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return found if isinstance(found, dict) and found.keys() & {"error", "value"} else None


def _answer(request: Mapping[str, Any]) -> dict[str, object]:
    facts = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in request["facts"].items()
    }
    module, _, name = request["function"].partition(":")
    sys.path[:] = request["path"]
    try:
        value = getattr(importlib.import_module(module), name)(facts)
    except Exception as error:  # noqa: BLE001 - the function is the user's
        return {"error": f"raised {describe_error(error)}"}
    if isinstance(value, bool | str):
        return {"value": value}
    return {"error": f"returned {value!r:.100}, not True, False or a message"}


def main() -> None:
    """Answer the request on stdin; what the function prints goes to stderr."""
    request = json.load(sys.stdin)
    answers = os.dup(1)
    os.dup2(2, 1)
    answer = _answer(request)
    with os.fdopen(answers, "w") as out:
        out.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
