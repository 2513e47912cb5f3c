"""Notices: what is due to which channel, and what each is sent. No text of others becomes a link."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.notices import DueNotice, due_notices
from tidemill.governance.review_state import ReviewState, fold_reviews
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.governance_events import (
    NoticeSent,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    Voted,
)
from tidemill.ledger.review import ADMINS, ReviewOutcome
from tidemill.notices.notice import email_text, slack_body, teams_body, webhook_body
from tidemill.testing import records as samples
from tidemill.testing.records import PROD

LINK = "https://ops.example/reviews/{id}"
OPENED = ReviewOpened(environment=PROD, review=samples.review())
EXTENDED = ReviewExtended(environment=PROD, review="r1", expires=1900.0)
CLOSED = ReviewClosed(environment=PROD, review="r1", outcome=ReviewOutcome.REJECTED, reason="no")


def sent(about: int, channel: str = "slack") -> NoticeSent:
    return NoticeSent(environment=PROD, review="r1", about=about, channel=channel)


def states(*events: Event, environment: str = PROD) -> list[ReviewState]:
    facts = [RecordedEvent(seq=n, at=100.0 + n, event=event) for n, event in enumerate(events, 1)]
    return [*fold_reviews(facts, environment).values()]


def due(
    *events: Event, channels: tuple[str, ...] = ("slack",), link: str = LINK
) -> list[DueNotice]:
    return [*due_notices(states(*events), channels, workflow="flights", link=link)]


def what(*events: Event, channels: tuple[str, ...] = ("slack",)) -> list[tuple[str, str, int]]:
    return [
        (each.channel, str(each.notice.document["event"]).removeprefix("review."), each.about)
        for each in due(*events, channels=channels)
    ]


def test_each_channel_is_told_once_of_what_happened_last() -> None:
    both = ("slack", "email")
    assert what(OPENED, channels=both) == [("slack", "opened", 1), ("email", "opened", 1)]
    assert what(OPENED, sent(1), channels=both) == [("email", "opened", 1)]
    assert what(OPENED, sent(1), Voted(environment=PROD, review="r1", vote=samples.vote())) == []
    assert what(OPENED, sent(1), EXTENDED) == [("slack", "reminder", 3)]
    assert what(OPENED, EXTENDED) == [("slack", "reminder", 2)]  # one notice about both
    escalated = replace(EXTENDED, escalated_to=(ADMINS,))
    assert what(OPENED, sent(1), escalated) == [("slack", "escalated", 3)]
    assert what(OPENED, sent(1), CLOSED) == [("slack", "closed", 3)]
    assert what(OPENED, sent(1), CLOSED, sent(3)) == []
    assert what(OPENED, CLOSED) == []  # whoever wasn't asked isn't told that it is over


def test_a_notice_says_what_waits_and_only_opens_the_page() -> None:
    [found] = due(OPENED)
    notice = found.notice
    assert notice.title == "Should delay_model artifact go live?"
    assert notice.lines[:2] == (
        "asked: 2 of the reviewers (not ana, who asked for the change)",
        "predictions move",
    )
    assert notice.lines[2].startswith("until ")
    assert (notice.link, notice.id) == ("https://ops.example/reviews/r1", "r1-1")
    body = json.loads(webhook_body(notice))
    assert body["schema"] == "tidemill.notice/1"
    assert (body["event"], body["review"], body["workflow"]) == ("review.opened", "r1", "flights")
    texts = [email_text(notice), slack_body(notice).decode(), teams_body(notice).decode()]
    assert not any(word in text for text in texts for word in ("approve", "reject"))
    [over] = due(OPENED, sent(1), CLOSED)
    assert over.notice.lines[0].startswith("review r1 was rejected on ")


def test_without_a_link_the_command_is_named() -> None:
    dev = replace(OPENED, environment="dev", review=replace(samples.review(), within=None))
    [found] = due_notices(states(dev, environment="dev"), ["slack"], workflow="flights")
    notice = found.notice
    assert (notice.link, notice.command) == ("", "tidemill review show r1 --env dev")
    assert "tidemill review show r1 --env dev" in email_text(notice)
    assert "`tidemill review show r1 --env dev`" in slack_body(notice).decode()
    card = json.loads(teams_body(notice))["attachments"][0]["content"]
    assert card["actions"] == []
    assert card["body"][-1]["inlines"][0]["text"] == notice.command


def test_ids_are_quoted_in_links() -> None:
    odd = replace(OPENED, review=replace(samples.review(), id="r/é?&<"))
    [found] = due(odd)
    assert found.notice.link == "https://ops.example/reviews/r%2F%C3%A9%3F%26%3C"


@given(
    st.text(max_size=60) | st.sampled_from(["<http://evil|x>", "[x](http://evil)", "<!channel>"])
)
def test_no_text_becomes_a_link_or_a_mention(text: str) -> None:
    review = replace(samples.review(), name=text, reasons=(text,))
    [found] = due(replace(OPENED, review=review))
    slack: dict[str, Any] = json.loads(slack_body(found.notice))
    shown = slack["blocks"][0]["text"]["text"]
    # The one link is ours.
    assert shown.count("<") == 1
    assert shown.endswith("<https://ops.example/reviews/r1|Open the page>")
    card = json.loads(teams_body(found.notice))["attachments"][0]["content"]
    assert {part["type"] for part in card["body"]} == {"RichTextBlock"}
    assert [action["url"] for action in card["actions"]] == ["https://ops.example/reviews/r1"]
    assert "\n" not in found.notice.title
