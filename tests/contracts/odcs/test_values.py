"""Values of columns in a document, and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tidemill.contracts.dtype import DType
from tidemill.contracts.odcs.values import decode, encode, encode_bound

TOKYO = ZoneInfo("Asia/Tokyo")
LOCAL = DType("Datetime", ("us", "Asia/Tokyo"))


@pytest.mark.parametrize(
    ("value", "dtype", "told"),
    [
        (None, DType("Date"), None),
        (3, DType("Int8"), 3),
        (0.5, DType("Float32"), 0.5),
        (True, DType("Boolean"), True),
        ("x", DType("String"), "x"),
        (b"\xff\x00", DType("Binary"), "/wA="),
        (date(2026, 1, 1), DType("Date"), "2026-01-01"),
        (time(9, 30, 0, 5), DType("Time"), "09:30:00.000005"),
        (timedelta(days=1, microseconds=5), DType("Duration", ("us",)), "PT86400.000005S"),
        (timedelta(seconds=-90), DType("Duration", ("ms",)), "-PT90.000000S"),
        (Decimal("0.50"), DType("Decimal", (9, 2)), "0.50"),
        (2, DType("Decimal", (9, 2)), 2),
        (datetime(2026, 1, 1), DType("Datetime", ("us", None)), "2026-01-01T00:00:00"),
        (datetime(2026, 1, 1, tzinfo=UTC), DType("Datetime", ("us", "UTC")), "2026-01-01T00:00:00+00:00"),
        (datetime(2026, 1, 1, tzinfo=TOKYO), LOCAL, "2026-01-01T00:00:00+09:00"),
        # Another offset than that of the zone is kept.
        (datetime(2026, 1, 1, tzinfo=UTC), LOCAL, "2026-01-01T00:00:00+00:00"),
        ([1, [2]], DType("List", (DType("Int8"),)), [1, [2]]),
        ({"a": date(2026, 1, 1)}, DType("Struct", ("a", DType("Date"))), {"a": "2026-01-01"}),
    ],
)  # fmt: skip
def test_values(value: Any, dtype: DType, told: Any) -> None:
    assert encode(value) == told
    if dtype.name != "Struct":
        assert repr(decode(told, dtype)) == repr(value)


@pytest.mark.parametrize(
    ("told", "dtype", "why"),
    [
        ("soon", DType("Date"), "Invalid isoformat"),
        ("90 s", DType("Duration", ("us",)), "'90 s' is not a duration such as PT90S"),
        ("§", DType("Binary"), "is not Base64"),
        ("abc", DType("Binary"), "'abc' is not Base64"),
        ("9 o'clock", DType("Time"), "Invalid isoformat"),
        ("three", DType("Int8"), "'three' is not a number"),
    ],
)
def test_what_is_no_value_of_a_type(told: str, dtype: DType, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(told, dtype)


def test_a_bound_is_a_number_where_documents_need_one() -> None:
    assert encode_bound(Decimal("0.50")) == 0.5
    assert isinstance(encode_bound(Decimal(2)), float)
    assert encode_bound(date(2026, 1, 1)) == "2026-01-01"
