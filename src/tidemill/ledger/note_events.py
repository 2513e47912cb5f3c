"""Events of notes that a project writes by itself."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSent:
    """A channel accepted a note of a kind, such as "weekly", about a period, such as "2026-W48"."""

    environment: str
    kind: str
    period: str
    channel: str
