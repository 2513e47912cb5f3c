"""Statuses in HTML."""

from __future__ import annotations

from tidemill.drawing.status import DrawnStatus, glyph_path
from tidemill.drawing.status_label import LABEL_CSS, status_label


def test_a_status_has_a_glyph_a_word_and_a_colour() -> None:
    label = status_label(DrawnStatus.FAILED, "<lost>")
    assert 'class="status failed"' in label
    assert "&lt;lost&gt;" in label
    assert glyph_path(DrawnStatus.FAILED) in label
    assert ">up to date<" in status_label(DrawnStatus.CURRENT)
    assert all(f".{each.css}{{color:var(--{each.css})}}" in LABEL_CSS for each in DrawnStatus)
