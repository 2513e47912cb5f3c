"""What is wrong, what waits for whom, what runs, what is due, and the four numbers."""

from __future__ import annotations

from tidemill.console.views.number_cards import NumberCard, number_card
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.run import RunInfo
from tidemill.operations.status_report import StatusReport
from tidemill.project.project import Project
from tidemill.project.shown_runs import shown_runs

_RUNS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NowView:
    """How an environment is doing: its status, its numbers, and its last runs.

    How old data may be is only known with the workflow, so that the number of freshness is that of the
    scorecard alone.
    """

    status: StatusReport
    numbers: tuple[NumberCard, ...]
    runs: tuple[RunInfo, ...]


def show_now(project: Project) -> NowView:
    """Show what is wrong, what waits, what runs, what is due, the last runs, and numbers of the scorecard."""
    status = project.statuses.read()
    numbers = project.scorecards.make().numbers
    runs = project.history.runs(_RUNS)
    return NowView(
        status=status,
        numbers=tuple(number_card(each) for each in numbers if each.name != "fresh"),
        runs=shown_runs(project.workspace.tools.ledger, runs),
    )
