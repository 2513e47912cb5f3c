"""What is known of each stage, as the console lists it, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.problems import stale_stages
from tidemill.operations.stage_states import StageNode, StageState
from tidemill.project.metrics import freshness_limits
from tidemill.project.project import Project
from tidemill.project.table_totals import TableTotals
from tidemill.workflow.stage import UNDECLARED, Kind, Stage

# What stages can be sorted by, beside the order of the workflow: the field, and whether most come first.
ORDERS: Mapping[str, tuple[str, bool]] = {
    "workflow": ("", False),
    "name": ("name", False),
    "kind": ("kind", False),
    "owner": ("owner", False),
    "state": ("state", False),
    "partitions": ("partitions", True),
    "rows": ("rows", True),
    "size": ("bytes", True),
    "published": ("published", True),
    "age": ("newest", False),
    "quarantined": ("quarantined", True),
    "problems": ("problems", True),
}
_STATES = [str(state) for state in StageState]
_UNKNOWN = str(StageState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProblem:
    """Something that is wrong with a stage; `incident` is its id, and `run` where it showed, if any."""

    title: str
    kind: str
    since: float
    incident: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """A stage: its state and why, what it published, how old its data are, and what is wrong.

    `newest` is the newest time in its data (Unix seconds), which may be at most `within` seconds ago; each is
    None if it isn't known or limited. `contract` are the versions that its partitions passed.
    """

    name: str
    kind: Kind
    state: str
    detail: str = ""
    owner: str = ""
    about: str = ""
    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    contract: str = ""
    published: float | None = None
    run: str = ""
    newest: float | None = None
    within: float | None = None
    is_old: bool = False
    problems: tuple[StageProblem, ...] = ()
    live: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRows:
    """All stages in the order of the workflow, then those that it no longer has; `note` as in StageGraph."""

    rows: tuple[StageRow, ...]
    note: str


def read_stage_rows(project: Project, only: str = "") -> StageRows:
    """What is known of every stage, or `only` of one: each source is read once, however many there are."""
    space = project.workspace
    state = space.preview_state()
    graph, totals = project.stage_states.read(), project.table_totals.read()
    metrics = project.metrics.read()
    now = space.tools.clock()
    limits = freshness_limits(space.declared)
    old = {each.stage: each.within for each in stale_stages(metrics, now, limits)}
    problems, owners = stage_problems(project), project.incidents.owners()
    gone = [
        StageNode(name=name, kind=space.known_stage(name, state).kind, state=StageState.UNKNOWN)
        for name in space.undeclared(state)
    ]
    declared, found = {stage.name: stage for stage in space.flow.stages}, []
    for node in (*graph.nodes, *gone):
        if only not in ("", node.name):
            continue
        sums = totals.get(node.name, TableTotals())
        mark = metrics.watermarks.get(node.name)
        stage = declared.get(node.name)
        found.append(
            StageRow(
                name=node.name,
                kind=Kind(node.kind),
                state=str(node.state) if stage is not None else UNDECLARED,
                detail=node.detail,
                owner=owners.get(node.name, "") if stage is not None else "",
                about="" if stage is None else first_sentence(stage),
                partitions=sums.partitions,
                rows=sums.rows,
                bytes=sums.bytes,
                quarantined=sums.quarantined,
                contract=sums.contract,
                published=sums.published,
                run=sums.run,
                newest=None if mark is None else mark.current,
                within=old.get(node.name, limits.get(node.name)),
                is_old=node.name in old,
                problems=problems.get(node.name, ()),
                live=state.live[node.name].artifact.id if node.name in state.live else "",
            )
        )
    return StageRows(rows=tuple(found), note=graph.note)


def find_stage_row(project: Project, stage: Stage) -> StageRow:
    """What is known of one stage."""
    found = read_stage_rows(project, stage.name).rows
    # A run may have published it, or removed all of it, meanwhile.
    return found[0] if found else StageRow(name=stage.name, kind=stage.kind, state=_UNKNOWN)


def stage_problems(project: Project) -> Mapping[str, tuple[StageProblem, ...]]:
    """What is wrong with each stage now: its open incidents, and what no incident tells of."""
    found: dict[str, list[StageProblem]] = {}
    told: set[str] = set()
    for state in project.incidents.open():
        told |= state.members
        one = StageProblem(
            title=state.cause.title,
            kind=state.cause.kind,
            since=state.bad_since,
            incident=state.id,
            run=state.cause.evidence.get("run", ""),
        )
        for stage in state.stages:
            found.setdefault(stage, []).append(one)
    for problem in project.metrics.problems():
        if problem.stage and problem.key not in told:
            one = StageProblem(
                title=problem.title,
                kind=str(problem.kind),
                since=problem.since,
                run=problem.evidence.get("run", ""),
            )
            found.setdefault(problem.stage, []).append(one)
    return {stage: tuple(each) for stage, each in found.items()}


def first_sentence(stage: Stage) -> str:
    """What a stage does, by the first sentence of its docstring, or of its contract's."""
    text = docstring(stage).partition("\n\n")[0]
    return " ".join(text.split())


def docstring(stage: Stage) -> str:
    """What a stage says of itself; without a docstring, what its contract says."""
    own = (getattr(stage.function, "__doc__", None) or "").strip()
    return own or (stage.output.description if stage.output is not None else "")


def sorted_rows(rows: Sequence[StageRow], sort: str) -> list[StageRow]:
    """Stages in an order of `ORDERS`; with a minus before its name the other way round.

    Those of which it isn't known come last, and equal ones in the order of the workflow.
    """
    name, is_reversed = sort.removeprefix("-"), sort.startswith("-")
    if name not in ORDERS:
        raise UsageError(f"there is no order {name!r} ({did_you_mean(name, ORDERS)})")
    field, is_descending = ORDERS[name]
    if not field:
        return [*reversed(rows)] if is_reversed else [*rows]
    known = [row for row in rows if _value(row, field) is not None]
    known.sort(key=lambda row: _value(row, field), reverse=is_descending != is_reversed)
    return [*known, *(row for row in rows if _value(row, field) is None)]


def _value(row: StageRow, field: str) -> Any:
    found = getattr(row, field)
    if field == "problems":
        return len(found)
    if field == "state":
        return _STATES.index(found) if found in _STATES else len(_STATES)
    return found.casefold() if isinstance(found, str) else found
