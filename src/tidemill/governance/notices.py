"""Notices about reviews: which are due. A notice never decides anything."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.review_page import moment, question
from tidemill.governance.review_state import ReviewState
from tidemill.governance.review_vote import asked_text, ending_text
from tidemill.ledger.governance_events import ReviewClosed, ReviewExtended, ReviewOpened
from tidemill.notices.notice import Notice, notice_text, url_part
from tidemill.workflow.environment import environment_option


@dataclass(frozen=True, slots=True, kw_only=True)
class DueNotice:
    """A notice about the event number `about` of a review that a channel hasn't accepted yet."""

    channel: str
    review: str
    about: int
    environment: str
    notice: Notice


def due_notices(
    states: Iterable[ReviewState], channels: Iterable[str], *, workflow: str, link: str = ""
) -> tuple[DueNotice, ...]:
    """The notices that channels haven't accepted: one about each open review, and about ends of those.

    `link` is an address with `{id}` for the review.
    """
    names = tuple(channels)
    found = []
    for state in states:
        for channel in names:
            about = _due(state, channel)
            if about is not None:
                notice = _notice(state, *about, workflow=workflow, link=link)
                due = DueNotice(
                    channel=channel,
                    review=state.review.id,
                    about=about[0],
                    environment=state.environment,
                    notice=notice,
                )
                found.append(due)
    return tuple(found)


def _due(state: ReviewState, channel: str) -> tuple[int, str] | None:
    """The number and the kind of the event that a channel has to be told of; None if it knows all."""
    known = {about for about, name in state.sent if name == channel}
    if not state.is_open and not known:
        # Nobody was asked there.
        return None
    number, kind = 0, ""
    for fact in state.events:
        if isinstance(fact.event, ReviewOpened):
            number, kind = fact.seq, "opened"
        elif isinstance(fact.event, ReviewExtended):
            number, kind = fact.seq, "escalated" if fact.event.escalated_to else "reminder"
        elif isinstance(fact.event, ReviewClosed):
            number, kind = fact.seq, "closed"
    return None if number in known else (number, kind)


def _notice(state: ReviewState, about: int, kind: str, *, workflow: str, link: str) -> Notice:
    """What is sent about an event of a review; `kind` is "opened", "reminder", "escalated" or "closed"."""
    review = state.review
    id = f"{review.id}-{about}"
    title = notice_text(question(review))
    lines = [ending_text(state)] if kind == "closed" else [*_call(state)]
    texts = tuple(notice_text(line) for line in lines)
    place = environment_option(state.environment)
    command = f"tidemill review show {review.id}{place}"
    address = link.replace("{id}", url_part(review.id)) if link else ""
    document = {
        "schema": "tidemill.notice/1",
        "id": id,
        "event": f"review.{kind}",
        "workflow": workflow,
        "environment": state.environment,
        "review": review.id,
        "title": title,
        "lines": list(texts),
        "link": address,
        "command": command,
    }
    return Notice(id=id, title=title, lines=texts, command=command, link=address, document=document)


def _call(state: ReviewState) -> Iterable[str]:
    yield f"asked: {asked_text(state)}"
    yield from state.review.reasons
    if state.expires is not None:
        yield f"until {moment(state.expires)}"
