"""The message of a refusal names the review that it waits for."""

from __future__ import annotations

from tidemill.ledger.review_command import named_review, review_command


def test_the_command_names_the_review() -> None:
    assert named_review(f"model waits for review r1\n{review_command('r1')}\nmodel passed") == "r1"
    assert named_review("look at it") == ""
