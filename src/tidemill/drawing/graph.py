"""Draw an acyclic graph in layers: boxes with text, and edges that pass behind no box."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import pairwise

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layers import Layers, arrange
from tidemill.drawing.positions import place_nodes
from tidemill.drawing.svg import LABEL_SIZE, SMALL_SIZE, Drawing, Hue, number, text
from tidemill.drawing.text import escaped, plain_line, text_width

Point = tuple[float, float]

_PADDING, _WIDEST = 14.0, 210.0
_KIND_HEIGHT, _LABEL_HEIGHT, _NOTE_HEIGHT, _BORDER = 14.0, 18.0, 16.0, 8.0
_DUMMY = 10.0
_PORT = 16.0
_ROUNDING = 8.0


class Orientation(Enum):
    """Where the edges of a graph lead."""

    DOWN = "down"
    RIGHT = "right"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """Where a node is: its centre across and its start along the layers, and its size in both."""

    across: float
    along: float
    breadth: float
    depth: float


def draw_graph(graph: Graph) -> Drawing:
    """Draw a graph; the same graph always gives the same markup.

    Raises ValueError when two nodes have one name, an edge names no node, or the edges form a cycle.
    """
    numbers = {node.name: i for i, node in enumerate(graph.nodes)}
    if len(numbers) < len(graph.nodes):
        raise ValueError("two nodes of the graph have the same name")
    unknown = {name for edge in graph.edges for name in edge} - set(numbers)
    if unknown:
        raise ValueError(f"the graph has no nodes {sorted(unknown)}")
    edges = [(numbers[a], numbers[b]) for a, b in dict.fromkeys(graph.edges)]
    layers = arrange(len(graph.nodes), edges)
    width, height = _node_size(graph.nodes, graph.width)
    boxes = _place(layers, graph, width, height)
    down = graph.direction is Orientation.DOWN
    lines = [
        _edge(points, graph.nodes[path[0]].quiet or graph.nodes[path[-1]].quiet, down)
        for path, points in zip(
            layers.paths, _routes(layers, boxes, width if down else height), strict=True
        )
    ]
    corners = [_corner(boxes[i], down) for i in range(len(graph.nodes))]
    cards = [
        _card(node, x, y, width, height, _slots(graph.nodes))
        for node, (x, y) in zip(graph.nodes, corners, strict=True)
    ]
    return Drawing(
        width=_extent(boxes, down),
        height=_extent(boxes, not down),
        markup="".join([*lines, *cards]),
    )


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


def _place(layers: Layers, graph: Graph, width: float, height: float) -> dict[int, _Box]:
    """Where nodes and dummies are. A dummy is as deep as its layer, which keeps its lane free."""
    down = graph.direction is Orientation.DOWN
    breadth, depth = (width, height) if down else (height, width)
    centres = place_nodes(layers, breadth, _DUMMY, graph.gap)
    return {
        node: _Box(
            across=centres[node],
            along=row * (depth + graph.layer_gap),
            breadth=breadth if node < layers.count else _DUMMY,
            depth=depth,
        )
        for row, layer in enumerate(layers.order)
        for node in layer
    }


def _routes(layers: Layers, boxes: dict[int, _Box], breadth: float) -> list[list[Point]]:
    """For each edge the points (across, along) where it leaves a layer and where it enters one, in turn."""
    links = sorted(layers.links, key=lambda link: (boxes[link[0]].across, boxes[link[1]].across))
    leaving, entering = _ports(links, boxes, 0, breadth), _ports(links, boxes, 1, breadth)
    routes = []
    for path in layers.paths:
        points: list[Point] = []
        for link in pairwise(path):
            source, target = boxes[link[0]], boxes[link[1]]
            points.append((leaving[link], source.along + source.depth))
            points.append((entering[link], target.along))
        routes.append(points)
    return routes


def _ports(
    links: Sequence[tuple[int, int]], boxes: dict[int, _Box], end: int, breadth: float
) -> dict[tuple[int, int], float]:
    """Where each link meets the box at one of its ends, so that links of a box don't meet each other."""
    groups: dict[int, list[tuple[int, int]]] = {}
    for link in links:
        groups.setdefault(link[end], []).append(link)
    ports: dict[tuple[int, int], float] = {}
    for node, group in groups.items():
        apart = min(_PORT, (breadth - 2 * _ROUNDING) / len(group))
        first = boxes[node].across - apart * (len(group) - 1) / 2
        ports.update((link, first + apart * i) for i, link in enumerate(group))
    return ports


def _edge(points: Sequence[Point], quiet: bool, down: bool) -> str:
    """A path that bends between layers only, where no box is, and is straight through a layer's lane."""

    def at(across: float, along: float) -> str:
        x, y = (across, along) if down else (along, across)
        return f"{number(x)} {number(y)}"

    parts = [f"M{at(*points[0])}"]
    for i in range(0, len(points), 2):
        (start, leaves), (end, enters) = points[i : i + 2]
        if i:
            parts.append(f"L{at(start, leaves)}")
        middle = (leaves + enters) / 2
        parts.append(f"C{at(start, middle)} {at(end, middle)} {at(end, enters)}")
    return f'<path class="{"quiet " if quiet else ""}edge" d="{"".join(parts)}"/>'


def _corner(box: _Box, down: bool) -> Point:
    across = box.across - box.breadth / 2
    return (across, box.along) if down else (box.along, across)


def _extent(boxes: dict[int, _Box], across: bool) -> float:
    ends = (
        (box.across + box.breadth / 2) if across else (box.along + box.depth)
        for box in boxes.values()
    )
    return max(ends, default=0.0)


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
            (node.label, label, "label", LABEL_SIZE),
            (node.note, label + _NOTE_HEIGHT, "note", SMALL_SIZE),
        )
        if content
    ]
    size = f'width="{number(width)}" height="{number(height)}"'
    quiet = "quiet " if node.quiet else ""
    return (
        f'<g class="{quiet}node {node.hue}" transform="translate({number(x)} {number(y)})">'
        f"<title>{escaped(_hint(node))}</title>"
        f'<rect class="box" {size} rx="{number(_ROUNDING)}"/><svg {size}>{"".join(lines)}</svg></g>'
    )


def _hint(node: Node) -> str:
    """Return the tooltip of a node: all of its text."""
    return ", ".join(line for line in (node.label, node.kind, node.note) if line)
