"""Write an acyclic graph as a flowchart of Mermaid, which many wikis and code hosts draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.drawing.graph import Graph, Node
from tidemill.drawing.graph_layout import Orientation
from tidemill.drawing.svg import Hue
from tidemill.drawing.text import plain_line

_PLAIN = frozenset(" abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,/:")
# Line, fill and text of each hue.
_COLOURS: Mapping[Hue, tuple[str, str]] = {
    Hue.BLUE: ("#0b5cad", "#e6f0fb"),
    Hue.TEAL: ("#0f766e", "#e0f4f1"),
    Hue.VIOLET: ("#6d28d9", "#f0e9fc"),
    Hue.AMBER: ("#92540a", "#fdf1dc"),
    Hue.GREEN: ("#166534", "#e4f5e9"),
    Hue.RED: ("#b42318", "#fdeae8"),
    Hue.GREY: ("#4b5563", "#f1f3f5"),
}


def mermaid_text(graph: Graph) -> str:
    """The flowchart; nodes have numbers there, because names may be words of Mermaid."""
    ids = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}
    hues = sorted({node.hue for node in graph.nodes})
    lines = [
        f"flowchart {'LR' if graph.direction is Orientation.RIGHT else 'TD'}",
        *(f'  {ids[node.name]}["{_label(node)}"]:::{node.hue}' for node in graph.nodes),
        *(f"  {ids[source]} --> {ids[target]}" for source, target in dict.fromkeys(graph.edges)),
        *(f"  classDef {hue} {_style(hue)}" for hue in hues),
    ]
    return "\n".join(lines) + "\n"


def _label(node: Node) -> str:
    parts: Sequence[str] = [part for part in (node.label, node.kind, node.note) if part]
    return "<br>".join(map(mermaid_escaped, parts)) or " "


def _style(hue: Hue) -> str:
    line, fill = _COLOURS[hue]
    return f"fill:{fill},stroke:{line},color:{line}"


def mermaid_escaped(content: str) -> str:
    """Text within the quotes of a label; all that may mean anything to Mermaid or HTML is a number."""
    return "".join(c if c in _PLAIN else f"#{ord(c)};" for c in plain_line(content))
