"""What a promotion of an environment would do, what would hold it back, and the promotion itself."""

from __future__ import annotations

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.console.views.plan import (
    PlanSummary,
    holder_text,
    summarize_plan,
)
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project
from tidemill.project.started_runs import StartedRun, start_run
from tidemill.workflow.environment import check_environment_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionView:
    """The plan of a promotion of `source` to `target`, and which rules and people hold it back.

    Without a source there is no plan yet; `sources` are the environments that can be promoted. `right`
    says who may promote, and `held_by` which run holds the target, "" if none does.
    """

    source: str
    target: str
    sources: tuple[str, ...]
    plan: PlanSummary | None
    obstacles: tuple[str, ...]
    right: ActionRight
    held_by: str


def show_promotion(project: Project, source: str = "", first: int = 0) -> PromotionView:
    """Show what the promotion of an environment to this one would do, and what would hold it back.

    There are 100 groups of steps on a page, from `first` on. Nothing is changed.
    """
    project.workspace.require(Permission.READ)
    names = (each.name for each in project.environments.list())
    found = project.preview_promotion(check_environment_name(source)) if source else None
    return PromotionView(
        source=source,
        target=project.environment,
        sources=tuple(sorted(name for name in names if name != project.environment)),
        plan=summarize_plan(found.plan, project.price, first) if found is not None else None,
        obstacles=found.held_by if found is not None else (),
        right=action_right(project, Permission.PROMOTE),
        held_by=holder_text(project),
    )


def start_promotion(project: Project, source: str) -> StartedRun:
    """Start `tidemill promote` of an environment to this one as a process of its own.

    It goes on without the console, and acts as whoever asks for it.
    """
    if check_environment_name(source) == project.environment:
        raise UsageError(f"{source} can't be promoted to itself")
    words = ["promote", source, project.environment]
    return start_run(project.workspace, words, Permission.PROMOTE)
