"""Draw graphs of stages for pages: what documents say of them, as SVG with links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from tidemill.core.figures import age, approximate_seconds
from tidemill.drawing.document import page_element
from tidemill.drawing.graph import Graph, Node, draw_graph
from tidemill.drawing.graph_groups import collapse_graph
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
    """The stages that a column comes from and goes to, with the columns of each that are on the way."""
    own: dict[str, dict[str, None]] = {document["stage"]: {document["column"]: None}}
    edges: dict[tuple[str, str], None] = {}
    for edge in document["edges"]:
        for stage, column in (edge["source"], edge["target"]):
            own.setdefault(stage, {})[column] = None
        edges[edge["source"][0], edge["target"][0]] = None
    for reader in document["readers"]:
        if reader["kind"] == "endpoint":
            own.setdefault(f"endpoint {reader['name']}", {})
            edges |= {(each, f"endpoint {reader['name']}"): None for each in reader["through"]}
    nodes = tuple(
        Node(
            name=stage,
            label=stage,
            note=_column_note([*columns]),
            hue=Hue.BLUE if stage == document["stage"] else Hue.GREY,
        )
        for stage, columns in own.items()
    )
    title = f"Lineage of {document['column']} of {document['stage']}"
    return _draw_plain(nodes, tuple(edges), title)


def _column_note(columns: Sequence[str]) -> str:
    named = [column for column in columns if column]
    if not named:
        return "any column" if columns else ""
    return named[0] if len(named) == 1 else f"{named[0]} and {len(named) - 1:,} more"


@lru_cache(_KEPT)
def _draw_plain(nodes: Sequence[Node], edges: Sequence[tuple[str, str]], title: str) -> Markup:
    drawing = draw_graph(Graph(nodes=nodes, edges=edges))
    return Markup(page_element(drawing, prefix="columns", title=title))
