"""Check columns of numbers all at once, as one array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidemill.contracts.column import Column

# The greatest integer of which a float isn't also the rounded value of others.
_EXACT = (1 << 53) - 1


class NumberColumns:
    """The bounds of columns that are all numbers or true and false.

    `accept` never accepts what the contract refuses; it may refuse what the contract accepts.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        limits = [_limits(column) for column in columns]
        self._low = np.array([low for low, _ in limits], dtype=np.float64)[:, None]
        self._high = np.array([high for _, high in limits], dtype=np.float64)[:, None]
        self._nullable = np.array([[column.nullable] for column in columns])
        self._floats = np.array([[column.dtype.name.startswith("Float")] for column in columns])
        self._whole = np.flatnonzero(~self._floats)

    def accept(self, numbers: Any, *, nan_is_null: bool = False) -> bool:
        """Whether an array of columns x rows has only values that the contract accepts.

        NaN is a missing value where that is allowed: in floats, or everywhere if it stands for null.
        """
        within = (numbers >= self._low) & (numbers <= self._high)
        if not within.all():
            missing = self._nullable if nan_is_null else self._nullable & self._floats
            if not (within | (np.isnan(numbers) & missing)).all():
                return False
        whole = numbers[self._whole] if self._whole.size else None
        if whole is None:
            return True
        same = whole == np.floor(whole)
        return bool(same.all() or (same | np.isnan(whole)).all())

    def clear_signs(self, numbers: Any) -> None:
        """Make zeros of -0.0 in columns of integers, which have no such value, in place."""
        if self._whole.size:
            numbers[self._whole] += 0.0


def are_number_columns(columns: Sequence[Column]) -> bool:
    """Whether `NumberColumns` can check all of these columns."""
    return bool(columns) and all(map(_is_plain, columns))


def _is_plain(column: Column) -> bool:
    name = column.dtype.name
    if column.dtype.integer_range is None and name not in ("Float64", "Float32", "Boolean"):
        return False
    bounds: tuple[Any, ...] = (column.min, column.max, column.min_exclusive, column.max_exclusive)
    if name == "Float32" and bounds[2:] != (None, None):
        # Polars compares with a bound that is rounded to 32 bits.
        return False
    exact = all(bound is None or abs(bound) <= _EXACT for bound in bounds)
    return exact and column.isin is None and not column.text.null_values


def _limits(column: Column) -> tuple[float, float]:
    """Return the least and the greatest value, as floats."""
    low, high = -math.inf, math.inf
    if column.dtype.name == "Boolean":
        return 0, 1
    if column.dtype.integer_range is not None:
        least, most = column.dtype.integer_range
        low, high = max(least, -_EXACT), min(most, _EXACT)
    if column.min is not None:
        low = max(low, float(column.min))  # type: ignore[arg-type]
    if column.min_exclusive is not None:
        low = max(low, math.nextafter(float(column.min_exclusive), math.inf))  # type: ignore[arg-type]
    if column.max is not None:
        high = min(high, float(column.max))  # type: ignore[arg-type]
    if column.max_exclusive is not None:
        high = min(high, math.nextafter(float(column.max_exclusive), -math.inf))  # type: ignore[arg-type]
    return low, high
