"""Render the graph of stages: as text with rails, as Mermaid and as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from tidemill.cli.render.figures import plain_text
from tidemill.core.counts import plural
from tidemill.core.figures import age
from tidemill.core.printable import printable
from tidemill.drawing.document import document
from tidemill.drawing.graph import Graph, Node, draw_graph
from tidemill.drawing.graph_layout import Orientation
from tidemill.drawing.mermaid import mermaid_text
from tidemill.drawing.rails import draw_rails
from tidemill.drawing.svg import Hue
from tidemill.operations.stage_states import StageGraph, StageNode, StageState

# Each state: its mark, the mark in ASCII, the colour of a terminal, and the hue of a drawing.
_SHAPES: Mapping[StageState, tuple[str, str, str, Hue]] = {
    StageState.FAILED: ("✗", "x", "red", Hue.RED),
    StageState.RUNNING: ("▶", ">", "cyan", Hue.BLUE),
    StageState.WAITING: ("⏸", "=", "cyan", Hue.BLUE),
    StageState.STALE: ("◷", "~", "yellow", Hue.AMBER),
    StageState.DUE: ("◐", "!", "yellow", Hue.AMBER),
    StageState.NEVER: ("○", "o", "white", Hue.GREY),
    StageState.CURRENT: ("●", "*", "green", Hue.GREEN),
    StageState.UNKNOWN: ("◌", "?", "white", Hue.GREY),
}
_LEAST_NAME, _WIDEST_NAME = 12, 40


def graph_text(
    graph: StageGraph, width: int, *, ascii_only: bool = False, colours: bool = False
) -> str:
    """One line a stage, no wider than `width`, and what was shortened or left out below."""
    names = [node.name for node in graph.nodes]
    marks = {node.name: _SHAPES[node.state][ascii_only] for node in graph.nodes}
    rails = draw_rails(names, graph.edges, marks, ascii_only=ascii_only)
    widest = max(map(len, rails), default=0)
    has_rails = widest <= width // 2
    indent = widest + 2 if has_rails else 2
    if not has_rails:
        rails = [marks[name] for name in names]
    room = max(_LEAST_NAME, min(_WIDEST_NAME, (width - indent) // 2))
    column = max((min(len(printable(name)), room) for name in names), default=0)
    lines, was_cut = [], False
    for node, rail in zip(graph.nodes, rails, strict=True):
        text, cut = _line(node, column, max(width - indent, _LEAST_NAME), ascii_only=ascii_only)
        was_cut |= cut
        shown = click.style(text, fg=_SHAPES[node.state][2]) if colours else text
        lines.append(f"{rail:{indent}}{shown}")
    return "\n".join([*lines, *_footer(graph, has_rails=has_rails, was_cut=was_cut)])


def _line(node: StageNode, column: int, room: int, *, ascii_only: bool) -> tuple[str, bool]:
    """The name, state and freshness of a stage, and whether any of it was shortened."""
    dots = "~" if ascii_only else "…"
    name = printable(node.name)
    short = name if len(name) <= column else name[: column - 1] + dots
    rest = f"{node.kind:9} {node.state}{_what(node)}"
    text = f"{short:{column}}  {rest}".rstrip()
    cut = text if len(text) <= room else text[: room - 1] + dots
    return cut, short != name or cut != text


def _what(node: StageNode) -> str:
    detail = plain_text(printable(node.detail))
    parts = [detail] if detail else []
    if node.partitions:
        parts.append(plural(node.partitions, "partition"))
    if node.age is not None:
        parts.append(f"published {age(node.age)} ago")
    return f": {', '.join(parts)}" if parts else ""


def _footer(graph: StageGraph, *, has_rails: bool, was_cut: bool) -> Iterator[str]:
    counts = ", ".join(f"{number} {state}" for state, number in graph.counts().items())
    yield ""
    yield f"{graph.workflow} in {graph.environment}: {plural(len(graph.nodes), 'stage')}: {counts}"
    if not has_rails:
        yield "who reads whom isn't drawn: name a part with --stage, or widen the terminal"
    if was_cut:
        yield "some lines were shortened: --json has all of them"
    if graph.left_out:
        yield f"{plural(graph.left_out, 'stage')} left out"
    if graph.note:
        yield plain_text(printable(graph.note))


def drawn_graph(graph: StageGraph) -> Graph:
    """The graph as boxes with edges, for drawings."""
    return Graph(
        nodes=[
            Node(
                name=node.name,
                label=node.name,
                kind=f"{node.kind}: {node.state}",
                note=_note(node),
                hue=_SHAPES[node.state][3],
            )
            for node in graph.nodes
        ],
        edges=graph.edges,
        direction=Orientation.DOWN,
    )


def _note(node: StageNode) -> str:
    return "" if node.age is None else f"{age(node.age)} ago"


def graph_mermaid(graph: StageGraph) -> str:
    """The graph as a flowchart of Mermaid."""
    return mermaid_text(drawn_graph(graph))


def graph_svg(graph: StageGraph) -> str:
    """The graph as a whole SVG document, with a title, and the states in words for screen readers."""
    states = "; ".join(f"{node.name} is {node.state}" for node in graph.nodes)
    return document(
        draw_graph(drawn_graph(graph)),
        title=f"Stages of {graph.workflow} in {graph.environment}",
        description=f"{plural(len(graph.nodes), 'stage')}. {states}.",
    )
