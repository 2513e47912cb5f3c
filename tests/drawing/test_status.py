from __future__ import annotations

import re

from tests.support.svg import checked_element
from tidemill.drawing.document import page_element
from tidemill.drawing.status import DrawnStatus, count_statuses, glyph, most_urgent
from tidemill.drawing.svg import Drawing


def test_every_status_has_a_glyph_of_its_own_within_its_square() -> None:
    shapes = set()
    for status in DrawnStatus:
        markup = glyph(status, 3, 4)
        root = checked_element(
            page_element(Drawing(width=20, height=20, markup=markup), prefix="a", title="t")
        )
        path = next(each.get("d", "") for each in root.iter() if each.get("class") == "glyph")
        assert all(0 <= float(found) <= 14 for found in re.findall(r"[\d.]+", path))
        shapes.add(path)
    assert len(shapes) == len(DrawnStatus)


def test_a_glyph_is_scaled() -> None:
    assert "scale" not in glyph(DrawnStatus.DUE, 0, 0)
    assert 'transform="translate(1 2) scale(0.500)"' in glyph(DrawnStatus.DUE, 1, 2, 7)


def test_classes_are_words_of_css() -> None:
    assert all(re.fullmatch("[a-z]+", status.css) for status in DrawnStatus)


def test_the_most_urgent_status_comes_first() -> None:
    counts = {DrawnStatus.CURRENT: 9, DrawnStatus.FAILED: 2, DrawnStatus.DUE: 0}
    assert most_urgent(counts) is DrawnStatus.FAILED
    assert count_statuses(counts) == "2 failed, 9 up to date"
    assert most_urgent({}) is DrawnStatus.UNKNOWN
    assert count_statuses({}) == ""
