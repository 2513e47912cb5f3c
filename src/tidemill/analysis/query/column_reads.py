"""Which columns of which input a query asks for, from the plan that Polars would run.

The optimiser has decided what every leaf hands up, and the engine can't get at more than that: so the
columns of the leaves are the answer, whatever stands above them. (Running the query on frames without
rows is not: where one side of a join is empty, the other is never asked.) Two things are added. Where
only the number of rows counts, Polars names an arbitrary column for some kinds of leaf and not for
others: that is told from a read by following what is needed from the top down, through the nodes that
hand rows on as they are. And Python functions are looked for, since what they reach for is in no plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tidemill.analysis.query.scan_leaves import (
    Leaves,
    Stranger,
    has_rows,
    is_counted,
    plan_of,
    stranger,
)
from tidemill.analysis.query.summary import Reads

# None: whatever Polars says.
_Need = frozenset[str] | None

# Rows go through unchanged, or are counted off, whatever columns they have.
_AS_THEY_ARE = {"Cache", "HConcat", "Slice", "Union", "row_index"}
_BY_VALUES = {
    "Distinct", "GroupBy", "Join", "MergeSorted", "Reduce", "Sink", "Sort",
    "explode", "hint_sorted", "unnest", "unpivot",
}  # fmt: skip
# Expressions of these alone name no column: at most the number of rows counts.
_COUNTING = {"Agg", "Alias", "BinaryExpr", "Cast", "Function", "Len", "Literal", "Ternary"}


class _Hidden:
    """Stands for an expression that Polars doesn't show."""


