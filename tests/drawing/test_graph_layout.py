"""The geometry of a layout, checked exactly: what is drawn is within the hulls of its control points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing import layers
from tidemill.drawing.graph_layout import GraphLayout, Network, Orientation, lay_out_graph

NEAR = 0.11  # coordinates have one decimal
Box = tuple[float, float, float, float]
SIZES = st.tuples(st.integers(60, 120).map(float), st.integers(60, 120).map(float))


@pytest.fixture(scope="module", params=[(2_000, 2), (0, 1), (0, 0)], autouse=True)
def most_dummies(request: pytest.FixtureRequest) -> Iterator[None]:
    """Long edges go through layers, some of them beside, or all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_FEW_DUMMIES", request.param[0])
        patch.setattr(layers, "_DUMMIES_OF_NODE", request.param[1])
        patch.setattr(layers, "_NEAR", 0)
        yield


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Acyclic networks of boxes that differ in size, their edges spread or at ports."""
    count = draw(st.integers(0, 14))
    numbers = draw(st.permutations(range(count)))
    pairs = list(combinations(numbers, 2))
    edges = draw(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    with_ports = draw(st.booleans())
    shares = st.tuples(*[st.integers(5, 55).map(float)] * 2)
    return Network(
        sizes=draw(st.lists(SIZES, min_size=count, max_size=count)),
        edges=edges if with_ports else [*dict.fromkeys(edges)],
        direction=draw(st.sampled_from(Orientation)),
        ports=draw(st.lists(shares, min_size=len(edges), max_size=len(edges)))
        if with_ports
        else (),
    )


def boxes(network: Network, layout: GraphLayout) -> list[Box]:
    return [
        (x, y, x + width, y + height)
        for (x, y), (width, height) in zip(layout.corners, network.sizes, strict=True)
    ]


def hulls(path: str) -> list[Box]:
    """A box around the control points of each part of a path, which the part can't leave."""
    found, at = [], (0.0, 0.0)
    for command, numbers in re.findall(r"([MLCz])([^MLCz]*)", path):
        values = [float(value) for value in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        if command in "LC":
            xs, ys = zip(at, *points, strict=True)
            found.append((min(xs), min(ys), max(xs), max(ys)))
        at = points[-1] if points else at
    return found


def overlap(one: Box, other: Box) -> bool:
    return (
        one[0] < other[2] - NEAR
        and other[0] < one[2] - NEAR
        and one[1] < other[3] - NEAR
        and other[1] < one[3] - NEAR
    )


def through(hull: Box, box: Box) -> bool:
    """Whether a hull, which may have no breadth, reaches the inside of a box."""
    return (
        hull[0] < box[2] - NEAR
        and hull[2] > box[0] + NEAR
        and hull[1] < box[3] - NEAR
        and hull[3] > box[1] + NEAR
    )


@given(networks())
def test_no_edge_passes_behind_a_box(network: Network) -> None:
    layout = lay_out_graph(network)
    for path in layout.lines:
        for hull in hulls(path):
            assert [box for box in boxes(network, layout) if through(hull, box)] == []


@given(networks())
def test_boxes_are_apart_and_inside(network: Network) -> None:
    layout = lay_out_graph(network)
    found = boxes(network, layout)
    assert [pair for pair in combinations(found, 2) if overlap(*pair)] == []
    drawn = [*found, *(hull for path in layout.lines for hull in hulls(path))]
    assert all(min(x, y) >= -NEAR for x, y, _, _ in drawn)
    assert all(
        right <= layout.width + NEAR and bottom <= layout.height + NEAR
        for *_, right, bottom in drawn
    )


@given(networks())
def test_edges_join_their_boxes_and_heads_are_at_their_ends(network: Network) -> None:
    layout = lay_out_graph(network)
    found = boxes(network, layout)
    down = network.direction is Orientation.DOWN
    lines = zip(network.edges, layout.lines, layout.heads, strict=True)
    for (source, target), path, head in lines:
        points = re.findall(r"([\d.]+) ([\d.]+)", path)
        (x, y), (u, v) = [(float(a), float(b)) for a, b in (points[0], points[-1])]
        start, end = found[source], found[target]
        assert (y if down else x) == pytest.approx(start[3 if down else 2], abs=NEAR)
        assert (v if down else u) == pytest.approx(end[1 if down else 0], abs=NEAR)
        across = 0 if down else 1
        assert start[across] <= (x, y)[across] <= start[across + 2]
        assert end[across] <= (u, v)[across] <= end[across + 2]
        assert f"L{points[-1][0]} {points[-1][1]}L" in head


@given(networks())
def test_boxes_are_read_after_all_that_lead_to_them(network: Network) -> None:
    order = lay_out_graph(network).reading_order
    assert sorted(order) == list(range(len(network.sizes)))
    places = {node: place for place, node in enumerate(order)}
    assert all(places[source] < places[target] for source, target in network.edges)


def test_an_edge_leaves_at_its_port() -> None:
    network = Network(
        sizes=[(80, 60), (80, 60)],
        edges=[(0, 1), (0, 1)],
        direction=Orientation.RIGHT,
        ports=[(10, 50), (20, 20)],
    )
    starts = [re.findall(r"[\d.]+ [\d.]+", path) for path in lay_out_graph(network).lines]
    assert [(each[0], each[-1]) for each in starts] == [
        ("80 10", "118 50"),
        ("80 20", "118 20"),
    ]


@given(networks())
def test_the_same_network_gives_the_same_layout(network: Network) -> None:
    assert lay_out_graph(network) == lay_out_graph(network)
