"""The page of a review: what people were told when they were asked, and where the review stands now."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from datetime import datetime

from tidemill.core.counts import plural
from tidemill.governance.page_values import PageSection, ReviewPage, page_table, section
from tidemill.governance.review_state import ReviewState
from tidemill.governance.review_vote import asked_text, ending_text, missing_text, person_text
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import Review, TimeoutAction

_QUESTIONS = {
    SubjectKind.DELIVERY: "Should {name} {artifact} go live?",
    SubjectKind.TABLE: "Should the new rows of {name} be delivered?",
    SubjectKind.CONTRACT: "Should the changed contract of {name} be published?",
    SubjectKind.PROMOTION: "Should another environment be promoted to {name}?",
    SubjectKind.RELEASE: "Should the quarantined rows of {label} be released?",
}
# What it was about, once it ended.
_SUBJECTS = {
    SubjectKind.DELIVERY: "{name} {artifact}",
    SubjectKind.TABLE: "New rows of {name}",
    SubjectKind.CONTRACT: "Changed contract of {name}",
    SubjectKind.PROMOTION: "Promotion to {name}",
    SubjectKind.RELEASE: "Quarantined rows of {label}",
}
_TIMEOUTS = {
    TimeoutAction.REJECT: "the change is rejected",
    TimeoutAction.REMIND: "its people are asked again",
    TimeoutAction.ESCALATE: "it goes to {people} as well",
}
# The calendar ends in the year 9999.
_LAST = 253_370_764_800.0
# The section of stored ones behind which people, votes and commands are shown.
_BEFORE_PEOPLE = "What gets worse"


def question(review: Review) -> str:
    """What a review asks, in one line."""
    return _QUESTIONS[review.kind].format(
        name=review.name, label=review.label, artifact=review.artifact
    )


def outcome_title(state: ReviewState) -> str:
    """What a review asks while it is open, then what it was about and how it ended."""
    review = state.review
    if state.outcome is None:
        return question(review)
    subject = _SUBJECTS[review.kind].format(
        name=review.name, label=review.label, artifact=review.artifact
    )
    return f"{subject}: {state.outcome}"


def review_page(
    state: ReviewState, stored: Iterable[PageSection], *, now: float, notes: Iterable[str] = ()
) -> ReviewPage:
    """The page of a review at a time: the `stored` sections, and who may decide how.

    `notes` say what else to know about its people, such as that nobody is left of a group.
    """
    kept = [part for part in stored if not part.is_empty]
    titles = [part.title for part in kept]
    place = titles.index(_BEFORE_PEOPLE) + 1 if _BEFORE_PEOPLE in titles else len(kept)
    people = _people(state, now, notes)
    votes = page_table(
        ("person", "vote", "at", "reason"),
        [
            (vote.actor, str(vote.choice), moment(vote.at), _reason(vote.reason, vote.note))
            for vote in state.votes
        ],
    )
    decide = [
        section("Who may decide", people, commands=_commands(state)),
        section("Votes so far", table=votes),
    ]
    shown = [*kept[:place], *(part for part in decide if not part.is_empty), *kept[place:]]
    return ReviewPage(
        title=outcome_title(state), state=standing_text(state, now), sections=tuple(shown)
    )


def standing_text(state: ReviewState, now: float) -> str:
    """Where a review stands, in one line."""
    if not state.is_open:
        return _capital(ending_text(state))
    until = (
        f", until {moment(state.expires)} ({span(state.expires - now)})" if state.expires else ""
    )
    return f"Review {state.review.id} is open{until}: {missing_text(state)}"


def people_lines(state: ReviewState, notes: Iterable[str]) -> Iterator[str]:
    """Who may decide an open review, and what follows from that; nothing that changes as time passes."""
    review = state.review
    yield f"asked: {asked_text(state)}"
    yield from notes
    yield f"so far: {missing_text(state)}; one rejection, or request for changes, ends the review"
    if review.source:
        target = "" if state.environment == "prod" else f" {shlex.quote(state.environment)}"
        command = f"tidemill promote {shlex.quote(review.source)}{target}"
        yield f"with the last approval `{command}` goes on with exactly this; until then nothing of it does"
    elif review.artifact:
        stays = f"; until then {review.replaces} stays live" if review.replaces else ""
        yield f"with the last approval {review.artifact} is live at once{stays}"
    if review.author:
        yield f"{review.author} asked for the change, on {moment(review.opened)}"


def _people(state: ReviewState, now: float, notes: Iterable[str]) -> Iterator[str]:
    if not state.is_open:
        yield _capital(ending_text(state))
        return
    yield from people_lines(state, notes)
    if state.expires is None:
        yield "there is no time limit"
        return
    until = f"{moment(state.expires)} ({span(state.expires - now)})"
    yield f"until {until}; then {timeout_text(state)}"


def timeout_text(state: ReviewState) -> str:
    """What happens to a review if nobody decides it in time."""
    action = state.review.on_timeout
    if action is TimeoutAction.ESCALATE and state.escalated_to:
        action = TimeoutAction.REJECT
    people = " or ".join(map(person_text, state.review.escalate_to))
    return _TIMEOUTS[action].format(people=people)


def _commands(state: ReviewState) -> Iterator[str]:
    if not state.is_open:
        return
    place = "" if state.environment == "prod" else f" --env {shlex.quote(state.environment)}"
    for verb in ("approve", "reject", "changes"):
        yield f'tidemill review {verb} {shlex.quote(state.review.id)}{place} --reason "WHY"'


def _reason(reason: str, note: str) -> str:
    return f"{reason} ({note})" if note else reason


def moment(at: float) -> str:
    """A Unix time for people: in the local time zone, to the minute; far ones end with the calendar."""
    return datetime.fromtimestamp(min(at, _LAST)).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def span(seconds: float) -> str:
    """A length of time from now in words: `in 5 hours`, or `over`."""
    if seconds <= 0:
        return "over"
    for length, unit in ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute")):
        if seconds >= 2 * length:
            return f"in {plural(round(seconds / length), unit)}"
    return "in about a minute" if seconds < 90 else "in 2 minutes"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
