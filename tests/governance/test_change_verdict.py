"""A verdict says what goes on, and all that people are to read about it."""

from __future__ import annotations

from tidemill.governance.change_verdict import ALLOWED, Verdict
from tidemill.ledger.policy import PolicyOutcome


def test_only_what_is_allowed_goes_on() -> None:
    assert (ALLOWED.allowed, ALLOWED.notes, ALLOWED.events) == (True, (), ())
    held = Verdict(outcome=PolicyOutcome.REVIEW, message="waits", warnings=("rule a: look",))
    assert (held.allowed, held.notes) == (False, ("waits", "rule a: look"))
