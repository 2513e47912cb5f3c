"""The state of each stage of a workflow: up to date, due, failed, waiting, stale, running, or never run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass


class StageState(StrEnum):
    """What a person needs to know of a stage, the most urgent first."""

    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"
    STALE = "stale"
    DUE = "due"
    NEVER = "never run"
    CURRENT = "up to date"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFacts:
    """What is known of a stage: partitions that are published and due, and when it was published last.

    `failed` says why its last attempt failed, `waiting` which review people haven't decided, `stale` which
    freshness rules are broken. `due` is None if that isn't known, because nothing can be planned.
    """

    name: str
    kind: str
    reads: Sequence[str] = ()
    partitions: int = 0
    due: int | None = 0
    failed: str = ""
    waiting: str = ""
    stale: str = ""
    published: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageNode:
    """A stage in the graph: its state, why, and how many seconds ago it was published last."""

    name: str
    kind: str
    state: StageState
    detail: str = ""
    partitions: int = 0
    age: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGraph:
    """The stages in an order in which each comes after all that it reads, and who reads whom.

    `left_out` counts the stages that were not selected; `note` says why states aren't known.
    """

    workflow: str
    environment: str
    nodes: tuple[StageNode, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    left_out: int = 0
    note: str = ""

    def counts(self) -> Mapping[StageState, int]:
        """How many stages are in each state that any is in, the most urgent first."""
        found = [node.state for node in self.nodes]
        return {state: found.count(state) for state in StageState if state in found}

    def lane_count(self) -> int:
        """How many layers all edges pass together if each stage is drawn below all that it reads."""
        reads: dict[str, list[str]] = {}
        for source, target in self.edges:
            reads.setdefault(target, []).append(source)
        depths: dict[str, int] = {}
        for node in self.nodes:
            above = (depths[source] for source in reads.get(node.name, ()))
            depths[node.name] = 1 + max(above, default=-1)
        return sum(depths[target] - depths[source] for source, target in self.edges)


def stage_graph(
    facts: Iterable[StageFacts],
    *,
    workflow: str,
    environment: str,
    now: float,
    is_running: bool = False,
    note: str = "",
) -> StageGraph:
    """The graph of stages, in the order of the facts; with `is_running` a run works on what is due."""
    known = [*facts]
    names = {fact.name for fact in known}
    return StageGraph(
        workflow=workflow,
        environment=environment,
        nodes=tuple(_node(fact, now, is_running=is_running) for fact in known),
        edges=tuple(
            (read, fact.name) for fact in known for read in sorted({*fact.reads}) if read in names
        ),
        note=note,
    )


def _node(fact: StageFacts, now: float, *, is_running: bool) -> StageNode:
    state, detail = _state(fact, is_running=is_running)
    age = None if fact.published is None else max(0.0, now - fact.published)
    return StageNode(
        name=fact.name,
        kind=fact.kind,
        state=state,
        detail=detail,
        partitions=fact.partitions,
        age=age,
    )


def _state(fact: StageFacts, *, is_running: bool) -> tuple[StageState, str]:
    due = plural(fact.due, "step") if fact.due else ""
    if is_running and fact.due:
        return StageState.RUNNING, due
    if fact.failed:
        return StageState.FAILED, fact.failed
    if fact.waiting:
        return StageState.WAITING, fact.waiting
    if fact.stale:
        return StageState.STALE, fact.stale
    if not fact.partitions:
        return StageState.NEVER, due
    if fact.due is None:
        return StageState.UNKNOWN, ""
    return (StageState.DUE, due) if fact.due else (StageState.CURRENT, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """A stage, and how many steps up and down from it the graph goes; None: to the end."""

    stage: str
    upstream: int | None = None
    downstream: int | None = None


def select_around(graph: StageGraph, around: Surroundings) -> StageGraph:
    """The part of a graph around a stage; KeyError if it isn't there."""
    if around.stage not in {node.name for node in graph.nodes}:
        raise KeyError(around.stage)
    back = [(target, source) for source, target in graph.edges]
    kept = {
        around.stage,
        *_reach(around.stage, back, around.upstream),
        *_reach(around.stage, graph.edges, around.downstream),
    }
    nodes = tuple(node for node in graph.nodes if node.name in kept)
    return StageGraph(
        workflow=graph.workflow,
        environment=graph.environment,
        nodes=nodes,
        edges=tuple((a, b) for a, b in graph.edges if a in kept and b in kept),
        left_out=graph.left_out + len(graph.nodes) - len(nodes),
        note=graph.note,
    )


def _reach(start: str, edges: Collection[tuple[str, str]], steps: int | None) -> set[str]:
    """The names that can be reached along edges in at most so many steps."""
    found, front, left = set[str](), {start}, len(edges) if steps is None else steps
    while front and left > 0:
        front = {target for source, target in edges if source in front} - found - {start}
        found |= front
        left -= 1
    return found
