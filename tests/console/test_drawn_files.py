"""What the console keeps as files is what the package would write now."""

from tidemill.console.io.drawn_pages import STATIC
from tidemill.drawing.style_sheet import page_css


def test_the_style_sheet_of_drawings_is_the_newest() -> None:
    found = (STATIC / "drawing.css").read_text(encoding="utf-8")
    assert found == f"{page_css()}\n", "write page_css() to console/static/drawing.css"
