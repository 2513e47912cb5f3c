"""Text from outside can't control a terminal, reorder a line or hide in a page."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.printable import (
    ascii_json,
    html_text,
    is_visible,
    printable,
    printable_json,
    printable_lines,
    shorten,
)

TEXTS = st.text(st.characters(exclude_categories=[]), max_size=50)
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 12\u00a0000 €", "größe 12\u00a0000 €"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),  # OSC
        ("\x1b[2J\x9b2J", r"\x1b[2J\x9b2J"),  # CSI, in 7 and in 8 bits
        ("good\rbad\ttab\nline", r"good\rbad\ttab\nline"),
        ("\u202etxt.exe\u2066", r"\u202etxt.exe\u2066"),  # bidi
        ("pay\u200bpal\ufeff\u00ad", r"pay\u200bpal\ufeff\xad"),  # without width
        ("\u3164\u2800\U000e0101\U000e0041", r"\u3164\u2800\U000e0101\U000e0041"),
        ("\u2028\ud800\ue000", r"\u2028\ud800\ue000"),
    ],
)
def test_what_has_no_glyph_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_lines_and_tabs_stay_in_text_of_several_lines() -> None:
    assert printable_lines("a\tb\nc\r\nd\x1b") == "a\tb\nc\\r\nd\\x1b"


def test_a_mark_replaces_each_character() -> None:
    assert printable("a\x1b\nb", "?") == "a??b"


@given(TEXTS)
def test_nothing_invisible_remains(text: str) -> None:
    shown = printable(text)
    assert not FORBIDDEN.intersection(map(unicodedata.category, shown))
    assert printable_lines(text).replace("\n", "").replace("\t", "") == printable(
        text.replace("\n", "").replace("\t", "")
    )


@given(st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_a_json_document_means_the_same(value: dict[str, str]) -> None:
    document = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(document) == value
    assert not FORBIDDEN.intersection(map(unicodedata.category, document))


def test_html_escapes_markup_as_well() -> None:
    assert html_text('<b a="1">\u202e\n&') == "&lt;b a=&quot;1&quot;&gt;\\u202e\n&amp;"


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("abcde", "abcde"), ("abcdef", "ab...")])
def test_long_text_is_cut_off(text: str, shown: str) -> None:
    assert shorten(text, 5) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", True),
        (" \u0301 ", True),
        ("", False),
        (" \n", False),
        ("\0\u200b", False),
        ("\u2800", False),
    ],
)
def test_readers_see_some_characters_only(text: str, expected: bool) -> None:
    assert is_visible(text) is expected


def test_json_of_ascii_means_the_same() -> None:
    document = json.dumps("é \N{SNOWMAN} \N{GRINNING FACE}", ensure_ascii=False)
    assert ascii_json(document).isascii()
    assert json.loads(ascii_json(document)) == json.loads(document)
