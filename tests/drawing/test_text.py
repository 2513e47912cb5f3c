from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.text import escaped, plain_line, shortened, text_width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"),
        (" two\n lines\t", "two lines"),
        ("\0\x1b[31m", "\ufffd\ufffd[31m"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\ud800", "\ufffd"),
        ("Zürich \N{ROCKET}", "Zürich \N{ROCKET}"),
    ],
)
def test_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


@given(st.text(), st.floats(20, 300), st.sampled_from([11.0, 13.0]))
def test_shortened_fits(text: str, width: float, size: float) -> None:
    line = shortened(text, width, size)
    assert text_width(line, size) <= width
    assert line == plain_line(text) or line.endswith("…")


def test_as_much_as_fits_is_kept() -> None:
    whole = "partition"
    assert shortened(whole, 200, 13) == whole
    kept = shortened(whole, 40, 13).removesuffix("…")
    assert whole.startswith(kept)
    assert text_width(whole[: len(kept) + 1] + "…", 13) > 40


def test_no_space_is_left_before_the_ellipsis() -> None:
    assert shortened("a bbbb", text_width("a …", 13), 13) == "a…"


@pytest.mark.parametrize(
    ("narrow", "wide"), [("i", "a"), ("a", "A"), ("A", "W"), ("W", "漢"), ("e", "é")]
)
def test_widths(narrow: str, wide: str) -> None:
    assert 0 < text_width(narrow, 10) < text_width(wide, 10)
    assert text_width("e\u0301", 10) == text_width("e", 10)
