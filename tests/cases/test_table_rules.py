"""Rules about whole tables, on the few that a case has."""

from __future__ import annotations

import polars as pl

import tidemill as tm
from tidemill.cases.table_rules import table_rule_findings


class Shops(tm.Contract):
    shop = tm.String()


class Orders(tm.Contract):
    id = tm.Int64(nullable=True)
    shop = tm.String(nullable=True)
    once = tm.Unique("id")
    known = tm.References("shop", Shops)
    day = tm.Date(partition="1d")
    usual = tm.Drift("id")


SPEC = Orders.__tidemill_contract__


def rows(*ids: int | None, shop: str | None = "a") -> pl.DataFrame:
    return pl.DataFrame(
        {"id": ids, "shop": [shop] * len(ids)}, schema={"id": pl.Int64, "shop": pl.String}
    )


def test_values_repeat_across_partitions() -> None:
    parts = {"1": rows(1, 2, None), "2": rows(2, 3, None)}
    [found] = table_rule_findings(SPEC, parts, {}, {})
    assert found.rule == "once"
    assert "also in 1" in found.message
    assert table_rule_findings(SPEC, {"1": rows(1, 2)}, {}, {}) == ()


def test_values_repeat_within_a_partition() -> None:
    [found] = table_rule_findings(SPEC, {"1": rows(1, 1)}, {}, {})
    assert (found.rule, found.rows) == ("once", 1)


def test_references_are_checked_if_the_table_is_known() -> None:
    shops = {"known": pl.DataFrame({"shop": ["a"]})}
    refers = {"known": "shops"}
    assert table_rule_findings(SPEC, {"1": rows(1)}, shops, refers) == ()
    assert table_rule_findings(SPEC, {"1": rows(1, shop=None)}, shops, refers) == ()
    [found] = table_rule_findings(SPEC, {"1": rows(1, shop="b")}, shops, refers)
    assert (found.rule, found.severity) == ("known", "fail")
    assert table_rule_findings(SPEC, {"1": rows(1, shop="b")}, {}, refers) == ()


def test_no_partitions_no_findings() -> None:
    assert table_rule_findings(SPEC, {}, {}, {}) == ()
