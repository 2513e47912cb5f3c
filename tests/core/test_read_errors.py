"""What is said about a file that can't be read: the reason, and no advice that loses data."""

from __future__ import annotations

import pytest

from tidemill.core.read_errors import reason_of


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "found more fields than defined in 'Schema'\n\nConsider setting 'truncate_ragged_lines=True'.",
            "a line has more fields than the header; put quotes around values that contain the separator",
        ),
        ("unexpected end of file", "its compressed data ends too early; fetch it again"),
        (
            "could not parse `x` as dtype `i64` at column 'a'\n\nYou might want to try:\n- `ignore_errors`",
            "could not parse `x` as dtype `i64` at column 'a'",
        ),
        ("parquet: bad\nthing. Set X=1.", "parquet: bad thing"),
        ("type mismatch. Try setting strict=False", "type mismatch"),
        ("Try again", "Try again"),
        (
            "CSV malformed: expected 1 rows, actual 2 rows, in chunk starting at row_offset 1, length 33",
            "a quote within a value isn't doubled, or isn't closed; double it, or set quote_char=",
        ),
        ("\n\nConsider this: it is late", "Consider this: it is late"),
        ("Try it. Set X=1.", "Try it"),
        ("\n\n", "ValueError"),
        ("", "ValueError"),
    ],
)
def test_the_reason_of_an_error(message: str, reason: str) -> None:
    assert reason_of(ValueError(message)) == reason


def test_an_error_of_the_system_is_named_by_its_text() -> None:
    assert reason_of(PermissionError(13, "Permission denied", "a.csv")) == "Permission denied"


def test_text_that_isnt_utf8_is_named_as_such() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        b"\xff".decode()
    assert reason_of(caught.value).startswith("its text isn't UTF-8; convert it")
