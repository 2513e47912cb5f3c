"""A chart: a drawing under a title, as an SVG document for pages, notebooks and files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.svg import FONTS, SMALL_SIZE, Drawing, Hue, ink, number, text, translate
from tidemill.drawing.text import escaped, text_width

_MARGIN, _TITLE_SIZE, _TITLE_LINE, _LINE = 16.0, 15.0, 20.0, 16.0
# Pages that choose a theme themselves: JupyterLab, VS Code, Material for MkDocs, and our own.
_LIGHT = (
    "[data-jp-theme-light=true]",
    ".vscode-light",
    "[data-md-color-scheme=default]",
    "[data-theme=light]",
)
_DARK = (
    "[data-jp-theme-light=false]",
    ".vscode-dark",
    "[data-md-color-scheme=slate]",
    "[data-theme=dark]",
)
_COLOUR = re.compile(r"--([a-z-]+):(#[0-9a-f]{6})")
_VARIABLE = re.compile(r"([a-z-]+):var\(--([a-z-]+)\)")


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
        captions = [
            *_lines(self.title, "title", _TITLE_SIZE, _TITLE_LINE, self.drawing.width),
            *_lines(self.subtitle, "note", SMALL_SIZE, _LINE, self.drawing.width),
        ]
        notes = [
            line
            for note in self.notes
            for line in _lines(note, "note", SMALL_SIZE, _LINE, self.drawing.width)
        ]
        parts, y = list[str](), 0.0
        for css, size, height, content in captions:
            parts.append(text(content, 0, y + size, kind=css, size=size, width=self.drawing.width))
            y += height
        y += 6
        parts.append(translate(self.drawing, 0, y))
        y += self.drawing.height + (6 if notes else 0)
        for css, size, height, content in notes:
            parts.append(text(content, 0, y + size, kind=css, size=size, width=self.drawing.width))
            y += height
        return self._document(self.drawing.width, y, "".join(parts))

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return f'<div class="tidemill">{self.svg}</div>'

    def _document(self, width: float, height: float, inside: str) -> str:
        width, height = width + 2 * _MARGIN, height + 2 * _MARGIN
        # Several charts may be parts of one page, where ids are unique.
        name = f"tm-{fingerprint('chart', inside)[:12]}"
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" class="tm-plot"'
            f' viewBox="0 0 {number(width)} {number(height)}" width="{number(width)}"'
            f' height="{number(height)}" role="img" aria-labelledby="{name}-t {name}-d">\n'
            f'<title id="{name}-t">{escaped(self.title)}</title>\n'
            f'<desc id="{name}-d">{escaped(self.description)}</desc>\n'
            f"<style>{plot_style()}</style>\n"
            f'<rect class="paper" x="0.5" y="0.5" width="{number(width - 1)}"'
            f' height="{number(height - 1)}" rx="8"/>\n'
            f'<g transform="translate({number(_MARGIN)} {number(_MARGIN)})">{inside}</g>\n</svg>\n'
        )


def plot_style() -> str:
    """The style sheet of charts; it affects nothing else on a page."""
    light, dark = ink(dark=False), ink(dark=True)
    rules = [
        f".tm-plot{{{light};font-family:{FONTS};max-width:100%;height:auto}}",
        f"@media (prefers-color-scheme:dark){{.tm-plot{{{dark}}}}}",
        f"{_within(_LIGHT)}{{{light}}}{_within(_DARK)}{{{dark}}}",
    ]
    own = {
        ".paper": "fill:var(--paper);stroke:var(--frame)",
        ".title": f"fill:var(--ink);font-size:{number(_TITLE_SIZE)}px;font-weight:650",
        ".note,.tick": f"fill:var(--soft);font-size:{number(SMALL_SIZE)}px",
        ".tick": "font-variant-numeric:tabular-nums",
        ".label": "fill:var(--ink);font-size:12px",
        ".name": f"fill:var(--ink);font-size:{number(SMALL_SIZE)}px",
        ".empty": f"fill:var(--soft);font-size:{number(SMALL_SIZE)}px;stroke:var(--paper);"
        "stroke-width:6;paint-order:stroke",
        ".grid": "stroke:var(--frame);stroke-width:1;fill:none;opacity:.7",
        ".zero": "stroke:var(--soft);stroke-width:1;fill:none",
        ".line": "fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round",
        ".dashed": "stroke-dasharray:7 4",
        ".band": "fill:currentColor;opacity:.16",
        ".whisker": "fill:none;stroke:currentColor;stroke-width:1.5",
        ".reference": "fill:none;stroke:currentColor;stroke-width:1.5;stroke-dasharray:3 4",
        ".dot": "fill:currentColor;stroke:var(--paper);stroke-width:.75",
        ".hollow": "fill:var(--paper);stroke:currentColor;stroke-width:1.75",
        ".fill": "fill:currentColor;fill-opacity:.45",
        ".bar": "fill:currentColor;fill-opacity:.8",
        ".cell": "fill:currentColor",
    }
    own |= {f".{hue}": f"color:var(--{hue})" for hue in Hue}
    colours = dict(_COLOUR.findall(light))
    rules += [f"{_scoped(name)}{{{_with_fallbacks(own[name], colours)}}}" for name in own]
    return "".join(rules)


def _with_fallbacks(declarations: str, colours: Mapping[str, str]) -> str:
    """Put a light colour before each variable, for programs that draw SVG without knowing variables."""
    return _VARIABLE.sub(lambda found: f"{found[1]}:{colours[found[2]]};{found[0]}", declarations)


def _scoped(selector: str) -> str:
    return ",".join(f".tm-plot {each}" for each in selector.split(","))


def _within(places: tuple[str, ...]) -> str:
    return ",".join(f"{place} .tm-plot" for place in places)


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
