"""What a call in progress reads, by the function that is called."""

from __future__ import annotations

import ast
import json
import math
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from types import FrameType
from typing import Any

import polars as pl
import pytest

from tests.support.modules import Project
from tidemill.analysis.code.runtime_calls import (
    c_call,
    c_method,
    call_syntax,
    name_of,
    shared_random,
)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (open, ("open", "reads")),
        (time.time, ("time.time", "clock")),
        (os.getpid, ("os.getpid", "environment")),
        (math.sqrt, None),
        (len, None),
        (hash, None),  # dictionaries call it all the time
    ],
)
def test_functions_of_modules_in_c(
    function: Callable[..., object], expected: tuple[str, str] | None
) -> None:
    assert c_call(function) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (datetime.now, ("datetime.datetime.now", "clock")),
        (date.today, ("datetime.date.today", "clock")),
        (date.fromtimestamp, ("datetime.date.fromtimestamp", "environment")),
        (datetime(2013, 1, 1).timestamp, ("datetime.datetime.timestamp", "environment")),
        (datetime(2013, 1, 1).isoformat, None),
        (datetime.strptime, None),
        (random.random, ("random.random", "random")),
    ],
)
def test_methods_in_c(method: Any, expected: tuple[str, str] | None) -> None:
    assert c_method(method, sys._getframe()) == expected


def test_a_zone_in_the_text_of_a_call_counts(project: Project) -> None:
    main: Any = project.load(
        main="def with_zone(f): return f(\n    1, Z)\ndef without(f): return f(1)\nZ = None\n"
    )
    found: list[Any] = []

    def probe(*_: object) -> None:
        found.append(c_method(datetime.fromtimestamp, sys._getframe(1)))

    main.Z = UTC
    main.with_zone(probe)
    main.without(probe)
    assert found == [None, ("datetime.datetime.fromtimestamp", "environment")]


def test_the_shared_generator_is_that_of_the_module() -> None:
    assert shared_random() is getattr(random.random, "__self__")  # noqa: B009


def frame_of(function: Callable[..., object], *args: Any) -> FrameType:
    """The frame of the first Python call that a function makes."""
    frames: list[FrameType] = []

    def see(frame: FrameType, event: str, arg: object) -> None:
        if event == "call":
            frames.append(frame)

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
    return frames[0]


@pytest.mark.parametrize(
    ("function", "args", "name"),
    [
        (json.loads, ("1",), "json.loads"),
        (random.Random, (7,), "random.Random"),
        (random.randint, (1, 2), "random.randint"),
        (os.path.join, ("a", "b"), "os.path.join"),
        (os.environ.get, ("HOME",), "collections.abc.Mapping.get"),
        (pl.DataFrame, ({"a": [1]},), "polars.DataFrame"),
    ],
)
def test_functions_are_named_as_users_know_them(
    function: Callable[..., object], args: tuple[Any, ...], name: str
) -> None:
    assert name_of(frame_of(function, *args)) == name


def test_the_call_in_progress_is_found_in_its_line(project: Project) -> None:
    main: Any = project.load(main="def stage(f): return f('é', f(2), g=\n    3) or f(4)\n")
    found: list[str] = []

    def probe(*_: object, **__: object) -> None:
        call = call_syntax(sys._getframe(1))
        found.append("" if call is None else ast.unparse(call))

    main.stage(probe)
    assert found == ["f(2)", "f('é', f(2), g=3)", "f(4)"]
