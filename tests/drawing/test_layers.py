from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.layers import arrange, count_crossings

EDGES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda edge: edge[0] < edge[1]),
    unique=True,
    max_size=20,
)


@given(EDGES)
def test_every_link_leads_to_the_next_layer(edges: list[tuple[int, int]]) -> None:
    layers = arrange(10, edges)
    depths = {node: depth for depth, layer in enumerate(layers.order) for node in layer}
    assert [(path[0], path[-1]) for path in layers.paths] == edges
    assert all(depths[target] == depths[source] + 1 for source, target in layers.links)
    assert sorted(depths) == list(range(len(depths)))


def test_a_node_is_below_the_longest_path_to_it() -> None:
    layers = arrange(4, [(0, 1), (1, 2), (0, 3), (2, 3)])
    assert [set(layer) for layer in layers.order] == [{0}, {1, 4}, {2, 5}, {3}]
    assert layers.paths[2] == (0, 4, 5, 3)


def test_a_graph_without_nodes_has_no_layers() -> None:
    assert arrange(0, []).order == ()


@pytest.mark.parametrize(
    ("edges", "crossings"),
    [
        ([(0, 3), (1, 2)], 0),  # crossed as numbered
        ([(0, 5), (1, 4), (2, 3)], 0),
        ([(0, 2), (0, 3), (1, 2), (1, 3)], 1),  # no order has fewer
    ],
)
def test_crossings_are_avoided(edges: list[tuple[int, int]], crossings: int) -> None:
    layers = arrange(6, edges)
    assert count_crossings(layers.order, layers.links) == crossings


def test_links_that_share_an_end_do_not_cross() -> None:
    assert count_crossings([[0, 1], [2, 3]], [(0, 2), (0, 3), (1, 3)]) == 0
    assert count_crossings([[0, 1], [2, 3]], [(0, 3), (1, 2)]) == 1


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        arrange(2, [(0, 1), (1, 0)])
