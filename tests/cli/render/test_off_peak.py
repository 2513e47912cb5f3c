"""What waiting saved, in a line."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.cli.render.off_peak import saving_line
from tidemill.ledger.off_peak import OffPeakSaving


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({}, "what it saved isn't known"),
        ({"share": 0.25}, "saved 25 % against running at once"),
        ({"share": 0.25, "amount": 1.5, "unit": "EUR"}, "saved 1.5 EUR or 25 % against"),
        ({"amount": 1_500.0}, "saved 1,500 against"),
        ({"share": 1.2, "amount": 1.5}, "saved 1.5 or more than 100 % against"),
        ({"share": -0.25, "amount": -1.5, "unit": "EUR"}, "cost more by 1.5 EUR or 25 % against"),
        ({"share": 0.25, "late": ("model",)}, "at once; LATE: model"),
    ],
)
def test_savings_are_told(found: dict[str, Any], line: str) -> None:
    text = saving_line(OffPeakSaving(stages=("model",), waited_s=36_000.0, **found))
    assert text.startswith("off-peak: model waited up to 10.0 h, ")
    assert line in text
