from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tidemill.drawing.svg import (
    Drawing,
    Hue,
    captioned,
    document,
    number,
    side_by_side,
    style,
    text,
)

DRAWING = Drawing(width=200, height=50, markup="<g/>")


@pytest.mark.parametrize(
    ("value", "shown"), [(1, "1"), (1.25, "1.2"), (-0.01, "0"), (99.96, "100"), (-3.5, "-3.5")]
)
def test_number(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_document_is_an_image_with_a_title() -> None:
    root = ElementTree.fromstring(document(DRAWING, title="A & B", description="<both>"))
    assert root.get("role") == "img"
    assert (root.get("width"), root.get("height")) == ("240", "90")
    named = {element.get("id"): element.text for element in root}
    assert (named["title"], named["description"]) == ("A & B", "<both>")
    assert root.get("aria-labelledby") == "title description"


def test_a_document_asks_for_nothing_from_elsewhere() -> None:
    made = document(DRAWING, title="t", description="d").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?:|@import|url\((?!#)|href", made) == []


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


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def schemes() -> dict[str, dict[str, str]]:
    """The colours of each scheme by their names."""
    light, dark = re.findall(r"svg\{(--[^}]*)\}", style())
    return {
        name: dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", text))
        for name, text in (("light", light), ("dark", dark))
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out(scheme: str) -> None:
    colours = schemes()[scheme]
    pairs = [(ink, back) for ink in ("ink", "soft") for back in ("paper", "pale")]
    pairs += [(ink, f"{hue}-tint") for hue in Hue for ink in ("ink", "soft", hue)]
    contrasts = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: found for pair, found in contrasts.items() if found < 4.5} == {}
