"""Draw graphs of stages for pages: what documents say of them, as SVG with links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from tidemill.core.counts import plural
from tidemill.core.figures import age, approximate_seconds
from tidemill.drawing.document import page_element
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_graph import StatusGraph, StatusNode, draw_status_graph

# So many drawings are kept, each for what it shows: to lay one out takes long.
_KEPT = 64


def workflow_svg(document: Mapping[str, Any], url: Callable[..., str]) -> Markup:
    """The graph of a workflow: each stage is a link to its page, each group one that expands it."""
    drawing = document["drawing"]
    stages = {stage["name"]: stage for stage in document["stages"]}
    nodes = tuple(_node(node, stages.get(node["name"], {}), url) for node in drawing["nodes"])
    edges = tuple(tuple(edge) for edge in drawing["edges"])
    return _draw(nodes, edges, f"Stages of {document['workflow']} in {document['environment']}")


def _node(node: Mapping[str, Any], stage: Mapping[str, Any], url: Callable[..., str]) -> StatusNode:
    name = node["name"]
    figures = [plural(node["stages"], "stage")] if node["is_group"] else [*_figures(stage)]
    href = url("workflow", group=name) if node["is_group"] else url("stages", name)
    return StatusNode(
        name=name,
        status=DrawnStatus(node["state"]),
        kind="" if node["is_group"] else node["kind"],
        detail=node["detail"],
        figures=tuple(figures),
        href=href,
        is_group=node["is_group"],
    )


def _figures(stage: Mapping[str, Any]) -> Sequence[str]:
    return [
        *([f"{age(stage['age'])} old"] if stage["age"] is not None else []),
        *([f"p95 {approximate_seconds(stage['p95_s'])}"] if stage["p95_s"] is not None else []),
    ]


@lru_cache(_KEPT)
def _draw(nodes: Sequence[StatusNode], edges: Sequence[tuple[str, str]], title: str) -> Markup:
    graph = StatusGraph(nodes=nodes, edges=edges)
    return Markup(page_element(draw_status_graph(graph), prefix="graph", title=title))
