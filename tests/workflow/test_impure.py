"""The mark of functions whose output depends on what no key can see."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.impure import Impure, impure, impure_of

HOUR = 3600


def stage() -> int:
    return 7


def fresh() -> Callable[[], int]:
    """A function that bears no mark yet."""

    def copy() -> int:
        return stage()

    return copy


@pytest.mark.parametrize(
    ("every", "seconds", "words"),
    [
        (None, None, "it is recomputed in every run"),
        ("1m", 60, "it is recomputed after 1m"),
        ("30m", 1_800, "it is recomputed after 30m"),
        ("6h", 6 * HOUR, "it is recomputed after 6h"),
        ("90m", 1.5 * HOUR, "it is recomputed after 90m"),
        ("7d", 168 * HOUR, "it is recomputed after 1w"),
        ("10d", 240 * HOUR, "it is recomputed after 10d"),
        ("2w", 336 * HOUR, "it is recomputed after 2w"),
    ],
)
def test_lengths(every: str | None, seconds: float | None, words: str) -> None:
    function = fresh()
    assert impure(every=every)(function) is function
    mark = impure_of(function)
    assert mark == Impure(every_s=seconds)
    assert str(mark) == words


def test_a_length_that_nobody_wrote() -> None:
    assert str(Impure(every_s=90)) == "it is recomputed after 90s"


def test_the_mark_alone() -> None:
    function = fresh()
    assert impure(function) is function
    assert impure_of(function) == Impure()
    assert function() == 7
    assert tm.impure is impure


def test_the_last_mark_holds() -> None:
    assert impure_of(impure(impure(every="6h")(fresh()))) == Impure()


def test_a_wrapper_bears_the_mark_of_what_it_wraps() -> None:
    inner = impure(every="1h")(fresh())

    @functools.wraps(inner)
    def outer() -> int:
        return inner()

    assert impure_of(outer) == Impure(every_s=HOUR)


@pytest.mark.parametrize("thing", [fresh(), None, 7, len])
def test_what_bears_no_mark(thing: object) -> None:
    assert impure_of(thing) is None


@pytest.mark.parametrize(
    ("every_s", "age", "stands"),
    [
        (None, 0, False),
        (None, -1, False),
        (HOUR, 0, True),
        (HOUR, HOUR - 1, True),
        (HOUR, HOUR, False),
        (HOUR, -1, True),  # another machine's clock
        (HOUR, -60, True),
        (HOUR, -61, False),  # the clock was ahead, by an hour or by years
        (HOUR, -10 * 365 * 24 * HOUR, False),
    ],
)
def test_a_result_stands_until_it_is_that_old(
    every_s: float | None, age: float, stands: bool
) -> None:
    assert Impure(every_s=every_s).is_valid(1_000.0, 1_000.0 + age) is stands


@pytest.mark.parametrize(
    "every",
    [
        "",
        "6",
        "h",
        "0h",
        "-6h",
        "6 h",
        "1.5h",
        "6H",
        "3mo",
        "1y",
        "٦h",
        6,
        6.0,
        True,
        "9" * 20 + "d",
    ],
)
def test_lengths_that_mean_nothing(every: Any) -> None:
    line = sys._getframe().f_lineno + 2
    with pytest.raises(DeclarationError) as caught:
        tm.impure(every=every)
    (fault,) = caught.value.faults
    assert fault.message == f"every={every!r} is not a length of time"
    assert fault.where == f"test_impure.py:{line}"
    assert fault.hint == "write minutes, hours, days or weeks: '30m', '6h', '7d', '2w'"


class Thing:
    def method(self) -> int:
        return 7


@pytest.mark.parametrize("thing", ["6h", 7, len, functools.partial(stage), Thing, Thing().method])
@pytest.mark.parametrize("mark", [tm.impure, tm.impure(every="6h"), tm.impure()])
def test_only_functions_are_marked(mark: Any, thing: Any) -> None:
    line = sys._getframe().f_lineno + 2
    with pytest.raises(DeclarationError) as caught:
        mark(thing)
    (fault,) = caught.value.faults
    assert fault.message == f"it takes a function, not {thing!r}"
    assert fault.where == f"test_impure.py:{line}"
    assert fault.hint == "write @tm.impure or @tm.impure(every='6h') above a def"
