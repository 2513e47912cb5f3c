"""A drawing shows every node and edge, in its place, whatever the graph and its labels are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.document import document
from tidemill.drawing.graph import Graph, Node, draw_graph
from tidemill.drawing.graph_layout import Orientation
from tidemill.drawing.svg import Hue

SVG = "{http://www.w3.org/2000/svg}"
PLAIN = st.sampled_from(["a", "features", "delay_scores"])
NEAR = 0.11  # coordinates have one decimal
HOSTILE = [
    "<script>alert(1)</script>",
    "\"quotes\" & 'more' ]]>",
    "x" * 500,
    "\N{ROCKET}" * 60,
    "two\nlines\tand a tab",
    "nul \0 bell \a lone \ud800 bidi \u202e private \ue000",
    "",
]


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def holds(self, x: float, y: float) -> bool:
        return self.left + NEAR < x < self.right - NEAR and self.top + NEAR < y < self.bottom - NEAR

    def touches(self, x: float, y: float) -> bool:
        return (
            self.left - NEAR <= x <= self.right + NEAR
            and self.top - NEAR <= y <= self.bottom + NEAR
        )

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def parsed(graph: Graph) -> ElementTree.Element:
    return ElementTree.fromstring(document(draw_graph(graph), title="A graph", description="Of it"))


def boxes(root: ElementTree.Element) -> list[Box]:
    """The boxes in the order of the nodes."""
    found = []
    for group in root.iter(f"{SVG}g"):
        if "node" not in group.get("class", "").split():
            continue
        place = re.fullmatch(r"translate\((\S+) (\S+)\)", group.get("transform", ""))
        rect = group.find(f"{SVG}rect")
        assert place is not None
        assert rect is not None
        x, y = float(place[1]), float(place[2])
        found.append(Box(x, y, x + float(rect.get("width", "")), y + float(rect.get("height", ""))))
    return found


def points(path: str) -> list[tuple[float, float]]:
    """Points along a path of lines and cubic curves, close to each other."""
    found: list[tuple[float, float]] = []
    for command, numbers in re.findall(r"([MLC])([^MLC]*)", path):
        values = [float(value) for value in numbers.split()]
        ends = list(zip(values[::2], values[1::2], strict=True))
        start = found[-1] if found else ends[0]
        corners = [start, start, ends[0], ends[0]] if command in "ML" else [start, *ends]
        found += [bezier(corners, i / 24) for i in range(25)]
    return found


def bezier(corners: list[tuple[float, float]], t: float) -> tuple[float, float]:
    weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
    x, y = (
        sum(w * corner[axis] for w, corner in zip(weights, corners, strict=True)) for axis in (0, 1)
    )
    return x, y


def edges(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    return [
        points(path.get("d", ""))
        for path in root.iter(f"{SVG}path")
        if "edge" in path.get("class", "").split()
    ]


@st.composite
def graphs(draw: st.DrawFn, labels: st.SearchStrategy[str] = PLAIN) -> Graph:
    """Graphs whose edges lead from a node to a later one, in any order, some of them twice."""
    count = draw(st.integers(0, 12))
    nodes = [
        Node(
            name=f"n{i}",
            label=draw(labels),
            kind=draw(labels),
            note=draw(labels),
            hue=draw(st.sampled_from(Hue)),
            quiet=draw(st.booleans()),
        )
        for i in range(count)
    ]
    pairs = list(combinations([node.name for node in nodes], 2))
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    return Graph(
        nodes=draw(st.permutations(nodes)),
        edges=chosen,
        direction=draw(st.sampled_from(Orientation)),
    )


@given(graphs())
def test_boxes_do_not_overlap(graph: Graph) -> None:
    found = boxes(parsed(graph))
    assert len(found) == len(graph.nodes)
    assert [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])] == []


@given(graphs())
def test_every_edge_joins_its_nodes_and_passes_behind_no_other(graph: Graph) -> None:
    root = parsed(graph)
    by_name = {node.name: box for node, box in zip(graph.nodes, boxes(root), strict=True)}
    for (source, target), line in zip(dict.fromkeys(graph.edges), edges(root), strict=True):
        assert by_name[source].touches(*line[0])
        assert by_name[target].touches(*line[-1])
        assert [name for name, box in by_name.items() if any(box.holds(*at) for at in line)] == []


@given(graphs())
def test_edges_lead_in_the_direction_of_the_graph(graph: Graph) -> None:
    axis = 1 if graph.direction is Orientation.DOWN else 0
    for line in edges(parsed(graph)):
        assert all(before[axis] <= after[axis] + 1e-9 for before, after in pairwise(line))


@given(graphs(st.sampled_from(HOSTILE) | st.text()))
def test_any_text_stays_harmless_and_inside_its_box(graph: Graph) -> None:
    root = parsed(graph)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "path", "rect", "g", "text")
    }
    for group in root.iter(f"{SVG}g"):
        rect, clip = group.find(f"{SVG}rect"), group.find(f"{SVG}svg")
        if rect is not None:
            assert clip is not None
            assert (clip.get("width"), clip.get("height")) == (
                rect.get("width"),
                rect.get("height"),
            )
            assert len(clip) <= 3
            assert {line.tag for line in clip} <= {f"{SVG}text"}
            assert group.findall(f"{SVG}text") == []


@given(graphs(st.text()))
def test_the_same_graph_gives_the_same_bytes(graph: Graph) -> None:
    assert draw_graph(graph) == draw_graph(graph)


@given(graphs())
def test_all_is_inside_the_drawing(graph: Graph) -> None:
    drawing, root = draw_graph(graph), parsed(graph)
    area = Box(0, 0, drawing.width, drawing.height)
    corners = [at for box in boxes(root) for at in ((box.left, box.top), (box.right, box.bottom))]
    assert all(area.touches(*at) for line in [corners, *edges(root)] for at in line)


def chain(*names: str, kind: str = "", note: str = "") -> list[Node]:
    return [Node(name=name, label=name, kind=kind, note=note) for name in names]


def test_an_edge_beside_a_long_chain_keeps_its_lane() -> None:
    graph = Graph(nodes=chain("a", "b", "c", "d"), edges=[*pairwise("abcd"), ("a", "d")])
    root = parsed(graph)
    middle = boxes(root)[1]
    assert not any(middle.touches(*at) for at in edges(root)[-1])


def test_lines_that_no_node_has_take_no_room() -> None:
    heights = [
        draw_graph(Graph(nodes=nodes)).height
        for nodes in (chain("a"), chain("a", kind="k"), chain("a", kind="k", note="n"))
    ]
    assert heights == sorted(set(heights))


def test_an_edge_between_nodes_is_quiet_if_one_of_them_is() -> None:
    nodes = [*chain("a", "b"), Node(name="c", label="c", quiet=True)]
    root = parsed(Graph(nodes=nodes, edges=[("a", "b"), ("b", "c")]))
    kinds = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert kinds == ["edge", "head", "edge quiet", "head quiet"]


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ("aa", [], "the same name"),
        ("ab", [("a", "x"), ("y", "b")], r"no nodes \['x', 'y'\]"),
        ("ab", [("a", "b"), ("b", "a")], "cycle"),
        ("a", [("a", "a")], "cycle"),
    ],
)
def test_what_is_no_acyclic_graph_is_refused(
    nodes: str, edges: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw_graph(Graph(nodes=chain(*nodes), edges=edges))
