"""The facts about a delivery of a table: what changes in it, and how much of what users have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.governance.test_delivery_facts import CONTEXT
from tidemill.governance.facts import known_facts, specs_of
from tidemill.governance.table_facts import TableEvidence, table_facts
from tidemill.ledger.binding import Product
from tidemill.ledger.policy import FactValue, SubjectKind


def product(content: str, rows: int = 10) -> Product:
    return Product(content=content, rows=rows)


def evidence(**changed: Any) -> TableEvidence:
    given: dict[str, Any] = {
        "name": "sent",
        "sink": "parquet",
        "new": {"d1": product("a"), "d2": product("b2")},
        "old": {"d2": product("b1")},
        "published": 3,
        "published_rows": 40,
        "moved": 4,
        "personal": (),
        "stale": False,
        **changed,
    }
    return TableEvidence(**given)


def fact(name: str, **changed: Any) -> FactValue:
    return table_facts(CONTEXT, evidence(**changed))[name]


def test_every_declared_fact_has_a_value_of_its_type() -> None:
    found = table_facts(CONTEXT, evidence())
    assert found.keys() == specs_of(SubjectKind.TABLE).keys()
    assert known_facts(SubjectKind.TABLE, found) == found
    assert (found["partitions"], found["rows"], found["retention_declared"]) == (2, 20, True)


@pytest.mark.parametrize(
    ("moved", "published_rows", "share"),
    [(4, 40, 0.1), (0, 40, 0.0), (50, 40, 1.0), (None, 40, None), (0, 0, 0.0), (3, 0, 1.0)],
)
def test_moved_rows_are_a_share_of_the_published_ones(
    moved: int | None, published_rows: int, share: float | None
) -> None:
    assert fact("moved_rows", moved=moved, published_rows=published_rows) == share


@pytest.mark.parametrize(
    ("new", "is_backfill"),
    [
        ({"d1": product("a")}, False),
        ({"d2": product("b1")}, False),
        ({"d2": product("b2")}, True),
        ({"d2": None}, True),
        ({"d9": None}, False),
    ],
)
def test_a_backfill_replaces_or_removes_what_was_published(
    new: dict[str, Product | None], is_backfill: bool
) -> None:
    assert fact("backfill", new=new) is is_backfill


def test_the_first_delivery_has_nothing_before_it() -> None:
    assert fact("first_delivery", published=0) is True
    assert fact("first_delivery") is False
    assert fact("sampled", sample=0.5) is True
    assert table_facts(replace(CONTEXT, sample=0.5), evidence())["sampled"] is True
