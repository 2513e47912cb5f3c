"""Names that complete what is typed in a shell, found without importing the workflow or changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import TidemillError
from tidemill.ledger.event import RunStarted
from tidemill.ledger.workflow_scope import split_name
from tidemill.ports.ledger import Ledger
from tidemill.project.home_ledger import ledger_file
from tidemill.project.settings import Settings, find_settings
from tidemill.workflow.environment import PRODUCTION

_MOST_RUNS = 20


class Named(StrEnum):
    """What a name stands for."""

    STAGE = "stage"
    ENVIRONMENT = "environment"
    SCHEDULE = "schedule"
    RUN = "run"


def find_names(start: Path, kind: Named, environment: str = PRODUCTION) -> tuple[str, ...]:
    """The known names of a kind in the project of a folder, in order; none if anything is wrong.

    Stages are those that were run in the environment, runs the newest ones.
    """
    try:
        settings = find_settings(start.resolve())
        if kind is Named.SCHEDULE:
            return tuple(sorted(settings.schedules))
        return tuple(dict.fromkeys(_recorded_names(settings, kind, environment)))
    except (TidemillError, OSError):
        return ()


def _recorded_names(settings: Settings, kind: Named, environment: str) -> Iterator[str]:
    # A server would take too long to answer: what this machine knows of it is enough here.
    file = ledger_file(settings)
    if not file.is_file():
        return
    ledger = SqliteLedger(file)
    try:
        if kind is Named.RUN:
            yield from _newest_runs(ledger)
            return
        recorded = sorted(ledger.state(PRODUCTION).environments)
        own = [(name, split_name(name)[1]) for name in recorded]
        if kind is Named.ENVIRONMENT:
            yield from sorted({name for _, name in own})
            return
        # Workflows that share a home aren't told apart without importing one.
        states = (ledger.state(name) for name, short in own if short == environment)
        yield from sorted({stage for state in states for stage in (*state.heads, *state.recipes)})
    finally:
        ledger.close()


def _newest_runs(ledger: Ledger) -> Iterator[str]:
    for fact in ledger.events(kinds=(RunStarted.__name__,), newest=True, limit=_MOST_RUNS):
        if isinstance(fact.event, RunStarted):
            yield fact.event.run
