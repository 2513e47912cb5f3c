"""A sample is a share of rows that is the same everywhere, and a recipe of its own."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.analysis.hashing.row_sample import portion
from tidemill.core.errors import DeclarationError, UsageError
from tidemill.environments.promotion_check import unlike
from tidemill.ledger.binding import Binding, Head, Product
from tidemill.ledger.run import Action
from tidemill.reuse.recipe import Evidence, Platform, recipe_of
from tidemill.reuse.step_key import reuse_of
from tidemill.workflow.sample import digest_on, on_all_rows, sampled, share_of
from tidemill.workflow.seal import seal

PLATFORM = Platform(engine="2.1.0")


class Shops(tm.Contract, key=("id",)):
    id = tm.Int64()


class Orders(tm.Contract, key=("id",)):
    id = tm.Int64()
    shop = tm.Int64()
    rows = tm.Rows(min=5)
    known = tm.References("shop", Shops, "id", stage="shops")
    once = tm.Unique("id")


class Loose(tm.Contract):
    id = tm.Int64()
    what = tm.List(tm.Int64())


flow = tm.Workflow("samples")


@flow.ingest(sample_by=())
def shops() -> tm.Source[Shops]:
    return tm.files("shops/*.csv")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.files("orders/*.csv")


@flow.ingest
def loose() -> tm.Source[Loose]:
    return tm.files("loose/*.parquet")


@flow.transform
def totals(orders: tm.Frame[Orders]) -> tm.Frame[Shops]:
    return orders.select("id")


SEALED = seal(flow)


# Of twelve rows, those that are in a sample of half of them.
KEPT = {
    "at": [5, 6, 8, 9, 10],
    "day": [0, 2, 3, 5, 7, 10, 11],
    "id": [0, 2, 3, 5, 6, 7, 9, 10, 11],
    "name": [1, 2, 4, 6, 7, 8, 9],
}


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_what_is_no_share(share: float) -> None:
    with pytest.raises(UsageError, match="is not a sample: give a share of rows between 0 and 1"):
        share_of(share)


def test_a_sampled_workflow_asks_for_no_number_of_rows_and_for_no_reference() -> None:
    assert sampled(SEALED, 1.0) is SEALED
    found = sampled(SEALED, share_of(0.05))
    assert {stage.sample for stage in found.stages} == {0.05}
    for spec in (found["orders"].output, found["totals"].inputs[0].contract):
        assert spec is not None
        assert (spec.rows, [rule.name for rule in spec.wider]) == (None, ["once"])
    assert (SEALED["orders"].refers, found["orders"].refers) == ({"known": "shops"}, {})


def test_the_rows_of_an_ingest_are_told_by_its_key_unless_it_says_otherwise() -> None:
    by = {stage.name: stage.sampled_by for stage in SEALED.stages}
    assert by == {"shops": (), "orders": ("id",), "loose": ("id", "what"), "totals": ()}


def test_a_sample_is_another_recipe_of_every_stage() -> None:
    for share in (0.05, 0.1):
        for stage in sampled(SEALED, share).stages:
            recipe = recipe_of(stage, Evidence(source="s"), PLATFORM)
            whole = recipe_of(SEALED[stage.name], Evidence(source="s"), PLATFORM)
            assert recipe.digest != whole.digest
            assert (recipe.sample, whole.sample) == (share, 1.0)
            assert on_all_rows(recipe.parts) == on_all_rows(whole.parts) == whole.parts
            assert digest_on(stage, whole.parts, share) == recipe.digest
            assert digest_on(stage, whole.parts, 1.0) == whole.digest


def test_a_result_is_taken_only_on_its_own_sample() -> None:
    stage = sampled(SEALED, 0.5)["orders"]
    recipe = recipe_of(stage, Evidence(source="s"), PLATFORM)
    bound = Binding(
        key="k", recipe="r", contract="", check=recipe.check, product=Product(content="c"), run="",
        at=0.0, sample=0.5,
    )  # fmt: skip
    whole = recipe_of(SEALED["orders"], Evidence(source="s"), PLATFORM)
    assert reuse_of(bound, recipe, own=False) is Action.BIND
    assert reuse_of(bound, whole, own=False) is Action.RUN


@pytest.mark.parametrize("said", ["id", ["ids"], ("id", "ids")])
def test_columns_that_there_are_not(said: Any) -> None:
    other = tm.Workflow("wrong")
    other.ingest(sample_by=said)(orders)
    with pytest.raises(
        DeclarationError, match=r"ingest 'orders': sample_by=.* is not a column of Orders"
    ):
        seal(other)


KEYS = st.lists(st.integers(0, 10**6), max_size=200, unique=True)


@given(KEYS, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_row_is_in_a_sample_whatever_it_is_among(
    keys: list[int], one: float, other: float
) -> None:
    small, large = sorted((one, other))
    rows = pl.DataFrame({"id": keys, "x": keys}, schema={"id": pl.Int64, "x": pl.Int64})
    kept = portion(rows, ["id"], small)
    assert kept.equals(portion(rows.cast({"id": pl.Int32}), ["id"], small).cast({"id": pl.Int64}))
    assert set(kept["id"]) <= set(portion(rows, ["id"], large)["id"])
    half = rows.head(len(keys) // 2)
    assert set(portion(half, ["id"], small)["id"]) == set(kept["id"]) & set(half["id"])


def test_the_same_rows_for_ever() -> None:
    rows = pl.DataFrame(
        {
            "id": range(12),
            "day": [date(2026, 3, 1 + n) for n in range(12)],
            "at": [datetime(2026, 3, 1, n) for n in range(12)],
            "name": [None if n % 5 == 0 else f"n{n}" for n in range(12)],
        }
    )
    at = pl.col("at").dt.cast_time_unit
    for unit in ("ms", "ns"):
        rows = rows.with_columns(at(unit))
        kept = {
            name: portion(rows, [name], 0.5)["id"].to_list() for name in ("id", "day", "at", "name")
        }
        assert kept == KEPT
    assert portion(rows, (), 0.5).equals(rows)
    assert portion(rows, ("no",), 0.5).equals(rows)
    assert 0.2 < portion(pl.DataFrame({"id": range(10_000)}), ["id"], 0.25).height / 10_000 < 0.3


def test_nested_columns_tell_nothing() -> None:
    rows = pl.DataFrame({"id": [1, 2, 3], "what": [[1], [2], None]})
    assert portion(rows, ("id", "what"), 0.5).equals(portion(rows, ("id",), 0.5))


def test_what_an_environment_never_ran() -> None:
    recipes = {s.name: recipe_of(s, Evidence(source="s"), PLATFORM) for s in SEALED.stages}
    recorded = {name: recipe.parts for name, recipe in recipes.items()}
    assert list(unlike(SEALED, recipes, {}, recorded, 1.0)) == []
    known = {"shops": recorded["shops"], "orders": {**recorded["orders"], "source": "other"}}
    told = [
        "orders: how its files are read changed",
        "loose: it is new",
        "totals: it is new",
    ]
    assert sorted(unlike(SEALED, recipes, {}, known, 1.0)) == sorted(told)
    made = digest_on(SEALED["loose"], recipes["loose"].parts, 0.5)
    bound = Binding(
        key="k", recipe=made, contract="", check="", product=Product(content="c"), run="", at=0.0
    )
    heads = {"loose": Head(version=1, partitions={"": bound})}
    assert "loose: it is new" not in list(unlike(SEALED, recipes, heads, known, 0.5))
    assert "loose: it is new" in list(unlike(SEALED, recipes, heads, known, 1.0))
