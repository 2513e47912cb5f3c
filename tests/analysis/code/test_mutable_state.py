"""Which values can change in place, and whether they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.code.mutable_state import Variable, contents_of, is_mutable, is_same


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Frozen:
    n: int = 1


@dataclass
class Loose:
    n: int = 1


class Counting:
    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> int:
        self.n += 1
        return self.n


@pytest.mark.parametrize(
    ("value", "can"),
    [
        ({}, True), ([], True), (set(), True), (bytearray(), True), (SimpleNamespace(), True),
        (Loose(), True), (Counting(), True), (np.ones(1), True), (pl.Series([1]), True),
        (pl.DataFrame(), True), (partial(int), True),
        ((), False), (1, False), ("a", False), (frozenset(), False), (Frozen(), True),
        (Colour.RED, False), (pl.col("a"), False), (len, False), (is_mutable, False),
        (Loose, False),
    ],
)  # fmt: skip
def test_what_can_change_in_place(value: Any, can: bool) -> None:
    assert is_mutable(value) is can


TABLE: dict[str, list[int]] = {"a": [1]}
LOOSE = Loose()
PAIR = (1, [2])


def reads() -> int:
    return TABLE["a"][0] + LOOSE.n + PAIR[1][0]


def outer(n: int) -> Callable[[], int]:
    def inner() -> int:
        return n + Loose.n

    return inner


def test_nothing_changes_by_itself() -> None:
    code = code_of(reads)
    assert [keeper.name for keeper in code.mutable_holders] == [
        "reads",
        "TABLE",
        "LOOSE",
        "PAIR",
        "Loose",
    ]
    state = code.held_state
    assert state.first_change() is None
    assert reads() == 4
    assert state.first_change() is None


def test_what_changed_is_named_by_what_led_to_it() -> None:
    state = code_of(reads).held_state
    TABLE["a"].append(2)
    state.take()  # only the first time counts
    keeper = state.first_change()
    TABLE["a"].pop()
    assert keeper is not None
    assert keeper.name == "TABLE"
    assert keeper.where.startswith("test_mutable_state.py:")
    assert state.first_change() is None
    LOOSE.n = 7
    keeper = state.first_change()
    LOOSE.n = 1
    assert keeper is not None
    assert keeper.name == "LOOSE"


def test_functions_and_classes_hold_attributes_and_cells() -> None:
    inner = outer(1)
    state = code_of(inner).held_state
    assert state.first_change() is None
    Loose.n = 5
    changed = state.first_change()
    Loose.n = 1
    assert changed is not None
    assert changed.name == "Loose"
    assert state.first_change() is None
    setattr(inner, "seen", 1)  # noqa: B010 - functions have no such attribute to type checkers
    assert state.first_change() is not None
    del inner.__dict__["seen"]
    inner.__closure__[0].cell_contents = 2  # type: ignore[index]
    assert state.first_change() is not None


def test_a_function_that_holds_nothing_may_hold_something_later() -> None:
    def plain() -> None:
        return None

    before = contents_of(plain, repr)
    assert is_same(before, contents_of(plain, repr))
    plain.__dict__["seen"] = 1
    after = contents_of(plain, repr)
    assert not is_same(before, after)
    plain.__dict__["seen"] = 2
    assert not is_same(after, contents_of(plain, repr))
    plain.__dict__.clear()
    assert is_same(before, contents_of(plain, repr))


def test_a_variable_that_its_module_loads_when_it_is_first_used_has_not_changed() -> None:
    module: dict[str, Any] = {}

    def load(name: str) -> object:
        if name != "late":
            raise AttributeError(name)
        module["late"] = Colour.RED
        return module["late"]

    module["__getattr__"] = load
    late, other = Variable(module, "late"), Variable(module, "other")
    before = contents_of(late, repr)
    module.pop("late")
    assert is_same(before, contents_of(late, repr))
    module["late"] = Loose()
    assert not is_same(before, contents_of(late, repr))
    absent = contents_of(other, repr)
    module["other"] = 1
    assert not is_same(absent, contents_of(other, repr))
