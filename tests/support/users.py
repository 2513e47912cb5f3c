"""The user that runs the tests, as records name it."""

from __future__ import annotations

from tidemill.core.signature import signature
from tidemill.ledger.io.lease_holder import this_user

USER = this_user()


def noted(note: str) -> str:
    """The user that runs the tests, with a note."""
    return signature(USER, note)
