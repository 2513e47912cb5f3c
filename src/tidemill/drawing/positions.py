"""Place the nodes of each layer along one axis: in order, apart, and close to their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import inf

from tidemill.drawing.layers import Layers

_ROUNDS = 6
# Long edges should be straight, so a link between dummies pulls hardest.
_PULL_BETWEEN_DUMMIES, _PULL_OF_DUMMY, _PULL = 40.0, 2.0, 1.0

# Of each node: the nodes that pull at it, how hard each does, and how hard all do together.
Pulls = Sequence[tuple[Sequence[tuple[int, float]], float]]


def place_nodes(layers: Layers, sizes: Sequence[float], gap: float) -> list[float]:
    """The centre of each node and dummy on the axis across the layers; the smallest edge is at 0.

    Nodes are at least `gap` apart, and dummies half of it from what is beside them.
    """
    distances = [
        [
            (sizes[a] + sizes[b] + (gap if max(a, b) >= layers.count else 2 * gap)) / 2
            for a, b in pairwise(layer)
        ]
        for layer in layers.order
    ]
    centres = [0.0] * len(sizes)
    for layer, apart in zip(layers.order, distances, strict=True):
        starts = [0.0, *accumulate(apart)]
        for node, start in zip(layer, starts, strict=True):
            centres[node] = start - starts[-1] / 2
    above, below, both = _pulls(layers, len(sizes))
    rows = [*zip(layers.order, distances, strict=True)]
    for step in range(_ROUNDS):
        # First to the neighbours that have just moved, then to all.
        up = step % 2 == 1
        pulls = both if step >= _ROUNDS // 2 else below if up else above
        for layer, apart in reversed(rows) if up else rows:
            _pull(layer, apart, pulls, centres)
    _straighten(layers, distances, centres)
    _place_lanes(layers, sizes, gap / 2, centres)
    first = min((at - size / 2 for at, size in zip(centres, sizes, strict=True)), default=0.0)
    return [round(centre - first, 1) for centre in centres]


def _pulls(layers: Layers, count: int) -> tuple[Pulls, Pulls, Pulls]:
    """What pulls at each node from above, from below, and from both."""
    above: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    below: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    for source, target in layers.links:
        dummies = (source >= layers.count) + (target >= layers.count)
        pull = (_PULL, _PULL_OF_DUMMY, _PULL_BETWEEN_DUMMIES)[dummies]
        above[target].append((source, pull))
        below[source].append((target, pull))
    both = [[*up, *down] for up, down in zip(above, below, strict=True)]
    one, other, all_ = (
        [(pulls, sum(pull for _, pull in pulls)) for pulls in each] for each in (above, below, both)
    )
    return one, other, all_


def _pull(
    layer: Sequence[int], distances: Sequence[float], pulls: Pulls, centres: list[float]
) -> None:
    """Move the nodes of a layer to the mean of their neighbours, as far as their distances allow."""
    wanted, weights = [], []
    for node in layer:
        found, weight = pulls[node]
        if len(found) == 1:
            wanted.append(centres[found[0][0]])
        elif found:
            wanted.append(sum([centres[other] * pull for other, pull in found]) / weight)
        else:
            wanted.append(centres[node])
        weights.append(weight or _PULL)
    for node, at in zip(layer, nearest_apart(wanted, weights, distances), strict=True):
        centres[node] = at


def _straighten(layers: Layers, distances: Sequence[Sequence[float]], centres: list[float]) -> None:
    """Align neighbouring dummies of each edge, near their mean, as far as others leave room for that."""
    places = {
        node: (row, i) for row, layer in enumerate(layers.order) for i, node in enumerate(layer)
    }

    def room(node: int) -> tuple[float, float]:
        row, i = places[node]
        layer, apart = layers.order[row], distances[row]
        low = centres[layer[i - 1]] + apart[i - 1] if i else -inf
        high = centres[layer[i + 1]] - apart[i] if i < len(apart) else inf
        return low, high

    for path in layers.inner_paths:
        run, low, high = list[int](), -inf, inf
        for node in path[1:-1]:
            least, most = room(node)
            if max(low, least) > min(high, most):
                _align(run, low, high, centres)
                run, low, high = [], -inf, inf
            run.append(node)
            low, high = max(low, least), min(high, most)
        _align(run, low, high, centres)


def _align(run: Sequence[int], low: float, high: float, centres: list[float]) -> None:
    if run:
        mean = sum(centres[node] for node in run) / len(run)
        for node in run:
            centres[node] = min(max(mean, low), high)


def _place_lanes(layers: Layers, sizes: Sequence[float], gap: float, centres: list[float]) -> None:
    """Place lanes beside all layers, by turns on one side and on the other."""
    within = [node for layer in layers.order for node in layer]
    for side, lanes in (1, layers.lanes[::2]), (-1, layers.lanes[1::2]):
        edge = max((side * centres[node] + sizes[node] / 2 for node in within), default=0.0)
        for lane in lanes:
            size = sizes[lane[0]]
            for dummy in lane:
                centres[dummy] = side * (edge + gap + size / 2)
            edge += gap + size


def nearest_apart(
    wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]
) -> list[float]:
    """Increasing positions, at least `distances` apart, with the least weighted squares of differences
    to the wanted ones: an isotonic regression, by pooling adjacent violators.
    """
    if len(wanted) == 1:
        return [*wanted]
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
