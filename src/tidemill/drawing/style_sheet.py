"""The style sheet of all drawings: a part of each document, or once for a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.svg import LABEL_SIZE, SMALL_SIZE, SUBTITLE_SIZE, TITLE_SIZE, Hue, number
from tidemill.drawing.theme import colours, theme_css, variables

SCOPE = "tm-drawing"
FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
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
_CLASS = re.compile(r"\.([a-z][a-z0-9-]*)")
_CLASSES = re.compile(r'class="([^"]*)"')
_VARIABLE = re.compile(r"([a-z-]+):var\(--([a-z0-9-]+)\)")


def _size(pixels: float) -> str:
    return f"font-size:{number(pixels)}px"


_TEXTS = {
    ".title": f"fill:var(--ink);{_size(TITLE_SIZE)};font-weight:650",
    ".subtitle": f"fill:var(--soft);{_size(SUBTITLE_SIZE)}",
    ".heading": f"fill:var(--ink);{_size(LABEL_SIZE)};font-weight:600",
    ".label": f"fill:var(--ink);{_size(12)}",
    ".name": f"fill:var(--ink);{_size(SMALL_SIZE)}",
    ".note,.tick": f"fill:var(--soft);{_size(SMALL_SIZE)}",
    ".tick": "font-variant-numeric:tabular-nums",
    ".kind": f"fill:currentColor;{_size(SMALL_SIZE)}",
    ".empty": f"fill:var(--soft);{_size(SMALL_SIZE)};stroke:var(--paper);"
    "stroke-width:6;paint-order:stroke",
}
_CHARTS = {
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
    ".cell": "fill:currentColor",
    ".bar": "stroke:currentColor;stroke-width:1;fill:none;fill:var(--tint)",
    ".solid": "fill:currentColor",
    ".dashed-bar": "stroke-dasharray:3 2;fill:var(--paper)",
    ".day": "fill:none;stroke:var(--frame)",
    **{f".day.heat-{n}": f"fill:var(--heat-{n});stroke:none" for n in range(6)},
    ".day.state": "fill:none;fill:var(--tint);stroke:currentColor",
    "a:focus-visible .day": "stroke:var(--focus);stroke-width:3",
    ".segment": "stroke:currentColor;stroke-width:1",
    "a:hover .label,a:hover .name,a:focus-visible .label,a:focus-visible .name": (
        "text-decoration:underline;fill:var(--focus)"
    ),
    ".spark": "fill:none;stroke:currentColor;stroke-width:1.5;stroke-linejoin:round",
    ".target": "fill:none;stroke:var(--line);stroke-width:1;stroke-dasharray:3 2",
    "a:hover .bar": "stroke-width:2",
    "a:focus-visible .bar": "stroke:var(--focus);stroke-width:3",
}
_GRAPHS = {
    ".divider": "stroke:var(--frame);stroke-dasharray:2 5;stroke-linecap:round",
    ".box": "stroke:currentColor;stroke-width:1.5;fill:none;fill:var(--tint)",
    ".glyph": "fill:currentColor;fill-rule:evenodd",
    ".inverse": "fill:var(--paper)",
    ".edge": "fill:none;stroke:var(--line);stroke-width:1.5",
    ".head": "fill:var(--line)",
    ".quiet .box": "fill:var(--panel);stroke:var(--frame);stroke-width:1",
    ".quiet .heading": "fill:var(--soft);font-weight:500",
    ".quiet .kind": "fill:var(--soft)",
    ".edge.lit": "stroke:var(--ink);stroke-width:2.5",
    ".head.lit": "fill:var(--ink)",
    ".lit .box": "stroke-width:3",
    ".table .box": "fill:var(--panel);stroke:var(--line);stroke-width:1",
    ".table.quiet .box": "stroke:var(--frame)",
    ".row": "fill:none;pointer-events:all",
    ".table .lit .row": "fill:none;fill:var(--blue-tint)",
    ".table .lit .name": "fill:var(--ink);font-weight:650",
    ".table .quiet .name": "fill:var(--soft)",
    "a:hover .row": "fill:none;fill:var(--grey-tint)",
    "a:focus-visible .row": "stroke:var(--focus);stroke-width:2",
    ".stack": "fill:none;stroke:currentColor;stroke-width:1.5;stroke-linecap:round",
    "a:hover .box": "stroke-width:2.5",
    "a:focus-visible": "outline:none",
    "a:focus-visible .box": "stroke:var(--focus);stroke-width:3.5",
    ".edge.quiet": "stroke-width:1;stroke-dasharray:3 3",
}
_COLOURS = {
    **{f".{hue}": f"color:var(--{hue});--tint:var(--{hue}-tint)" for hue in Hue},
    **{
        f".{each.css}": f"color:var(--{each.css});--tint:var(--{each.css}-tint)"
        for each in DrawnStatus
    },
}
_RULES: Mapping[str, str] = {
    ".paper": "fill:var(--paper);stroke:var(--frame)",
    **_COLOURS,
    **_TEXTS,
    **_CHARTS,
    **_GRAPHS,
}
# A drawing is as wide as its page at most; its attributes keep its place before this sheet is there.
_ROOT = f"font-family:{FONTS};max-width:100%;height:auto"


def page_css() -> str:
    """The style sheet for pages: the variables of the theme, and the rules of all drawings.

    Each rule is scoped to the elements that `page_element` returns.
    """
    rules = (f"{_in_scope(selector)}{{{rule}}}" for selector, rule in _RULES.items())
    return "".join([theme_css(), f".{SCOPE}{{{_ROOT}}}", *rules])


def document_style(markup: str) -> str:
    """The style sheet of a document with this markup; it affects nothing else on a page."""
    known = dict(colours(dark=False))
    rules = "".join(
        f"{_in_scope(selector)}{{{_with_fallbacks(rule, known)}}}"
        for selector, rule in _used_rules(markup)
    )
    return f"{scoped_theme(SCOPE, rules)}.{SCOPE}{{{_ROOT}}}{rules}"


def drawing_rules(markup: str) -> str:
    """The rules of the drawings in the markup of a page, which has the variables of the theme."""
    rules = (f"{_in_scope(selector)}{{{rule}}}" for selector, rule in _used_rules(markup))
    return "".join([f".{SCOPE}{{{_ROOT}}}", *rules])


def scoped_theme(scope: str, rules: str) -> str:
    """The variables that rules use, for elements of the class `scope` in a page of somebody else.

    They follow the reader's system, or the theme of the page where it is known.
    """
    light, dark = (variables(dark=scheme, used_in=rules) for scheme in (False, True))
    return (
        f".{scope}{{{light}}}@media (prefers-color-scheme:dark){{.{scope}{{{dark}}}}}"
        f"{_within(_LIGHT, scope)}{{{light}}}{_within(_DARK, scope)}{{{dark}}}"
    )


def _used_rules(markup: str) -> Iterator[tuple[str, str]]:
    """The rules of the classes that the markup has."""
    classes = {"paper", *(each for found in _CLASSES.findall(markup) for each in found.split())}
    for selector, rule in _RULES.items():
        used = [each for each in selector.split(",") if classes.issuperset(_CLASS.findall(each))]
        if used:
            yield ",".join(used), rule


def _with_fallbacks(rule: str, known: Mapping[str, str]) -> str:
    """Put a light colour before each variable, for programs that draw SVG without knowing variables."""

    def with_colour(found: re.Match[str]) -> str:
        colour = "" if found[1].startswith("--") else known.get(found[2], "")
        return f"{found[1]}:{colour};{found[0]}" if colour else found[0]

    return _VARIABLE.sub(with_colour, rule)


def _in_scope(selector: str) -> str:
    return ",".join(f".{SCOPE} {each}" for each in selector.split(","))


def _within(places: tuple[str, ...], scope: str) -> str:
    return ",".join(f"{place} .{scope}" for place in places)
