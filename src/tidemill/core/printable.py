"""Make text from outside harmless: data, names and messages can't control a terminal or hide in a page."""

from __future__ import annotations

import unicodedata

# Characters without a glyph that Unicode nevertheless counts as letters or marks.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))

# The ampersand comes first: the others contain one.
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;"))


def printable(text: str, mark: str = "") -> str:
    """The text in one line, with an escape such as `\\x1b`, or `mark`, for each character without a glyph.

    These are control characters, also line ends and tabs; characters that change the direction of text;
    characters without width; unassigned and private ones; and lone surrogates.
    """
    if text.isprintable() and (text.isascii() or _INVISIBLE.isdisjoint(text)):
        return text
    return "".join(letter if _is_harmless(letter) else mark or _escaped(letter) for letter in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines, which may hold tabs."""
    if text.isprintable() and text.isascii():
        return text
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def printable_json(text: str) -> str:
    """A JSON document with these characters written as JSON escapes: the document means the same."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        letter if letter == "\n" or _is_harmless(letter) else _json_escape(letter)
        for letter in text
    )


def ascii_json(text: str) -> str:
    """A JSON document with all characters beyond ASCII written as JSON escapes."""
    return "".join(letter if letter.isascii() else _json_escape(letter) for letter in text)


def is_visible(text: str) -> bool:
    """Whether a text has a character that a reader sees."""
    return any(_is_harmless(letter) and not letter.isspace() for letter in text)


def shorten(text: str, longest: int) -> str:
    """Text of at most so many characters; three points show that the rest is cut off."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def html_text(text: str) -> str:
    """Text for the content or an attribute of an HTML element: markup is escaped, the rest is printable."""
    shown = printable_lines(text)
    for letter, entity in _ENTITIES:
        shown = shown.replace(letter, entity)
    return shown


def _is_harmless(letter: str) -> bool:
    if letter.isprintable():
        return letter not in _INVISIBLE
    # Spaces of other widths.
    return unicodedata.category(letter) == "Zs"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
