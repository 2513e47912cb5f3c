"""What the ledger tells of runs."""

from __future__ import annotations

from tidemill.domain.event import RunEnded, RunStarted
from tidemill.domain.run import RunInfo, Status
from tidemill.ports import Ledger


def list_runs(ledger: Ledger, limit: int) -> list[RunInfo]:
    """The last runs, newest first."""
    runs: dict[str, RunInfo] = {}
    for recorded in ledger.events(kinds=("RunStarted", "RunEnded")):
        event = recorded.event
        if isinstance(event, RunStarted):
            runs[event.run] = RunInfo(
                id=event.run,
                environment=event.environment,
                status=Status.RUNNING,
                started=recorded.at,
                command=event.command,
                holder=event.holder,
            )
        elif isinstance(event, RunEnded) and event.run in runs:
            begun = runs[event.run]
            runs[event.run] = RunInfo(
                id=begun.id,
                environment=begun.environment,
                status=event.status,
                started=begun.started,
                ended=recorded.at,
                command=begun.command,
                holder=begun.holder,
                receipt=event.receipt,
            )
    return list(reversed(runs.values()))[:limit]
