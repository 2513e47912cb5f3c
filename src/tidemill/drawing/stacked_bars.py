"""Draw amounts such as costs as horizontal bars of parts: the largest, and one bar of all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from math import fsum, isfinite

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layer import Swatch, hint
from tidemill.drawing.links import link
from tidemill.drawing.panel import WIDTH, legend, no_data
from tidemill.drawing.svg import SMALL_SIZE, Drawing, Hue, number, text
from tidemill.drawing.text import plain_line, text_width

_ROW, _BAR, _LABEL_SIZE, _GAP, _LABELS = 23.0, 15.0, 12.0, 8.0, 0.34
_HUES = (Hue.BLUE, Hue.AMBER, Hue.TEAL, Hue.VIOLET, Hue.RED, Hue.GREEN)


def _plain_amount(amount: float) -> str:
    return f"{amount:,.4g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedBars:
    """The amount of each part of each bar, by their names; `write` formats amounts.

    Bars beyond the largest `most` are drawn as one, and so are parts beyond six. `links` are where bars
    lead to.
    """

    amounts: Mapping[str, Mapping[str, float]]
    most: int = 10
    write: Callable[[float], str] = _plain_amount
    links: Mapping[str, str] = field(default_factory=dict)
    width: float = WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class _StackedRow:
    label: str
    parts: Mapping[str, float]
    href: str = ""

    @property
    def total(self) -> float:
        return fsum(self.parts.values())


def draw_stacked_bars(bars: StackedBars) -> Drawing:
    """Draw a bar of each name with its total, the largest first, its parts in the order of the legend.

    Amounts that are no numbers are left out. A negative one reduces the total, but has no part in the bar.
    """
    rows = _largest(bars)
    hues = _hues_of_parts(rows)
    rows = [_with_few_parts(row, hues) for row in rows]
    key = legend([(part, hue, Swatch.AREA) for part, hue in hues.items()], bars.width)
    labels = [text_width(plain_line(row.label), _LABEL_SIZE) * 1.08 for row in rows]
    left = min(max(labels, default=0.0), bars.width * _LABELS) + _GAP
    values = max((text_width(bars.write(row.total), SMALL_SIZE) for row in rows), default=0.0)
    longest = max((_length(row) for row in rows), default=0.0)
    room = max(bars.width - left - values - _GAP, 1.0)
    scale = room / longest if longest > 0 else 0.0
    parts = [key.markup]
    for n, row in enumerate(rows):
        parts.append(_row(bars, row, hues, key.height + n * _ROW, left, scale))
    if not rows:
        parts.append(no_data(bars.width / 2, _ROW / 2))
    return Drawing(
        width=bars.width, height=key.height + max(len(rows), 1) * _ROW, markup="".join(parts)
    )


def _largest(bars: StackedBars) -> list[_StackedRow]:
    """The rows to be drawn, of which the last may stand for many."""
    rows = [
        _StackedRow(
            label=name,
            parts={part: amount for part, amount in parts.items() if isfinite(amount)},
            href=bars.links.get(name, ""),
        )
        for name, parts in bars.amounts.items()
    ]
    rows.sort(key=lambda row: (-row.total, row.label))
    # One bar for a single other one would only hide its name.
    if len(rows) <= bars.most + 1:
        return rows
    rest = rows[bars.most :]
    return [
        *rows[: bars.most],
        _StackedRow(label=f"{len(rest):,} others", parts=_sums([row.parts for row in rest])),
    ]


def _sums(many: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    names = dict.fromkeys(name for parts in many for name in parts)
    return {name: fsum(parts.get(name, 0.0) for parts in many) for name in names}


def _hues_of_parts(rows: Sequence[_StackedRow]) -> Mapping[str, Hue]:
    """The hue of each part, the largest part first; grey for all beyond those that have one."""
    sums = _sums([row.parts for row in rows])
    names = sorted(sums, key=lambda name: (-sums[name], name))
    if len(names) > len(_HUES):
        names = names[: len(_HUES) - 1]
        return {**dict(zip(names, _HUES, strict=False)), "other parts": Hue.GREY}
    return dict(zip(names, _HUES, strict=False))


def _with_few_parts(row: _StackedRow, hues: Mapping[str, Hue]) -> _StackedRow:
    """The row with its parts in the order of the hues, and those without one as the last."""
    known = {part: row.parts[part] for part in hues if part in row.parts}
    others = [amount for part, amount in row.parts.items() if part not in hues]
    if others:
        known["other parts"] = fsum([*others, known.get("other parts", 0.0)])
    return _StackedRow(label=row.label, parts=known, href=row.href)


def _length(row: _StackedRow) -> float:
    return fsum(max(amount, 0.0) for amount in row.parts.values())


def _row(
    bars: StackedBars,
    row: _StackedRow,
    hues: Mapping[str, Hue],
    y: float,
    left: float,
    scale: float,
) -> str:
    x, segments = left, list[str]()
    top, baseline = y + (_ROW - _BAR) / 2, y + _ROW / 2 + _LABEL_SIZE / 3
    for part, amount in row.parts.items():
        width = max(amount, 0.0) * scale
        if width > 0:
            title = hint(f"{row.label}, {part}: {bars.write(amount)}")
            segments.append(
                f'<rect class="fill segment {hues[part]}" x="{number(x)}" y="{number(top)}"'
                f' width="{number(max(width, 0.5))}" height="{number(_BAR)}">{title}</rect>'
            )
            x += width
    label = text(row.label, 0, baseline, kind="label", size=_LABEL_SIZE, width=left - _GAP + 0.5)
    if row.href:
        label = link(label, row.href, label=f"{row.label}: {bars.write(row.total)}")
    value = text(
        bars.write(row.total), x + _GAP, baseline, kind="tick", size=SMALL_SIZE, width=bars.width
    )
    return "".join([label, *segments, value])
