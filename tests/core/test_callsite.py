"""Where something was declared: the file's own name and the line."""

from __future__ import annotations

import inspect

from tidemill.core.callsite import caller


def declared() -> str:
    return caller()


def test_the_place_is_the_callers() -> None:
    frame = inspect.currentframe()
    assert frame is not None
    assert declared() == f"test_callsite.py:{frame.f_lineno}"


def test_a_deeper_place() -> None:
    def through() -> str:
        return caller(2)

    def middle() -> str:
        return through()

    frame = inspect.currentframe()
    assert frame is not None
    assert middle() == f"test_callsite.py:{frame.f_lineno}"


def test_only_the_files_own_name_on_every_system() -> None:
    space: dict[str, object] = {"caller": caller}
    code = compile("def ask(): return caller(0)", r"C:\users\ana\flow.py", "exec")
    exec(code, space)
    assert space["ask"]() == "flow.py:1"  # type: ignore[operator]
