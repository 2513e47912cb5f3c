from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal as Exact
from typing import Any

import pytest

from tests.support.contracts import declare
from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.core.errors import ContractError

DAY = date(2013, 3, 7)


@pytest.mark.parametrize(
    ("body", "arguments", "says"),
    [
        ({"a": tm.Int64(on_fail="stop")}, {}, "a: on_fail='stop' is not one of"),  # type: ignore[arg-type]
        ({"a": tm.Int64(role="lable")}, {}, "role='lable' is not one of label"),  # type: ignore[arg-type]
        ({"a": tm.Int64(min=3, max=2)}, {}, "min=3 is above max=2"),
        ({"a": tm.Int64(min="3", max=2)}, {}, "min='3' can't be compared with a Int64"),  # type: ignore[arg-type]
        ({"a": tm.Float64(max=float("nan"))}, {}, "max=nan can't be compared"),
        ({"a": tm.Date(min=datetime(2013, 1, 1))}, {}, "can't be compared with a Date"),
        ({"a": tm.Datetime(min=datetime(2013, 1, 1, tzinfo=UTC))}, {}, "can't be compared"),
        ({"a": tm.Datetime("us", "UTC", min=datetime(2013, 1, 1))}, {}, "can't be compared"),
        ({"a": tm.Int64(isin=[])}, {}, "isin is empty"),
        ({"a": tm.Enum([])}, {}, "an Enum without categories"),
        ({"a": tm.Enum(["x", "x"])}, {}, "names a category twice: x, x"),
        ({"a": tm.String(regex="(")}, {}, r"regex '\(' is invalid"),
        ({"a": tm.Date(partition="1d", nullable=True)}, {}, "can't be nullable"),
        ({"a": tm.String(partition="1d")}, {}, "needs a Date or Datetime column, not String"),
        ({"a": tm.Date(partition="1h")}, {}, "a Date has no hours"),
        ({"a": tm.Float64(partition="value")}, {}, "can't be partitioned by value"),
        ({"a": tm.List(tm.Int8(), partition="value")}, {}, "can't be partitioned by value"),
        ({"a": tm.Int64(min=1, min_exclusive=1)}, {}, "min=1 and min_exclusive=1 are two bounds"),
        ({"a": tm.Int64(max=1, max_exclusive=1)}, {}, "max=1 and max_exclusive=1 are two bounds"),
        ({"a": tm.Int64(min_exclusive=3, max=3)}, {}, "min_exclusive=3 and max=3 leave no value"),
        ({"a": tm.Int64(min=3, max_exclusive=2)}, {}, "min=3 is above max_exclusive=2"),
        ({"a": tm.Int64(min_exclusive="x")}, {}, "min_exclusive='x' can't be compared"),  # type: ignore[arg-type]
        ({"a": tm.Decimal(5, 2, min=0.5)}, {}, r"min=0.5 can't be compared with a Decimal\(5, 2\)"),  # type: ignore[arg-type]
        ({"a": tm.Decimal(5, 2, max=Exact("NaN"))}, {}, "can't be compared"),
        ({"a": tm.Int64(max=2**127)}, {}, "can't be compared with a Int64"),
        ({"a": tm.Decimal(5, 2, max=True)}, {}, "max=True can't be compared"),
        ({"a": Column(dtype=DType("Int64"), min_length=1)}, {}, "min_length on a Int64: only Str"),
        ({"a": tm.String(min_length=-1)}, {}, "min_length=-1 is not a length"),
        ({"a": tm.String(max_length=True)}, {}, "max_length=True is not a length"),
        ({"a": tm.List(tm.Int8(), min_length=2, max_length=1)}, {}, "2 is above max_length=1"),
        ({"a": tm.List(tm.Int8(), unique=True)}, {}, r"unique=True on a List\(Int8\)"),
        ({"a": tm.Int64(unique=1)}, {}, "unique=1 is not True or False"),  # type: ignore[arg-type]
        ({"a": tm.String(pii=True)}, {}, "pii=True is not text"),  # type: ignore[arg-type]
        ({"a": tm.String(regex=3)}, {}, "regex 3 is invalid"),  # type: ignore[arg-type]
        ({"a": tm.Date(partition="1d", optional=True, default=DAY)}, {}, "can't be optional"),
        ({"a": tm.Int64(default=1)}, {}, "default=1 fills .* set optional=True"),
        ({"a": tm.Int64(optional=True)}, {}, "filled with null: set nullable=True"),
        (
            {"a": tm.Int64(optional=True, default=1, unique=True)},
            {},
            "default=1 would repeat in a unique column",
        ),
        ({"a": tm.Int64(optional=True, default=1.5)}, {}, "default=1.5 is not a value of Int64"),
        (
            {"a": tm.Int64(optional=True, default=0, min=1)},
            {},
            "default=0 breaks its own rule: min=1",
        ),
    ],
)
def test_a_column_that_contradicts_itself_is_refused(
    body: dict[str, Any], arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        declare(body, **arguments)
    assert "contracts.py:" in str(caught.value)
    assert "contract X: " in str(caught.value)


@pytest.mark.parametrize(
    "column",
    [
        tm.String(regex=r"^\p{Lu}\pL+$"),  # Unicode classes, which only Polars knows
        tm.Date(min=date(2013, 1, 1), max=date(2013, 1, 1)),
        tm.Datetime("us", "UTC", min=datetime(2013, 1, 1, tzinfo=UTC)),
        tm.Float64(min=0, max=float("inf")),
        tm.Int64(partition="value"),
    ],
)
def test_what_makes_sense_is_accepted(column: Column) -> None:
    assert declare({"a": column}).names == ("a",)
