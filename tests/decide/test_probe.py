"""A transform called on frames without rows: what its schema, or its code, gives away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from tests.decide.planning import ingest, reads, transform
from tidemill.decide.probe import probe
from tidemill.domain.stage import Kind, Stage

RAW, LOOKUP = ingest("raw"), ingest("lookup", "whole")


def stage(function: Callable[..., Any] | None) -> Stage:
    """A transform by day of raw and lookup."""
    return replace(transform("next", "day", reads(RAW), reads(LOOKUP)), function=function)


def passed_on(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.join(lookup, on="x", how="left")


def eager(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.DataFrame:
    return pl.DataFrame({"own": [], "x": []}, schema=dict(raw.collect_schema()))


def collects(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.filter(pl.col("x") > lookup.collect()["x"].max())


def collects_and_hides_it(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    try:
        raw.select("x").collect()
    except Exception:  # noqa: BLE001 - as users write it
        return raw.select("x")
    return raw


def lacks(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.select("own", y="x")


def casts(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.with_columns(pl.col("x").cast(pl.String))


def misspells(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.select("own", "ex")


def raises(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    raise KeyError("no such thing\nsecond line")


def forgets(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> None:
    raw.select("own", "x")


def is_it(result: object) -> object:
    return lambda raw, lookup: result


@pytest.mark.parametrize("function", [passed_on, eager])
def test_a_stage_that_keeps_its_contract(function: Callable[..., Any]) -> None:
    found = probe(stage(function))
    assert (found.faults, found.opaque) == ((), "")
    assert found.schema == {"own": pl.Datetime("us"), "x": pl.Int64()}


@pytest.mark.parametrize(
    ("function", "name"), [(collects, "lookup"), (collects_and_hides_it, "raw")]
)
def test_a_stage_that_reads_while_it_is_called_is_opaque(
    function: Callable[..., Any], name: str
) -> None:
    found = probe(stage(function))
    assert (found.faults, found.schema) == ((), {})
    assert found.opaque == f"it reads {name} while it is being called"


WITHOUT_ROWS = "it was called on frames without rows that have the columns of its inputs' contracts"
FAULTS = [
    (lacks, ["transform 'next': the output has no column 'x' of contract Table",
             "transform 'next': the output has a column 'y' that contract Table doesn't name"], None),
    (casts, ["transform 'next': column 'x' is String, but contract Table says Int64"],
     "cast it in the stage, or declare the type that it has"),
    (misspells, ["transform 'next' raised ColumnNotFoundError: "], WITHOUT_ROWS),
    (raises, ["transform 'next' raised KeyError: "], WITHOUT_ROWS),
    (forgets, ["transform 'next' returned NoneType, not a polars.LazyFrame"],
     "return the query, don't collect it"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "messages", "hint"), FAULTS)
def test_faults(function: Callable[..., Any], messages: list[str], hint: str | None) -> None:
    found = probe(stage(function))
    assert found.opaque == ""
    assert bool(found.raised) == (hint == WITHOUT_ROWS)
    for fault, message in zip((*found.faults, *found.raised), messages, strict=True):
        assert fault.message.startswith(message)
        assert "\n" not in fault.message
        assert fault.where == "flow.py:1"
        assert hint is None or fault.hint == hint


@pytest.mark.parametrize(
    "other",
    [
        RAW,
        stage(None),
        replace(stage(passed_on), output=None),
        replace(stage(raises), kind=Kind.MODEL),
    ],
)
def test_only_transforms_are_called(other: Stage) -> None:
    found = probe(other)
    assert (found.faults, found.opaque, found.schema) == ((), "", {})


def test_an_input_without_a_contract_is_not_handed() -> None:
    bare = replace(stage(passed_on), inputs=())
    assert probe(bare).raised[0].message.startswith("transform 'next' raised TypeError: ")
