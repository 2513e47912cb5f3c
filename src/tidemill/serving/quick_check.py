"""Accept rows of a frame by their contract in microseconds, where its checker takes a millisecond."""

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

# The checker takes less for more rows.
_MOST_ROWS = 256
# Their values are the same after they were written as JSON and read again.
_KINDS = ("Float64", "Int", "UInt", "Boolean", "String", "Enum", "Date")


class QuickCheck:
    """Accepts rows if their contract surely does, in the way in which requests are accepted."""

    def __init__(self, contract: ContractSpec, names: Sequence[str]) -> None:
        self._names = list(names)
        columns = [contract.column(name) for name in names]
        self._types = [polars_type(column.dtype) for column in columns]
        self._schema = InputSchema(contract, names) if all(map(_is_plain, columns)) else None

    def accept(self, frame: pl.DataFrame) -> RequestRows | None:
        """Return the rows of a frame with these columns; None if the checker must decide."""
        if self._schema is None or not 0 < frame.height <= _MOST_ROWS:
            return None
        frame = frame[self._names]
        if frame.dtypes != self._types:
            return None
        rows = frame.rows()
        # JSON has neither NaN nor infinity.
        if any(type(value) is float and not isfinite(value) for row in rows for value in row):
            return None
        body = msgspec.json.encode([dict(zip(self._names, row, strict=True)) for row in rows])
        if self._schema.decode_rows_typed(body) is None:
            return None
        return RequestRows(len(rows), tuple(zip(*rows, strict=True)), frame)


def _is_plain(column: Column) -> bool:
    text = column.text
    return column.dtype.name.startswith(_KINDS) and not text.formats and not text.null_values
