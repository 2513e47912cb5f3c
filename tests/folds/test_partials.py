"""Folds resolve against contracts; a fold that can't be merged is rejected where it is declared."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.folds import HERE, PLAIN, Flights, recipe, stage_of
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.core.errors import DeclarationError
from tidemill.folds.partials import equal_up_to_rounding
from tidemill.reuse.probe import probe
from tidemill.reuse.recipe import Evidence, probe_key, recipe_changes, recipe_of
from tidemill.workflow.seal import seal
from tidemill.workflow.workflow import Workflow


class Days(tm.Contract, key=("day",)):
    day = tm.Date(partition="1d")
    n = tm.UInt32()


def test_days_that_are_folded_are_not_folded_together() -> None:
    flow = Workflow("w")

    @flow.ingest
    def flights() -> tm.Source[Flights]:
        return tm.files("*.parquet")

    @flow.transform(fold={"flights": tm.fold("day", n=tm.fold.count())})
    def days(flights: tm.Frame[Flights]) -> tm.Frame[Days]:
        return flights

    found = probe(seal(flow)["days"])
    assert found is not None
    assert found.query.opaque == ""
    assert found.query.least is None


def test_a_recipe_has_the_fold_in_it() -> None:
    one, same_, other = (
        stage_of({"flights": tm.fold("origin", **PLAIN | {"late": late})})
        for late in (
            tm.fold.sum("delay"),
            tm.fold.sum(column=pl.col("delay"), tolerance=1e-3),
            tm.fold.sum(pl.col("delay") * 2),
        )
    )
    assert recipe(one).digest == recipe(same_).digest
    assert recipe(one).digest != recipe(other).digest
    assert recipe_changes(recipe(one).parts, recipe(other).parts) == (
        "the fold of its inputs changed",
    )
    assert one.function is not None
    code = code_of(one.function)
    assert probe_key(one, code, HERE) == probe_key(same_, code, HERE)
    assert probe_key(one, code, HERE) != probe_key(other, code, HERE)


def test_a_stage_that_is_judged_by_its_code_has_the_fold_too() -> None:
    stages = [
        stage_of({"flights": tm.fold("origin", **PLAIN | {"late": late})})
        for late in (tm.fold.sum("delay"), tm.fold.max("delay"))
    ]
    recipes = []
    for stage in stages:
        assert stage.function is not None
        recipes.append(recipe_of(stage, Evidence(code=code_of(stage.function)), HERE))
    assert recipes[0].reads == {"flights": ("origin", "delay")}
    assert recipes[0].parts["inputs"] == recipes[1].parts["inputs"]
    assert recipes[0].digest != recipes[1].digest


PART = pl.col("delay")


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (
            {"flights": tm.fold("orgin", n=tm.fold.count())},
            "Flights has no column 'orgin' .*'origin'",
        ),
        ({"flights": tm.fold(n=tm.fold.sum("dely"))}, "Polars can't compute partial: .*dely"),
        ({"flights": tm.fold(n=tm.fold.sum("origin"))}, "Polars can't compute"),
        (
            {"flights": tm.fold("origin", n=tm.fold.mergeable(partial=PART, merge=pl.Expr.sum))},
            "n: its partial has several values per group",
        ),
        (
            {
                "flights": tm.fold(
                    "origin", n=tm.fold.mergeable(partial=PART.sum(), merge=lambda p: p)
                )
            },
            "n: its merge has several values per group",
        ),
        (
            {"flights": tm.fold(n=tm.fold.mergeable(partial=PART.sum(), merge=pl.Expr.count))},
            "n: merge returns UInt32, but a partial is Float64",
        ),
        (
            {"flights": tm.fold(n=tm.fold.mergeable(partial=PART.mean(), merge=pl.Expr.mean))},
            "doesn't merge: for the same rows, it gives .* at once and .* in two partitions",
        ),
        (
            {"flights": tm.fold("origin", n=tm.fold.max(PART.rank()))},
            r"n=max\(.*rank.* doesn't merge",
        ),
        (
            {
                "flights": tm.fold(
                    "day", n=tm.fold.mergeable(partial=PART.first(), merge=pl.Expr.first)
                )
            },
            "depends on the order in which partitions are merged",
        ),
        (
            {"flights": tm.fold(n=tm.fold.sum(PART.map_elements(abs, return_dtype=pl.Float64)))},
            "is not only Polars expressions: python",
        ),
        (
            {"flights": tm.fold(n=tm.fold.sum(sum((PART for _ in range(600)), PART)))},
            "its partial can't be analysed: the query is nested too deeply",
        ),
        (
            {"flights": tm.fold(n=tm.fold.max(PART.shuffle()))},
            "is not only Polars expressions: unseeded",
        ),
        (
            {
                "flights": tm.fold(
                    n=tm.fold.mergeable(partial=PART.unique().first(), merge=pl.Expr.max)
                )
            },
            "isn't deterministic",
        ),
    ],
)
def test_what_is_no_fold_is_refused(fold: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        stage_of(fold)


def test_what_fails_on_drawn_rows_is_seen_in_a_run() -> None:
    days = tm.fold.max(pl.col("origin").str.to_date("%Y-%m-%d"))
    assert stage_of({"flights": tm.fold("origin", **PLAIN, day=days)}).inputs[0].fold is not None


def test_columns_of_which_no_value_can_be_drawn_are_tried_without() -> None:
    odd = tm.fold.max("odd")
    assert stage_of({"flights": tm.fold("origin", **PLAIN, odd=odd)}).inputs[0].fold is not None


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "expected"),
    [
        ([1.0, None, float("nan")], [1.0, None, float("nan")], 0.1, True),
        ([100.0], [109.0], 0.1, True),
        ([100.0], [120.0], 0.1, False),
        ([100.0], [100.1], 0.0, False),
        ([None], [1.0], 0.1, False),
        ([float("inf")], [float("inf")], 0.1, True),
        ([3], [4], 0.5, False),
    ],
)
def test_numbers_are_the_same_within_a_tolerance(
    one: list[Any], other: list[Any], tolerance: float, expected: bool
) -> None:
    assert equal_up_to_rounding(pl.Series(one), pl.Series(other), tolerance) is expected
