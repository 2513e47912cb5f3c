from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing import layers as layers_module
from tidemill.drawing.layers import arrange, count_crossings, node_depths

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


def workflow_edges(count: int, edges: int, seed: int) -> list[tuple[int, int]]:
    """Edges as in workflows: most nodes read near ones, and a few read far ones."""
    random, found = Random(seed), set[tuple[int, int]]()
    for target in range(1, count):
        found.add((max(0, target - random.randint(1, 8)), target))
    while len(found) < edges:
        target = random.randrange(1, count)
        reach = random.randint(1, 12) if random.random() < 0.9 else random.randint(1, 200)
        found.add((max(0, target - reach), target))
    return sorted(found)


@pytest.mark.parametrize(
    ("count", "links", "seed", "crossings"),
    [(200, 300, 0, 150), (200, 300, 1, 160), (600, 900, 2, 800)],
)
def test_few_crossings_are_left_of_large_workflows(
    count: int, links: int, seed: int, crossings: int
) -> None:
    layers = arrange(count, workflow_edges(count, links, seed))
    naive = [sorted(layer) for layer in layers.order]
    found = count_crossings(layers.order, layers.links)
    assert found <= crossings
    assert found <= count_crossings(naive, layers.links) / 5


@given(EDGES)
def test_no_order_has_more_crossings_than_the_numbers(edges: list[tuple[int, int]]) -> None:
    layers = arrange(10, edges)
    naive = [sorted(layer) for layer in layers.order]
    assert count_crossings(layers.order, layers.links) <= count_crossings(naive, layers.links)
    assert arrange(10, edges) == layers


def test_the_longest_edges_go_beside_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers_module, "_FEW_DUMMIES", 2)
    monkeypatch.setattr(layers_module, "_DUMMIES_OF_NODE", 0)
    monkeypatch.setattr(layers_module, "_NEAR", 0)
    chain = [(node, node + 1) for node in range(9)]
    layers = arrange(10, [*chain, (0, 4), (3, 8), (5, 9), (0, 2)])
    # Where an edge leaves a lane, no other one goes to it.
    assert layers.paths[9:] == ((0, 11, 4), (3, 13, 8), (5, 12, 9), (0, 10, 2))
    assert layers.lanes == ((11, 12), (13,))
    assert all(max(link) <= 10 for link in layers.links)


def test_a_graph_of_long_edges_has_few_dummies_in_its_layers() -> None:
    random = Random(1)
    chain = [(node, node + 1) for node in range(299)]
    far = [(node, node + random.randint(20, 100)) for node in random.sample(range(200), 100)]
    layers = arrange(300, [*chain, *far, (0, 9), (100, 109)])
    inner = sum(map(len, layers.order))
    assert 300 <= inner <= 300 + 2_000
    assert 0 < sum(map(len, layers.lanes)) < 100
    # Those that are beside are longer than those that aren't.
    lengths = {len(path) for path in layers.inner_paths}
    beside = [path[2] - path[0] for path in layers.paths if max(path) >= inner]
    assert min(beside) + 1 >= max(lengths)


def test_edges_that_span_few_layers_stay_within_them() -> None:
    edges = [(node, node + 1) for node in range(9)] + [(node, node + 3) for node in range(7)] * 200
    assert arrange(10, edges).lanes == ()


def test_depths_are_lengths_of_longest_paths() -> None:
    assert node_depths(4, [(0, 1), (1, 2), (0, 2)]) == [0, 1, 2, 0]
