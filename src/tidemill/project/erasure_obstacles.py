"""What still counts by the name of a person, so that the name can't be erased yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tidemill.governance.review_state import REVIEW_EVENTS, ReviewState, fold_reviews
from tidemill.ledger.access_token import AccessToken, TokenScope
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.workflow_scope import split_name
from tidemill.serving.issued_tokens import TOKEN_EVENTS, issued_tokens

# The kinds of events that `name_obstacles` reads.
NAME_EVENTS = tuple(dict.fromkeys((*REVIEW_EVENTS, *TOKEN_EVENTS)))


def name_obstacles(facts: Iterable[RecordedEvent], person: str, now: float) -> tuple[str, ...]:
    """Why a name can't be erased, and what to do: open reviews and valid tokens, in all of a home.

    Votes are compared with authors and makers of tokens by name. Whoever acts again after an erasure is
    somebody else for the records, and could approve an own change.
    """
    known = [*facts]
    places = {name: None for fact in known if (name := getattr(fact.event, "environment", ""))}
    return tuple(text for place in places for text in _in_environment(known, place, person, now))


def _in_environment(
    facts: Sequence[RecordedEvent], environment: str, person: str, now: float
) -> Iterator[str]:
    prefix, name = split_name(environment)
    where = f"{name} of {prefix.rstrip('/')}" if prefix else name
    for id, state in fold_reviews(facts, environment).items():
        if state.is_open and person in _people_of(state):
            yield (
                f"has a part in the review {id} in {where}, which is open: decide it first, or reject it "
                f"with `tidemill review reject {id}`"
            )
    tokens = [
        id
        for id, issued in issued_tokens(facts, environment).items()
        if issued.is_valid(now) and person in _makers_of(issued.token)
    ]
    if len(tokens) == 1:
        yield (
            f"made or has the token {tokens[0]} in {where}, which is valid: revoke it first with "
            f"`tidemill tokens revoke {tokens[0]}`"
        )
    elif tokens:
        yield (
            f"made or has the tokens {', '.join(tokens)} in {where}, which are valid: revoke each first "
            "with `tidemill tokens revoke ID`"
        )


def _people_of(state: ReviewState) -> set[str]:
    review = state.review
    voted = {name for vote in state.votes for name in (vote.actor, *vote.vouched_by)}
    return {review.author, *review.author_vouched_by, *voted}


def _makers_of(token: AccessToken) -> set[str]:
    """Whose token it is, and who made it; nobody if it lets nobody act."""
    if {*token.scopes} <= {TokenScope.PREDICT}:
        return set()
    return {token.holder, token.actor, token.user, *token.vouched_by}