# Where the expressions below an expression are: a node, a list of nodes, or nothing.
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
# Expressions that Polars shows to nobody (by the word that it refuses with), nothing of Python in them.
_UNSHOWN = {"field", "is_in", "list.eval", "row_encode", "total order min_by/max_by"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks its leaves for.

    `reads` has the inputs that are in the query, with their columns in order; none where only the
    number of rows counts. `leaves` says the same by leaf: the inputs that it may stem from (several
    if they share an object, and each of them is then said to be read) and the columns. `strangers`
    are leaves with rows that are no input's.
    """

    reads: Reads
    leaves: Mapping[tuple[str, ...], tuple[str, ...]]
    strangers: tuple[Stranger, ...] = ()


def columns_read(query: pl.LazyFrame, leaves: Leaves | None) -> Asked | None:
    """What `query` asks of the inputs that `leaves` knows; nothing is run.

    None if that can't be told: a Python function in the query, a node that Polars doesn't show, or a
    Polars that this wasn't tested with. The errors of Polars about the query itself pass through.
    """
    nodes = plan_of(query, optimised=True)
    if nodes is None or leaves is None:
        return None
    try:
        walk = _Walk(nodes, leaves)
        walk.down()
        return _asked(walk, leaves)
    except NotImplementedError:
        return None


def outside(asked: Asked, allowed: Reads) -> dict[str, tuple[str, ...]]:
    """The columns of each input that are asked for and not allowed.

    A leaf of several inputs may be asked for what any of them is allowed: their rows are the same.
    """
    found: dict[str, dict[str, None]] = {}
    for names, columns in asked.leaves.items():
        free = {column for name in names for column in allowed.get(name, ())}
        over = dict.fromkeys(column for column in columns if column not in free)
        for name in names if over else ():
            found.setdefault(name, {}).update(over)
    return {name: tuple(columns) for name, columns in found.items()}


def _asked(walk: _Walk, leaves: Leaves) -> Asked:
    reads: dict[str, set[str]] = {}
    for names, columns in walk.found.items():
        for name in names:
            reads.setdefault(name, set()).update(columns)
    return Asked(
        {name: _in_order(columns, leaves.schemas[name]) for name, columns in reads.items()},
        {n: _in_order(columns, leaves.schemas[n[0]]) for n, columns in walk.found.items()},
        tuple(sorted(walk.strangers)),
    )


def _in_order(columns: set[str], schema: tuple[str, ...]) -> tuple[str, ...]:
    # What the schema doesn't have is kept at the end: it must not look unread.
    return (*(c for c in schema if c in columns), *sorted(columns.difference(schema)))


class _Walk:
    """Goes down a plan once, and from node to node says what is needed of it."""

    def __init__(self, nodes: Any, leaves: Leaves) -> None:
        self._nodes = nodes
        self._leaves = leaves
        self.found: dict[tuple[str, ...], set[str]] = {}
        self.strangers: set[Stranger] = set()

    def down(self) -> None:
        todo: list[tuple[int, _Need]] = [(self._nodes.get_node(), None)]
        seen: set[tuple[int, _Need]] = set()
        while todo:
            step = todo.pop()
            if step in seen:
                continue
            seen.add(step)
            node, need = step
            self._nodes.set_node(node)
            below = self._nodes.get_inputs()
            if not below:
                self._leaf(need)
                continue
            view = self._nodes.view_current_node()
            if is_counted(view):
                self._attribute(view, set())
            else:
                passed = self._passed(view, need)
                todo += ((child, passed) for child in below)

    def _leaf(self, need: _Need) -> None:
        try:
            view = self._nodes.view_current_node()
        except NotImplementedError as error:
            # The leaves of inputs can be seen; what can't is, say, an IPC file or bytes in memory.
            self.strangers.add(Stranger("scan", str(error)))
            return
        kinds, named = self._expressions()
        # The rows of a leaf are chosen by columns that needn't be handed up.
        need = _chosen_by(kinds, named, need)
        columns = {*self._nodes.get_schema(), *named}
        self._attribute(view, columns if need is None else columns & need)

    def _attribute(self, view: Any, columns: set[str]) -> None:
        for names in self._leaves.inputs(view) or {()}:
            if names:
                self.found.setdefault(names, set()).update(columns)
            elif has_rows(view):
                self.strangers.add(stranger(view))

    def _passed(self, view: Any, need: _Need) -> _Need:
        """What is needed of a node's inputs if `need` is needed of the node."""
        kind = type(view).__name__
        kinds, named = self._expressions()
        if kind == "SimpleProjection":
            return frozenset(self._nodes.get_schema()) if need is None else need
        if kind == "MapFunction":
            kind = view.function[0]
        if kind in _AS_THEY_ARE:
            return need
        if kind == "Filter":
            return _chosen_by(kinds, named, need)
        if kind == "Select":
            return frozenset() if kinds <= _COUNTING else None
        if kind == "HStack":
            return self._beside(view, need) if kinds <= _COUNTING else None
        if kind not in _BY_VALUES:
            raise NotImplementedError(kind)
        return None

    def _beside(self, view: Any, need: _Need) -> _Need:
        """What is needed beside the columns that the current node adds."""
        made = {expression.output_name for expression in view.exprs}
        return frozenset(self._nodes.get_schema() if need is None else need) - made

    def _expressions(self) -> tuple[set[str], set[str]]:
        """Of all expressions of the current node: their kinds, and the columns that they name."""
        kinds: set[str] = set()
        named: set[str] = set()
        todo: list[int] = [expression.node for expression in self._nodes.get_exprs()]
        while todo:
            view = self._shown(todo.pop())
            kind = type(view).__name__
            kinds.add(kind)
            if kind == "Column":
                named.add(view.name)
            else:
                todo += _parts(view, kind)
        return kinds, named

    def _shown(self, expression: int) -> Any:
        try:
            return self._nodes.view_expression(expression)
        except NotImplementedError as error:
            if str(error).partition("[")[0] in _UNSHOWN:
                return _Hidden()
            raise


def _chosen_by(kinds: set[str], named: set[str], need: _Need) -> _Need:
    """What is needed where expressions choose among rows of which `need` is needed."""
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
