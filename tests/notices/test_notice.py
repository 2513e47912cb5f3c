"""What each kind of channel is sent: no text of others becomes a link, a mention or a header."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.notices.notice import (
    Notice,
    email_text,
    notice_text,
    signature,
    slack_body,
    teams_body,
    url_part,
    webhook_body,
)

HOSTILE = st.text(max_size=60) | st.sampled_from([
    "<http://evil|x>", "[x](http://evil)", "<!channel>", "a\r\nBcc: x@y.z", "`*_~", "<b>&lt;</b>",
    "x" * 5_000,
])  # fmt: skip


def notice(*texts: str, link: str = "https://ops.example/i1") -> Notice:
    title, *lines = map(notice_text, texts)
    return Notice(
        id="i1-1", title=title, lines=tuple(lines), command="tidemill incidents show i1", link=link,
        document={"title": title}, link_text="Open the runbook",
    )  # fmt: skip


@given(HOSTILE, st.lists(HOSTILE, max_size=12))
def test_text_stays_text(title: str, lines: list[str]) -> None:
    found = notice(title, *lines)
    assert "\n" not in found.title
    assert "\r" not in found.title
    slack: dict[str, Any] = json.loads(slack_body(found))
    shown = slack["blocks"][0]["text"]["text"]
    assert shown.count("<") == 1
    assert shown.endswith("<https://ops.example/i1|Open the runbook>")
    assert len(shown) <= 3_000
    card = json.loads(teams_body(found))["attachments"][0]["content"]
    assert {part["type"] for part in card["body"]} == {"RichTextBlock"}
    assert [action["url"] for action in card["actions"]] == ["https://ops.example/i1"]
    assert json.loads(webhook_body(found)) == {"title": found.title}


def test_without_a_link_the_command_is_named() -> None:
    found = notice("title", "line", link="")
    assert email_text(found) == "title\n\nline\n\nSee all: tidemill incidents show i1\n"
    assert "`tidemill incidents show i1`" in slack_body(found).decode()
    card = json.loads(teams_body(found))["attachments"][0]["content"]
    assert (card["actions"], card["body"][-1]["inlines"][0]["text"]) == ([], found.command)
    assert "Open the runbook: https://ops.example/i1" in email_text(notice("title"))


def test_a_part_of_an_address_ends_nowhere() -> None:
    assert url_part("a/\u00e9?&<.-") == "a%2F%C3%A9%3F%26%3C.-"


def test_a_signature_is_that_of_the_time_and_the_body() -> None:
    expected = hmac.new(b"key", b"7.body", hashlib.sha256).hexdigest()
    assert signature(b"key", 7, b"body") == expected
    assert signature(b"key", 8, b"body") != expected
