"""Say why a file can't be read, without the advice of the library that read it, which may lose data."""

from __future__ import annotations

import re

_NOT_UTF8 = "its text isn't UTF-8; convert it, such as with `iconv -f WINDOWS-1252 -t UTF-8`"
_REASONS = (
    (
        "found more fields than defined",
        "a line has more fields than the header; put quotes around values that contain the separator",
    ),
    ("invalid utf-8", _NOT_UTF8),
    ("'utf-8' codec can't decode", _NOT_UTF8),
    ("unexpected end of file", "its compressed data ends too early; fetch it again"),
    ("Compressed file ended before", "its compressed data ends too early; fetch it again"),
    (
        "CSV malformed",
        "a quote within a value isn't doubled, or isn't closed; double it, or set quote_char=",
    ),
    ("empty CSV", "it is empty, without a header"),
    (
        "as dtype `str` at column",
        "a quote isn't closed; double quotes within values, or set quote_char=",
    ),
)
# Where Polars goes over to advice, to its query plan or to internals.
_TAIL = re.compile(
    r"\n\n|\n?You might want to|Consider |Try |Hint:|This error occurred|Resolved plan|Encountered value"
    r"|\. (?=Remove these|Please |Pass |Use |Set )|, or pass ",
)


def reason_of(error: BaseException) -> str:
    """Return one sentence about why reading failed."""
    message = getattr(error, "strerror", None) or str(error)
    for mark, reason in _REASONS:
        if mark in message:
            return reason
    message = message.strip()
    # A message that begins with such words has nothing else to say.
    tail = _TAIL.search(message, 1)
    brief = " ".join(message[: tail.start() if tail else None].split()).rstrip(" .:;(")
    return brief or type(error).__name__
