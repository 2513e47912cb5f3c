"""Decide by rules and reviews whether quarantined rows may be released."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.core.counts import plural
from tidemill.core.errors import GateError
from tidemill.core.partition import place_name
from tidemill.governance.release_facts import release_facts
from tidemill.governance.review_state import ReviewSubject
from tidemill.governance.subjects import release_subject
from tidemill.governance.verdict import Proposal
from tidemill.ledger.event import Event
from tidemill.ledger.policy import SubjectKind
from tidemill.project.enforcement import context_of, end_overdue_reviews, enforcement_of
from tidemill.project.review_upkeep import announce_reviews
from tidemill.project.workspace import Workspace
from tidemill.quarantine.release_request import ReleaseRequest


def decide_release(space: Workspace, request: ReleaseRequest) -> Iterable[Event]:
    """Return what is to be recorded with a release of rows.

    Raises GateError if rules refuse it, or if it waits for people; the decision is recorded.
    """
    enforcement = enforcement_of(space)
    if not enforcement.governs(SubjectKind.RELEASE):
        return ()
    end_overdue_reviews(space)
    count = len(request.rows) or len(request.reasons)
    subject = ReviewSubject(
        kind=SubjectKind.RELEASE,
        name=request.stage,
        subject=release_subject(
            request.stage, request.partition, request.held, request.rows, request.fixed
        ),
    )
    proposal = Proposal(
        change=subject,
        title=f"release of {plural(count, 'row')} of {place_name(request.stage, request.partition)}",
        facts=release_facts(
            context_of(space, space.state()), request.stage, request.reasons, request.rows
        ),
    )
    verdict = enforcement.decide(proposal)
    if verdict.allowed:
        return verdict.events
    if verdict.events:
        space.tools.ledger.append(verdict.events, now=space.tools.clock())
        announce_reviews(space)
    raise GateError("\n".join(verdict.notes))
