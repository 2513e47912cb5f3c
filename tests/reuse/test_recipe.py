"""What a recipe is made of, and the keys of steps; golden, for what is recorded must be found again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from tests.support.planning import deliver, ingest, model, reads, spec, transform
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.query.summary import QuerySummary
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.reuse.recipe import (
    Evidence,
    Platform,
    Recipe,
    probe_key,
    recipe_changes,
    recipe_of,
    step_key,
)
from tidemill.workflow.impure import Impure
from tidemill.workflow.sink import Sink
from tidemill.workflow.stage import Input, Stage, Training
from tidemill.workflow.window import last


def double(raw: Any) -> Any:
    return raw * 2


def triple(raw: Any) -> Any:
    return raw * 3


def clock(raw: Any) -> Any:
    return raw, datetime.now()


def reader(raw: Any) -> Any:
    return open("other.csv").read()


HERE = Platform(engine="2.1.0", python="3.11.7", machine="x86_64", tidemill="0.1.0")
RAW = ingest("raw")
BASE = replace(transform("next", "day", reads(RAW)), function=double)


def recipe(
    stage: Stage, query: QuerySummary | None = None, platform: Platform = HERE, source: str = ""
) -> Recipe:
    """The recipe of a stage with what is known of it."""
    code = code_of(stage.function) if stage.function is not None else None
    return recipe_of(stage, Evidence(code=code, query=query, source=source), platform)


def test_golden_keys() -> None:
    assert (
        step_key("recipe", "2013-03-07", {"raw": "digest", "other": "x"})
        == "49b9c3c69d99202d0517b957ba60a6b1"
    )
    assert (
        recipe(deliver("out", model("mod", reads(RAW)), RAW)).digest
        == "b0dbafb557ac27733248f8a1169700fd"
    )


def test_keys_tell_apart_what_is_read_where() -> None:
    keys = {
        step_key("r", "p", {"a": "1", "b": "2"}), step_key("r", "p", {"a": "2", "b": "1"}),
        step_key("r", "q", {"a": "1", "b": "2"}), step_key("s", "p", {"a": "1", "b": "2"}),
        step_key("r", "p", {"a": "1"}), step_key("r", "p", {}),
    }  # fmt: skip
    assert len(keys) == 6


WIDER = replace(spec("day"), columns=(*spec("day").columns, Column(name="y", dtype=DType("Int64"))))
TRAINED = replace(
    model("mod", reads(RAW)), function=double, training=Training(params={"a": 1}, seed=7)
)
OUT = deliver("out", TRAINED, RAW)
DECLARES = "its declared inputs changed"
CHANGES: list[tuple[Stage, Stage, tuple[str, ...]]] = [
    (BASE, replace(BASE, function=triple), ("its code changed",)),
    (BASE, replace(BASE, version="2"), ("its version changed",)),
    (BASE, replace(BASE, output=WIDER), ("its contract changed",)),
    # A frame has the columns that the stage's own annotation says.
    (BASE, replace(BASE, inputs=(Input(name="raw", contract=WIDER),)), (DECLARES,)),
    (TRAINED, replace(TRAINED, training=Training(params={"a": 2}, seed=7)), ("its parameters changed",)),
    (TRAINED, replace(TRAINED, training=Training(params={"a": 1}, seed=8)), ("its seed changed",)),
    (OUT, replace(OUT, sink=Sink(folder="elsewhere")), ("its sink changed",)),
    # Where it is and what its contract's version is called changes nothing.
    (BASE, replace(BASE, place="flow.py:99"), ()),
    (BASE, replace(BASE, output=replace(spec("day"), version="2.0.0", description="more")), ()),
    # Which partitions are handed, and which may be missing, is in what they hold.
    (BASE, replace(BASE, inputs=(reads(RAW, last(2)),)), ()),
    (BASE, replace(BASE, inputs=(reads(RAW, optional=True),)), ()),
    (RAW, replace(RAW, start="2013-01-01"), ()),
]  # fmt: skip


FORMAT = "the format of fingerprints changed"
FORMATS: list[tuple[Stage, Stage, tuple[str, ...]]] = [
    (BASE, BASE, (FORMAT,)),
    # Whether the code changed as well, nobody can tell.
    (BASE, replace(BASE, function=triple), (FORMAT,)),
    (BASE, replace(BASE, output=WIDER), ("its contract changed", FORMAT)),
    # What is judged by no code has no digest in that format.
    (RAW, RAW, ()),
]


@pytest.mark.parametrize(("before", "after", "words"), FORMATS)
def test_digests_of_another_format_tell_only_that(
    before: Stage, after: Stage, words: tuple[str, ...]
) -> None:
    old = {name: digest for name, digest in recipe(before).parts.items() if name != "format"}
    old |= {"code": "another digest"} if "code" in old else {}
    assert recipe_changes(old, recipe(after).parts) == words


@pytest.mark.parametrize(("before", "after", "words"), CHANGES)
def test_what_changes_a_recipe(before: Stage, after: Stage, words: tuple[str, ...]) -> None:
    one, other = recipe(before), recipe(after)
    assert recipe_changes(one.parts, other.parts) == words
    assert (one.digest == other.digest) == (words == ())


QUERY = QuerySummary(
    columns={"own": "1", "x": "2"},
    lineage={"own": {"raw": ("own",)}, "x": {"raw": ("x",)}},
    reads={"raw": ("own",)},
)
QUERIES: list[tuple[QuerySummary, tuple[str, ...]]] = [
    (QUERY, ()),
    (replace(QUERY, columns={"own": "1", "x": "3"}), ("the expression for `x` changed",)),
    (replace(QUERY, columns={"own": "4", "x": "3"}), ("the expressions for `own`, `x` changed",)),
    # Columns that the contract doesn't name are dropped; what is read is in the inputs' digests.
    (replace(QUERY, columns={"own": "1", "x": "2", "y": "3"}), ()),
    (replace(QUERY, reads={"raw": ("own", "x")}), ()),
    (QuerySummary(opaque="it collects raw when it is called"), ("it is now judged by its code",)),
]


@pytest.mark.parametrize(("after", "words"), QUERIES)
def test_a_query_stands_for_the_code(after: QuerySummary, words: tuple[str, ...]) -> None:
    one, other = recipe(BASE, QUERY), recipe(replace(BASE, function=triple), after)
    assert recipe_changes(one.parts, other.parts) == words
    assert (one.digest == other.digest) == (words == ())


def test_columns_that_are_kept_count() -> None:
    keep = replace(BASE, output=replace(spec("day"), unknown_columns="keep"))
    more = replace(QUERY, columns={**QUERY.columns, "y": "3"})
    assert recipe_changes(recipe(keep, QUERY).parts, recipe(keep, more).parts) == (
        "the expression for `y` changed",
    )


def test_a_key_covers_what_the_query_reads_or_all_that_is_contracted() -> None:
    assert recipe(BASE, QUERY).reads == {"raw": ("own",)}
    assert recipe(BASE, QuerySummary(opaque="why")).reads == {"raw": ("own", "x")}
    assert recipe(BASE, QuerySummary(opaque="why")).opaque == "why"
    assert recipe(TRAINED).reads == {"raw": ("own", "x")}
    assert recipe(RAW).reads == {}


PLATFORMS = [
    # what changed, of a query, of code
    (
        replace(HERE, engine="2.2.0"),
        ("the Polars version changed",),
        ("the Polars version changed",),
    ),
    (replace(HERE, python="3.12.7"), (), ("the Python version or the CPU architecture changed",)),
    (replace(HERE, machine="arm64"), (), ("the Python version or the CPU architecture changed",)),
    (replace(HERE, python="3.11.9"), (), ()),
    (replace(HERE, tidemill="0.2.0"), (), ()),
]


@pytest.mark.parametrize(("there", "of_query", "of_code"), PLATFORMS)
def test_what_a_stage_runs_on(
    there: Platform, of_query: tuple[str, ...], of_code: tuple[str, ...]
) -> None:
    assert recipe_changes(recipe(BASE, QUERY).parts, recipe(BASE, QUERY, there).parts) == of_query
    assert recipe_changes(recipe(BASE).parts, recipe(BASE, platform=there).parts) == of_code
    assert recipe(OUT) == recipe(OUT, platform=there)
    # What a probe found holds for the very same versions only.
    code = code_of(double)
    assert probe_key(BASE, code, HERE) != probe_key(BASE, code, there)


PROBED: list[tuple[Stage, bool]] = [
    (replace(BASE, place="flow.py:99"), True),
    (replace(BASE, output=WIDER), False),
    (replace(BASE, inputs=(Input(name="raw", contract=WIDER),)), False),
    (replace(BASE, inputs=(Input(name="other", contract=spec("day")),)), False),
]


@pytest.mark.parametrize(("stage", "same"), PROBED)
def test_what_a_probe_holds_for(stage: Stage, same: bool) -> None:
    code = code_of(double)
    assert (probe_key(BASE, code, HERE) == probe_key(stage, code, HERE)) is same
    assert probe_key(BASE, code, HERE) != probe_key(BASE, code_of(triple), HERE)


def test_an_ingest_is_how_its_files_are_read() -> None:
    raw = replace(RAW, function=double)
    edited = replace(RAW, function=triple)
    assert recipe(raw, source="parquet").digest == recipe(edited, source="parquet").digest
    assert recipe_changes(recipe(raw, source="parquet").parts, recipe(raw, source="csv").parts) == (
        "its declared source changed",
    )
    # One that doesn't say how is its code.
    assert recipe(raw).digest != recipe(edited).digest


def test_changes_of_parts_without_a_name_of_their_own() -> None:
    assert recipe_changes({"code": "1", "speed": "1"}, {"code": "2", "speed": "2"}) == (
        "its code changed", "its speed changed",
    )  # fmt: skip
    old = {"contract": "1", "column a": "1", "column b": "1"}
    new = {"contract": "2", "column a": "2", "column b": "2"}
    assert recipe_changes(old, new | {"column c": "1"}) == (
        *("the expression for `c` changed, perhaps others too", "its contract changed"),
    )
    assert recipe_changes(old, new)[0] == "the expressions for `a`, `b` changed"
    many = {f"column {name}": "1" for name in "abcde"}
    assert recipe_changes({}, many) == ("the expressions for `a`, `b`, `c` and 2 more changed",)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (clock, "it reads the clock: "),
        (reader, "it reads something that is not one of its inputs: open"),
    ],
)
def test_what_cannot_be_proven_is_named(function: Callable[..., Any], why: str) -> None:
    found = recipe(replace(BASE, function=function))
    assert found.unproven[0].startswith(why)
    assert "(test_recipe.py:" in found.unproven[0]
    for stage in (
        replace(BASE, function=function, version="1"),
        replace(BASE, function=function, impure=Impure()),
        replace(RAW, function=function),
    ):
        assert (recipe(stage).unproven, recipe(stage).faults) == ((), ())


def test_what_a_probe_saw_is_not_proven_either() -> None:
    touched = replace(QUERY, touched=("it reads the clock: date.today (flow.py:3)",))
    assert recipe(BASE, touched).unproven == ("it reads the clock: date.today (flow.py:3)",)
    assert recipe(replace(BASE, version="1"), touched).unproven == ()


def test_a_reader_in_a_transform_is_a_fault() -> None:
    (fault,) = recipe(replace(BASE, function=reader)).faults
    assert fault.message == "transform 'next' calls open, which is not one of its inputs"
    assert fault.where.startswith("test_recipe.py:")
    assert fault.hint == "declare what it reads: @flow.ingest ... return tm.files(...)"
    assert recipe(replace(BASE, function=clock)).faults == ()


def rate(step: int) -> float:
    return 0.1 / step


def drawn(step: int) -> float:
    return random.random() / step


def test_a_parameter_counts_by_what_it_is_and_reaches_for() -> None:
    def trained(**params: Any) -> Recipe:
        return recipe(replace(TRAINED, training=Training(params=params)))

    one, other = trained(rate=rate), trained(rate=drawn)
    assert recipe_changes(one.parts, other.parts) == ("its parameters changed",)
    assert one.unproven == ()
    (reason,) = other.unproven
    assert reason.startswith("it draws random numbers without a seed: random.random (test_recipe")
    # What a type of a package comes with counts as what the code uses does.
    packages = ("a package it uses changed", "its parameters changed")
    assert set(recipe_changes(one.parts, trained(rate=np.random.MT19937).parts)) == set(packages)
