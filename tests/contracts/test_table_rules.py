"""Rules that look beyond the partition, as they are declared."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tests.support.contracts import Airlines
from tidemill.contracts.table_rules import (
    Budget,
    Rows,
    TableRule,
)
from tidemill.core.errors import ContractError


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"vs_last": 7}, "needs vs_last= and within= together"),
        ({"within": 0.5}, "needs vs_last= and within= together"),
        ({"min": 3, "max": 2}, "min is above max"),
        ({"on_fail": "quarantine"}, "is not fail or warn"),
    ],
)
def test_rows_refuse_what_can_never_be(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        Rows(**arguments)


@pytest.mark.parametrize("share", [-0.1, 1.1, 5])
def test_a_budget_is_a_share(share: float) -> None:
    with pytest.raises(ContractError, match="is not a share of the rows"):
        Budget(max_bad=share)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (tm.Freshness("at", within="26h"), "the newest at is at most 26h old"),
        (tm.Unique("order"), "order comes once in the whole table"),
        (tm.Unique("order", "day"), "(order, day) comes once in the whole table"),
        (tm.References("carrier", Airlines), "carrier is among carrier of Airlines"),
        (
            tm.References("kind", Airlines, "code", stage="lines"),
            "kind is among code of Airlines (lines)",
        ),
        (tm.Drift("weight"), "psi of weight to the partition before is at most 0.2"),
        (
            tm.Drift("weight", "order", by="wasserstein", limit=3, vs_last=7),
            "wasserstein of (weight, order) to the 7 partitions before is at most 3",
        ),
    ],
)
def test_they_say_what_must_hold(rule: TableRule, says: str) -> None:
    assert str(rule) == says


def test_what_is_no_contract_is_no_table() -> None:
    with pytest.raises(ContractError, match="is not a contract: pass the class"):
        tm.References("carrier", str)
