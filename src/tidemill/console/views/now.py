"""What is wrong, what waits for whom, what runs, what is due, and the four numbers."""

from __future__ import annotations

from tidemill.console.views.number_cards import NumberCard, number_card
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.run import RunInfo
from tidemill.operations.status_report import StatusReport
from tidemill.project.project import Project

_RUNS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NowView:
    """How an environment is doing: its status, its four numbers, and its last runs."""

    status: StatusReport
    numbers: tuple[NumberCard, ...]
    runs: tuple[RunInfo, ...]


def show_now(project: Project) -> NowView:
    """Show what is wrong, what waits, what runs, what is due, the last runs, and the four numbers."""
    status = project.statuses.read()
    return NowView(
        status=status,
        numbers=tuple(map(number_card, project.scorecards.make().numbers)),
        runs=tuple(project.history.runs(_RUNS)),
    )
