"""How long data are kept, what is pinned, what the last sweep did, and what the next one would do."""

from __future__ import annotations

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.operations.retention import Pin
from tidemill.operations.retention_wording import SWEEP_HEADERS, kept_lines, sweep_lines, sweep_rows
from tidemill.operations.swept import LastSweep, SweepReport
from tidemill.project.project import Project
from tidemill.project.started_runs import start_command

_MOST_PINS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPreview:
    """What a sweep would remove now: as it is, as rows under `headers`, and in sentences."""

    report: SweepReport
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionView:
    """How long what is `kept`, the pins, the `last` sweep, and why the next one `is_due`, if it is.

    The `preview` is there if it was asked for.
    """

    kept: tuple[tuple[str, str], ...]
    is_declared: bool
    pins: tuple[Pin, ...]
    all_pins: int
    last: LastSweep | None
    due: str
    preview: SweepPreview | None
    pinning: ActionRight
    unpinning: ActionRight
    sweeping: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedSweep:
    """A sweep that was started by a command; `told` says so."""

    command: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPin:
    """A pin that was set or removed; `told` says so."""

    pin: str
    target: str
    told: str


def show_retention(project: Project, preview: bool = False) -> RetentionView:
    """Show how long data are kept, what is pinned, and what the last sweep did.

    With `preview` also what a sweep would remove now, which takes longer. Nothing is removed.
    """
    service = project.retention
    pins = service.pins()
    return RetentionView(
        kept=tuple(kept_lines(service.settings)),
        is_declared=project.settings.retention.is_declared,
        pins=pins[: -_MOST_PINS - 1 : -1],
        all_pins=len(pins),
        last=service.last_sweep(),
        due=service.is_due(project.tools.clock()) or "",
        preview=_preview(service.preview()) if preview else None,
        pinning=action_right(project, Permission.PIN_DATA),
        unpinning=action_right(project, Permission.UNPIN_DATA),
        sweeping=action_right(project, Permission.SWEEP),
    )


def start_sweep(project: Project) -> StartedSweep:
    """Start `tidemill sweep run`, which removes what nothing needs any more, as a process of its own.

    It goes on without the console, and acts as whoever asks for it.
    """
    command = start_command(project.workspace, ["sweep", "run"], Permission.SWEEP)
    told = f"Started `{command}`. What it removed shows here when it has ended."
    return StartedSweep(command=command, told=told)


def pin_data(project: Project, target: str, reason: str) -> ChangedPin:
    """Keep an object, the results of a run, or those of STAGE or STAGE@PARTITION, until it is unpinned."""
    made = project.retention.pin(target, reason=reason)
    return ChangedPin(pin=made.id, target=made.target, told=f"{made.target} is pinned.")


def unpin_data(project: Project, pin: str, reason: str = "") -> ChangedPin:
    """Remove a pin; a later sweep may then remove what it kept."""
    gone = project.retention.unpin(pin, reason=reason)
    return ChangedPin(pin=gone.id, target=gone.target, told=f"{gone.target} isn't pinned any more.")


def _preview(report: SweepReport) -> SweepPreview:
    return SweepPreview(
        report=report,
        headers=SWEEP_HEADERS,
        rows=tuple(sweep_rows(report)),
        lines=tuple(sweep_lines(report)),
    )
