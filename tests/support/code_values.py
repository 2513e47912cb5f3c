"""The code of a function that uses one value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidemill.analysis.code.code_fingerprint import Code, code_of


def using(value: Any) -> Callable[[], Any]:
    def stage() -> Any:
        return value

    return stage


def code(value: Any) -> Code:
    return code_of(using(value))


def digest(value: Any) -> str:
    found = code(value)
    assert (found.unresolved, found.hidden_inputs) == ((), ())
    return found.digest


def reason(code: Code) -> str:
    assert len(code.unresolved) == 1, code.unresolved
    return code.unresolved[0].reason
