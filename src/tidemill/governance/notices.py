"""Notices about reviews: which are due, and what each channel is sent. A notice never decides anything."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.core.printable import printable, shorten
from tidemill.governance.review_page import moment, question
from tidemill.governance.review_state import ReviewState
from tidemill.governance.review_vote import asked_text, ending_text
from tidemill.ledger.governance_events import ReviewClosed, ReviewExtended, ReviewOpened

_MOST = 500
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What people are told about the event number `about` of a review.

    `kind` is "opened", "reminder", "escalated" or "closed". `link` opens the page of the review, if one is
    configured; `command` shows it.
    """

    review: str
    about: int
    kind: str
    environment: str
    workflow: str
    title: str
    lines: tuple[str, ...]
    command: str
    link: str = ""

    @property
    def id(self) -> str:
        """What identifies the notice, so that one that comes twice can be told."""
        return f"{self.review}-{self.about}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DueNotice:
    """A notice that a channel hasn't accepted yet."""

    channel: str
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
                found.append(DueNotice(channel=channel, notice=notice))
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
    review = state.review
    lines = [ending_text(state)] if kind == "closed" else [*_call(state)]
    place = "" if state.environment == "prod" else f" --env {state.environment}"
    return Notice(
        review=review.id,
        about=about,
        kind=kind,
        environment=state.environment,
        workflow=workflow,
        title=_text(question(review)),
        lines=tuple(_text(line) for line in lines),
        command=f"tidemill review show {review.id}{place}",
        link=link.replace("{id}", _quoted(review.id)) if link else "",
    )


def _call(state: ReviewState) -> Iterable[str]:
    yield f"asked: {asked_text(state)}"
    yield from state.review.reasons
    if state.expires is not None:
        yield f"until {moment(state.expires)}"


def _text(text: str) -> str:
    return shorten(printable(text), _MOST)


def _quoted(text: str) -> str:
    return "".join(
        letter if letter in _SAFE else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in text
    )


def webhook_body(notice: Notice) -> bytes:
    """The notice as a JSON document, for programs."""
    return _json({
        "schema": "tidemill.notice/1",
        "id": notice.id,
        "event": f"review.{notice.kind}",
        "workflow": notice.workflow,
        "environment": notice.environment,
        "review": notice.review,
        "title": notice.title,
        "lines": list(notice.lines),
        "link": notice.link,
        "command": notice.command,
    })  # fmt: skip


def signature(key: bytes, at: int, body: bytes) -> str:
    """The signature of a body sent at a time: HMAC-SHA256 of `AT.BODY`, in hexadecimal digits."""
    return hmac.new(key, f"{at}.".encode() + body, "sha256").hexdigest()


def slack_body(notice: Notice) -> bytes:
    """The notice for an incoming webhook of Slack, and of what understands the same, such as Mattermost."""
    lines = [f"*{_slack(notice.title)}*", *(_slack(line) for line in notice.lines)]
    way = f"<{notice.link}|Open the page>" if notice.link else f"`{_slack(notice.command)}`"
    text = "\n".join([*lines, way])
    section = {"type": "section", "text": {"type": "mrkdwn", "text": shorten(text, 2_900)}}
    return _json({"text": _slack(notice.title), "blocks": [section]})


def _slack(text: str) -> str:
    """Text without the characters that make links, mentions and styles in Slack."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\u200b{letter}" if letter in "*_~`" else letter for letter in plain)


def teams_body(notice: Notice) -> bytes:
    """The notice as an adaptive card, for a workflow of Microsoft Teams that posts it to a channel."""
    body = [
        _run(notice.title, size="Medium", weight="Bolder"),
        *(_run(line) for line in notice.lines),
    ]
    actions = []
    if notice.link:
        actions = [{"type": "Action.OpenUrl", "title": "Open the page", "url": notice.link}]
    else:
        body.append(_run(notice.command, fontType="Monospace"))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": actions,
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return _json({"type": "message", "attachments": [attachment]})


def _run(text: str, **style: str) -> Mapping[str, Any]:
    """A line of a card. Unlike a text block, a run isn't read as Markdown, so that no text becomes a link."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def email_text(notice: Notice) -> str:
    """The notice as the text of a message."""
    way = f"Open the page: {notice.link}" if notice.link else f"See all: {notice.command}"
    return "\n".join([notice.title, "", *notice.lines, "", way, ""])


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
