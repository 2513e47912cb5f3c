"""Decide by rules and reviews whether quarantined rows may be released."""

from __future__ import annotations

from tidemill.core.counts import plural
from tidemill.core.errors import GateError
from tidemill.core.partition import place_name
from tidemill.governance.release_facts import release_facts
from tidemill.governance.review_state import DECIDING_EVENTS, ReviewSubject
from tidemill.governance.subjects import release_subject
from tidemill.governance.verdict import Proposal
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import HeldRows
from tidemill.ports.ledger import Guard
from tidemill.project.enforcement import context_of, end_overdue_reviews, enforcement_of
from tidemill.project.review_upkeep import announce_reviews
from tidemill.project.workspace import Workspace
from tidemill.quarantine.release_request import ReleaseConsent, ReleaseRequest


def decide_release(space: Workspace, request: ReleaseRequest) -> ReleaseConsent:
    """Return the consent to a release of rows.

    Raises GateError if rules refuse it, or if it waits for people; the decision is recorded. ConflictError if
    anything was decided since what the request has seen.
    """
    enforcement = enforcement_of(space)
    if not enforcement.governs(SubjectKind.RELEASE):
        return ReleaseConsent()
    end_overdue_reviews(space)
    count = len(request.rows) or len(request.reasons)
    subject = ReviewSubject(
        kind=SubjectKind.RELEASE,
        name=request.stage,
        part=request.part,
        subject=release_subject(
            request.stage, request.partition, request.held, request.rows, request.fixed
        ),
        held=HeldRows(
            partition=request.partition,
            object=request.held[0],
            rows=request.rows,
            fixed=request.fixed,
        ),
    )
    proposal = Proposal(
        change=subject,
        title=f"release of {plural(count, 'row')} of {place_name(request.stage, request.partition)}",
        facts=release_facts(
            context_of(space, space.state()), request.stage, request.reasons, request.rows
        ),
    )
    verdict = enforcement.decide(proposal, again=request.again)
    if verdict.allowed:
        return ReleaseConsent(events=verdict.events, rests_on=DECIDING_EVENTS)
    if verdict.events:
        guard = Guard(unchanged=dict.fromkeys(DECIDING_EVENTS, request.seen))
        space.tools.ledger.append(verdict.events, now=space.tools.clock(), guard=guard)
        announce_reviews(space)
    raise GateError("\n".join(verdict.notes))
