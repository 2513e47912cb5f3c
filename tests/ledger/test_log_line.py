"""A log line belongs to one attempt at a step."""

from __future__ import annotations

from tidemill.ledger.log_line import LogLine


def test_lines_of_one_attempt_share_it() -> None:
    first = LogLine(
        at=1.0, stage="raw", partition="2026-03-01", attempt=2, stream="stdout", text="a"
    )
    second = LogLine(at=2.0, stage="raw", partition="2026-03-01", attempt=2, stream="log", text="b")

    assert first.attempt_key == second.attempt_key == ("raw", "2026-03-01", 2)
