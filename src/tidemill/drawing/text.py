"""Text of a drawing: escaped, measured and shortened."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from html import escape
from itertools import accumulate

from tidemill.core.printable import printable

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_NARROW, _WIDE = frozenset("fijlrtI.,:;'!|()[]-/ "), frozenset("mwMW@%")


def plain_line(text: str) -> str:
    """The text in one line, with a replacement character for each character that isn't printable."""
    # XML forbids some characters, and others reverse or hide the text around them.
    return printable(" ".join(text.split()), _REPLACEMENT)


def escaped(text: str) -> str:
    """One line of text for the content or an attribute of an element."""
    return escape(plain_line(text), quote=True)


def text_width(text: str, size: float) -> float:
    """An upper estimate of the width of the text in a sans-serif font of this size, in pixels."""
    return size * sum(_character_width(character) for character in text)


def shortened(text: str, width: float, size: float) -> str:
    """The text in one line, cut at its end with an ellipsis when it is wider than `width` pixels."""
    line = plain_line(text)
    if text_width(line, size) <= width:
        return line
    room = width - text_width(_ELLIPSIS, size)
    ends = accumulate(text_width(character, size) for character in line)
    return line[: sum(end <= room for end in ends)].rstrip() + _ELLIPSIS


@lru_cache(maxsize=4_096)
def _character_width(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.4
    if character in _NARROW:
        return 0.38
    return (
        0.95
        if character in _WIDE or not character.isascii()
        else 0.66
        if character.isupper()
        else 0.59
    )
