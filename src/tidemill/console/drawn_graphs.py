"""Draw graphs of stages for pages: what documents say of them, as SVG with links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from tidemill.core.figures import age, approximate_seconds
from tidemill.drawing.document import page_element
from tidemill.drawing.graph import Graph, Node, draw_graph
from tidemill.drawing.graph_groups import MOST_NODES, collapse_graph
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_graph import StatusGraph, StatusNode, draw_status_graph
from tidemill.drawing.svg import Hue

# So many drawings are kept, each for what it shows: to lay one out takes long.
_KEPT = 64
# Stands for the name of a group in an address.
_MARK = "__group__"


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
    # The macro of a template may leave blanks around an address.
    pattern = str(group_url(_MARK)).strip()
    title = f"Stages of {document['workflow']} in {document['environment']}"
    return _draw(nodes, edges, document["group"], pattern, title)


def _node(stage: Mapping[str, Any], url: Callable[[str], str]) -> StatusNode:
    return StatusNode(
        name=stage["name"],
        status=DrawnStatus(stage["state"]),
        kind=stage["kind"],
        detail=stage["detail"],
        figures=tuple(_figures(stage)),
        href=str(url(stage["name"])).strip(),
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


def column_svg(document: Mapping[str, Any]) -> Markup:
    """The stages that a column comes from and goes to, the nearest ones, with their columns on the way."""
    start = document["stage"]
    own: dict[str, dict[str, None]] = {start: {document["column"]: None}}
    edges: dict[tuple[str, str], None] = {}
    for edge in document["edges"]:
        for stage, column in (edge["source"], edge["target"]):
            own.setdefault(stage, {})[column] = None
        edges[edge["source"][0], edge["target"][0]] = None
    for reader in document["readers"]:
        if reader["kind"] == "endpoint":
            name = f"endpoint {reader['name']}"
            own[name] = {}
            edges |= {(each, name): None for each in reader["through"]}
    near = _nearest(start, edges)
    nodes = tuple(
        Node(
            name=stage,
            label=stage,
            note=_column_note([*columns]),
            hue=Hue.BLUE if stage == start else Hue.GREY,
        )
        for stage, columns in own.items()
        if stage in near
    )
    kept = tuple(edge for edge in edges if near.issuperset(edge))
    return _draw_plain(nodes, kept, f"Lineage of {document['column']} of {start}")


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


def _column_note(columns: Sequence[str]) -> str:
    named = [column for column in columns if column]
    if not named:
        return "any column" if columns else ""
    return named[0] if len(named) == 1 else f"{named[0]} and {len(named) - 1:,} more"


@lru_cache(_KEPT)
def _draw_plain(nodes: Sequence[Node], edges: Sequence[tuple[str, str]], title: str) -> Markup:
    drawing = draw_graph(Graph(nodes=nodes, edges=edges))
    return Markup(page_element(drawing, prefix="columns", title=title))
