"""The columns of each input that a query reads, from the optimized plan of Polars.

The optimizer has decided which columns every leaf produces, and the engine reads no others, so the
columns of the leaves are the answer. (Running the query on empty frames is not: if one side of a join is
empty, Polars doesn't read the other.) Two cases need more. If only the number of rows counts, Polars
names an arbitrary column for some kinds of leaf: to recognize that, the needed columns are followed from
the top down through the nodes that pass rows on unchanged. And a query with Python functions has no
answer, since no plan shows what they read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from tidemill.analysis.query.column_digests import QueryDigests
from tidemill.analysis.query.scan_leaves import (
    ForeignLeaf,
    Leaves,
    foreign_leaf,
    has_rows,
    is_row_count,
    plan_nodes,
)
from tidemill.analysis.query.summary import Reads
from tidemill.core.lazy_dataclass import dataclass

# The needed columns; None: those that Polars names.
_Need = frozenset[str] | None

# Nodes that pass rows on, or select them by position, whatever their columns are.
_PASS_THROUGH = {"Cache", "HConcat", "Slice", "Union", "row_index"}
_BY_VALUES = {
    "Distinct", "GroupBy", "Join", "MergeSorted", "Reduce", "Sink", "Sort",
    "explode", "hint_sorted", "unnest", "unpivot",
}  # fmt: skip
# Expressions of only these kinds name no column: at most the number of rows counts.
_COUNTING = {"Agg", "Alias", "BinaryExpr", "Cast", "Function", "Len", "Literal", "Ternary"}


class _Hidden:
    """Stands for an expression that Polars doesn't expose."""


# The attributes of an expression that hold its operands: a node, a list of nodes, or None.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "Agg": ("arguments",),
    "Alias": ("expr",),
    "BinaryExpr": ("left", "right"),
    "Cast": ("expr",),
    "Column": (),
    "Explode": ("expr",),
    "Filter": ("input", "by"),
    "Function": ("input",),
    "Gather": ("expr", "idx"),
    "_Hidden": (),
    "Len": (),
    "Literal": (),
    "Rolling": ("function", "index_column"),
    "Slice": ("input", "offset", "length"),
    "Sort": ("expr",),
    "SortBy": ("expr", "by"),
    "StructEval": ("expr", "evaluation"),
    "Ternary": ("predicate", "truthy", "falsy"),
    "Window": ("function", "partition_by", "order_by"),
}
# Expressions that Polars doesn't expose (by the word in its error) and that contain no Python.
_UNEXPOSED = {"field", "is_in", "list.eval", "row_encode", "total order min_by/max_by"}


@dataclass(frozen=True, slots=True)
class ColumnReads:
    """The columns that a query reads.

    `reads` maps each input in the query to its columns in order; none where only the number of rows
    counts. `leaves` has the same by leaf: the inputs that it may belong to (several if they share an
    object; each of them then counts as read) and the columns. `strangers` are leaves with rows that belong
    to no input.
    """

    reads: Reads
    leaves: Mapping[tuple[str, ...], tuple[str, ...]]
    foreign_leaves: tuple[ForeignLeaf, ...] = ()


def columns_read(query: pl.LazyFrame, leaves: Leaves | None) -> ColumnReads | None:
    """Find the columns that `query` reads of the inputs that `leaves` describes, without running it.

    None if they can't be determined: a Python function in the query, a node that Polars doesn't expose,
    or an untested release of Polars. Errors of Polars about the query itself pass through.
    """
    nodes = plan_nodes(query, optimised=True)
    if nodes is None or leaves is None:
        return None
    try:
        walk = _ReadsWalk(nodes, leaves)
        walk.walk_down()
        return _collect_reads(walk, leaves)
    except NotImplementedError:
        return None


def reads_of_run(asked: ColumnReads, found: QueryDigests) -> dict[str, tuple[str, ...]]:
    """The columns of each input that a run may read, if a probe of the same query read those in `asked`.

    Polars leaves out an input of which a constant filter keeps no row, but not for all kinds of frames: of
    such an input, all columns count that the query names.
    """
    reads = dict(asked.reads)
    for column in found.columns.values():
        for name, columns in column.reads.items():
            if name not in asked.reads:
                reads[name] = tuple(dict.fromkeys((*reads.get(name, ()), *columns)))
    return reads


def disallowed_columns(reads: ColumnReads, allowed: Reads) -> dict[str, tuple[str, ...]]:
    """The columns of each input that are read but not allowed.

    From a leaf of several inputs, every column that any of them allows may be read: their rows are the same.
    """
    found: dict[str, dict[str, None]] = {}
    for names, columns in reads.leaves.items():
        free = {column for name in names for column in allowed.get(name, ())}
        over = dict.fromkeys(column for column in columns if column not in free)
        for name in names if over else ():
            found.setdefault(name, {}).update(over)
    return {name: tuple(columns) for name, columns in found.items()}


