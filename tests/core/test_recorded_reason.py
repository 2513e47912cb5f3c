"""Reasons can be read, and fit on a page."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.core.recorded_reason import LONGEST, checked_note, checked_reason


@pytest.mark.parametrize("text", ["ok", "  ok\n", "é", "a\nb", "\x1b[31mred", "x" * LONGEST])
def test_what_can_be_read_is_kept(text: str) -> None:
    assert checked_reason(text, "a vote") == text.strip()


@pytest.mark.parametrize(
    "text",
    # Control characters, characters without width, spaces of other widths, and too many of them.
    ["", " ", "\n\t", "\0", "\x1b\x07", "\u200b\u202e", "\u3000", "\u2800", "x" * (LONGEST + 1)],
)
def test_what_nobody_can_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^say why: a vote needs a reason of 1 to 4,000 charact"):
        checked_reason(text, "a vote")


def test_a_note_may_be_empty_and_not_too_long() -> None:
    assert (checked_note(" "), checked_note(" asked Carla ")) == ("", "asked Carla")
    with pytest.raises(UsageError, match="the note has 4,001 characters, and 4,000 are allowed"):
        checked_note("x" * 4_001)
