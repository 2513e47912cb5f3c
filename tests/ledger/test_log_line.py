"""A log line belongs to one attempt at a step."""

from __future__ import annotations

from tidemill.ledger.log_line import Line


def test_lines_of_one_attempt_share_it() -> None:
    first = Line(at=1.0, stage="raw", partition="2026-03-01", attempt=2, stream="stdout", text="a")
    second = Line(at=2.0, stage="raw", partition="2026-03-01", attempt=2, stream="log", text="b")

    assert first.of == second.of == ("raw", "2026-03-01", 2)
