"""Arrange the nodes of an acyclic graph in layers, with few crossings of edges.

Nodes are numbered from 0. An edge that spans several layers gets a dummy node in each layer between its
ends, so that the layout keeps a lane free for it. Layers come from longest paths, their order from
barycenter sweeps (Sugiyama, Tagawa, Toda 1981).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tidemill.core.lazy_dataclass import dataclass

_SWEEPS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The nodes and dummies of each layer in their order.

    `paths` holds, for each edge, its nodes from source to target, one a layer; numbers from `count` on
    are dummies.
    """

    count: int
    order: tuple[tuple[int, ...], ...]
    paths: tuple[tuple[int, ...], ...]

    @property
    def links(self) -> list[tuple[int, int]]:
        """The parts of edges, each between two neighbouring layers."""
        return [link for path in self.paths for link in pairwise(path)]


def arrange(count: int, edges: Sequence[tuple[int, int]]) -> Layers:
    """Arrange `count` nodes in layers. Raises ValueError when the edges form a cycle."""
    depths = _depths(count, edges)
    order: list[list[int]] = [[] for _ in range(max(depths, default=-1) + 1)]
    for node, depth in enumerate(depths):
        order[depth].append(node)
    paths = []
    dummy = count
    for source, target in edges:
        path = [source]
        for depth in range(depths[source] + 1, depths[target]):
            order[depth].append(dummy)
            path.append(dummy)
            dummy += 1
        paths.append((*path, target))
    layers = Layers(count=count, order=_frozen(order), paths=tuple(paths))
    return Layers(count=count, order=_fewest_crossings(layers), paths=layers.paths)


def _depths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The length of the longest path to each node."""
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
    links = layers.links
    above, below = _neighbours(links), _neighbours((target, source) for source, target in links)
    best, fewest = _frozen(order), count_crossings(order, links)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for depth in range(1, len(order)) if down else range(len(order) - 2, -1, -1):
            fixed = order[depth - 1] if down else order[depth + 1]
            _sort_by_barycenter(order[depth], fixed, above if down else below)
        crossings = count_crossings(order, links)
        if crossings < fewest:
            best, fewest = _frozen(order), crossings
    return best


def _neighbours(links: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """The nodes that each node is linked from."""
    found: dict[int, list[int]] = {}
    for source, target in links:
        found.setdefault(target, []).append(source)
    return found


def _sort_by_barycenter(
    layer: list[int], fixed: Sequence[int], neighbours: dict[int, list[int]]
) -> None:
    """Sort a layer by the mean position of each node's neighbours; a node without any stays near."""
    places = {node: place for place, node in enumerate(fixed)}
    scale = len(fixed) / len(layer)
    means = {}
    for place, node in enumerate(layer):
        found = [places[neighbour] for neighbour in neighbours.get(node, ())]
        means[node] = sum(found) / len(found) if found else place * scale
    layer.sort(key=means.__getitem__)


def count_crossings(order: Sequence[Sequence[int]], links: Iterable[tuple[int, int]]) -> int:
    """How many pairs of links cross."""
    places = {node: (depth, i) for depth, layer in enumerate(order) for i, node in enumerate(layer)}
    by_depth: dict[int, list[tuple[int, int]]] = {}
    for source, target in links:
        depth, start = places[source]
        by_depth.setdefault(depth, []).append((start, places[target][1]))
    return sum(_inversions(ends for _, ends in sorted(found)) for found in by_depth.values())


def _inversions(numbers: Iterable[int]) -> int:
    seen: list[int] = []
    inversions = 0
    for number in numbers:
        inversions += len(seen) - bisect_right(seen, number)
        insort(seen, number)
    return inversions


def _frozen(order: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(layer) for layer in order)
