"""Processes that don't look for modules in the folder in which they are started."""

from __future__ import annotations

import sys

import pytest

from tidemill.core.python_command import inherited_path, python_code, python_module


def test_commands_have_a_safe_path() -> None:
    assert python_module("json.tool", "a") == (sys.executable, "-P", "-m", "json.tool", "a")
    assert python_code("pass", "a", "b") == (sys.executable, "-P", "-c", "pass", "a", "b")


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ("", []),
        (".", []),
        ("../here", []),  # the current folder under a longer name
        ("lib", ["/here/lib"]),
        ("../lib", ["/lib"]),
        ("/here", ["/here"]),  # named by the program, which may have its modules there
        ("/usr/lib/python3.zip", ["/usr/lib/python3.zip"]),
    ],
)
def test_a_path_keeps_all_but_the_current_folder(entry: str, kept: list[str]) -> None:
    assert inherited_path([entry], "/here") == (*kept,)
    assert inherited_path(["/first", entry, "/last"], "/here") == ("/first", *kept, "/last")
