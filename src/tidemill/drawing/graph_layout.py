"""Lay out an acyclic graph: where its boxes are, and lines between them that pass behind no box.

The layout depends on nothing but its arguments, so callers may keep it by a digest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import pairwise

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layers import Layers, arrange
from tidemill.drawing.positions import place_nodes
from tidemill.drawing.svg import number

Point = tuple[float, float]

ROUNDING = 8.0
_DUMMY = 10.0
_PORT = 16.0
# Half of the breadth of an arrow head, and its length.
_HEAD, _HEAD_LENGTH = 3.5, 8.0


class Orientation(Enum):
    """Where the edges of a graph lead."""

    DOWN = "down"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Boxes by their width and height, and edges between them by number.

    `ports` holds for each edge how far from the beginning of the boxes' sides it leaves and enters;
    without them, the edges of a box are spread.
    """

    sizes: Sequence[Point]
    edges: Sequence[tuple[int, int]]
    direction: Orientation = Orientation.DOWN
    gap: float = 24.0
    layer_gap: float = 38.0
    ports: Sequence[Point] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphLayout:
    """The upper left corners of boxes, and the path of each edge with that of its arrow head.

    `reading_order` has each box after all that lead to it, and those of one layer as they are drawn.
    """

    corners: Sequence[Point]
    lines: Sequence[str]
    heads: Sequence[str]
    reading_order: Sequence[int]
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """The arranged network across and along its layers: where nodes, dummies and layers begin and end.

    A node or a dummy is in the layers from its row in `tops` to that in `bottoms`.
    """

    layers: Layers
    centres: Sequence[float]
    breadths: Sequence[float]
    depths: Sequence[float]
    starts: Sequence[float]
    ends: Sequence[float]
    tops: Sequence[int]
    bottoms: Sequence[int]
    down: bool

    def at(self, across: float, along: float) -> str:
        """A place as coordinates."""
        x, y = (across, along) if self.down else (along, across)
        return f"{number(x)} {number(y)}"


def lay_out_graph(network: Network) -> GraphLayout:
    """Lay out a network. Raises ValueError when its edges form a cycle."""
    grid = _grid(network)
    lines, heads = list[str](), list[str]()
    leaving, entering = _fixed_ports(grid, network) if network.ports else _spread_ports(grid)
    for n, path in enumerate(grid.layers.paths):
        links = [(n, i) for i in range(len(path) - 1)]
        lines.append(
            _line(grid, path, [leaving[it] for it in links], [entering[it] for it in links])
        )
        heads.append(_head(grid, entering[links[-1]], grid.starts[grid.tops[path[-1]]]))
    count = len(network.sizes)
    corners = [
        (grid.centres[node] - grid.breadths[node] / 2, grid.starts[grid.tops[node]])
        for node in range(count)
    ]
    across = max((c + b / 2 for c, b in zip(grid.centres, grid.breadths, strict=True)), default=0.0)
    along = max(grid.ends, default=0.0)
    return GraphLayout(
        corners=corners if grid.down else [(along, across) for across, along in corners],
        lines=lines,
        heads=heads,
        reading_order=[node for layer in grid.layers.order for node in layer if node < count],
        width=across if grid.down else along,
        height=along if grid.down else across,
    )


def _grid(network: Network) -> _Grid:
    down = network.direction is Orientation.DOWN
    layers = arrange(len(network.sizes), network.edges)
    dummies = sum(map(len, (*layers.order, *layers.lanes))) - layers.count
    breadths = [size[not down] for size in network.sizes] + [_DUMMY] * dummies
    depths = [size[down] for size in network.sizes]
    starts, ends, at = list[float](), list[float](), 0.0
    tops = [0] * len(breadths)
    for row, layer in enumerate(layers.order):
        for node in layer:
            tops[node] = row
        starts.append(at)
        ends.append(at + max(depths[node] for node in layer if node < layers.count))
        at = ends[-1] + network.layer_gap
    bottoms = [*tops]
    for source, *between, target in layers.paths:
        if between:
            tops[between[0]] = tops[source] + 1
            bottoms[between[-1]] = tops[target] - 1
    return _Grid(
        layers=layers,
        centres=place_nodes(layers, breadths, network.gap),
        breadths=breadths,
        # A dummy is as deep as its layer, which keeps its lane free.
        depths=depths,
        starts=starts,
        ends=ends,
        tops=tops,
        bottoms=bottoms,
        down=down,
    )


Ports = dict[tuple[int, int], float]


def _fixed_ports(grid: _Grid, network: Network) -> tuple[Ports, Ports]:
    """Where links leave and enter, by the number of the edge and that of the link in it."""
    leaving, entering = Ports(), Ports()
    for n, (path, ports) in enumerate(zip(grid.layers.paths, network.ports, strict=True)):
        for i, (source, target) in enumerate(pairwise(path)):
            leaving[n, i] = grid.centres[source]
            entering[n, i] = grid.centres[target]
        leaving[n, 0] += ports[0] - grid.breadths[path[0]] / 2
        entering[n, len(path) - 2] += ports[1] - grid.breadths[path[-1]] / 2
    return leaving, entering


def _spread_ports(grid: _Grid) -> tuple[Ports, Ports]:
    """The same, so that links of one box don't meet each other there."""
    links = [
        (path[i : i + 2], (n, i))
        for n, path in enumerate(grid.layers.paths)
        for i in range(len(path) - 1)
    ]
    links.sort(key=lambda link: [grid.centres[node] for node in link[0]])
    both = Ports(), Ports()
    for end, ports in enumerate(both):
        groups: dict[int, list[tuple[int, int]]] = {}
        for nodes, link in links:
            groups.setdefault(nodes[end], []).append(link)
        for node, group in groups.items():
            if len(group) == 1:
                ports[group[0]] = grid.centres[node]
                continue
            apart = min(_PORT, (grid.breadths[node] - 2 * ROUNDING) / len(group))
            first = grid.centres[node] - apart * (len(group) - 1) / 2
            ports.update((link, first + apart * i) for i, link in enumerate(group))
    return both


def _line(
    grid: _Grid, path: Sequence[int], leaving: Sequence[float], entering: Sequence[float]
) -> str:
    """A path that bends between layers only, where no box is, and is straight through a layer's lane."""
    at = grid.starts[grid.tops[path[0]]] + grid.depths[path[0]]
    parts = [f"M{grid.at(leaving[0], at)}"]
    for (source, target), start, end in zip(pairwise(path), leaving, entering, strict=True):
        if start == end:
            continue
        leaves, enters = grid.ends[grid.bottoms[source]], grid.starts[grid.tops[target]]
        if at < leaves:
            parts.append(f"L{grid.at(start, leaves)}")
        middle = (leaves + enters) / 2
        parts.append(f"C{grid.at(start, middle)} {grid.at(end, middle)} {grid.at(end, enters)}")
        at = enters
    if at < grid.starts[grid.tops[path[-1]]]:
        parts.append(f"L{grid.at(entering[-1], grid.starts[grid.tops[path[-1]]])}")
    return "".join(parts)


def _head(grid: _Grid, across: float, along: float) -> str:
    back = along - _HEAD_LENGTH
    return (
        f"M{grid.at(across - _HEAD, back)}L{grid.at(across, along)}"
        f"L{grid.at(across + _HEAD, back)}z"
    )
