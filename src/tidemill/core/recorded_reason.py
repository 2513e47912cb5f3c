"""Check the words that somebody gives for a decision, before they are recorded for good."""

from __future__ import annotations

from tidemill.core.errors import UsageError
from tidemill.core.printable import is_visible

LONGEST = 4_000


def checked_reason(text: str, of: str) -> str:
    """The reason `of` a decision without spaces around it.

    UsageError for one that is empty, has no visible character, or is longer than 4,000 characters.
    """
    reason = text.strip()
    if not is_visible(reason) or len(reason) > LONGEST:
        raise UsageError(f"say why: {of} needs a reason of 1 to {LONGEST:,} characters")
    return reason


def checked_note(text: str, name: str = "note") -> str:
    """A note without spaces around it, which may be empty; UsageError for more than 4,000 characters."""
    note = text.strip()
    if len(note) > LONGEST:
        raise UsageError(f"the {name} has {len(note):,} characters, and {LONGEST:,} are allowed")
    return note
