"""Owners of stages own the files that declare them."""

from __future__ import annotations

import pytest

from tidemill.operations.code_owners import code_owners


def lines(owner: str, *owned: tuple[str, str]) -> list[str]:
    return [line for line in code_owners(owner, owned).splitlines() if not line.startswith("# ")]


@pytest.mark.parametrize(
    ("owner", "owned", "found"),
    [
        ("crew", [], ["* @crew"]),
        # A file whose stages all belong to the workflow's owner needs no line.
        ("crew", [("flow.py", "crew")], ["* @crew"]),
        ("crew", [("flow.py", "tills")], ["* @crew", "/flow.py @crew @tills"]),
        (
            "crew",
            [("b.py", "x"), ("a.py", "x"), ("a.py", "@org/y"), ("a.py", "x")],
            ["* @crew", "/a.py @crew @x @org/y", "/b.py @crew @x"],
        ),
        ("", [("flow.py", "ana@example.org")], ["/flow.py ana@example.org"]),
        # Text that is no name would be read as several, or as a comment.
        ("The Crew", [("flow.py", "x # y"), ("flow.py", "a\x1bb")], []),
        ("crew", [("my flow#1[a].py", "x")], ["* @crew", "/my\\ flow\\#1\\[a\\].py @crew @x"]),
        ("", [], []),
    ],
)
def test_lines(owner: str, owned: list[tuple[str, str]], found: list[str]) -> None:
    assert lines(owner, *owned) == found
