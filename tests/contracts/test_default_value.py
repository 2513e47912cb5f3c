from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal as Exact

import pytest

from tests.support.contracts import declare
from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.core.errors import ContractError

DAY = date(2013, 3, 7)


@pytest.mark.parametrize(
    ("column", "fits"),
    [
        (tm.Int8(optional=True, default=127), True),
        (tm.Int8(optional=True, default=128), False),
        (tm.UInt8(optional=True, default=-1), False),
        (tm.UInt128(optional=True, default=2**128 - 1), True),
        (tm.Int64(optional=True, default=True), False),
        (tm.Float64(optional=True, default=1), True),
        (tm.Float64(optional=True, default=float("inf")), True),
        (tm.Float64(optional=True, default=float("nan")), False),
        (tm.Decimal(4, 2, optional=True, default=Exact("12.340")), True),
        (tm.Decimal(4, 2, optional=True, default=Exact("1.234")), False),
        (tm.Decimal(4, 2, optional=True, default=100), False),
        (tm.Decimal(2, 2, optional=True, default=0), True),
        (tm.Decimal(38, 8, optional=True, default=Exact("1" * 30 + ".12345678")), True),
        (tm.Decimal(4, 2, optional=True, default=Exact("Infinity")), False),
        (tm.Bool(optional=True, default=False), True),
        (tm.String(optional=True, default=b"x"), False),
        (tm.Enum(["a"], optional=True, default="a"), True),
        (tm.Enum(["a"], optional=True, default="b"), False),
        (tm.Date(optional=True, default=DAY), True),
        (tm.Date(optional=True, default=datetime(2013, 3, 7)), False),
        (tm.Datetime(optional=True, default=datetime(2013, 3, 7)), True),
        (tm.Datetime("us", "UTC", optional=True, default=datetime(2013, 3, 7)), False),
        (tm.List(tm.Int8(), optional=True, default=[]), False),
        (tm.Int64(optional=True, default=9, max=8), False),
        (tm.Int64(optional=True, default=8, max_exclusive=8), False),
        (tm.Int64(optional=True, default=1, min_exclusive=1), False),
        (tm.Int64(optional=True, default=1, isin=[2]), False),
        (tm.String(optional=True, default="", min_length=1), False),
        (tm.Binary(optional=True, default=b"xy", max_length=1), False),
        (tm.String(optional=True, default="x", min_length=1, max_length=1, isin=["x"]), True),
    ],
)  # fmt: skip
def test_a_default_is_a_value_that_the_column_allows(column: Column, fits: bool) -> None:
    if fits:
        assert declare({"a": column}).names == ("a",)
        return
    with pytest.raises(ContractError, match="a: default="):
        declare({"a": column})
