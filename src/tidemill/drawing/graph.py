"""Draw an acyclic graph in layers: boxes with text, and edges that pass behind no box."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.graph_layout import ROUNDING, Network, Orientation, Point, lay_out_graph
from tidemill.drawing.svg import LABEL_SIZE, SMALL_SIZE, Drawing, Hue, number, text
from tidemill.drawing.text import escaped, plain_line, text_width

_PADDING, _WIDEST = 14.0, 210.0
_KIND_HEIGHT, _LABEL_HEIGHT, _NOTE_HEIGHT, _BORDER = 14.0, 18.0, 16.0, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A box with up to three lines: what kind of thing it is, its label, and a note.

    A `quiet` node is drawn pale, as the background of those that matter.
    """

    name: str
    label: str
    kind: str = ""
    note: str = ""
    hue: Hue = Hue.GREY
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes, and edges from one name to another; all boxes are at least `width` wide."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[str, str]] = ()
    direction: Orientation = Orientation.DOWN
    width: float = 84.0
    gap: float = 24.0
    layer_gap: float = 38.0


def draw_graph(graph: Graph) -> Drawing:
    """Draw a graph; the same graph always gives the same markup.

    Raises ValueError when two nodes have one name, an edge names no node, or the edges form a cycle.
    """
    edges = numbered_edges([node.name for node in graph.nodes], graph.edges)
    width, height = _node_size(graph.nodes, graph.width)
    layout = lay_out_graph(
        Network(
            sizes=[(width, height)] * len(graph.nodes),
            edges=edges,
            direction=graph.direction,
            gap=graph.gap,
            layer_gap=graph.layer_gap,
        )
    )
    lines = [
        edge_markup(
            line,
            head,
            css="quiet" if graph.nodes[source].quiet or graph.nodes[target].quiet else "",
        )
        for (source, target), line, head in zip(edges, layout.lines, layout.heads, strict=True)
    ]
    slots = _slots(graph.nodes)
    cards = [
        _card(node, x, y, width, height, slots)
        for node, (x, y) in zip(graph.nodes, layout.corners, strict=True)
    ]
    return Drawing(
        width=layout.width,
        height=layout.height,
        markup="".join([*lines, *cards]),
    )


def numbered_edges(names: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
    """Edges by the numbers of their nodes, without repetitions.

    Raises ValueError when two nodes have one name, or an edge names no node.
    """
    numbers = {name: i for i, name in enumerate(names)}
    if len(numbers) < len(names):
        raise ValueError("two nodes of the graph have the same name")
    found = [*dict.fromkeys(edges)]
    unknown = {name for edge in found for name in edge} - set(numbers)
    if unknown:
        raise ValueError(f"the graph has no nodes {sorted(unknown)}")
    return [(numbers[source], numbers[target]) for source, target in found]


def edge_markup(line: str, head: str, *, css: str) -> str:
    """An edge with its arrow head, in a CSS class."""
    more = f" {css}" if css else ""
    return f'<path class="edge{more}" d="{line}"/><path class="head{more}" d="{head}"/>'


def _node_size(nodes: Sequence[Node], width: float) -> Point:
    """The width and height that all boxes have."""
    widest = max(
        (
            text_width(plain_line(line), size)
            for node in nodes
            for line, size in (
                (node.kind, SMALL_SIZE),
                (node.label, LABEL_SIZE),
                (node.note, SMALL_SIZE),
            )
        ),
        default=0.0,
    )
    kinds, notes = _slots(nodes)
    height = 2 * _BORDER + _LABEL_HEIGHT + kinds * _KIND_HEIGHT + notes * _NOTE_HEIGHT
    return max(width, min(round(widest + 2 * _PADDING), _WIDEST)), height


def _slots(nodes: Sequence[Node]) -> tuple[bool, bool]:
    """Whether any node has a kind, and a note: then all boxes have room for it."""
    return any(node.kind for node in nodes), any(node.note for node in nodes)


def _card(
    node: Node, x: float, y: float, width: float, height: float, slots: tuple[bool, bool]
) -> str:
    """A box with its lines. The inner `svg` clips what a font draws wider than expected."""
    kinds, _ = slots
    label = _BORDER + kinds * _KIND_HEIGHT + LABEL_SIZE
    lines = [
        text(
            content, width / 2, at, kind=kind, size=size, width=width - 1.5 * _PADDING, middle=True
        )
        for content, at, kind, size in (
            (node.kind, _BORDER + SMALL_SIZE - 1, "kind", SMALL_SIZE),
            (node.label, label, "heading", LABEL_SIZE),
            (node.note, label + _NOTE_HEIGHT, "note", SMALL_SIZE),
        )
        if content
    ]
    size = f'width="{number(width)}" height="{number(height)}"'
    quiet = "quiet " if node.quiet else ""
    return (
        f'<g class="{quiet}node {node.hue}" transform="translate({number(x)} {number(y)})">'
        f"<title>{escaped(_hint(node))}</title>"
        f'<rect class="box" {size} rx="{number(ROUNDING)}"/><svg {size}>{"".join(lines)}</svg></g>'
    )


def _hint(node: Node) -> str:
    """Return the tooltip of a node: all of its text."""
    return ", ".join(line for line in (node.label, node.kind, node.note) if line)
