from __future__ import annotations

import pytest

from tidemill.drawing.svg import (
    Drawing,
    captioned,
    number,
    side_by_side,
    text,
)

DRAWING = Drawing(width=200, height=50, markup="<g/>")


@pytest.mark.parametrize(
    ("value", "shown"), [(1, "1"), (1.25, "1.2"), (-0.01, "0"), (99.96, "100"), (-3.5, "-3.5")]
)
def test_number(value: float, shown: str) -> None:
    assert number(value) == shown


def test_captions_are_above() -> None:
    assert captioned(DRAWING, "T").height < captioned(DRAWING, "T", "below").height
    assert captioned(DRAWING, "T").markup.count("<text") == 1
    assert captioned(DRAWING, "T", "below").markup.count("<text") == 2


@pytest.mark.parametrize(("title", "width"), [("T", 200), ("T" * 25, 248), ("T" * 999, 400)])
def test_a_drawing_is_widened_for_its_title_up_to_a_limit(title: str, width: float) -> None:
    drawing = captioned(DRAWING, title)
    assert drawing.width == width
    assert f"translate({number((width - 200) / 2)} 26)" in drawing.markup


def test_side_by_side_is_as_wide_as_all_and_as_high_as_the_highest() -> None:
    low = Drawing(width=10, height=5, markup="")
    row = side_by_side([DRAWING, low])
    assert (row.width, row.height) == (200 + 56 + 10, 50)
    assert row.markup.count("divider") == 1


def test_text_is_escaped_and_shortened() -> None:
    line = text("<" * 99, 0, 0, kind="note", size=10, width=40)
    assert "<<" not in line
    assert line.count("&lt;") < 10
    assert 'text-anchor="middle"' in text("a", 0, 0, kind="note", size=10, width=40, middle=True)
