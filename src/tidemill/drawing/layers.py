"""Arrange the nodes of an acyclic graph in layers, with few crossings of edges.

Nodes are numbered from 0. An edge that spans several layers gets a dummy node in each layer between its
ends, so that the layout keeps a lane free for it. Layers come from longest paths, their order from
barycenter sweeps (Sugiyama, Tagawa, Toda 1981). Where edges span so many layers that nearly all nodes would
be dummies, the longest ones go past the layers instead, in lanes beside them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from tidemill.core.lazy_dataclass import dataclass

_SWEEPS = 12
# There are so many dummies in layers at most, or so many for each node, apart from those of edges that span
# so few layers.
_FEW_DUMMIES, _DUMMIES_OF_NODE, _NEAR = 2_000, 2, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The nodes and dummies of each layer in their order.

    `paths` holds, for each edge, its nodes from source to target; numbers from `count` on are dummies. There
    is one a layer, or a single dummy that is in one of the `lanes` beside the layers.
    """

    count: int
    order: tuple[tuple[int, ...], ...]
    paths: tuple[tuple[int, ...], ...]
    lanes: tuple[tuple[int, ...], ...] = ()

    @property
    def inner_paths(self) -> list[tuple[int, ...]]:
        """The paths of edges that are in no lane."""
        total = sum(map(len, self.order))
        return [path for path in self.paths if max(path) < total]

    @property
    def links(self) -> list[tuple[int, int]]:
        """The parts of these, each between two neighbouring layers."""
        return [link for path in self.inner_paths for link in pairwise(path)]


def arrange(count: int, edges: Sequence[tuple[int, int]]) -> Layers:
    """Arrange `count` nodes in layers. Raises ValueError when the edges form a cycle."""
    depths = node_depths(count, edges)
    order: list[list[int]] = [[] for _ in range(max(depths, default=-1) + 1)]
    for node, depth in enumerate(depths):
        order[depth].append(node)
    spans = [(depths[source] + 1, depths[target]) for source, target in edges]
    beside = _longest_edges(spans, max(_FEW_DUMMIES, _DUMMIES_OF_NODE * count))
    paths = []
    dummy = count
    for number, (source, target) in enumerate(edges):
        path = [source]
        for depth in range(*spans[number]) if number not in beside else ():
            order[depth].append(dummy)
            path.append(dummy)
            dummy += 1
        paths.append((*path, target))
    lanes = _lanes({number: spans[number] for number in beside})
    for lane in lanes:
        for place, number in enumerate(lane):
            paths[number] = (edges[number][0], dummy, edges[number][1])
            lane[place] = dummy
            dummy += 1
    layers = Layers(count=count, order=_frozen(order), paths=tuple(paths), lanes=_frozen(lanes))
    return replace(layers, order=_fewest_crossings(layers))


def _longest_edges(spans: Sequence[tuple[int, int]], most: int) -> set[int]:
    """The edges without which there are at most so many dummies in layers, but none that are short."""
    found = set[int]()
    lengths = [end - begin for begin, end in spans]
    dummies = sum(lengths)
    for number in sorted(range(len(spans)), key=lengths.__getitem__, reverse=True):
        if dummies <= most or lengths[number] <= _NEAR:
            break
        found.add(number)
        dummies -= lengths[number]
    return found


def _lanes(spans: Mapping[int, tuple[int, int]]) -> list[list[int]]:
    """Lanes for edges that span layers from one on to before another, the shortest in the first ones."""
    lanes = list[list[int]]()
    for number in sorted(spans, key=lambda each: spans[each][1] - spans[each][0]):
        begin, end = spans[number]
        # Edges don't meet where one goes to a lane that another one leaves.
        for lane in lanes:
            if all(spans[other][1] < begin or end < spans[other][0] for other in lane):
                lane.append(number)
                break
        else:
            lanes.append([number])
    return lanes


def node_depths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The length of the longest path to each node. Raises ValueError when the edges form a cycle."""
    waiting, below = [0] * count, [list[int]() for _ in range(count)]
    for source, target in edges:
        waiting[target] += 1
        below[source].append(target)
    depths = [0] * count
    ready = [node for node in range(count) if not waiting[node]]
    for node in ready:  # grows while it is read
        for target in below[node]:
            depths[target] = max(depths[target], depths[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    if len(ready) < count:
        raise ValueError("the edges of the graph form a cycle")
    return depths


def _fewest_crossings(layers: Layers) -> tuple[tuple[int, ...], ...]:
    """The best order that sweeps down and up find; the given one when none is better."""
    order = [list(layer) for layer in layers.order]
    total = sum(map(len, order))
    above: list[list[int]] = [[] for _ in range(total)]
    below: list[list[int]] = [[] for _ in range(total)]
    for source, target in layers.links:
        above[target].append(source)
        below[source].append(target)
    places = [0] * total
    for layer in order:
        _number(layer, places)
    best, fewest = layers.order, _crossings(order, below, places)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        before = [*map(tuple, order)]
        for depth in range(1, len(order)) if down else range(len(order) - 2, -1, -1):
            fixed = order[depth - 1] if down else order[depth + 1]
            _sort_by_barycenter(order[depth], len(fixed), above if down else below, places)
        after = [*map(tuple, order)]
        if before == after:
            continue
        crossings = _crossings(order, below, places)
        if crossings < fewest:
            best, fewest = tuple(after), crossings
    return best


def _number(layer: Iterable[int], places: list[int]) -> None:
    for place, node in enumerate(layer):
        places[node] = place


def _sort_by_barycenter(
    layer: list[int], fixed: int, neighbours: Sequence[Sequence[int]], places: list[int]
) -> None:
    """Sort a layer by the mean place of each node's neighbours; a node without any stays near.

    There are `fixed` nodes in the layer of the neighbours.
    """
    if len(layer) == 1:
        return
    scale = fixed / len(layer)
    means = {}
    for place, node in enumerate(layer):
        found = neighbours[node]
        if len(found) == 1:
            means[node] = float(places[found[0]])
        elif found:
            means[node] = sum([places[neighbour] for neighbour in found]) / len(found)
        else:
            means[node] = place * scale
    layer.sort(key=means.__getitem__)
    _number(layer, places)


def count_crossings(order: Sequence[Sequence[int]], links: Iterable[tuple[int, int]]) -> int:
    """How many pairs of links cross."""
    total = sum(map(len, order))
    below: list[list[int]] = [[] for _ in range(total)]
    for source, target in links:
        below[source].append(target)
    places = [0] * total
    for layer in order:
        _number(layer, places)
    return _crossings(order, below, places)


def _crossings(
    order: Iterable[Sequence[int]], below: Sequence[Sequence[int]], places: Sequence[int]
) -> int:
    return sum(
        _inversions(
            [place for node in layer for place in sorted([places[end] for end in below[node]])]
        )
        for layer in order
        if len(layer) > 1
    )


def _inversions(numbers: Iterable[int]) -> int:
    seen: list[int] = []
    inversions = 0
    for number in numbers:
        place = bisect_right(seen, number)
        inversions += len(seen) - place
        seen.insert(place, number)
    return inversions


def _frozen(order: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(layer) for layer in order)
