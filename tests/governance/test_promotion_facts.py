"""The facts about a promotion: what the target would have that it hasn't."""

from __future__ import annotations

from typing import Any

import pytest

from tests.governance.test_delivery_facts import CONTEXT
from tests.support.planning import flow_of, ingest, model, reads, transform
from tidemill.governance.facts import known_facts, specs_of
from tidemill.governance.promotion_facts import PromotionEvidence, promotion_facts
from tidemill.ledger.binding import Product
from tidemill.ledger.policy import FactValue, SubjectKind

RAW = ingest("raw")
CLEAN = transform("clean", "day", reads(RAW))
FLOW = flow_of(RAW, CLEAN, model("guess", reads(CLEAN)))


def held(**contents: str) -> dict[str, Product]:
    return {key: Product(content=content, rows=10) for key, content in contents.items()}


def evidence(**changed: Any) -> PromotionEvidence:
    given: dict[str, Any] = {
        "source": "dev",
        "published": {"raw": held(d1="a", d2="b"), "clean": held(d1="x2", d2="y", d3="z")},
        "target": {"raw": held(d1="a", d2="b"), "clean": held(d1="x1", d2="y")},
        "recipes": {"raw": {"code": "1"}, "clean": {"code": "2"}},
        "target_recipes": {"raw": {"code": "1"}, "clean": {"code": "1"}},
        "live": {"guess": "new"},
        "target_live": {"guess": "old"},
        "broken": (),
        **changed,
    }
    return PromotionEvidence(**given)


def fact(name: str, **changed: Any) -> FactValue:
    return promotion_facts(CONTEXT, FLOW, evidence(**changed))[name]


def test_every_declared_fact_has_a_value_of_its_type() -> None:
    found = promotion_facts(CONTEXT, FLOW, evidence())
    assert found.keys() == specs_of(SubjectKind.PROMOTION).keys()
    assert known_facts(SubjectKind.PROMOTION, found) == found
    assert (found["name"], found["source"]) == ("prod", "dev")
    assert (found["stages"], found["partitions"]) == (("clean",), 2)
    assert found["rows_changed"] == pytest.approx(10 / 40)
    assert found["new_models"] == ("guess",)


def test_a_sample_tells_nothing_of_all_rows() -> None:
    assert fact("rows_changed", sample=0.1) is None
    assert fact("sampled", sample=0.1) is True
    assert fact("broken_consumers", broken=None) is None


def test_an_empty_target_has_no_rows_that_change() -> None:
    assert fact("rows_changed", target={}) == 0.0
    assert fact("stages", target={}, target_recipes={}) == ("raw", "clean")


def test_a_model_that_is_live_already_is_not_new() -> None:
    assert fact("new_models", target_live={"guess": "new"}) == ()
    assert fact("new_models", live={}) == ()
