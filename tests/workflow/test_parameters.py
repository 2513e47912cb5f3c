"""Parameters of models count by their content, and what has none that can be told is refused."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import polars as pl
import pytest

from tidemill.core.fingerprint import fingerprint
from tidemill.workflow.parameters import params_faults, params_part


class Color(enum.IntEnum):
    RED = 1


def double(x: int) -> int:
    return x * 2


def triple(x: int) -> int:
    return x * 3


def twice(x: int) -> int:
    return x * 2


def weights(changed: int | None = None) -> Any:
    values = np.arange(2_000, dtype=np.float64)
    if changed is not None:
        values[changed] = -1
    return values


def digest(params: dict[Any, Any]) -> str:
    assert list(params_faults("mod", params, "flow.py:7")) == []
    return fingerprint("params", params_part(params))


# Each differs from every other.
VALUES: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: 1,
    lambda: 1.0,
    lambda: Color.RED,
    lambda: np.int64(1),
    lambda: np.float64(1),
    lambda: Decimal(1),
    lambda: "1",
    lambda: b"1",
    lambda: [1, 2],
    lambda: (1, 2),
    lambda: ["tuple", [["int", 1], ["int", 2]]],
    lambda: {1, 2},
    lambda: frozenset({1, 2}),
    lambda: {"1": 2},
    lambda: {1: 2},
    lambda: OrderedDict({"1": 2}),
    weights,
    lambda: weights(changed=1_000),
    lambda: weights().astype(np.float32),
    lambda: weights().reshape(2, 1_000),
    lambda: pl.Series("a", weights()),
    lambda: pl.Series("a", weights(changed=1_000)),
    lambda: pl.DataFrame({"a": weights()}),
    lambda: pl.Int64,
    lambda: pl.Int64(),
    lambda: date(2013, 3, 7),
    lambda: PurePosixPath("a"),
    lambda: double,
    lambda: triple,
    lambda: twice,
    lambda: [double],
    lambda: Color,
]


def test_values_that_differ_count_as_other_ones() -> None:
    digests = [digest({"a": value()}) for value in VALUES]
    assert len(set(digests)) == len(VALUES)
    assert digests == [digest({"a": value()}) for value in VALUES]
    assert digest({1: 2}) != digest({"1": 2})
    assert digest({"a": weights(), "b": 1}) != digest({"b": weights(), "a": 1})


def test_the_order_of_parameters_does_not_count() -> None:
    assert digest({"a": 1, "b": [{}]}) == digest({"b": [{}], "a": 1})
    assert digest({"a": (1,), "b": weights()}) == digest({"b": weights(), "a": (1,)})


def test_plain_parameters_are_what_they_were_before() -> None:
    params = {"a": [1, [2.5, None]], "c": {"b": b"x", "c": True}, "d": "x"}
    assert digest(params) == "fbd54cc247f9f72d9a80828c80a0864a"


def test_a_set_of_parameters_is_the_same_in_every_process() -> None:
    code = (
        "from tidemill.workflow.parameters import params_part\n"
        "from tidemill.core.fingerprint import fingerprint\n"
        "print(fingerprint('params', params_part({'columns': {'hour', 'wind', 'rush', 'distance'}})))"
    )
    here = digest({"columns": {"hour", "wind", "rush", "distance"}})
    for seed in "12":
        there = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert there.stdout.strip() == here


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (threading.Event(), "threading.Event", "a value of type threading.Event can't be finger"),
        ([threading.Event()], "builtins.list", "a value of type threading.Event can't be finger"),
        (pl.LazyFrame(), "polars.lazyframe.frame.LazyFrame", "a LazyFrame is read when it runs"),
        (eval("lambda x: x"), "builtins.function", ""),
    ],
)
def test_what_can_not_be_told_is_refused(value: Any, kind: str, says: str) -> None:
    (fault,) = params_faults("mod", {"fine": 1, "bad": value}, "flow.py:7")
    start = f"model 'mod': a change of its parameter 'bad' (of type {kind}) can't be detected: "
    assert fault.message.startswith(start)
    assert says in fault.message
    assert fault.where == "flow.py:7"
    assert fault.hint.startswith("pass numbers, text, lists, dicts or arrays")
