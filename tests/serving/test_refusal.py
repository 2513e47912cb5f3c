from __future__ import annotations

from tidemill.serving.refusal import Refusal


def test_a_refusal_is_a_reply() -> None:
    found = Refusal(429, "slow down", headers=(("retry-after", "1"),))
    assert (found.status, found.headers, found.document()) == (
        429,
        (("retry-after", "1"),),
        {"error": "slow down"},
    )
