from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.layers import Layers, arrange
from tidemill.drawing.positions import nearest_apart, place_nodes

NUMBERS = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=8)


def node_sizes(layers: Layers) -> list[float]:
    """100 for nodes and 10 for dummies."""
    dummies = sum(map(len, layers.order)) - layers.count
    return [100.0] * layers.count + [10.0] * dummies


@given(NUMBERS, st.data())
def test_positions_are_apart_and_keep_the_mean(wanted: list[float], data: st.DataObject) -> None:
    size = len(wanted)
    distances = data.draw(st.lists(st.integers(0, 9), min_size=size - 1, max_size=size - 1))
    weights = data.draw(st.lists(st.integers(1, 5), min_size=size, max_size=size))
    found = nearest_apart(wanted, weights, distances)
    for (before, after), distance in zip(pairwise(found), distances, strict=True):
        assert after - before >= distance - 1e-9
    total = sum(w * (at - want) for w, at, want in zip(weights, found, wanted, strict=True))
    assert total == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([0, 10, 20], [0, 10, 20]),  # already apart
        ([5, 5], [3, 7]),
        ([10, 0], [3, 7]),
        ([0, 0, 100], [-2, 2, 100]),
    ],
)
def test_the_nearest_positions(wanted: list[float], found: list[float]) -> None:
    assert nearest_apart(wanted, [1.0] * len(wanted), [4.0] * (len(wanted) - 1)) == found


def test_the_heavier_moves_less() -> None:
    assert nearest_apart([0, 0], [3, 1], [4]) == [-1, 3]


def test_a_long_edge_is_straight() -> None:
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]
    layers = arrange(5, edges)
    sizes = node_sizes(layers)
    centres = place_nodes(layers, sizes, 20)
    lanes = [centres[node] for node in layers.paths[-1][1:-1]]
    assert len(set(lanes)) == 1


@pytest.mark.parametrize(
    "edges",
    [
        [(0, 2), (2, 3), (3, 4), (1, 4), (0, 4)],
        [(0, 2), (2, 3), (3, 4), (0, 4), (1, 4), (5, 3), (5, 4)],
    ],
)
def test_a_lane_keeps_its_distance_to_its_neighbours(edges: list[tuple[int, int]]) -> None:
    layers = arrange(6, edges)
    sizes = node_sizes(layers)
    centres = place_nodes(layers, sizes, 20)
    for layer in layers.order:
        for one, other in pairwise(layer):
            gap = 20 if max(one, other) < 6 else 10
            assert centres[other] - centres[one] >= gap + (sizes[one] + sizes[other]) / 2 - 0.11


def test_the_first_edge_is_at_zero() -> None:
    assert place_nodes(arrange(2, []), [100, 100], 20) == [50, 170]
    assert place_nodes(arrange(0, []), [], 20) == []
    assert place_nodes(arrange(2, []), [100, 40], 20) == [50, 140]
