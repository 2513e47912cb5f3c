"""Gates that are functions of the user, as they are declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tidemill.core.errors import DeclarationError
from tidemill.workflow.own_gate import OwnGate, gate


def sane(candidate: Any) -> bool:
    return bool(candidate)


def pair(one: Any, other: Any) -> bool:
    return bool(one and other)


async def later(candidate: Any) -> bool:
    return bool(candidate)


def several(candidate: Any) -> Iterator[str]:
    yield str(candidate)


def test_a_function_is_a_gate_with_its_name() -> None:
    made = gate(sane)
    assert made == OwnGate(name="sane", function=sane, limit_s=30.0)
    assert str(made) == "sane"
    # Where the function lies in memory, and how long it may take, isn't what is decided.
    assert repr(made) == repr(gate(sane, limit="2m")) == "OwnGate(name='sane')"
    assert gate(partial(pair, 1), name="pair").name == "pair"
    assert gate(bool, name="any").function is bool


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: gate(7), r"7 is not a function"),  # type: ignore[arg-type]
        (lambda: gate(pair), r"'pair' doesn't take one candidate"),
        (lambda: gate(lambda: True), r"doesn't take one candidate"),
        (lambda: gate(lambda c: True), r"a lambda has no name: write name="),
        (lambda: gate(partial(pair, 1)), r"has no name: write name="),
        (lambda: gate(later), r"is a coroutine or a generator: return the findings"),
        (lambda: gate(several), r"is a coroutine or a generator: return the findings"),
        (lambda: gate(sane, name="a\nb"), r"isn't printable"),
        (lambda: gate(sane, name=3), r"has no name"),  # type: ignore[arg-type]
        (lambda: gate(sane, limit="soon"), r"limit='soon' is not a duration"),
        (lambda: gate(sane, limit=float("nan")), r"limit=nan is not a duration"),
        (lambda: gate(sane, limit=float("inf")), r"limit=inf is not a duration"),
    ],
)
def test_what_is_no_gate_is_refused(make: Callable[[], OwnGate], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        make()
