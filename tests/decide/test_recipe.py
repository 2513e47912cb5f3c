"""What a recipe is made of, and the keys of steps; golden, for what is recorded must be found again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from tests.decide.planning import deliver, flow_of, ingest, model, reads, spec, transform
from tidemill.decide.recipe import (
    changes,
    input_digest,
    plain,
    recipe_of,
    recipes_of,
    step_key,
)
from tidemill.domain.column import Column
from tidemill.domain.dtype import DType
from tidemill.domain.fingerprint import fingerprint
from tidemill.domain.stage import Input, Sink, Stage, Training
from tidemill.domain.window import last


def double(raw: Any) -> Any:
    return raw * 2


def triple(raw: Any) -> Any:
    return raw * 3


def clock(raw: Any) -> Any:
    return raw, datetime.now()


def reader(raw: Any) -> Any:
    return open("other.csv").read()


RAW = ingest("raw")
BASE = replace(transform("next", "day", reads(RAW)), function=double)


def test_golden_keys() -> None:
    digest = input_digest({"2013-03-08": "b", "2013-03-07": "a"})
    assert digest == "ec9fcd76511439c8eaf35bd185df16b1"
    assert digest == input_digest({"2013-03-07": "a", "2013-03-08": "b"})
    assert input_digest({}) == "71926c4668ade0104223ee202ae79ac3"
    assert (
        step_key("recipe", "2013-03-07", {"raw": digest, "other": "x"})
        == "e244f6b5a5dcb3c9b805a48cbc572ded"
    )
    assert (
        recipe_of(deliver("out", model("mod", reads(RAW)), RAW), "2").digest
        == "b446e18923db558f7024a5827c4a6474"
    )


def test_keys_tell_apart_what_is_read_where() -> None:
    keys = {
        step_key("r", "p", {"a": "1", "b": "2"}), step_key("r", "p", {"a": "2", "b": "1"}),
        step_key("r", "q", {"a": "1", "b": "2"}), step_key("s", "p", {"a": "1", "b": "2"}),
        step_key("r", "p", {"a": "1"}), step_key("r", "p", {}),
    }  # fmt: skip
    assert len(keys) == 6
    assert input_digest({"p": "a", "q": "b"}) != input_digest({"p": "b", "q": "a"})


WIDER = replace(spec("day"), columns=(*spec("day").columns, Column(name="y", dtype=DType("Int64"))))
TRAINED = replace(
    model("mod", reads(RAW)), function=double, training=Training(params={"a": 1}, seed=7)
)
OUT = deliver("out", TRAINED, RAW)
DECLARES = "what it declares of its inputs changed"
CHANGES: list[tuple[Stage, Stage, tuple[str, ...]]] = [
    (BASE, replace(BASE, function=triple), ("its code changed",)),
    (BASE, replace(BASE, version="2"), ("its version changed",)),
    (BASE, replace(BASE, output=WIDER), ("its contract changed",)),
    (BASE, replace(BASE, inputs=(reads(RAW, last(2)),)), (DECLARES,)),
    (BASE, replace(BASE, inputs=(reads(RAW, optional=True),)), (DECLARES,)),
    # A frame has the columns that the stage's own annotation says.
    (BASE, replace(BASE, inputs=(Input(name="raw", contract=WIDER),)), (DECLARES,)),
    (RAW, replace(RAW, start="2013-01-01"), ("its first partition changed",)),
    (TRAINED, replace(TRAINED, training=Training(params={"a": 2}, seed=7)), ("its parameters changed",)),
    (TRAINED, replace(TRAINED, training=Training(params={"a": 1}, seed=8)), ("its seed changed",)),
    (OUT, replace(OUT, sink=Sink(folder="elsewhere")), ("its sink changed",)),
    # Where it is and what its contract's version is called changes nothing.
    (BASE, replace(BASE, place="flow.py:99"), ()),
    (BASE, replace(BASE, output=replace(spec("day"), version="2.0.0", description="more")), ()),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "words"), CHANGES)
def test_what_changes_a_recipe(before: Stage, after: Stage, words: tuple[str, ...]) -> None:
    one, other = recipe_of(before, "2.1"), recipe_of(after, "2.1")
    assert changes(one.parts, other.parts) == words
    assert (one.digest == other.digest) == (words == ())


def test_the_engine_counts_for_code_only() -> None:
    assert changes(recipe_of(BASE, "2.1").parts, recipe_of(BASE, "2.2").parts) == (
        "Polars changed",
    )
    assert recipe_of(OUT, "2.1") == recipe_of(OUT, "2.2")


def test_changes_of_parts_without_a_name_of_their_own() -> None:
    assert changes({"code": "1", "speed": "1"}, {"speed": "2"}) == (
        "its code changed", "its speed changed",
    )  # fmt: skip


def test_recipes_of() -> None:
    assert recipes_of(flow_of(RAW, BASE), "2") == {
        "raw": recipe_of(RAW, "2"),
        "next": recipe_of(BASE, "2"),
    }


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (clock, "it reads the clock: "),
        (reader, "it reads something that is not one of its inputs: open"),
    ],
)
def test_what_cannot_be_proven_is_named(function: Callable[..., Any], why: str) -> None:
    found = recipe_of(replace(BASE, function=function), "2")
    assert found.unproven[0].startswith(why)
    assert "(test_recipe.py:" in found.unproven[0]
    vouched = recipe_of(replace(BASE, function=function, version="1"), "2")
    assert (vouched.unproven, vouched.faults) == ((), ())
    fetched = recipe_of(replace(RAW, function=function), "2")
    assert (fetched.unproven, fetched.faults) == ((), ())


def test_a_reader_in_a_transform_is_a_fault() -> None:
    (fault,) = recipe_of(replace(BASE, function=reader), "2").faults
    assert fault.message == "transform 'next' calls open, which is not one of its inputs"
    assert fault.where.startswith("test_recipe.py:")
    assert fault.hint == "declare what it reads: @flow.ingest ... return tm.files(...)"
    assert recipe_of(replace(BASE, function=clock), "2").faults == ()


def test_plain() -> None:
    day = date(2013, 3, 7)
    assert plain({"a": (1, [2.5, None]), 3: {"b": b"x", "c": True}, "d": day}) == {
        "a": [1, [2.5, None]], "3": {"b": b"x", "c": True}, "d": ["date", repr(day)],
    }  # fmt: skip
    assert plain({"b", "a"}) == ["set", "'a'", "'b'"] == plain(frozenset({"a", "b"}))


def test_a_set_of_parameters_is_the_same_in_every_process() -> None:
    code = (
        "from tidemill.decide.recipe import plain\n"
        "from tidemill.domain.fingerprint import fingerprint\n"
        "print(fingerprint('x', plain({'columns': {'hour', 'wind', 'rush', 'distance'}})))"
    )
    here = fingerprint("x", plain({"columns": {"hour", "wind", "rush", "distance"}}))
    for seed in "12":
        there = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert there.stdout.strip() == here
