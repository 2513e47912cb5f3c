"""Whether a sweep is due: every run that did something asks that, and what sweeps takes long to load."""

from __future__ import annotations

from collections.abc import Callable

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import TidemillError
from tidemill.governance.permissions import Permission
from tidemill.ledger.retention_events import SweepConfirmed
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.operations.swept import LastSweep, SweepReport
from tidemill.project.workflow_ledger import effective_retention, shared_ledger
from tidemill.project.workspace import Workspace

_HOUR, _DAY = 3_600.0, 86_400.0
# After so many superseded results a run sweeps, at most once an hour.
ENOUGH = 500


def sweep_if_due(
    space: Workspace, sweep: Callable[[], SweepReport | None], *, nightly: bool = True
) -> tuple[str, ...]:
    """Sweep if `due_reason` says so; return what failed, which fails nothing else."""
    try:
        if due_reason(space, space.tools.clock(), nightly=nightly) is None:
            return ()
        report = sweep()
    except TidemillError as error:
        return (f"sweep: {error}",)
    return tuple(f"sweep: {why}" for why in report.failed.values())[:1] if report else ()


def due_reason(space: Workspace, now: float, *, nightly: bool = True) -> str | None:
    """Say why a sweep is due: there is enough garbage, or none was made for a day; else None.

    With `nightly=False` only garbage counts. This is quick.
    """
    settings, ledger = retention_settings(space), shared_ledger(space.tools.ledger)
    # A ledger that is wrapped, such as to follow what is recorded, is swept by whoever opened it.
    if settings.hold or not settings.automatic or not isinstance(ledger, SqliteLedger):
        return None
    found = last_sweep(space)
    last = 0.0 if found is None else found.at
    if nightly and not last <= now < last + _DAY:
        return "the last sweep was a day ago or more" if last else "nothing was swept so far"
    shortest = settings.least_span
    if shortest is None or last <= now < last + _HOUR:
        return None
    # What that sweep left, something keeps: only the next night tells whether it still does.
    after = last - shortest if last else float("-inf")
    count = ledger.garbage.count_superseded(after, now - shortest)
    return f"{count:,} results were superseded" if count >= ENOUGH else None


def last_sweep(space: Workspace) -> LastSweep | None:
    """The last sweep that ended, of any workflow in the home."""
    space.require(Permission.READ)
    ledger = shared_ledger(space.tools.ledger)
    facts = ledger.events(kinds=(SweepConfirmed.__name__,), newest=True, limit=1)
    ended = ((fact.at, fact.event) for fact in facts)
    found = (LastSweep(at=at, done=did) for at, did in ended if isinstance(did, SweepConfirmed))
    return next(found, None)


def retention_settings(space: Workspace) -> RetentionSettings:
    """How long things are kept, by the settings and by what the ledger knows of the workflow."""
    return effective_retention(space.settings.retention, space.declared.names, space.tools.ledger)
