"""The events of a ledger as people read them: who did what, to what, when, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.event import (
    Decided,
    Delivered,
    DriftAlarmed,
    EnvironmentCreated,
    EnvironmentDropped,
    RecordedEvent,
    RolloutStepped,
    Ruled,
    RunEnded,
    RunStarted,
)
from tidemill.ledger.governance_events import (
    Acted,
    Erased,
    PolicyDecided,
    ReviewClosed,
    ReviewOpened,
    RulesLoaded,
    TokenCreated,
    TokenRevoked,
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.incident_events import (
    IncidentClosed,
    IncidentOpened,
    Silenced,
    SilenceEnded,
)
from tidemill.ledger.retention_events import (
    DataPinned,
    DataUnpinned,
    SweepConfirmed,
    SweepMarked,
)
from tidemill.ledger.schedule_events import (
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    Ticked,
)

# The time that a pattern takes to read grows with the square of its length.
_LONGEST_PATTERN = 200
# Who, what, to what, and why.
_Told: TypeAlias = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An event as people read it; `at` is in Unix seconds. `who` is "" where nobody is named."""

    seq: int
    at: float
    who: str
    action: str
    subject: str
    reason: str
    kind: str
    environment: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailFilter:
    """Which entries are wanted: patterns such as `delay_*` for `who` and `what`, and times in Unix seconds.

    `what` matches the subject or the action. `kinds` are names of events, none for those that people act by.
    UsageError for a pattern that is too long.
    """

    who: str = ""
    what: str = ""
    since: float | None = None
    until: float | None = None
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, pattern in (("who", self.who), ("what", self.what)):
            if len(pattern) > _LONGEST_PATTERN:
                raise UsageError(
                    f"{name} has {len(pattern):,} characters: a pattern has at most {_LONGEST_PATTERN}"
                )

    def accepts(self, entry: AuditEntry) -> bool:
        """Whether an entry is wanted."""
        return (
            _matches(self.who, entry.who)
            and (_matches(self.what, entry.subject) or _matches(self.what, entry.action))
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at <= self.until)
        )


def audit_entries(facts: Iterable[RecordedEvent], wanted: TrailFilter) -> Iterator[AuditEntry]:
    """The entries of events, in order. The end of a run names who started it, that of a waiver its rule."""
    starters: dict[str, str] = {}
    waived: dict[str, str] = {}
    for fact in facts:
        entry = audit_entry(fact, starters, waived)
        if isinstance(fact.event, RunStarted):
            starters[fact.event.run] = entry.who
        if isinstance(fact.event, Waived):
            waived[fact.event.waiver.id] = entry.subject
        if wanted.accepts(entry):
            yield entry


def audit_entry(
    fact: RecordedEvent, starters: Mapping[str, str], waived: Mapping[str, str]
) -> AuditEntry:
    """An event as an entry; `starters` are those who started runs, by run, `waived` what waivers are for."""
    event: Any = fact.event
    tell = _TELLERS.get(type(event))
    who, action, subject, reason = _plain(event) if tell is None else tell(event)
    run = str(getattr(event, "run", ""))
    if isinstance(event, WaiverEnded):
        subject = waived.get(subject, subject)
    return AuditEntry(
        seq=fact.seq,
        at=fact.at,
        who=who or starters.get(run, ""),
        action=action,
        subject=subject,
        reason=reason,
        kind=type(event).__name__,
        environment=str(getattr(event, "environment", "")),
        run=run,
    )


def _plain(event: Any) -> _Told:
    """An event that no person acts by: its kind, and the stage and partition that it is about."""
    inner = getattr(event, "attempt", None) or getattr(event, "effect", None) or event
    place = f"{getattr(inner, 'stage', '')} {getattr(inner, 'partition', '')}"
    return "", _words(type(event).__name__), place.strip(), ""


