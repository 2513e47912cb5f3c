"""Secrets are removed from texts of records that people read, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

from tidemill.contracts.finding import Finding
from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.core.redaction import Redactor
from tidemill.ledger.delivery import GATES, Decision
from tidemill.ledger.event import Attempted, Decided, Event, Removed, Ruled, RunEnded, RunStarted
from tidemill.ledger.governance_events import ReviewOpened
from tidemill.ledger.incident import FollowingProblem, IncidentCause, IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentOpened, Silenced
from tidemill.ledger.redacted import redacted_attempt, redacted_event, redacted_receipt
from tidemill.ledger.run import Attempt, Failure, Outcome, Receipt, Status
from tidemill.testing.governance_records import review
from tidemill.testing.incident_records import incident, silence
from tidemill.testing.records import events_of_every_kind
from tidemill.workflow.gate import GateResult
from tidemill.workflow.trigger import TriggerEvidence

REDACT = Redactor(["hunter2"]).redact
SECRET, MASKED = "by hunter2 at mysql://u:p@h/db", "by *** at mysql://***@h/db"
ATTEMPT = Attempt(stage="a", partition="token=5", action="run", outcome=Outcome.FAILED)
RECEIPT = Receipt(run="r", status=Status.FAILED)
RULING = Ruling(
    disposition=Disposition.DROP, object="o", key="k", actor="hunter2", reason="bad", at=1.0
)


def test_an_attempt_without_secrets_is_the_same_object() -> None:
    assert redacted_attempt(ATTEMPT, REDACT) is ATTEMPT
    assert redacted_receipt(RECEIPT, REDACT) is RECEIPT


def test_texts_of_records_are_redacted() -> None:
    failed = replace(ATTEMPT, reasons=(SECRET,), message=SECRET, trace=SECRET)
    clean = replace(ATTEMPT, reasons=(MASKED,), message=MASKED, trace=MASKED)
    failure = Failure(
        stage="a", partitions=("token=5",), why=SECRET, advice=SECRET, messages=(SECRET,)
    )
    said = replace(failure, why=MASKED, advice=MASKED, messages=(MASKED,))
    receipt = replace(RECEIPT, messages=(SECRET,), failures=(failure,))
    masked = replace(RECEIPT, messages=(MASKED,), failures=(said,))
    start = RunStarted(run="r", environment="prod", command=SECRET, holder={"pid": "1"}, steps=1)
    held = replace(start, holder={"pid": "1", "command": SECRET})
    end = RunEnded(run="r", status=Status.LOST)
    place = {"environment": "prod", "stage": "a", "partition": "token=5"}
    pairs: list[tuple[Event, Event]] = [
        (start, replace(start, command=MASKED)),
        (held, replace(held, command=MASKED, holder={"pid": "1", "command": MASKED})),
        (end, end),
        (replace(end, receipt=receipt), replace(end, receipt=masked)),
        (
            Attempted(run="r", environment="prod", attempt=failed),
            Attempted(run="r", environment="prod", attempt=clean),
        ),
        (
            Ruled(**place, ruling=replace(RULING, reason=SECRET)),
            Ruled(**place, ruling=replace(RULING, reason=MASKED)),
        ),
        # A name is not a text.
        (Removed(**place, run="hunter2"), Removed(**place, run="hunter2")),
    ]
    for event, wanted in pairs:
        assert redacted_event(event, REDACT) == wanted


def test_events_without_secrets_stay_as_they_are() -> None:
    for event in events_of_every_kind():
        assert redacted_event(event, REDACT) == event


def test_what_a_trigger_saw_is_redacted() -> None:
    part = TriggerEvidence(trigger="every", seen=SECRET, note=SECRET)
    seen = redacted_attempt(
        replace(ATTEMPT, evidence=replace(part, parts=(part,))), REDACT
    ).evidence
    assert seen is not None
    assert (seen.seen, seen.parts[0].note) == (MASKED, MASKED)


def test_the_evidence_of_gates_and_the_findings_of_rules_are_redacted() -> None:
    def decision(text: str) -> Decision:
        results = (GateResult(gate="own", passed=False, evidence=text),)
        return Decision(
            subject="s", artifact="a", approved=False, results=results, actor=GATES, at=1.0
        )

    def failed(text: str) -> tuple[Attempt, Receipt]:
        finding = Finding(rule="range", severity="fail", rows=1, sample=text, message=text)
        failure = Failure(stage="a", partitions=("1",), why="x", advice="y", findings=(finding,))
        attempt = replace(ATTEMPT, findings=(finding,))
        return attempt, replace(RECEIPT, failures=(failure,))

    decided = Decided(environment="prod", stage="m", decision=decision(SECRET))
    assert redacted_event(decided, REDACT) == replace(decided, decision=decision(MASKED))
    opened = ReviewOpened(environment="prod", review=replace(review(), verdict=decision(SECRET)))
    wanted = replace(opened, review=replace(opened.review, verdict=decision(MASKED)))
    assert redacted_event(opened, REDACT) == wanted
    attempt, receipt = failed(SECRET)
    assert (redacted_attempt(attempt, REDACT), redacted_receipt(receipt, REDACT)) == failed(MASKED)


def test_what_incidents_and_silences_say_is_redacted() -> None:
    redact = Redactor([SECRET]).redact
    cause = IncidentCause(
        key="k", kind="failed stage", title=f"failed: {SECRET}", evidence={"error": f"at {SECRET}"}
    )
    follows = FollowingProblem(key="f", kind="stale stage", title=f"stale: {SECRET}")
    opened = IncidentOpened(
        environment="prod",
        incident=replace(incident(), cause=cause, consequences=(follows,)),
    )
    changed = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.MOVED, since=1.0, cause=cause
    )
    silenced = Silenced(environment="prod", silence=replace(silence(), reason=SECRET))
    for event in (opened, changed, silenced):
        assert SECRET in repr(event)
        assert SECRET not in repr(redacted_event(event, redact))