def _collect_reads(walk: _ReadsWalk, leaves: Leaves) -> ColumnReads:
    reads: dict[str, set[str]] = {}
    for names, columns in walk.found.items():
        for name in names:
            reads.setdefault(name, set()).update(columns)
    return ColumnReads(
        {name: _in_order(columns, leaves.schemas[name]) for name, columns in reads.items()},
        {n: _in_order(columns, leaves.schemas[n[0]]) for n, columns in walk.found.items()},
        tuple(sorted(walk.foreign_leaves)),
    )


def _in_order(columns: set[str], schema: tuple[str, ...]) -> tuple[str, ...]:
    # Columns that the schema doesn't have are kept, at the end: they are read, too.
    return (*(c for c in schema if c in columns), *sorted(columns.difference(schema)))


class _ReadsWalk:
    """Walks down a plan once, and determines the columns that are needed of each node."""

    def __init__(self, nodes: Any, leaves: Leaves) -> None:
        self._nodes = nodes
        self._leaves = leaves
        self.found: dict[tuple[str, ...], set[str]] = {}
        self.foreign_leaves: set[ForeignLeaf] = set()

    def walk_down(self) -> None:
        todo: list[tuple[int, _Need]] = [(self._nodes.get_node(), None)]
        seen: set[tuple[int, _Need]] = set()
        while todo:
            visit = todo.pop()
            if visit in seen:
                continue
            seen.add(visit)
            node, need = visit
            self._nodes.set_node(node)
            below = self._nodes.get_inputs()
            if not below:
                self._visit_leaf(need)
                continue
            view = self._nodes.view_current_node()
            if is_row_count(view):
                self._assign_leaf(view, set())
            else:
                passed = self._need_of_inputs(view, need)
                todo += ((child, passed) for child in below)

    def _visit_leaf(self, need: _Need) -> None:
        try:
            view = self._nodes.view_current_node()
        except NotImplementedError as error:
            # The leaves of inputs are exposed; others, such as IPC files or bytes in memory, may not be.
            self.foreign_leaves.add(ForeignLeaf("scan", str(error)))
            return
        kinds, named = self._expressions()
        # A leaf may filter its rows by columns that it doesn't produce.
        need = _need_of_filter(kinds, named, need)
        columns = {*self._nodes.get_schema(), *named}
        self._assign_leaf(view, columns if need is None else columns & need)

    def _assign_leaf(self, view: Any, columns: set[str]) -> None:
        for names in self._leaves.inputs(view) or {()}:
            if names:
                self.found.setdefault(names, set()).update(columns)
            elif has_rows(view):
                self.foreign_leaves.add(foreign_leaf(view))

    def _need_of_inputs(self, view: Any, need: _Need) -> _Need:
        """The columns that are needed of a node's inputs, if `need` is needed of the node."""
        kind = type(view).__name__
        kinds, named = self._expressions()
        if kind == "SimpleProjection":
            return frozenset(self._nodes.get_schema()) if need is None else need
        if kind == "MapFunction":
            kind = view.function[0]
        if kind in _PASS_THROUGH:
            return need
        if kind == "Filter":
            return _need_of_filter(kinds, named, need)
        if kind == "Select":
            return frozenset() if kinds <= _COUNTING else None
        if kind == "HStack":
            return self._need_of_existing(view, need) if kinds <= _COUNTING else None
        if kind not in _BY_VALUES:
            raise NotImplementedError(kind)
        return None

    def _need_of_existing(self, view: Any, need: _Need) -> _Need:
        """The needed columns, without those that the current node adds."""
        made = {expression.output_name for expression in view.exprs}
        return frozenset(self._nodes.get_schema() if need is None else need) - made

    def _expressions(self) -> tuple[set[str], set[str]]:
        """The kinds of all expressions of the current node, and the columns that they name."""
        kinds: set[str] = set()
        named: set[str] = set()
        todo: list[int] = [expression.node for expression in self._nodes.get_exprs()]
        while todo:
            view = self._view_expression(todo.pop())
            kind = type(view).__name__
            kinds.add(kind)
            if kind == "Column":
                named.add(view.name)
            else:
                todo += _parts(view, kind)
        return kinds, named

    def _view_expression(self, expression: int) -> Any:
        try:
            return self._nodes.view_expression(expression)
        except NotImplementedError as error:
            if str(error).partition("[")[0] in _UNEXPOSED:
                return _Hidden()
            raise


def _need_of_filter(kinds: set[str], named: set[str], need: _Need) -> _Need:
    """The needed columns of a filter, of whose output `need` is needed."""
    return None if need is None or "_Hidden" in kinds else need | named


def _parts(view: Any, kind: str) -> list[int]:
    if kind not in _PARTS:
        raise NotImplementedError(kind)
    found: list[int] = []
    for field in _PARTS[kind]:
        value = getattr(view, field)
        if isinstance(value, int):
            found.append(value)
        elif value is not None:
            found += (part if isinstance(part, int) else part.node for part in value)
    return found
