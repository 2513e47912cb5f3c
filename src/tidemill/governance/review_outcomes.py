"""What the end of a review means for a model: it goes live, or its candidate is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidemill.core.partition import WHOLE
from tidemill.governance.review_state import ReviewState
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import EXPIRY, Decision, Delivery
from tidemill.ledger.event import Decided, Event
from tidemill.ledger.review import Review
from tidemill.models.gates import last_decision
from tidemill.models.live_events import live_events
from tidemill.reuse.input_contents import input_digest
from tidemill.workflow.model import Artifact


def review_decision(
    state: ReviewState,
    *,
    approved: bool,
    actor: str,
    reason: str,
    now: float,
    earlier: Iterable[Decision] = (),
) -> Decision | None:
    """Return the decision on the model of a review, newer than all `earlier` ones.

    None for other kinds, and for a model that a promotion asked about: that isn't a candidate here yet.
    """
    verdict = state.review.verdict
    if verdict is None or state.review.source:
        return None
    before = last_decision(earlier, verdict.artifact)
    at = (
        state.moment(now)
        if before is None
        else max(state.moment(now), math.nextafter(before.at, math.inf))
    )
    return replace(
        verdict, approved=approved, actor=actor, reason=reason, at=at, review=state.review.id
    )


def refusal_events(
    state: ReviewState, actor: str, reason: str, now: float, earlier: Iterable[Decision]
) -> tuple[Event, ...]:
    """The events beside the end of a review that people rejected, or that expired (no `actor`)."""
    decision = review_decision(
        state, approved=False, actor=actor or EXPIRY, reason=reason, now=now, earlier=earlier
    )
    if decision is None:
        return ()
    return (Decided(environment=state.environment, stage=state.review.name, decision=decision),)


def approval_events(
    state: ReviewState,
    decision: Decision,
    artifact: Artifact,
    evaluated: Mapping[str, Binding],
    days: Iterable[tuple[str, str]],
) -> tuple[Event, ...]:
    """The events beside the end of a review by which its model goes live."""
    return live_events(
        state.environment,
        decision,
        artifact,
        evaluated,
        replaced=state.review.replaces,
        days=days,
    )


def live_moved_on(review: Review, live: Delivery | None) -> str:
    """Say what happened to the live version that a candidate was compared with; "" if it is still live."""
    if live is None and review.replaces:
        return f"no version of {review.name} is live any more, with which {review.artifact} was compared"
    if live is not None and live.artifact.id != review.replaces:
        before = f"version {review.replaces}" if review.replaces else "no version"
        return (
            f"{before} of {review.name} was live when people were asked, and {live.actor} made version "
            f"{live.artifact.id} live since, with which nobody compared {review.artifact}"
        )
    return ""


def is_evaluation_of(evaluated: Binding, artifact: Artifact) -> bool:
    """Whether an evaluation scored exactly this version of a model."""
    return evaluated.inputs.get(artifact.stage) == input_digest({WHOLE: artifact.content}, None)


def moved_on(
    review: Review,
    live: Delivery | None,
    candidate: Artifact | None,
    evaluated: Mapping[str, Binding | None],
) -> str:
    """Say what happened to the model of a review since it was opened; "" if it may go live.

    `candidate` is the version that was evaluated last, `evaluated` its evaluations by stage.
    """
    if what := live_moved_on(review, live):
        return what
    if candidate is None:
        return f"{review.name} has no candidate any more: {review.artifact} was removed"
    if candidate.id != review.artifact:
        return (
            f"version {candidate.id} of {review.name} was evaluated since people were asked about "
            f"{review.artifact}, and is the candidate now"
        )
    missing = [name for name, held in evaluated.items() if not (held and held.product.scores)]
    if missing or not evaluated:
        lost = ", ".join(missing) or "any evaluation"
        return f"{review.name} {review.artifact} has no scores of {lost} any more"
    return ""
