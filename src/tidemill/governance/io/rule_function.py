"""Call a function of a rule in a process of its own, which ends when it takes too long."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemill.core.errors import describe_error
from tidemill.core.python_command import inherited_path, python_module
from tidemill.ledger.policy import FactValue

_TIME_LIMIT = 30.0


class RuleFunctionError(Exception):
    """The function raised, didn't answer in time, or its process died."""


class RuleProcess:
    """Calls `module:name` with facts, in a process per call with `folder` on its path."""

    def __init__(self, function: str, folder: Path, *, limit: float = _TIME_LIMIT) -> None:
        self._function = function
        self._folder = folder
        self._limit = limit

    def __call__(self, facts: Mapping[str, FactValue]) -> bool | str:
        path = [str(self._folder), *inherited_path(sys.path, os.getcwd())]
        request = {"function": self._function, "path": path, "facts": facts}
        try:
            done = subprocess.run(
                python_module("tidemill.governance.io.rule_function"),
                input=json.dumps(request),
                capture_output=True,
                cwd=self._folder,
                text=True,
                timeout=self._limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RuleFunctionError(
                f"{self._function} didn't answer within {self._limit:g} s"
            ) from None
        answer = _read(done.stdout)
        if answer is None:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise RuleFunctionError(f"the process of {self._function} ended: {last[0]}")
        if "error" in answer:
            raise RuleFunctionError(f"{self._function} {answer['error']}")
        value = answer["value"]
        assert isinstance(value, bool | str)
        return value


def _read(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return found if isinstance(found, dict) else None


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
