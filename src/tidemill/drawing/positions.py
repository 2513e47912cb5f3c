"""Place the nodes of each layer along one axis: in order, apart, and close to their neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf

from tidemill.drawing.layers import Layers

_ROUNDS = 16
# Long edges should be straight, so a link between dummies pulls hardest.
_PULL_BETWEEN_DUMMIES, _PULL_OF_DUMMY, _PULL = 40.0, 2.0, 1.0

Links = Mapping[int, Sequence[tuple[int, float]]]


def place_nodes(layers: Layers, size: float, dummy_size: float, gap: float) -> dict[int, float]:
    """The centre of each node and dummy on the axis across the layers; the smallest edge is at 0."""
    sizes = {
        node: size if node < layers.count else dummy_size
        for layer in layers.order
        for node in layer
    }
    gaps = [[gap + (sizes[a] + sizes[b]) / 2 for a, b in pairwise(layer)] for layer in layers.order]
    centres: dict[int, float] = {}
    for layer, distances in zip(layers.order, gaps, strict=True):
        starts = [0.0, *accumulate(distances)]
        centres.update((node, at - starts[-1] / 2) for node, at in zip(layer, starts, strict=True))
    above, below = _pulls(layers)
    both = {node: [*above.get(node, ()), *below.get(node, ())] for node in centres}
    for step in range(_ROUNDS):
        links: Links = both if step >= _ROUNDS - 2 else below if step % 2 else above
        for layer, distances in zip(layers.order, gaps, strict=True):
            _pull(layer, distances, links, centres)
    for path in layers.paths:
        _straighten(path[1:-1], layers.order, gaps, centres)
    first = min((centre - sizes[node] / 2 for node, centre in centres.items()), default=0.0)
    return {node: round(centre - first, 1) for node, centre in centres.items()}


def _pulls(layers: Layers) -> tuple[Links, Links]:
    """What pulls at each node, and how hard: its neighbours above, and those below."""
    above: dict[int, list[tuple[int, float]]] = {}
    below: dict[int, list[tuple[int, float]]] = {}
    for source, target in layers.links:
        dummies = (source >= layers.count) + (target >= layers.count)
        pull = (_PULL, _PULL_OF_DUMMY, _PULL_BETWEEN_DUMMIES)[dummies]
        above.setdefault(target, []).append((source, pull))
        below.setdefault(source, []).append((target, pull))
    return above, below


def _pull(
    layer: Sequence[int], distances: Sequence[float], links: Links, centres: dict[int, float]
) -> None:
    """Move the nodes of a layer to the mean of their neighbours, as far as their distances allow."""
    wanted, weights = [], []
    for node in layer:
        pulls = links.get(node, ())
        weight = sum(pull for _, pull in pulls)
        total = sum(centres[other] * pull for other, pull in pulls)
        wanted.append(total / weight if weight else centres[node])
        weights.append(weight or _PULL)
    centres.update(zip(layer, nearest_apart(wanted, weights, distances), strict=True))


def _straighten(
    lane: Sequence[int],
    order: Sequence[Sequence[int]],
    gaps: Sequence[Sequence[float]],
    centres: dict[int, float],
) -> None:
    """Align the dummies of an edge, near their mean, if their neighbours leave room for that."""
    low, high = -inf, inf
    for node in lane:
        depth = next(i for i, layer in enumerate(order) if node in layer)
        layer, distances = order[depth], gaps[depth]
        i = layer.index(node)
        if i:
            low = max(low, centres[layer[i - 1]] + distances[i - 1])
        if i < len(distances):
            high = min(high, centres[layer[i + 1]] - distances[i])
    if lane and low <= high:
        mean = sum(centres[node] for node in lane) / len(lane)
        centres.update(dict.fromkeys(lane, min(max(mean, low), high)))


def nearest_apart(
    wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]
) -> list[float]:
    """Increasing positions, at least `distances` apart, with the least weighted squares of differences
    to the wanted ones: an isotonic regression, by pooling adjacent violators.
    """
    offsets = [0.0, *accumulate(distances)]
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        block = (want - offset, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, heavy, length = blocks.pop()
            total = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / total, total, length + block[2])
        blocks.append(block)
    levels = [mean for mean, _, length in blocks for _ in range(length)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]
