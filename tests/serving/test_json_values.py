"""Values of columns as requests write them, and as findings show them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tidemill.serving.json_values import json_value, shown_value


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (date(2013, 3, 7), "2013-03-07"),
        (datetime(2013, 3, 7, tzinfo=UTC), "2013-03-07T00:00:00+00:00"),
        (timedelta(seconds=1.5), 1.5),
        (Decimal("1.50"), 1.5),
        (Decimal(2), 2),
        (b"x", None),
        (float("nan"), None),
        ([date(2013, 3, 7)], ["2013-03-07"]),
        ({"a": Decimal(2)}, {"a": 2}),
        ("x", "x"),
    ],
)
def test_values_are_written_as_requests_write_them(value: Any, found: Any) -> None:
    assert json_value(value) == found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2013, 3, 7, tzinfo=UTC), "2013-03-07T00:00:00+00:00"),
        (timedelta(seconds=1.5), 1.5),
        (Decimal("1.25"), 1.25),
        (b"abc", "3 bytes"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ([1, 2], "[1, 2]"),
        (["x" * 300], "['" + "x" * 195 + "..."),
        ("x" * 300, "x" * 197 + "..."),
        (1, 1),
    ],
)
def test_values_are_shown_as_json_may_show_them(value: Any, shown: Any) -> None:
    assert shown_value(value) == shown