def _words(kind: str) -> str:
    """`DriftAlarmed` as "drift alarmed"."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()


def _run_started(event: RunStarted) -> _Told:
    who = event.actor or event.holder.get("user", "") or event.holder.get("host", "")
    return who, "started a run", event.run, f"`{event.command}`, {plural(event.steps, 'step')}"


def _run_ended(event: RunEnded) -> _Told:
    return (
        "",
        f"ended a run: {event.status if event.receipt is None else event.receipt.word}",
        event.run,
        "",
    )


def _decided(event: Decided) -> _Told:
    decision = event.decision
    failed = [result.gate for result in decision.results if not result.passed]
    why = decision.reason or (f"gates: {', '.join(failed)}" if failed else "")
    return decision.actor, decision.verdict, f"{event.stage} {decision.artifact[:12]}", why


def _delivered(event: Delivered) -> _Told:
    delivery = event.delivery
    action = "rolled back to" if delivery.rollback else "made live"
    return delivery.actor, action, f"{delivery.name} {delivery.artifact.id[:12]}", delivery.reason


def _ruled(event: Ruled) -> _Told:
    ruling = event.ruling
    rows = plural(len(ruling.rows), "row") if ruling.rows else "all rows"
    place = f"{event.stage} {event.partition}".strip()
    return ruling.actor, f"ruled {ruling.disposition}", f"{place}: {rows}", ruling.reason


def _rollout(event: RolloutStepped) -> _Told:
    step = event.step
    action = f"rollout {step.action.replace('_', ' ')}"
    return step.actor, action, f"{event.endpoint} {step.candidate[:12]}", step.reason


def _token_created(event: TokenCreated) -> _Told:
    token = event.token
    scopes = ", ".join(token.scopes)
    return token.actor, "created a token", token.id, f"for {token.holder}: {scopes}"


def _token_revoked(event: TokenRevoked) -> _Told:
    return event.actor, "revoked a token", event.token, event.reason


def _policy_decided(event: PolicyDecided) -> _Told:
    decision = event.decision
    rules = ", ".join(hit.rule for hit in decision.hits)
    return (
        decision.actor,
        f"policy: {decision.outcome} {decision.kind}",
        decision.name,
        rules and f"rules: {rules}",
    )


def _waived(event: Waived) -> _Told:
    waiver = event.waiver
    return waiver.actor, "waived", f"{waiver.rule} for {waiver.scope} ({waiver.id})", waiver.reason


def _waiver_ended(event: WaiverEnded) -> _Told:
    return event.actor, "ended a waiver", event.waiver, event.reason


def _review_opened(event: ReviewOpened) -> _Told:
    review = event.review
    why = "; ".join(review.reasons)
    return review.author, f"review opened: {review.kind}", f"{review.label} {review.id}", why


def _voted(event: Voted) -> _Told:
    vote = event.vote
    return vote.actor, f"voted {vote.choice}", f"review {event.review}", vote.reason


def _review_closed(event: ReviewClosed) -> _Told:
    return event.actor, f"review {event.outcome}", f"review {event.review}", event.reason


def _rules_loaded(event: RulesLoaded) -> _Told:
    return "", "loaded rules", event.rules[:12], ""


def _environment_created(event: EnvironmentCreated) -> _Told:
    parent = event.parent and f"a branch of {event.parent}"
    return event.actor, "created an environment", event.environment, parent


def _environment_dropped(event: EnvironmentDropped) -> _Told:
    return event.actor, "dropped an environment", event.environment, ""


def _erased(event: Erased) -> _Told:
    rows = plural(sum(event.removed.values()), "row")
    by = f"{event.column} {event.subject[:12]}" if event.column else event.subject[:12]
    return event.actor, f"erased a person: {rows}", by, event.reason


def _ticked(event: Ticked) -> _Told:
    missed = f"{plural(event.missed, 'tick')} before it never ran" if event.missed else ""
    return "", "ran a tick", f"{event.schedule} {event.tick}", missed


def _schedule_changed(event: ScheduleChanged) -> _Told:
    action = "schedule changed" if event.declared else "schedule removed"
    return event.actor, action, event.schedule, event.declared


def _paused(event: SchedulePaused) -> _Told:
    return event.actor, "paused a schedule", event.schedule, event.reason


def _resumed(event: ScheduleResumed) -> _Told:
    return event.actor, "resumed a schedule", event.schedule, event.reason


def _acted(event: Acted) -> _Told:
    return event.actor, event.action, event.subject, event.detail


def _incident_opened(event: IncidentOpened) -> _Told:
    incident, cause = event.incident, event.incident.cause
    place = f"{incident.id} {cause.stage}".strip()
    return incident.actor, f"incident opened: {cause.kind}", place, cause.title


def _incident_closed(event: IncidentClosed) -> _Told:
    return event.actor, f"incident closed: {event.how}", event.incident, event.reason


def _silenced(event: Silenced) -> _Told:
    silence = event.silence
    patterns = f"stage {silence.stage}, kind {silence.kind}, severity {silence.severity}"
    return silence.actor, "silenced alerts", f"{patterns} ({silence.id})", silence.reason


def _sweep_marked(event: SweepMarked) -> _Told:
    stages = sorted({mark.stage for mark in event.marks})
    count = sum(len(mark.events) for mark in event.marks)
    reasons = sorted({mark.reason for mark in event.marks})
    return event.actor, f"swept {plural(count, 'result')}", ", ".join(stages), ", ".join(reasons)


def _sweep_confirmed(event: SweepConfirmed) -> _Told:
    count = event.objects + event.orphans
    size = event.bytes + event.orphan_bytes + sum(event.removed.values())
    return event.actor, "ended a sweep", f"{plural(count, 'object')}, {size:,} bytes", ""


def _data_pinned(event: DataPinned) -> _Told:
    return event.actor, "pinned data", f"{event.target} ({event.pin})", event.reason


def _data_unpinned(event: DataUnpinned) -> _Told:
    return event.actor, "removed a pin", event.pin, event.reason


def _silence_ended(event: SilenceEnded) -> _Told:
    return event.actor, "ended a silence", event.silence, event.reason


def _compacted(event: Compacted) -> _Told:
    lost = sum(event.events.values())
    done = f"{plural(lost, 'event')} lost details, {event.packed:,} were compressed"
    return event.actor, "compacted events", f"{event.first} to {event.last}", done


_TELLERS: dict[type[Any], Callable[..., _Told]] = {
    RunStarted: _run_started,
    RunEnded: _run_ended,
    Decided: _decided,
    Delivered: _delivered,
    Ruled: _ruled,
    RolloutStepped: _rollout,
    TokenCreated: _token_created,
    TokenRevoked: _token_revoked,
    PolicyDecided: _policy_decided,
    Waived: _waived,
    WaiverEnded: _waiver_ended,
    ReviewOpened: _review_opened,
    Voted: _voted,
    ReviewClosed: _review_closed,
    RulesLoaded: _rules_loaded,
    EnvironmentCreated: _environment_created,
    EnvironmentDropped: _environment_dropped,
    Erased: _erased,
    Acted: _acted,
    IncidentOpened: _incident_opened,
    IncidentClosed: _incident_closed,
    Silenced: _silenced,
    SilenceEnded: _silence_ended,
    SweepMarked: _sweep_marked,
    SweepConfirmed: _sweep_confirmed,
    DataPinned: _data_pinned,
    DataUnpinned: _data_unpinned,
    Ticked: _ticked,
    ScheduleChanged: _schedule_changed,
    SchedulePaused: _paused,
    ScheduleResumed: _resumed,
    Compacted: _compacted,
}
# The kinds of events by which people act, or that decide for them.
TRAIL_KINDS = tuple(sorted(kind.__name__ for kind in (*_TELLERS, DriftAlarmed)))


def _matches(pattern: str, text: str) -> bool:
    return not pattern or fnmatchcase(text, pattern) or fnmatchcase(text, f"*{pattern}*")
