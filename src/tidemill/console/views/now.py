"""What is wrong, what waits for whom, what runs, what is due, and the four numbers."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.console.views.number_cards import NumberCard, number_card
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.run import RunInfo
from tidemill.operations.status_report import StatusReport
from tidemill.project.project import Project
from tidemill.project.run_words import read_run_words

_RUNS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NowView:
    """How an environment is doing: its status, its four numbers, and its last runs.

    `words` say how those of the runs ended of which people are asked about something.
    """

    status: StatusReport
    numbers: tuple[NumberCard, ...]
    runs: tuple[RunInfo, ...]
    words: Mapping[str, str]


def show_now(project: Project) -> NowView:
    """Show what is wrong, what waits, what runs, what is due, the last runs, and the four numbers."""
    status = project.statuses.read()
    runs = project.history.runs(_RUNS)
    return NowView(
        status=status,
        numbers=tuple(map(number_card, project.scorecards.make().numbers)),
        runs=tuple(runs),
        words=read_run_words(project.workspace.tools.ledger, runs),
    )
