"""The stages of a workflow: what each published, how it is doing, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tidemill.console.stage_rows import ORDERS, StageRow, read_stage_rows, sorted_rows
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project

_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChoice:
    """A value that stages can be filtered by, and how many have it."""

    value: str
    stages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageList:
    """Some stages, of `selected` ones that the filter leaves of `total`.

    `next` is the name of the last one here if more follow; pass it as `after`. `first` is the position of the
    first one, from 1.
    """

    stages: tuple[StageRow, ...]
    total: int
    selected: int
    first: int
    next: str
    kinds: tuple[StageChoice, ...]
    states: tuple[StageChoice, ...]
    orders: tuple[str, ...]
    note: str


def list_stages(
    project: Project,
    kind: str = "",
    state: str = "",
    text: str = "",
    sort: str = "workflow",
    after: str = "",
    limit: int = 100,
) -> StageList:
    """List stages, also those that are no longer declared but have published data.

    Only those of a `kind`, in a `state`, or with a `text` in their name, owner or description, if these are
    given. `sort` is `workflow`, or what `orders` names, with a minus before it the other way round; `after`
    is the `next` of the page before, `limit` at most 100.
    """
    project.workspace.require(Permission.READ)
    found = read_stage_rows(project)
    ordered = sorted_rows([row for row in found.rows if _fits(row, kind, state, text)], sort)
    names = [row.name for row in ordered]
    if after and after not in names:
        raise UsageError(f"the stage {after!r} isn't listed any more: begin with the first page")
    first = names.index(after) + 1 if after else 0
    shown = ordered[first : first + min(max(limit, 1), _MOST)]
    return StageList(
        stages=tuple(shown),
        total=len(found.rows),
        selected=len(ordered),
        first=first + 1,
        next=shown[-1].name if first + len(shown) < len(ordered) else "",
        kinds=_choices(str(row.kind) for row in found.rows),
        states=_choices(row.state for row in found.rows),
        orders=tuple(ORDERS),
        note=found.note,
    )


def _fits(row: StageRow, kind: str, state: str, text: str) -> bool:
    sought = "\n".join((row.name, row.owner, row.about)).casefold()
    return kind in ("", row.kind) and state in ("", row.state) and text.casefold() in sought


def _choices(values: Iterable[str]) -> tuple[StageChoice, ...]:
    return tuple(StageChoice(value=value, stages=count) for value, count in Counter(values).items())
