"""A sample is a share of rows that is the same everywhere, and a recipe of its own."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError, UsageError
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.run import Action
from tidemill.reuse.recipe import Evidence, Platform, recipe_of
from tidemill.reuse.step_key import reuse_action
from tidemill.workflow.sample import (
    check_share,
    recipe_digest_on,
    sample_workflow,
    without_sample_part,
)
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


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_what_is_no_share(share: float) -> None:
    with pytest.raises(UsageError, match="is not a sample: give a share of rows between 0 and 1"):
        check_share(share)


def test_a_sampled_workflow_asks_for_no_number_of_rows_and_for_no_reference() -> None:
    assert sample_workflow(SEALED, 1.0) is SEALED
    found = sample_workflow(SEALED, check_share(0.05))
    assert {stage.sample for stage in found.stages} == {0.05}
    for spec in (found["orders"].output, found["totals"].inputs[0].contract):
        assert spec is not None
        assert (spec.rows, [rule.name for rule in spec.table_rules]) == (None, ["once"])
    assert (SEALED["orders"].refers, found["orders"].refers) == ({"known": "shops"}, {})


def test_the_rows_of_an_ingest_are_told_by_its_key_unless_it_says_otherwise() -> None:
    by = {stage.name: stage.sample_columns for stage in SEALED.stages}
    assert by == {"shops": (), "orders": ("id",), "loose": ("id", "what"), "totals": ()}


def test_a_sample_is_another_recipe_of_every_stage() -> None:
    for share in (0.05, 0.1):
        for stage in sample_workflow(SEALED, share).stages:
            recipe = recipe_of(stage, Evidence(source="s"), PLATFORM)
            whole = recipe_of(SEALED[stage.name], Evidence(source="s"), PLATFORM)
            assert recipe.digest != whole.digest
            assert (recipe.sample, whole.sample) == (share, 1.0)
            assert (
                without_sample_part(recipe.parts) == without_sample_part(whole.parts) == whole.parts
            )
            assert recipe_digest_on(stage, whole.parts, share) == recipe.digest
            assert recipe_digest_on(stage, whole.parts, 1.0) == whole.digest


def test_a_result_is_taken_only_on_its_own_sample() -> None:
    stage = sample_workflow(SEALED, 0.5)["orders"]
    recipe = recipe_of(stage, Evidence(source="s"), PLATFORM)
    bound = Binding(
        key="k", recipe="r", contract="", check=recipe.check, product=Product(content="c"), run="",
        at=0.0, sample=0.5,
    )  # fmt: skip
    whole = recipe_of(SEALED["orders"], Evidence(source="s"), PLATFORM)
    assert reuse_action(bound, recipe, own=False) is Action.BIND
    assert reuse_action(bound, whole, own=False) is Action.RUN


@pytest.mark.parametrize("said", ["id", ["ids"], ("id", "ids")])
def test_columns_that_there_are_not(said: Any) -> None:
    other = tm.Workflow("wrong")
    other.ingest(sample_by=said)(orders)
    with pytest.raises(
        DeclarationError, match=r"ingest 'orders': sample_by=.* is not a column of Orders"
    ):
        seal(other)
