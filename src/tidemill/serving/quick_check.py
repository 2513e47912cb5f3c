"""Accept one row of a frame by its contract in microseconds, where its checker takes a millisecond."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import msgspec
import polars as pl

from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.rows import RequestRows

# Their values are the same after they were written as JSON and read again.
_KINDS = ("Float64", "Int", "UInt", "Boolean", "String", "Enum", "Date")


class QuickCheck:
    """Accepts a row if its contract surely does, in the way in which requests are accepted."""

    def __init__(self, contract: ContractSpec, names: Sequence[str]) -> None:
        self._names = list(names)
        columns = [contract.column(name) for name in names]
        self._types = [polars_type(column.dtype) for column in columns]
        self._schema = InputSchema(contract, names) if all(map(_is_plain, columns)) else None

    def accept(self, frame: pl.DataFrame) -> RequestRows | None:
        """Return the row of a frame with these columns; None if the checker must decide."""
        if self._schema is None:
            return None
        frame = frame[self._names]
        if frame.dtypes != self._types:
            return None
        row = frame.row(0)
        # JSON has neither NaN nor infinity.
        if any(type(value) is float and not isfinite(value) for value in row):
            return None
        body = msgspec.json.encode(dict(zip(self._names, row, strict=True)))
        if self._schema.decode_rows_typed(body) is None:
            return None
        return RequestRows(1, tuple((value,) for value in row), frame)


def _is_plain(column: Column) -> bool:
    text = column.text
    return column.dtype.name.startswith(_KINDS) and not text.formats and not text.null_values
