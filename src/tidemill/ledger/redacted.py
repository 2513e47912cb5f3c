"""Remove secrets from the texts of records, before they are recorded or returned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from tidemill.contracts.finding import Finding
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.redaction import Redact
from tidemill.ledger.delivery import Decision, Delivery
from tidemill.ledger.event import (
    Attempted,
    Decided,
    Delivered,
    Event,
    LineageDropped,
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
    TokenCreated,
    TokenRevoked,
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.incident import FollowingProblem, IncidentCause
from tidemill.ledger.incident_events import (
    AlertFailed,
    IncidentChanged,
    IncidentClosed,
    IncidentOpened,
    Silenced,
    SilenceEnded,
)
from tidemill.ledger.policy import Waiver
from tidemill.ledger.retention_events import DataPinned, DataUnpinned
from tidemill.ledger.review import Vote
from tidemill.ledger.rollout import RolloutStep
from tidemill.ledger.run import Attempt, Failure, Receipt
from tidemill.ledger.schedule_events import SchedulePaused, ScheduleResumed
from tidemill.workflow.trigger import TriggerEvidence

# Records with a reason and a note that a person wrote.
Remarked = TypeVar(
    "Remarked", Ruling, Decision, Delivery, RolloutStep, Waiver, Vote, TokenRevoked, WaiverEnded
)


# Events with nothing but a reason.
Reasoned = TypeVar(
    "Reasoned",
    Erased,
    ReviewClosed,
    LineageDropped,
    IncidentClosed,
    AlertFailed,
    SilenceEnded,
    SchedulePaused,
    ScheduleResumed,
    DataPinned,
    DataUnpinned,
)


def redacted_attempt(attempt: Attempt, redact: Redact) -> Attempt:
    """The attempt without secrets in its reasons, message, traceback, findings and evidence."""
    clean: dict[str, Any] = {
        "reasons": tuple(map(redact, attempt.reasons)),
        "message": redact(attempt.message),
        "trace": redact(attempt.trace),
        "findings": _redacted_findings(attempt.findings, redact),
        "evidence": attempt.evidence and _redacted_evidence(attempt.evidence, redact),
    }
    # Nearly all are clean, and a copy has many fields.
    if all(getattr(attempt, name) == value for name, value in clean.items()):
        return attempt
    return replace(attempt, **clean)


def _redacted_findings(findings: tuple[Finding, ...], redact: Redact) -> tuple[Finding, ...]:
    return tuple(
        replace(each, sample=redact(each.sample), message=redact(each.message)) for each in findings
    )


def _redacted_evidence(evidence: TriggerEvidence, redact: Redact) -> TriggerEvidence:
    return replace(
        evidence,
        seen=redact(evidence.seen),
        note=redact(evidence.note),
        parts=tuple(_redacted_evidence(part, redact) for part in evidence.parts),
    )


def redacted_receipt(receipt: Receipt, redact: Redact) -> Receipt:
    """The receipt without secrets in its messages and failures."""
    if not receipt.messages and not receipt.failures:
        return receipt
    return replace(
        receipt,
        messages=tuple(map(redact, receipt.messages)),
        failures=tuple(_redacted_failure(failure, redact) for failure in receipt.failures),
    )


def _redacted_failure(failure: Failure, redact: Redact) -> Failure:
    return replace(
        failure,
        why=redact(failure.why),
        advice=redact(failure.advice),
        messages=tuple(map(redact, failure.messages)),
        findings=_redacted_findings(failure.findings, redact),
    )


def redacted_event(event: Event, redact: Redact) -> Event:
    """The event without secrets in texts that people read; names, keys and digests stay as they are."""
    change = _CHANGES.get(type(event))
    return event if change is None else change(event, redact)


def _of_attempt(event: Attempted, redact: Redact) -> Attempted:
    attempt = redacted_attempt(event.attempt, redact)
    return event if attempt is event.attempt else replace(event, attempt=attempt)


def _of_start(event: RunStarted, redact: Redact) -> RunStarted:
    holder = {**event.holder}
    if "command" in holder:
        holder["command"] = redact(holder["command"])
    return replace(event, command=redact(event.command), holder=holder)


def _of_end(event: RunEnded, redact: Redact) -> RunEnded:
    if event.receipt is None:
        return event
    return replace(event, receipt=redacted_receipt(event.receipt, redact))


def _of_ruling(event: Ruled, redact: Redact) -> Ruled:
    return replace(event, ruling=_of_remarks(event.ruling, redact))


def _of_decision(event: Decided, redact: Redact) -> Decided:
    return replace(event, decision=_redacted_decision(event.decision, redact))


def _redacted_decision(decision: Decision, redact: Redact) -> Decision:
    # What a gate of the user says, or the error that it raises, may have anything.
    results = tuple(
        replace(result, evidence=redact(result.evidence)) for result in decision.results
    )
    return replace(_of_remarks(decision, redact), results=results)


def _of_delivery(event: Delivered, redact: Redact) -> Delivered:
    return replace(event, delivery=_of_remarks(event.delivery, redact))


def _of_token(event: TokenCreated, redact: Redact) -> TokenCreated:
    return replace(event, token=replace(event.token, note=redact(event.token.note)))


def _of_rollout(event: RolloutStepped, redact: Redact) -> RolloutStepped:
    return replace(event, step=_of_remarks(event.step, redact))


def _of_waiver(event: Waived, redact: Redact) -> Waived:
    return replace(event, waiver=_of_remarks(event.waiver, redact))


def _of_remarks(record: Remarked, redact: Redact) -> Remarked:
    """A record without secrets in what a person wrote."""
    reason, note = redact(record.reason), redact(record.note)
    if (reason, note) == (record.reason, record.note):
        return record
    return replace(record, reason=reason, note=note)


def _of_vote(event: Voted, redact: Redact) -> Voted:
    return replace(event, vote=_of_remarks(event.vote, redact))


def _of_policy(event: PolicyDecided, redact: Redact) -> PolicyDecided:
    hits = tuple(
        replace(hit, message=redact(hit.message), error=redact(hit.error))
        for hit in event.decision.hits
    )
    return replace(event, decision=replace(event.decision, hits=hits))


def _of_review(event: ReviewOpened, redact: Redact) -> ReviewOpened:
    review = event.review
    verdict = review.verdict and _redacted_decision(review.verdict, redact)
    reasons = tuple(map(redact, review.reasons))
    return replace(event, review=replace(review, reasons=reasons, verdict=verdict))


def _of_action(event: Acted, redact: Redact) -> Acted:
    return replace(event, subject=redact(event.subject), detail=redact(event.detail))


def _of_incident(event: IncidentOpened, redact: Redact) -> IncidentOpened:
    incident = event.incident
    cause = _redacted_cause(incident.cause, redact)
    consequences = _redacted_consequences(incident.consequences, redact)
    return replace(event, incident=replace(incident, cause=cause, consequences=consequences))


def _of_incident_change(event: IncidentChanged, redact: Redact) -> IncidentChanged:
    cause = event.cause and _redacted_cause(event.cause, redact)
    return replace(
        event, cause=cause, consequences=_redacted_consequences(event.consequences, redact)
    )


def _redacted_cause(cause: IncidentCause, redact: Redact) -> IncidentCause:
    evidence = {name: redact(value) for name, value in cause.evidence.items()}
    return replace(cause, title=redact(cause.title), evidence=evidence)


def _redacted_consequences(
    consequences: tuple[FollowingProblem, ...], redact: Redact
) -> tuple[FollowingProblem, ...]:
    return tuple(replace(each, title=redact(each.title)) for each in consequences)


def _of_silence(event: Silenced, redact: Redact) -> Silenced:
    return replace(event, silence=replace(event.silence, reason=redact(event.silence.reason)))


def _of_reason(event: Reasoned, redact: Redact) -> Reasoned:
    return replace(event, reason=redact(event.reason))


_CHANGES: dict[type[Event], Callable[..., Event]] = {
    Attempted: _of_attempt,
    RunStarted: _of_start,
    RunEnded: _of_end,
    Ruled: _of_ruling,
    Decided: _of_decision,
    Delivered: _of_delivery,
    TokenCreated: _of_token,
    TokenRevoked: _of_remarks,
    RolloutStepped: _of_rollout,
    Waived: _of_waiver,
    WaiverEnded: _of_remarks,
    Erased: _of_reason,
    Acted: _of_action,
    SchedulePaused: _of_reason,
    ScheduleResumed: _of_reason,
    PolicyDecided: _of_policy,
    ReviewOpened: _of_review,
    Voted: _of_vote,
    ReviewClosed: _of_reason,
    LineageDropped: _of_reason,
    IncidentOpened: _of_incident,
    IncidentChanged: _of_incident_change,
    IncidentClosed: _of_reason,
    AlertFailed: _of_reason,
    Silenced: _of_silence,
    SilenceEnded: _of_reason,
    DataPinned: _of_reason,
    DataUnpinned: _of_reason,
}
# The kinds of events with such texts.
TEXT_KINDS = frozenset(_CHANGES)
