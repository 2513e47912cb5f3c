"""Places in a log as texts."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.history.log_cursor import LogCursor, parse_log_cursor


@pytest.mark.parametrize(
    ("cursor", "text"),
    [
        (LogCursor(), "0"),
        (LogCursor(seq=812), "812"),
        (LogCursor(seq=812, read={"41": 0, "4711": 120}), "812.41:0.4711:120"),
    ],
)
def test_a_place_is_a_text_and_back(cursor: LogCursor, text: str) -> None:
    assert str(cursor) == text
    assert parse_log_cursor(text) == cursor


@pytest.mark.parametrize("text", ["", "x", "1.", "-1", "1.a", "1.a:b", "1.../etc:1", "1" * 30, "٣"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no place in a log"):
        parse_log_cursor(text)
