from __future__ import annotations

import re
from itertools import combinations, pairwise

import pytest

from tests.support.colour import Sight, contrast, difference
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.svg import Hue
from tidemill.drawing.theme import colours, theme_css, variables

SCHEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
KINDS = [*(str(hue) for hue in Hue), *(status.css for status in DrawnStatus)]
HEAT = [f"heat-{n}" for n in range(6)]


@SCHEMES
def test_texts_stand_out(dark: bool) -> None:
    known = colours(dark=dark)
    pairs = [(ink, back) for ink in ("ink", "soft", *KINDS) for back in ("paper", "panel")]
    pairs += [(ink, f"{kind}-tint") for kind in KINDS for ink in ("ink", "soft", kind)]
    contrasts = {pair: contrast(known[pair[0]], known[pair[1]]) for pair in pairs}
    assert {pair: found for pair, found in contrasts.items() if found < 4.5} == {}


@SCHEMES
def test_shapes_stand_out(dark: bool) -> None:
    known = colours(dark=dark)
    pairs = [(shape, back) for shape in ("line", "focus") for back in ("paper", "panel")]
    pairs += [("focus", f"{kind}-tint") for kind in KINDS]
    contrasts = {pair: contrast(known[pair[0]], known[pair[1]]) for pair in pairs}
    assert {pair: found for pair, found in contrasts.items() if found < 3} == {}


@SCHEMES
@pytest.mark.parametrize("sight", Sight)
def test_statuses_differ_for_everyone(dark: bool, sight: Sight) -> None:
    known = colours(dark=dark)

    def apart(one: DrawnStatus, other: DrawnStatus) -> float:
        return difference(known[one.css], known[other.css], sight)

    neighbours = [*pairwise(DrawnStatus), (DrawnStatus.FAILED, DrawnStatus.CURRENT)]
    assert min(apart(*pair) for pair in neighbours) >= 20
    assert min(apart(*pair) for pair in combinations(DrawnStatus, 2)) >= 12


@SCHEMES
@pytest.mark.parametrize("sight", Sight)
def test_the_steps_of_a_heat_map_differ_for_everyone(dark: bool, sight: Sight) -> None:
    known = colours(dark=dark)
    steps = [known[name] for name in HEAT]
    assert min(difference(*pair, sight) for pair in pairwise(steps)) >= 8
    lightness = [contrast(step, "#000000") for step in steps]
    assert lightness == sorted(lightness, reverse=not dark)


def test_a_page_follows_the_system_unless_it_chooses() -> None:
    light, dark = variables(dark=False), variables(dark=True)
    assert re.findall(r"([^{}]+)\{(?:color-scheme:(\w+);([^}]*))\}", theme_css()) == [
        (":root", "light", light),
        (":root:not([data-theme=light])", "dark", dark),
        (":root[data-theme=dark]", "dark", dark),
    ]


def test_both_schemes_have_the_same_variables() -> None:
    assert colours(dark=False).keys() == colours(dark=True).keys()
    assert all(re.fullmatch("#[0-9a-f]{6}", each) for each in colours(dark=True).values())


def test_only_the_variables_that_rules_use() -> None:
    assert variables(dark=False, used_in="a{fill:var(--ink)}") == "--ink:#1c2128"
