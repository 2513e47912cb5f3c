"""The text that says who did something."""

from __future__ import annotations


def signature(actor: str, note: str = "") -> str:
    """Name an actor, with the note that it left: `ana (for the night shift)`."""
    return f"{actor} ({note})" if note else actor
