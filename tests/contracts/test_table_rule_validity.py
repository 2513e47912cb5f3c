from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import tidemill as tm
from tests.support.contracts import Airlines, declare_rules
from tidemill.contracts.table_rules import (
    TableRule,
)
from tidemill.core.errors import ContractError

# What no type checker lets through, and people write all the same.
loose: Any = tm


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (loose.Unique("order", on_fail="quarantine"), "on_fail='quarantine' is not fail or warn"),
        (tm.Unique(), "x: it names no column"),
        (tm.Unique("ordr"), "column 'ordr' is not one of its columns (did you mean 'order'"),
        (loose.Unique(3), "column 3 is not one of its columns"),
        (tm.Unique("order", "order"), "it names a column twice: order, order"),
        (tm.Unique("tags"), "tags is a List(String), whose values aren't compared"),
        (tm.Freshness("aat", within="1d"), "column 'aat' is not one of its columns"),
        (tm.Freshness("order", within="1d"), "order is Int64: only a Date or Datetime column"),
        (tm.Freshness("at", within="soon"), "within='soon' is not a duration"),
        (loose.Freshness("at", within=3), "within=3 is not a duration"),
        (tm.References("carrier", Airlines, "carier"), "'carier' is not one of Airlines's columns"),
        (
            tm.References(("carrier", "kind"), Airlines, "carrier"),
            "it names 2 columns here and 1 of Airlines",
        ),
        (
            tm.References("carrier", Airlines, "number"),
            "carrier is String, Airlines.number is Int32: they share no values",
        ),
        (tm.References("order", Airlines), "'order' is not one of Airlines's columns"),
        (loose.Drift("weight", by="psy"), "by='psy' is not one of psi, ks, wasserstein"),
        (tm.Drift("weight", limit=-1), "limit=-1 is not a distance"),
        (tm.Drift("weight", limit=float("inf")), "limit=inf is not a distance"),
        (tm.Drift("weight", limit=True), "limit=True is not a distance"),
        (tm.Drift("weight", vs_last=0), "vs_last=0 is not a number of partitions"),
        (loose.Drift("weight", vs_last=1.5), "vs_last=1.5 is not a number of partitions"),
        (tm.Drift("carrier", by="ks"), "ks of carrier, a String: it needs numbers or times"),
        (tm.Drift("raw"), "raw is Binary, which has no distribution"),
        (tm.Drift("wait", by="ks"), "column 'wait' is not one of its columns"),
        (tm.DriftAlarm("wait"), "column 'wait' is not one of its columns"),
        (replace(tm.DriftAlarm(), on_fail="fail"), "on_fail='fail': an alarm only warns"),
        (tm.DriftAlarm("weight", "weight"), "it names a column twice: weight, weight"),
    ],
)
def test_contradictions_are_told(rule: TableRule, says: str) -> None:
    with pytest.raises(ContractError) as caught:
        declare_rules({"x": rule})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "rule",
    [
        tm.References("kind", Airlines, "code"),  # texts of two kinds
        tm.References("carrier", Airlines, "code"),
        tm.References("order", Airlines, "number"),  # integers of two widths
        tm.Drift("carrier", "kind"),
        tm.Drift("day", "at", by="wasserstein"),
        tm.Freshness("day", within="3mo"),
    ],
)
def test_what_makes_sense_is_accepted(rule: TableRule) -> None:
    assert len(declare_rules({"x": rule}).table_rules) == 1


def test_drift_needs_partitions() -> None:
    with pytest.raises(
        ContractError, match="no partition column, so there are no earlier partitions"
    ):
        declare_rules({"x": tm.Drift("a")}, {"a": tm.Int64()})


def test_all_are_told_at_once() -> None:
    with pytest.raises(ContractError) as caught:
        declare_rules({"x": tm.Unique("a"), "y": tm.Freshness("order", within="b")})
    assert str(caught.value).count("; ") == 2
