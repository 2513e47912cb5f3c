"""All colours of drawings and pages, light and dark, as variables of CSS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.svg import Hue

Colours = Mapping[str, tuple[str, str]]

# Of each: in light, in dark. Texts are `ink` and `soft`; `panel` is behind parts of a page, and `line` what
# must be seen, while a `frame` is only decoration.
_PAGE: Colours = {
    "paper": ("#ffffff", "#15191f"),
    "panel": ("#f7f8fa", "#1b2027"),
    "frame": ("#d5dae0", "#343b45"),
    "ink": ("#1c2128", "#e8ecf1"),
    "soft": ("#525b66", "#a7b0bb"),
    "line": ("#7f8894", "#727d8a"),
    "focus": ("#0b5cad", "#79b8ff"),
}
# Of each hue and status: the colour of its lines and texts, in light and dark, then that of the area
# behind them. Readers who see no red or green must tell one status from another: a test simulates that.
_HUES: Mapping[str, tuple[str, str, str, str]] = {
    Hue.BLUE: ("#0b5cad", "#79b8ff", "#e6f0fb", "#12304f"),
    Hue.TEAL: ("#0b6b6b", "#56d3cd", "#e0f4f3", "#0f3838"),
    Hue.VIOLET: ("#6b3fa8", "#c3a2f5", "#f1eafb", "#33224f"),
    Hue.AMBER: ("#8a5300", "#eebb5c", "#fcf1dc", "#3d2c0a"),
    Hue.GREEN: ("#23692f", "#7ccf87", "#e5f4e6", "#173a1d"),
    Hue.RED: ("#a3293a", "#ff9aa6", "#fdeaec", "#4a1a22"),
    Hue.GREY: ("#525b66", "#adb6c1", "#eef0f3", "#2a3038"),
}
_STATUSES: Mapping[str, tuple[str, str, str, str]] = {
    DrawnStatus.FAILED.css: ("#9b0020", "#ff8a8b", "#fdeaec", "#4a1a22"),
    DrawnStatus.RUNNING.css: ("#1560bd", "#77b8ff", "#e6f0fb", "#12304f"),
    DrawnStatus.STALE.css: ("#a15a00", "#ffde8d", "#fef4e1", "#3d2c0a"),
    DrawnStatus.DUE.css: ("#791c9c", "#cc81dc", "#f5eafb", "#321c3d"),
    DrawnStatus.WAITING.css: ("#306d60", "#8cf1f5", "#e3f3ef", "#0f3838"),
    DrawnStatus.NEVER.css: ("#4b6b8b", "#97a1b0", "#f3f5f8", "#22272e"),
    DrawnStatus.CURRENT.css: ("#007549", "#64bf49", "#e5f4e9", "#15331a"),
    DrawnStatus.UNKNOWN.css: ("#3c4866", "#c3c4cc", "#eef0f3", "#2a3038"),
}
# The steps of a heat map, from little to much.
_HEAT: Colours = {
    "heat-0": ("#e9edf2", "#2b333d"),
    "heat-1": ("#c3daf3", "#163a63"),
    "heat-2": ("#8fbbe8", "#1f5796"),
    "heat-3": ("#5796d8", "#3f82cf"),
    "heat-4": ("#2268b6", "#79b0ee"),
    "heat-5": ("#083d7a", "#c4defb"),
}
_SYSTEM_DARK = "@media (prefers-color-scheme:dark)"


def theme_css() -> str:
    """The variables for the root of a page, in light and dark.

    A page follows the reader's system, unless its root has `data-theme="light"` or `"dark"`.
    """
    light = f"color-scheme:light;{variables(dark=False)}"
    dark = f"color-scheme:dark;{variables(dark=True)}"
    return (
        f":root{{{light}}}{_SYSTEM_DARK}{{:root:not([data-theme=light]){{{dark}}}}}"
        f":root[data-theme=dark]{{{dark}}}"
    )


def variables(*, dark: bool, used_in: str = "") -> str:
    """Declarations of the variables; only of those that rules use, if rules are given."""
    return ";".join(
        f"--{name}:{colour}"
        for name, colour in colours(dark=dark).items()
        if not used_in or f"var(--{name})" in used_in
    )


def colours(*, dark: bool) -> Mapping[str, str]:
    """Each colour by the name of its variable; the one behind a hue or status ends in `-tint`."""
    return dict(_colour_pairs(int(dark)))


def _colour_pairs(scheme: int) -> Iterator[tuple[str, str]]:
    for name, pair in {**_PAGE, **_HEAT}.items():
        yield name, pair[scheme]
    for name, four in {**_HUES, **_STATUSES}.items():
        yield name, four[scheme]
        yield f"{name}-tint", four[2 + scheme]
