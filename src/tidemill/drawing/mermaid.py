"""Write an acyclic graph of stages as a flowchart of Mermaid, which many wikis and code hosts draw."""

from __future__ import annotations

from tidemill.drawing.graph_layout import Orientation
from tidemill.drawing.status_graph import StatusGraph, StatusNode
from tidemill.drawing.text import plain_line
from tidemill.drawing.theme import colours

_PLAIN = frozenset(" abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,/:")


def mermaid_text(graph: StatusGraph) -> str:
    """The flowchart; nodes have numbers there, because names may be words of Mermaid."""
    ids = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}
    statuses = sorted({node.status.css for node in graph.nodes})
    lines = [
        f"flowchart {'LR' if graph.direction is Orientation.RIGHT else 'TD'}",
        *(f'  {ids[node.name]}["{_label(node)}"]:::{node.status.css}' for node in graph.nodes),
        *(f"  {ids[source]} --> {ids[target]}" for source, target in dict.fromkeys(graph.edges)),
        *(f"  classDef {status} {_style(status)}" for status in statuses),
    ]
    return "\n".join(lines) + "\n"


def _label(node: StatusNode) -> str:
    parts = [part for part in (node.heading, node.kind, node.state, *node.figures) if part]
    return "<br>".join(map(mermaid_escaped, parts))


def _style(status: str) -> str:
    light = colours(dark=False)
    line, fill = light[status], light[f"{status}-tint"]
    return f"fill:{fill},stroke:{line},color:{line}"


def mermaid_escaped(content: str) -> str:
    """Text within the quotes of a label; all that may mean anything to Mermaid or HTML is a number."""
    return "".join(c if c in _PLAIN else f"#{ord(c)};" for c in plain_line(content))
