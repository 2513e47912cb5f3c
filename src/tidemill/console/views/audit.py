"""Who did what, to what, when and why; and whether the records are as they were made."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from tidemill.console.audit_pages import page_of_entry
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import time_zone
from tidemill.core.units import parse_seconds
from tidemill.governance.audit_report import AuditReport
from tidemill.governance.audit_trail import TRAIL_KINDS, AuditEntry, TrailFilter
from tidemill.governance.checkpoint import Checkpoint
from tidemill.ledger.event import EVENTS
from tidemill.project.project import Project

_MOST, _CHECKPOINTS = 500, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """An entry of the trail, and the parts of the path of the `page` about it, if there is one."""

    entry: AuditEntry
    page: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """Entries of the trail, newest first; times of the filters are in the time `zone`.

    The `next` ones are before the event of that number, 0 if there are no more. Of very many events a page
    looks at some, so it may have few entries, and others follow.
    """

    entries: tuple[AuditLine, ...]
    next: int
    kinds: tuple[str, ...]
    other_kinds: tuple[str, ...]
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointLine:
    """A checkpoint of the first `size` events, by the key of that id; without its signature."""

    size: int
    at: float
    root: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerifyView:
    """The last checkpoints, of `all_checkpoints`, the places outside of the home that get them, and a report.

    Without `is_on` none are made. The `report` is there if it was asked for.
    """

    is_on: bool
    places: tuple[str, ...]
    checkpoints: tuple[CheckpointLine, ...]
    all_checkpoints: int
    report: AuditReport | None
    is_sound: bool | None
    unsealed: int | None


def search_audit(  # noqa: PLR0913 - an option of the command each
    project: Project,
    who: str = "",
    what: str = "",
    since: str = "",
    until: str = "",
    kinds: str = "",
    every: bool = False,
    before: int = 0,
    limit: int = 100,
) -> AuditView:
    """Search who did what, to what, when and why, newest first, in all environments of the workflow.

    `who` and `what` are parts of names, or patterns with `*`. `since` and `until` are dates, times such as
    2026-11-28T14:30, or times before now such as 7d. `kinds` are names of events with commas between them,
    by default those by which people act; with `every` all. `before` is the `next` of the page before; `limit`
    is at most 500.
    """
    zone, now = project.settings.metrics.zone, project.tools.clock()
    wanted = TrailFilter(
        who=who,
        what=what,
        since=_moment(since, now, zone),
        until=_moment(until, now, zone, is_end=True),
        kinds=tuple(filter(None, (part.strip() for part in kinds.split(",")))),
    )
    page = project.audit.page(
        wanted, every=every, before=max(before, 0), limit=min(max(limit, 1), _MOST)
    )
    return AuditView(
        entries=tuple(AuditLine(entry=entry, page=page_of_entry(entry)) for entry in page.entries),
        next=page.next,
        kinds=TRAIL_KINDS,
        other_kinds=tuple(sorted({kind.__name__ for kind in EVENTS} - {*TRAIL_KINDS})),
        zone=zone,
    )


def verify_audit(project: Project, check: bool = False, signatures: bool = True) -> AuditVerifyView:
    """Show the checkpoints; with `check` compare all events with the hash chain and with the checkpoints.

    That reads the whole ledger, which takes a while. Without `signatures` nobody is asked who signed.
    """
    audit, settings = project.audit, project.settings.audit
    known = audit.checkpoints()
    report = audit.verify(signatures=signatures) if check else None
    places = {
        "a file": settings.file,
        "tags of a repository": settings.git,
        "a command": settings.command,
    }
    return AuditVerifyView(
        is_on=settings.is_on,
        places=tuple(name for name, value in places.items() if value),
        checkpoints=tuple(map(_checkpoint, known[: -_CHECKPOINTS - 1 : -1])),
        all_checkpoints=len(known),
        report=report,
        is_sound=None if report is None else report.is_sound,
        unsealed=None if report is None else report.unsealed,
    )


def _checkpoint(point: Checkpoint) -> CheckpointLine:
    return CheckpointLine(size=point.size, at=point.at, root=point.root, key=point.key)


def _moment(text: str, now: float, zone: str, *, is_end: bool = False) -> float | None:
    """A date or time in a zone, or a time before now; a date that `is_end` means the end of its day."""
    if not text:
        return None
    try:
        return now - parse_seconds(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
        if is_end and len(text) == len("2026-11-28"):
            found = datetime.combine(date.fromisoformat(text) + timedelta(days=1), found.time())
            found -= timedelta(microseconds=1)
        return (found if found.tzinfo else found.replace(tzinfo=time_zone(zone))).timestamp()
    except (OverflowError, ValueError):
        raise UsageError(
            f"{text!r} is neither a date or time, such as 2026-11-28 or 2026-11-28T14:30, nor a time before "
            "now, such as 7d"
        ) from None
