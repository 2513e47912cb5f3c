"""What every page shows around its own: who looks, at which workflow and environment, and how it is doing."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.ledger.review import Choice
from tidemill.project.project import Project
from tidemill.workflow.environment import PRODUCTION


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellView:
    """The `workflow`, its `environments`, and how many things are `wrong`, `waiting` and `running`.

    `may` are the actions that the `actor`, who looks, may do; of what is waiting they may approve
    `waits_for_you`.
    """

    workflow: str
    environment: str
    environments: tuple[str, ...]
    wrong: int
    waiting: int
    waits_for_you: int
    running: int
    actor: str
    role: str
    may: tuple[Permission, ...]


def show_shell(project: Project) -> ShellView:
    """Show what every page shows around its own."""
    status = project.statuses.read()
    identity = project.identity
    known = sorted(each.name for each in project.environments.list())
    return ShellView(
        workflow=project.workspace.declared.name,
        environment=project.environment,
        environments=(PRODUCTION, *(name for name in known if name != PRODUCTION)),
        wrong=len(status.wrong),
        waiting=len(status.waiting),
        waits_for_you=_approvable_reviews(project) if status.waiting else 0,
        running=len(status.running),
        actor=identity.actor.name,
        role=str(identity.role or ""),
        may=identity.may,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerView:
    """Somebody who may see what is there."""

    actor: str


def show_caller(project: Project) -> CallerView:
    """Show who asks, if that one may see anything."""
    return CallerView(actor=project.workspace.require(Permission.READ).name)


def _approvable_reviews(project: Project) -> int:
    """How many open reviews whoever looks may approve."""
    reviews = project.reviews
    return sum(Choice.APPROVE not in reviews.obstacles(state) for state in reviews.list())
