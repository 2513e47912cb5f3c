"""What came of a vote, in words."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.governance.again_command import again_command
from tidemill.governance.review_state import ReviewState
from tidemill.governance.review_vote import ending_text, missing_text
from tidemill.ledger.review import Choice, Review, Vote


def voted_text(
    state: ReviewState, vote: Vote, *, went_live: str = "", notes: Iterable[str] = ()
) -> str:
    """What a vote did to a review: which approvals it still needs, how it ended, what `went_live`."""
    if state.is_open:
        return f"recorded: {vote.choice} by {vote.actor}; {missing_text(state)}"
    text = ending_text(state)
    if went_live:
        return "\n".join((text, f"{state.review.name} {went_live} is live", *notes))
    if vote.choice is Choice.APPROVE:
        return f"{text}\nthe next {_next(state.review, state.environment)} goes on with exactly this change"
    return text


def _next(review: Review, environment: str) -> str:
    """What goes on with a change that was approved."""
    if review.source:
        return f"promotion of {review.source}"
    if review.held is not None:
        return f"`{again_command(review, environment, again=False)}`"
    return "run"
