"""Which frame on the stack answers for a call."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.responsible_line import find_responsible_line, line_of
from tidemill.analysis.code.runtime_calls import module_of


def here() -> FrameType:
    return sys._getframe(1)


def test_a_line_is_named_by_its_file_alone() -> None:
    frame = here()
    assert line_of(frame) == f"test_responsible_line.py:{frame.f_lineno}"


def test_the_projects_nearest_line_answers(project: Project) -> None:
    """The call is known by the name that the project's line calls."""
    main: Any = project.load(
        main="import json\nclass File:\n    def read(self):\n        return probe()\n"
        "def stage():\n    return json.load(File())\n"
    )
    found: list[Any] = []

    def probe() -> str:
        # As if the caller of this function called `open` itself.
        caller = sys._getframe(1)
        outer = caller.f_back
        assert outer is not None
        found.append(find_responsible_line("open", caller, None))
        found.append(find_responsible_line("open", outer, None))
        found.append(module_of(outer))
        return "7"

    main.probe = probe
    assert main.stage() == 7
    assert found == [("open", "main.py:4"), ("json.load", "main.py:6"), "json"]


@pytest.mark.parametrize("name", ["__del__", "close"])
def test_the_end_of_a_use_has_no_line(project: Project, name: str) -> None:
    main: Any = project.load(main=f"class A:\n    def {name}(self): return probe()\n")
    frames: list[FrameType | None] = []
    main.probe = lambda: frames.append(sys._getframe(1))
    getattr(main.A(), name)()
    assert frames
    (frame, *_) = frames
    assert frame is not None
    if name == "__del__":
        assert find_responsible_line("time.time", frame, frame) is None
    else:
        # A method of the project that is called `close` answers like any other.
        assert find_responsible_line("time.time", frame, frame) == ("time.time", "main.py:2")
