"""Evaluate the rules over several columns on rows whose columns all pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.contracts.checks.row_rules import expression_rules
from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.spec import ContractSpec
from tidemill.serving.request_contract import request_contract
from tidemill.serving.rows import RequestRows


class RowRules:
    """The `tm.rule` expressions of a contract that requests must pass; false if there are none."""

    def __init__(self, spec: ContractSpec, names: Sequence[str]) -> None:
        request = request_contract(spec, names)
        compiled = expression_rules(request)
        refusing = [query for query in compiled if query.rule.on_fail != "warn"]
        self._passes = [
            query.passes.all(ignore_nulls=True).alias(str(at)) for at, query in enumerate(refusing)
        ]
        by_name = {rule.name: rule for rule in request.rules}
        roots = {
            name for query in refusing for name in by_name[query.rule.id].expr.meta.root_names()
        }
        # An expression such as pl.all() names no columns, and reads all.
        self._read = [
            (at, column.name, polars_type(column.dtype))
            for at, column in enumerate(request.columns)
            if column.name in roots
            or not all(by_name[query.rule.id].expr.meta.root_names() for query in refusing)
        ]

    def __bool__(self) -> bool:
        return bool(self._passes)

    def accept(self, rows: RequestRows) -> bool:
        """Whether all rows pass all rules; a rule that can't be evaluated isn't passed."""
        columns = rows.columns
        try:
            frame = pl.DataFrame(
                [typed_series(name, columns[at], dtype) for at, name, dtype in self._read]
            )
            return all(frame.select(self._passes).row(0))
        except PolarsError:
            return False


def typed_series(name: str, values: Any, dtype: pl.DataType) -> pl.Series:
    """Return the values of a column as a series of a type that they all have."""
    if hasattr(values, "dtype"):
        return pl.Series(name, values).cast(dtype)
    return pl.Series(name, values, dtype=dtype)
