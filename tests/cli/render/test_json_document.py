"""What `--json` writes."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tidemill.cli.render.json_document import document, to_json_values
from tidemill.ledger.run import Status


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Pair(1, Pair("x")), {"left": 1, "right": {"left": "x", "right": None}}),
        ({1: (2, 3)}, {"1": [2, 3]}),
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


def test_a_document_names_its_schema_first() -> None:
    text = document("tidemill.plan/1", {"stage": "größe", "rows": float("inf")})
    assert text.startswith('{"schema": "tidemill.plan/1", ')
    assert json.loads(text) == {"schema": "tidemill.plan/1", "stage": "größe", "rows": None}
