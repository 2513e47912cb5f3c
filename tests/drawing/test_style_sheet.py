from __future__ import annotations

import re

import pytest

from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.style_sheet import SCOPE, document_style, page_css
from tidemill.drawing.svg import Hue
from tidemill.drawing.theme import colours, theme_css

ALL = " ".join(
    [*Hue, *(each.css for each in DrawnStatus), "edge quiet box kind tick note line empty"]
)
MARKUP = f'<g class="{ALL}"/>'


def selectors(css: str) -> list[str]:
    rules = re.sub(r"@media[^{]*\{(.*?\})\}", r"\1", css)
    return [each for rule in rules.split("}") if rule for each in rule.split("{")[0].split(",")]


def test_the_rules_of_a_page_are_scoped() -> None:
    css = page_css()
    assert css.startswith(theme_css())
    rules = css.removeprefix(theme_css())
    assert [each for each in selectors(rules) if f".{SCOPE}" not in each] == []
    known = {*colours(dark=False), "tint"}
    assert set(re.findall(r"var\(--([a-z0-9-]+)\)", css)) <= known


def test_the_style_sheet_of_a_document_affects_nothing_else() -> None:
    assert [each for each in selectors(document_style(MARKUP)) if f".{SCOPE}" not in each] == []


@pytest.mark.parametrize(
    ("markup", "has", "has_not"),
    [
        ('<path class="edge"/>', ".edge{", ".quiet"),
        ('<path class="edge quiet"/>', ".edge.quiet{", ".heading"),
        ('<text class="tick">', ".tick{fill", ".note"),  # of two that share a rule
    ],
)
def test_a_document_has_only_the_rules_that_it_uses(markup: str, has: str, has_not: str) -> None:
    css = document_style(markup)
    assert has in css
    assert has_not not in css


def test_a_colour_is_before_each_variable_of_a_document() -> None:
    css = document_style(MARKUP)
    uses = re.findall(r"(?<=[;{])([a-z-]+):(#[0-9a-f]{6}|none);\1:var\(--([a-z0-9-]+)\)", css)
    declared = re.findall(r"(?<=[;{])(?!--)[a-z-]+:var\(", css)
    assert len(uses) == len(declared) > 10
    light = colours(dark=False)
    assert all(colour == light.get(name, "none") for _, colour, name in uses)


def test_the_same_markup_gives_the_same_bytes() -> None:
    assert document_style(MARKUP) == document_style(MARKUP)
    assert page_css() == page_css()
