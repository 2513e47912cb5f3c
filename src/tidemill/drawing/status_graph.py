"""Draw a graph of stages for a page: each is a link with its status in words, colour and shape."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.graph import edge_markup, numbered_edges
from tidemill.drawing.graph_layout import ROUNDING, Network, Orientation, Point, lay_out_graph
from tidemill.drawing.links import link
from tidemill.drawing.status import GLYPH, DrawnStatus, glyph
from tidemill.drawing.svg import BOLD, LABEL_SIZE, SMALL_SIZE, Drawing, number, text, translate
from tidemill.drawing.text import plain_line, text_width

_LEAST, _WIDEST = 120.0, 270.0
_PADDING, _TOP, _LINE = 11.0, 9.0, 16.0
_INDENT = _PADDING + GLYPH + 7.0
_BETWEEN = " \N{MIDDLE DOT} "


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusNode:
    """A stage, or anything else with a status: its detail says more of that, figures are a third line.

    `group` is what it is collapsed with in large graphs. A node that `is_group` stands for several: it is
    drawn as a stack, and its detail says the statuses of all.
    """

    name: str
    status: DrawnStatus
    kind: str = ""
    detail: str = ""
    figures: Sequence[str] = ()
    href: str = ""
    label: str = ""
    group: str = ""
    is_group: bool = False

    @property
    def heading(self) -> str:
        """What the node is called in the drawing."""
        return self.label or self.name

    @property
    def state(self) -> str:
        """The status with its detail: `failed: 3 due`."""
        if not self.detail:
            return str(self.status)
        return self.detail if self.is_group else f"{self.status}: {self.detail}"

    @property
    def accessible_name(self) -> str:
        """All that the node says: `sales, transform, failed: 3 due, 2 h old`."""
        return ", ".join(
            part for part in (self.heading, self.kind, self.state, *self.figures) if part
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusGraph:
    """Nodes, and edges between them by name; if there is a `path`, its nodes stand out from the others."""

    nodes: Sequence[StatusNode]
    edges: Sequence[tuple[str, str]] = ()
    path: Collection[str] = ()
    direction: Orientation = Orientation.DOWN


def draw_status_graph(graph: StatusGraph) -> Drawing:
    """Draw a graph of which each node comes, when tabbing through its links, after all that lead to it.

    Raises ValueError when two nodes have one name, an edge names no node, or the edges form a cycle.
    """
    edges = numbered_edges([node.name for node in graph.nodes], graph.edges)
    size = _node_size(graph.nodes)
    layout = lay_out_graph(
        Network(sizes=[size] * len(graph.nodes), edges=edges, direction=graph.direction)
    )
    emphases = [_emphasis(node.name, graph.path) for node in graph.nodes]
    classes = [_of_both(emphases[source], emphases[target]) for source, target in edges]
    # What stands out is drawn over the others.
    order = sorted(range(len(edges)), key=lambda n: classes[n] == "lit")
    lines = [edge_markup(layout.lines[n], layout.heads[n], css=classes[n]) for n in order]
    cards = [
        _card(graph.nodes[node], emphases[node], layout.corners[node], size)
        for node in layout.reading_order
    ]
    return Drawing(width=layout.width, height=layout.height, markup="".join([*lines, *cards]))


def _emphasis(name: str, path: Collection[str]) -> str:
    """The CSS class that lifts a node above the others, or lowers it."""
    if not path:
        return ""
    return "lit" if name in path else "quiet"


def _of_both(source: str, target: str) -> str:
    return source if source == target else "quiet"


def _figures(node: StatusNode) -> str:
    """The kind and the figures in one line, as many as have room there."""
    line, room = node.kind, _WIDEST - _INDENT - _PADDING
    for figure in node.figures:
        longer = f"{line}{_BETWEEN}{figure}" if line else figure
        if line and text_width(plain_line(longer), SMALL_SIZE) > room:
            break
        line = longer
    return line


def _node_size(nodes: Sequence[StatusNode]) -> Point:
    """The width and height that all boxes have."""
    lines = [
        (content, size)
        for node in nodes
        for content, size in (
            (node.heading, BOLD * LABEL_SIZE),
            (node.state, SMALL_SIZE),
            (_figures(node), SMALL_SIZE),
        )
    ]
    widest = max((text_width(plain_line(content), size) for content, size in lines), default=0.0)
    count = 3 if any(map(_figures, nodes)) else 2
    width = min(max(round(widest + _INDENT + _PADDING), _LEAST), _WIDEST)
    return width, 2 * _TOP + count * _LINE + 2


def _card(node: StatusNode, emphasis: str, corner: Point, size: Point) -> str:
    """A box with its glyph and lines. The inner `svg` clips what a font draws wider than expected."""
    width, height = size
    room = width - _INDENT - _PADDING + 1
    baseline = _TOP + LABEL_SIZE - 1
    lines = [
        text(content, _INDENT, baseline + i * _LINE + (i > 0), kind=css, size=pixels, width=room)
        for i, (content, css, pixels) in enumerate(
            (
                (node.heading, "heading", LABEL_SIZE),
                (node.state, "kind", SMALL_SIZE),
                (_figures(node), "note", SMALL_SIZE),
            )
        )
        if content
    ]
    attributes = f'width="{number(width)}" height="{number(height)}"'
    box = f'<rect class="box" {attributes} rx="{number(ROUNDING)}"/>'
    if node.is_group:
        box = f'<path class="stack" d="M5 {number(height + 3.5)}H{number(width - 5)}"/>{box}'
    inside = Drawing(
        width=width,
        height=height,
        markup=f"{box}{glyph(node.status, _PADDING, _TOP)}<svg {attributes}>{''.join(lines)}</svg>",
    )
    return link(
        translate(inside, *corner),
        node.href,
        label=node.accessible_name,
        css=" ".join(part for part in ("node", node.status.css, emphasis) if part),
        name=node.name,
        is_read=True,
    )
