"""The command that looks at a review, with which the message of a refusal names what it waits for."""

from __future__ import annotations

import re

_SHOWN = r"(?m)^look at it with: tidemill review show (\S+)$"


def review_command(review: str) -> str:
    """What a message says about a review that it waits for."""
    return f"look at it with: tidemill review show {review}"


def named_review(text: str) -> str:
    """The review that the message of a refusal says it waits for; "" if it names none."""
    found = re.search(_SHOWN, text)
    return found[1] if found else ""
