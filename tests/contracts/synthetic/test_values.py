from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal as Exact
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.io.contract import Contract
from tidemill.core.errors import ContractError

NEW_YORK = ZoneInfo("America/New_York")


def one(column: Any, **more: Any) -> type[Contract]:
    """A contract of one column."""
    return type("One", (Contract,), {"a": column}, **more)


@pytest.mark.parametrize(
    ("column", "holds"),
    [
        (tm.Int64(min=5), lambda a: a >= 5),
        (tm.Int64(max=-5), lambda a: a <= -5),
        (tm.Int64(min_exclusive=5, max_exclusive=7), lambda a: a == 6),
        (tm.Int8(), lambda a: 0 <= a <= 127),
        (tm.UInt64(min=2**64 - 2), lambda a: a >= 2**64 - 2),
        (tm.Int128(min=2**100, max=2**101), lambda a: 2**100 <= a <= 2**101),
        (tm.Float64(max=0.5), lambda a: a <= 0.5),
        (tm.Float64(min_exclusive=0.001, max_exclusive=0.002), lambda a: 0.001 < a < 0.002),
        (tm.Float32(min=1), lambda a: a >= 1),
        (tm.Decimal(5, 2, min=Exact("1.25"), max=2), lambda a: Exact("1.25") <= a <= 2),
        (tm.Decimal(9, 3, min_exclusive=1), lambda a: a > 1),
        (tm.Bool(), lambda a: a in (True, False)),
        (tm.String(isin=["a", "b"]), lambda a: a in "ab"),
        (tm.String(min_length=9), lambda a: len(a) >= 9),
        (tm.String(max_length=2), lambda a: len(a) <= 2),
        (tm.Binary(min_length=2, max_length=2), lambda a: len(a) == 2),
        (tm.Categorical(), str.isalpha),
        (tm.Date(min=date(2030, 1, 1)), lambda a: a >= date(2030, 1, 1)),
        (tm.Date(max_exclusive=date(1990, 1, 1)), lambda a: a < date(1990, 1, 1)),
        (tm.Date(min=date(2024, 5, 1), max=date(2024, 5, 2)), lambda a: a.month == 5),
        (tm.Date(max=date(2024, 5, 2)), lambda a: a.year == 2024),
        (tm.Datetime("ms", max_exclusive=datetime(2020, 1, 1)), lambda a: a.year < 2020),
        (tm.Datetime("us", "America/New_York", min=datetime(2031, 1, 1, tzinfo=NEW_YORK)),
         lambda a: a.year >= 2031),
        (tm.Time(), lambda a: a.microsecond == 0),
        (tm.Duration("ms"), lambda a: timedelta(0) <= a < timedelta(days=1)),
        (tm.List(tm.Int8(), min_length=1, max_length=2), lambda a: 1 <= len(a) <= 2),
        (tm.Array(tm.Date(), 2), lambda a: len(a) == 2),
        (tm.Struct({"x": tm.Float64(), "y": tm.String()}), lambda a: set(a) == {"x", "y"}),
    ],
)  # fmt: skip
def test_every_type_within_its_bounds(column: Any, holds: Any) -> None:
    values = one(column).sample(50, seed=4)["a"].to_list()
    assert len(values) == 50
    assert all(holds(value) for value in values)


def test_no_whole_number_between_two_bounds() -> None:
    with pytest.raises(ContractError, match="there is no integer from 2 to 1"):
        one(tm.Decimal(3, 0, min_exclusive=1, max_exclusive=2)).sample(1)
