"""Collapse a large graph of stages into groups, so that it can be read; the groups form no cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tidemill.drawing.graph import numbered_edges
from tidemill.drawing.layers import node_depths
from tidemill.drawing.status import count_statuses, most_urgent
from tidemill.drawing.status_graph import StatusGraph, StatusNode

MOST_NODES = 60
# Bands of layers are so many at most.
_BANDS = 20
# A group with more of the stages than this share says little.
_LARGEST = 0.7
_ELLIPSIS = " \N{HORIZONTAL ELLIPSIS} "

Edges = Sequence[tuple[int, int]]


def collapse_graph(
    graph: StatusGraph,
    expansion: Callable[[str], str],
    *,
    expanded: Collection[str] = (),
    most: int = MOST_NODES,
) -> StatusGraph:
    """Return the graph with groups in place of nodes, if it has more than `most` nodes.

    Groups are those of the nodes; else the beginnings of names, up to an underscore; else chains of nodes;
    else bands of layers: the first that give at most `most`. A group that would be part of a cycle is
    divided into numbered parts. Those named in `expanded` are drawn as their nodes. `expansion` returns
    the link of a group by its name.
    """
    if len(graph.nodes) <= most:
        return graph
    edges = numbered_edges([node.name for node in graph.nodes], graph.edges)
    depths = node_depths(len(graph.nodes), edges)
    found = _readable_groups(graph.nodes, edges, depths, most)
    sizes = Counter(found)
    # A group of one is its node.
    groups = [group if sizes[group] > 1 and group not in expanded else None for group in found]
    names = _unique_names([group for group in groups if group], graph.nodes)
    place = [
        node.name if group is None else names[group]
        for node, group in zip(graph.nodes, groups, strict=True)
    ]
    members: dict[str, list[StatusNode]] = {}
    for node, name in zip(graph.nodes, place, strict=True):
        members.setdefault(name, []).append(node)
    labels = {name: group for group, name in names.items()}
    return StatusGraph(
        nodes=[
            _group_node(name, labels[name], nodes, expansion) if name in labels else nodes[0]
            for name, nodes in members.items()
        ],
        edges=[*dict.fromkeys((place[a], place[b]) for a, b in edges if place[a] != place[b])],
        path={name for name, nodes in members.items() if any(n.name in graph.path for n in nodes)},
        direction=graph.direction,
    )


def _group_node(
    name: str, label: str, nodes: Sequence[StatusNode], expansion: Callable[[str], str]
) -> StatusNode:
    counts = Counter(node.status for node in nodes)
    return StatusNode(
        name=name,
        label=label,
        status=most_urgent(counts),
        kind=f"{len(nodes)} stages",
        detail=count_statuses(counts),
        href=expansion(label),
        is_group=True,
    )


def _unique_names(groups: Iterable[str], nodes: Sequence[StatusNode]) -> Mapping[str, str]:
    """A name of each group that no node has."""
    taken = {node.name for node in nodes}
    names: dict[str, str] = {}
    for group in groups:
        if group not in names:
            name = group
            while name in taken:
                name += "*"
            taken.add(name)
            names[group] = name
    return names


def _readable_groups(
    nodes: Sequence[StatusNode], edges: Edges, depths: Sequence[int], most: int
) -> Sequence[str]:
    """The group of each node, by the first way to group them that gives few enough."""
    first, second = (_prefixes([node.name for node in nodes], parts) for parts in (1, 2))
    ways = [way for way in (first, second) if _are_balanced(way)]
    ways.append(_chains(nodes, edges, depths))
    if any(node.group for node in nodes):
        ways.insert(0, [node.group or each for node, each in zip(nodes, first, strict=True)])
    for labels in ways:
        groups = acyclic_groups(labels, edges, depths)
        if len(set(groups)) <= most:
            return groups
    return _bands(depths, min(_BANDS, most))


def _are_balanced(labels: Sequence[str]) -> bool:
    return max(Counter(labels).values()) <= _LARGEST * len(labels)


def _prefixes(names: Sequence[str], parts: int) -> list[str]:
    return ["_".join(name.split("_")[:parts]) for name in names]


def _chains(nodes: Sequence[StatusNode], edges: Edges, depths: Sequence[int]) -> list[str]:
    """Name each node after the first and last of its chain: nodes that only the one before leads to."""
    leaving, entering = Counter(a for a, _ in edges), Counter(b for _, b in edges)
    starts = [*range(len(nodes))]
    last = [*range(len(nodes))]
    for source, target in sorted(edges, key=lambda edge: depths[edge[0]]):
        if leaving[source] == entering[target] == 1:
            starts[target] = starts[source]
            last[starts[source]] = target
    return [
        nodes[start].name
        if last[start] == start
        else f"{nodes[start].name}{_ELLIPSIS}{nodes[last[start]].name}"
        for start in starts
    ]


def _bands(depths: Sequence[int], count: int) -> list[str]:
    """Name each node after its band of layers; at most `count` bands have about equally many nodes."""
    sizes, least = Counter(depths), len(depths) / count
    names: dict[int, str] = {}
    band: list[int] = []
    for depth in sorted(sizes):
        band.append(depth)
        if sum(sizes[each] for each in band) >= least or depth == max(sizes):
            name = f"layers {band[0] + 1} to {band[-1] + 1}" if band[1:] else f"layer {depth + 1}"
            names.update(dict.fromkeys(band, name))
            band = []
    return [names[depth] for depth in depths]


def acyclic_groups(labels: Sequence[str], edges: Edges, depths: Sequence[int]) -> list[str]:
    """The labels, with a number added where groups of one label each would form a cycle.

    In a cycle, a node's part is how often the label changes at most on a path to it, so all edges between
    parts lead to a higher number. `depths` are the lengths of the longest paths to the nodes.
    """
    between = {(labels[a], labels[b]) for a, b in edges if labels[a] != labels[b]}
    cyclic = _remaining(_remaining(set(labels), between), {(b, a) for a, b in between})
    changes = [0] * len(labels)
    for source, target in sorted(edges, key=lambda edge: depths[edge[0]]):
        if labels[source] in cyclic and labels[target] in cyclic:
            passed = changes[source] + (labels[source] != labels[target])
            changes[target] = max(changes[target], passed)
    parts: dict[str, list[int]] = {}
    for label, change in sorted({*zip(labels, changes, strict=True)}):
        parts.setdefault(label, []).append(change)
    taken = set(labels)
    return [
        _part_name(label, parts[label].index(change) + 1, taken) if parts[label][1:] else label
        for label, change in zip(labels, changes, strict=True)
    ]


def _part_name(label: str, number: int, taken: Collection[str]) -> str:
    name = f"{label} ({number})"
    while name in taken:
        name += "*"
    return name


def _remaining(labels: set[str], edges: set[tuple[str, str]]) -> set[str]:
    """The labels without those that no cycle leads to."""
    remaining = set(labels)
    while True:
        reached = {b for a, b in edges if a in remaining and b in remaining}
        if reached == remaining:
            return remaining
        remaining = reached
