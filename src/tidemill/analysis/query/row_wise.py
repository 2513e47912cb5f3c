"""Decide whether a query computes each row of its result from one row of an input, and from lookups.

Such a query gives a row that arrives alone the values that it has among others: online serving can run it
on the rows of a request. Operators that look at several rows of that input are refused. What is computed
from other inputs alone may be anything: they are the same whichever rows arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tidemill.analysis.query.partitionwise import (
    NotPartitionwise,
    PartitionWalk,
    QueryRows,
)
from tidemill.analysis.query.placeholders import placeholder_input
from tidemill.analysis.query.serialized import Node, variant_of
from tidemill.analysis.query.value_numbers import UNKNOWN_FORM, MissingColumn
from tidemill.core.lazy_dataclass import dataclass

# What partitions are for the walk are single rows here.
_IN_TERMS_OF_ROWS = {
    "Agg": "an aggregate of all rows, such as mean() or max()",
    "Total": "an aggregate of all rows, such as any()",
    "Len": "len()",
    "Slice": "head(), tail() or slice()",
    "a join of rows of no partition with those of partitions": "a join to other rows, which come first",
    "a join without the partition column of both sides": "a join with itself",
    "a window without the partition column": "over(), which looks at several rows",
    "group_by without the partition column": "group_by(), which looks at several rows",
    "rows of no partition below others": "concat() with other rows",
}


class NotRowWise(Exception):
    """The query isn't row-wise, or may not be; the message names the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWise:
    """How the result of a row-wise query relates to the rows of its input.

    `kept` are the columns that it passes on unchanged, under their names. With `repeat` at least two rows
    must be computed together: Polars has another kernel for a single row.
    """

    kept: frozenset[str]
    repeat: bool


def row_wise_query(tree: Node, rows_input: str, columns: Collection[str]) -> RowWise:
    """Return how each row of a query's result comes from one row of `rows_input`, which has `columns`.

    Raises NotRowWise if it doesn't, or if that isn't known.
    """
    try:
        rows = _RowWalk(rows_input, columns).rows(tree)
    except NotPartitionwise as reason:
        raise NotRowWise(_IN_TERMS_OF_ROWS.get(str(reason), str(reason))) from None
    except (MissingColumn, RecursionError, *UNKNOWN_FORM):
        raise NotRowWise("a query that isn't understood") from None
    if rows.shared:
        raise NotRowWise(f"rows that don't come from {rows_input}")
    kept = rows.partition_columns.intersection(columns)
    return RowWise(kept=kept, repeat=rows.min_rows > 0)


class _Rows(QueryRows):
    """Rows that each come from one row of the input; its partition columns are those that are unchanged."""

    def by_partition(self, keys: Sequence[Any]) -> bool:
        return False

    def with_more_rows(self, node: Node, cuts: frozenset[str] | None = None) -> QueryRows:
        # The rows of a request are repeated, so that there are always several.
        return self.with_node(node, 0, cuts)


class _RowWalk(PartitionWalk):
    def __init__(self, rows_input: str, columns: Collection[str]) -> None:
        super().__init__({})
        self._input = rows_input
        self._columns = frozenset(columns)

    def rows(self, node: Node) -> QueryRows:
        """Follow the rows of a part of the query; what doesn't read the input isn't looked at."""
        if self._input not in set(_inputs(node)):
            return QueryRows(frozenset(), node, shared=True)
        return super().rows(node)

    def scan(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        return _Rows(self._columns, node)

    def distinct(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        raise NotPartitionwise("unique()")


def _inputs(node: Any) -> Iterator[str]:
    """The inputs that a part of a query reads; "" for other frames."""
    if isinstance(node, dict):
        if len(node) == 1:
            name, content = variant_of(node)
            if name == "DataFrameScan":
                yield placeholder_input(content) or ""
                return
        for part in node.values():
            yield from _inputs(part)
    elif isinstance(node, list):
        for part in node:
            yield from _inputs(part)
