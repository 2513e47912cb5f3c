"""Draw graphs of stages for pages: what documents say of them, as SVG with links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from tidemill.core.figures import age, approximate_seconds
from tidemill.drawing.column_lineage import (
    ColumnLineage,
    LineageColumn,
    LineageTable,
    draw_column_lineage,
)
from tidemill.drawing.document import page_element
from tidemill.drawing.graph_groups import MOST_NODES, collapse_graph
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_graph import StatusGraph, StatusNode, draw_status_graph
from tidemill.lineage.dictionary import Cell

# So many drawings are kept, each for what it shows: to lay one out takes long.
_KEPT = 64
# Stands for the name of a group in an address.
_MARK = "__group__"
# What is drawn where it isn't known which column it is; so many columns of a table are drawn.
_ANY, _SHOWN = "any column", 12


def workflow_svg(
    document: Mapping[str, Any],
    stage_url: Callable[[str], str],
    group_url: Callable[[str], str],
) -> Markup:
    """The graph of a workflow, whose stages are links; many stages are groups, which are links as well."""
    stages = {stage["name"]: stage for stage in document["stages"]}
    # However a table is sorted, the drawing is the same.
    nodes = tuple(_node(stages[name], stage_url) for name in document["names"] if name in stages)
    edges = tuple(tuple(edge) for edge in document["edges"])
    pattern = _address(group_url(_MARK))
    title = f"Stages of {document['workflow']} in {document['environment']}"
    return _draw(nodes, edges, document["group"], pattern, title)


def _address(made: str) -> str:
    """An address that a macro made, which is escaped, and may have blanks around it."""
    return Markup(made).unescape().strip()


def _node(stage: Mapping[str, Any], url: Callable[[str], str]) -> StatusNode:
    return StatusNode(
        name=stage["name"],
        status=DrawnStatus(stage["state"]),
        kind=stage["kind"],
        detail=stage["detail"],
        figures=tuple(_figures(stage)),
        href=_address(url(stage["name"])),
    )


def _figures(stage: Mapping[str, Any]) -> Sequence[str]:
    return [
        *([f"{age(stage['age'])} old"] if stage["age"] is not None else []),
        *([f"p95 {approximate_seconds(stage['p95_s'])}"] if stage["p95_s"] is not None else []),
    ]


@lru_cache(_KEPT)
def _draw(
    nodes: Sequence[StatusNode],
    edges: Sequence[tuple[str, str]],
    expanded: str,
    pattern: str,
    title: str,
) -> Markup:
    graph = collapse_graph(
        StatusGraph(nodes=nodes, edges=edges),
        lambda group: pattern.replace(_MARK, quote(group, safe="")),
        expanded=(expanded,),
    )
    return Markup(page_element(draw_status_graph(graph), prefix="graph", title=title))


def column_svg(document: Mapping[str, Any], url: Callable[..., str]) -> Markup:
    """The stages that a column comes from and goes to, the nearest ones, with their columns on the way.

    The columns whose values come from it, or from which its values come, stand out.
    """
    start = document["stage"], document["column"]
    edges = [
        ((source[0], source[1] or _ANY), (target[0], target[1] or _ANY), edge["by_value"])
        for edge in document["edges"]
        for source, target in [(edge["source"], edge["target"])]
    ]
    for reader in document["readers"]:
        if reader["kind"] == "endpoint":
            end = f"endpoint {reader['name']}", _ANY
            edges += [((each, _ANY), end, False) for each in reader["through"]]
    near = _nearest(start[0], ((a[0], b[0]) for a, b, _ in edges))
    edges = [edge for edge in edges if edge[0][0] in near and edge[1][0] in near]
    own: dict[str, dict[str, None]] = {start[0]: {start[1]: None}}
    for a, b, _ in edges:
        own.setdefault(a[0], {})[a[1]] = None
        own.setdefault(b[0], {})[b[1]] = None
    return _draw_columns(
        ColumnLineage(
            tables=tuple(_table(name, [*columns], url) for name, columns in own.items()),
            edges=tuple((a, b) for a, b, _ in edges),
            shown=tuple((name, each) for name, some in own.items() for each in [*some][:_SHOWN]),
            path=_same_values(start, edges),
        ),
        f"Lineage of {start[1]} of {start[0]}",
    )


def _table(name: str, columns: Sequence[str], url: Callable[..., str]) -> LineageTable:
    if name.startswith("endpoint "):
        href = url("endpoints", name.removeprefix("endpoint "))
        return LineageTable(name=name, columns=(LineageColumn(name=_ANY),), href=href)
    href = url("lineage", stage=name)
    return LineageTable(
        name=name,
        columns=tuple(
            LineageColumn(name=each, href="" if each == _ANY else url("lineage", name, each))
            for each in columns
        ),
        href=href,
        unfold=href,
    )


def _same_values(start: Cell, edges: Iterable[tuple[Cell, Cell, bool]]) -> tuple[Cell, ...]:
    """The columns from which values come to a column, or to which they go from it."""
    up: dict[Cell, list[Cell]] = {}
    down: dict[Cell, list[Cell]] = {}
    for source, target, by_value in edges:
        if by_value:
            up.setdefault(target, []).append(source)
            down.setdefault(source, []).append(target)
    found = {start: None}
    for beside in (up, down):
        ahead = [start]
        while ahead:
            more = [cell for cell in beside.get(ahead.pop(), ()) if cell not in found]
            found |= dict.fromkeys(more)
            ahead += more
    return tuple(found)


def _nearest(start: str, edges: Iterable[tuple[str, str]]) -> Set[str]:
    """The names that are the fewest steps away, up or down."""
    beside: dict[str, list[str]] = {}
    for source, target in edges:
        beside.setdefault(source, []).append(target)
        beside.setdefault(target, []).append(source)
    found, turn = [start], 0
    known = {start}
    while turn < len(found) and len(found) < MOST_NODES:
        more = [name for name in beside.get(found[turn], ()) if name not in known]
        found += dict.fromkeys(more)
        known.update(more)
        turn += 1
    return {*found[:MOST_NODES]}


@lru_cache(_KEPT)
def _draw_columns(lineage: ColumnLineage, title: str) -> Markup:
    return Markup(page_element(draw_column_lineage(lineage), prefix="columns", title=title))
