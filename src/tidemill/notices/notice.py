"""A notice to people, and how each kind of channel is sent it. Text of others stays text in each form."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import printable, shorten

_MOST = 500
_SLACK_MOST = 2_900
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What people are told, and the `document` that programs get in its place.

    `id` is the same if it comes twice. `link` opens what `link_text` says, if there is one; `command` shows
    it in a terminal.
    """

    id: str
    title: str
    lines: tuple[str, ...]
    command: str
    document: Mapping[str, Any]
    link: str = ""
    link_text: str = "Open the page"


def notice_text(text: str) -> str:
    """Text of others as one line that is short and has no control characters."""
    return shorten(printable(text), _MOST)


def url_part(text: str) -> str:
    """Text as a part of the path of an address."""
    return "".join(
        letter if letter in _SAFE else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in text
    )


def webhook_body(notice: Notice) -> bytes:
    """The notice as a JSON document, for programs."""
    return _json(notice.document)


def signature(key: bytes, at: int, body: bytes) -> str:
    """The signature of a body sent at a time: HMAC-SHA256 of `AT.BODY`, in hexadecimal digits."""
    return hmac.new(key, f"{at}.".encode() + body, "sha256").hexdigest()


def slack_body(notice: Notice) -> bytes:
    """The notice for an incoming webhook of Slack, and of what understands the same, such as Mattermost."""
    lines = [f"*{_slack(notice.title)}*", *(_slack(line) for line in notice.lines)]
    way = (
        f"<{notice.link}|{notice.link_text}>" if notice.link else f"`{_slack_code(notice.command)}`"
    )
    text = "\n".join([shorten("\n".join(lines), _SLACK_MOST - len(way)), way])
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return _json({"text": _slack(notice.title), "blocks": [section]})


def _slack(text: str) -> str:
    """Text without the characters that make links, mentions and styles in Slack."""
    return "".join(
        f"\u200b{letter}" if letter in "*_~`" else letter for letter in _without_links(text)
    )


def _slack_code(text: str) -> str:
    """Text of a code span, from which people copy it: nothing but its end means anything there."""
    return _without_links(text).replace("`", "'")


def _without_links(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def teams_body(notice: Notice) -> bytes:
    """The notice as an adaptive card, for a workflow of Microsoft Teams that posts it to a channel."""
    body = [
        _run(notice.title, size="Medium", weight="Bolder"),
        *(_run(line) for line in notice.lines),
    ]
    actions = []
    if notice.link:
        actions = [{"type": "Action.OpenUrl", "title": notice.link_text, "url": notice.link}]
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
    way = f"{notice.link_text}: {notice.link}" if notice.link else f"See all: {notice.command}"
    return "\n".join([notice.title, "", *notice.lines, "", way, ""])


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
