"""A chart: a drawing under a title, as an SVG document for pages, notebooks and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.document import document, page_element
from tidemill.drawing.svg import SMALL_SIZE, TITLE_SIZE, Drawing, text, translate
from tidemill.drawing.text import text_width

_MARGIN, _TITLE_LINE, _LINE = 16.0, 20.0, 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing with a title, a second line, notes below it, and a description for screen readers."""

    title: str
    drawing: Drawing
    description: str
    subtitle: str = ""
    notes: tuple[str, ...] = ()

    @property
    def svg(self) -> str:
        """The chart as an SVG document, which needs nothing else; the same chart gives the same text."""
        whole = self._with_captions()
        # Several charts may be parts of one page, where ids are unique.
        prefix = f"tm-{fingerprint('chart', whole.markup)[:12]}"
        return document(
            whole,
            title=self.title,
            description=self.description,
            prefix=prefix,
            margin=_MARGIN,
            radius=8,
        )

    def page_element(self, prefix: str) -> str:
        """The chart as an element of a page with `page_css`; `prefix` makes its ids unique there."""
        return page_element(
            self._with_captions(), prefix=prefix, title=self.title, description=self.description
        )

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return f'<div class="tidemill">{self.svg}</div>'

    def under(self, heading: str) -> Chart:
        """The chart with a heading before its title, such as what it is about."""
        return replace(self, title=f"{heading}: {self.title}")

    def _with_captions(self) -> Drawing:
        width = self.drawing.width
        captions = [
            *_lines(self.title, "title", TITLE_SIZE, _TITLE_LINE, width),
            *_lines(self.subtitle, "note", SMALL_SIZE, _LINE, width),
        ]
        notes = [
            line for note in self.notes for line in _lines(note, "note", SMALL_SIZE, _LINE, width)
        ]
        parts, y = list[str](), 0.0
        for css, size, height, content in captions:
            parts.append(text(content, 0, y + size, kind=css, size=size, width=width))
            y += height
        y += 6
        parts.append(translate(self.drawing, 0, y))
        y += self.drawing.height + (6 if notes else 0)
        for css, size, height, content in notes:
            parts.append(text(content, 0, y + size, kind=css, size=size, width=width))
            y += height
        return Drawing(width=width, height=y, markup="".join(parts))


def _lines(
    content: str, css: str, size: float, height: float, width: float
) -> Iterator[tuple[str, float, float, str]]:
    """The content in lines that are at most `width` pixels wide, each with its style."""
    line = ""
    for word in content.split():
        longer = f"{line} {word}".strip()
        if line and text_width(longer, size) > width:
            yield css, size, height, line
            longer = word
        line = longer
    if line:
        yield css, size, height, line
