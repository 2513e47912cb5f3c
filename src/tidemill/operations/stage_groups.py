"""Draw many stages as a few groups: by the files that declare them, their names, or their layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.stage_states import StageGraph, StageState

Edge = tuple[str, str]
# A graph with more stages is hard to read.
MOST_STAGES = 60
# So many layers of stages are a group if nothing else groups them.
_BANDS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnStage:
    """A stage or a group of `stages` in a drawing; the state of a group is the most urgent one."""

    name: str
    kind: str
    state: StageState
    detail: str
    stages: int = 1
    is_group: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedGraph:
    """What is drawn of a graph: stages, groups, and who reads whom."""

    nodes: tuple[DrawnStage, ...]
    edges: tuple[Edge, ...]


def group_graph(
    graph: StageGraph, files: Mapping[str, str], expanded: str = "", most: int = MOST_STAGES
) -> GroupedGraph:
    """A graph with at most `most` stages as it is, a larger one as groups of which one is `expanded`.

    `files` has the file that declares each stage. Stages of a group that stands for one are drawn
    themselves.
    """
    names = [node.name for node in graph.nodes]
    groups = _choose_groups(names, graph.edges, files, most) if len(names) > most else {}
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(groups.get(name, ""), []).append(name)
    place = {
        name: name if not group or group == expanded or len(some) == 1 else group
        for group, some in members.items()
        for name in some
    }
    edges = {(place[a], place[b]): None for a, b in graph.edges if place[a] != place[b]}
    return GroupedGraph(nodes=tuple(_nodes(graph, place)), edges=tuple(edges))


def _nodes(graph: StageGraph, place: Mapping[str, str]) -> Iterator[DrawnStage]:
    states: dict[str, dict[StageState, int]] = {}
    for node in graph.nodes:
        own = states.setdefault(place[node.name], {})
        own[node.state] = own.get(node.state, 0) + 1
    by_name = {node.name: node for node in graph.nodes}
    for name, counts in states.items():
        stage = by_name.get(name)
        if stage is not None and place[name] == name:
            yield DrawnStage(name=name, kind=stage.kind, state=stage.state, detail=stage.detail)
            continue
        # The state itself is the first word of what is drawn.
        first, *others = [state for state in StageState if state in counts]
        more = ", ".join(f"{counts[state]:,} {state}" for state in others)
        yield DrawnStage(
            name=name,
            kind="group",
            state=first,
            detail=f"{counts[first]:,}{f', {more}' if more else ''}",
            stages=sum(counts.values()),
            is_group=True,
        )


def _choose_groups(
    names: Sequence[str], edges: Sequence[Edge], files: Mapping[str, str], most: int
) -> Mapping[str, str]:
    """The group of each stage: the first way to group them that leaves few groups without circles."""
    ways: tuple[Callable[[str], str], ...] = (
        lambda name: files.get(name, ""),
        lambda name: f"{name.partition('_')[0]} *",
    )
    for way in ways:
        found = {name: way(name) for name in names}
        if 1 < len({*found.values()}) <= most and _is_acyclic(found, edges):
            return found
    return _bands(names, edges)


def _is_acyclic(groups: Mapping[str, str], edges: Sequence[Edge]) -> bool:
    reads: dict[str, set[str]] = {}
    for a, b in edges:
        if groups[a] != groups[b]:
            reads.setdefault(groups[b], set()).add(groups[a])
    try:
        TopologicalSorter(reads).prepare()
    except CycleError:
        return False
    return True


def _bands(names: Sequence[str], edges: Sequence[Edge]) -> Mapping[str, str]:
    """Groups of neighbouring layers, which no edge leads back to."""
    reads: dict[str, list[str]] = {}
    for a, b in edges:
        reads.setdefault(b, []).append(a)
    depths: dict[str, int] = {}
    for name in TopologicalSorter({name: reads.get(name, ()) for name in names}).static_order():
        depths[name] = 1 + max((depths[each] for each in reads.get(name, ())), default=0)
    deepest = max(depths.values())
    width = -(-deepest // _BANDS)

    def label(depth: int) -> str:
        first = (depth - 1) // width * width + 1
        last = min(first + width - 1, deepest)
        return f"layer {first}" if first == last else f"layers {first} to {last}"

    return {name: label(depth) for name, depth in depths.items()}
