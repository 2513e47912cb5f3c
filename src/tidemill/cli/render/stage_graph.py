"""Render the graph of stages: as text with rails, as Mermaid and as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from tidemill.cli.render.figures import plain_text
from tidemill.core.counts import plural
from tidemill.core.figures import age
from tidemill.core.printable import printable
from tidemill.drawing.document import document
from tidemill.drawing.mermaid import mermaid_text
from tidemill.drawing.rails import draw_rails
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_graph import StatusGraph, StatusNode, draw_status_graph
from tidemill.operations.stage_states import StageGraph, StageNode, StageState

# Each state: its mark, the mark in ASCII, and the colour of a terminal.
_SHAPES: Mapping[StageState, tuple[str, str, str]] = {
    StageState.FAILED: ("✗", "x", "red"),
    StageState.RUNNING: ("▶", ">", "cyan"),
    StageState.WAITING: ("⏸", "=", "cyan"),
    StageState.STALE: ("◷", "~", "yellow"),
    StageState.DUE: ("◐", "!", "yellow"),
    StageState.NEVER: ("○", "o", "white"),
    StageState.CURRENT: ("●", "*", "green"),
    StageState.UNKNOWN: ("◌", "?", "white"),
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


def _status_graph(graph: StageGraph) -> StatusGraph:
    """The graph as boxes with edges, for drawings."""
    nodes = [
        StatusNode(
            name=node.name,
            status=DrawnStatus(node.state),
            kind=node.kind,
            detail=node.detail,
            figures=[] if node.age is None else [f"{age(node.age)} ago"],
        )
        for node in graph.nodes
    ]
    return StatusGraph(nodes=nodes, edges=graph.edges)


def graph_mermaid(graph: StageGraph) -> str:
    """The graph as a flowchart of Mermaid."""
    return mermaid_text(_status_graph(graph))


def graph_svg(graph: StageGraph) -> str:
    """The graph as a whole SVG document, with a title, and the states in words for screen readers."""
    states = "; ".join(f"{node.name} is {node.state}" for node in graph.nodes)
    return document(
        draw_status_graph(_status_graph(graph)),
        title=f"Stages of {graph.workflow} in {graph.environment}",
        description=f"{plural(len(graph.nodes), 'stage')}. {states}.",
    )
