"""Records as values of JSON."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tidemill.contracts.column_types import Int64
from tidemill.contracts.docs.phrases import table_conditions
from tidemill.contracts.io.contract import Contract
from tidemill.contracts.table_rules import Unique
from tidemill.core.json_values import to_json_values
from tidemill.ledger.run import Status


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any = None


@dataclass(frozen=True)
class Nothing:
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Pair(1, Pair("x")), {"left": 1, "right": {"left": "x", "right": None}}),
        ({1: (2, 3)}, {"1": [2, 3]}),
        (Nothing(), {}),
        (frozenset({1}), [1]),
        (Status.OK, "ok"),
        (True, True),
        (0.5, 0.5),
        (float("nan"), None),
        (float("-inf"), None),
        (b"\x01\xff", "01ff"),
        (date(2026, 1, 5), "2026-01-05"),
        (timedelta(hours=1), "1:00:00"),
        (Decimal("1.50"), "1.50"),
        (Pair, str(Pair)),  # a class is no record
    ],
)
def test_plain(value: object, expected: object) -> None:
    assert to_json_values(value) == expected


def test_keys_that_scripts_know_stay() -> None:
    class Orders(Contract, key=("id",)):
        id = Int64(min=1)
        once = Unique("id")

    spec = Orders.__tidemill_contract__
    assert [rule["name"] for rule in to_json_values(spec)["wider"]] == ["once"]
    [condition, *_] = table_conditions(spec)
    assert to_json_values(condition)["says"] == condition.phrase


def test_secrets_are_masked_in_values_and_stay_in_names() -> None:
    found = to_json_values({"token": ["a token", {"token": "x"}]}, lambda text: text.upper())
    assert found == {"token": ["A TOKEN", {"token": "X"}]}
