"""Which stages keep an environment from being promoted."""

from __future__ import annotations

from tests.support.planning import flow_of, ingest, reads, transform
from tidemill.environments.promotion_check import recipe_mismatches
from tidemill.ledger.binding import Binding, Head, Product
from tidemill.reuse.recipe import Evidence, Platform, recipe_of
from tidemill.workflow.sample import recipe_digest_on

ORDERS, LOOSE, SHOPS = ingest("orders"), ingest("loose"), ingest("shops")
FLOW = flow_of(SHOPS, ORDERS, LOOSE, transform("totals", "day", reads(ORDERS)))
PLATFORM = Platform(engine="2.1.0")


def test_what_an_environment_never_ran() -> None:
    recipes = {s.name: recipe_of(s, Evidence(source="s"), PLATFORM) for s in FLOW.stages}
    recorded = {name: recipe.parts for name, recipe in recipes.items()}
    assert list(recipe_mismatches(FLOW, recipes, {}, recorded, 1.0)) == []
    known = {"shops": recorded["shops"], "orders": {**recorded["orders"], "source": "other"}}
    expected = [
        "orders: its declared source changed",
        "loose: new stage",
        "totals: new stage",
    ]
    assert sorted(recipe_mismatches(FLOW, recipes, {}, known, 1.0)) == sorted(expected)
    made = recipe_digest_on(FLOW["loose"], recipes["loose"].parts, 0.5)
    bound = Binding(
        key="k", recipe=made, contract="", check="", product=Product(content="c"), run="", at=0.0
    )
    heads = {"loose": Head(version=1, partitions={"": bound})}
    assert "loose: new stage" not in list(recipe_mismatches(FLOW, recipes, heads, known, 0.5))
    assert "loose: new stage" in list(recipe_mismatches(FLOW, recipes, heads, known, 1.0))
