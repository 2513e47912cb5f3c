"""Draw the steps of a run over time: bars in lanes, each a link with its status in colour and shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.axes import Axis, bottom_height, horizontal_axis
from tidemill.drawing.elapsed_scale import duration_label, elapsed_scale
from tidemill.drawing.layer import is_finite
from tidemill.drawing.links import link
from tidemill.drawing.panel import no_data
from tidemill.drawing.scale import Scale
from tidemill.drawing.status import DrawnStatus, glyph, most_urgent
from tidemill.drawing.svg import SMALL_SIZE, Drawing, number, text
from tidemill.drawing.text import plain_line, text_width

# More than `most_bars`, or more of one lane at the same time, are merged where they begin and end close
# together.
_MOST_ROWS = 24
_ROW, _BAR, _LANE_GAP, _LEAST = 19.0, 16.0, 5.0, 2.5
_LABEL_SIZE, _LABELS, _LABEL_GAP, _OVERHANG = 12.0, 0.26, 10.0, 16.0
_GLYPH, _GLYPH_ROOM, _TEXT_ROOM = 10.0, 15.0, 34.0
# How far the open end of a bar points ahead.
_POINT = 5.0
_SOLID, _DASHED = (
    {DrawnStatus.FAILED},
    {DrawnStatus.WAITING, DrawnStatus.NEVER, DrawnStatus.UNKNOWN},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineBar:
    """A step in a lane, from second `start` to second `end`, or without an end while it lasts.

    `outcome` says how it ended, where the word for its status isn't the right one.
    """

    lane: str
    label: str
    start: float
    end: float | None
    status: DrawnStatus
    outcome: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Bars until second `now`; the axis counts from the first of them.

    `lanes` are above each other in this order, and those that it doesn't name follow as they begin.
    """

    bars: Sequence[TimelineBar]
    now: float
    lanes: Sequence[str] = ()
    width: float = 860.0
    most_bars: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """What is drawn as one bar, in pixels."""

    lane: str
    left: float
    right: float
    is_open: bool
    status: DrawnStatus
    word: str
    label: str
    name: str
    href: str


def draw_timeline(timeline: Timeline) -> Drawing:
    """Draw the lanes below each other above an axis in seconds, minutes or more."""
    bars = [bar for bar in timeline.bars if is_finite(bar.start)]
    bars.sort(key=lambda bar: (bar.start, bar.lane, bar.label))
    first = min((bar.start for bar in bars), default=0.0)
    last = max((_end(bar, timeline.now) for bar in bars), default=1.0)
    lanes = [*dict.fromkeys([*timeline.lanes, *(bar.lane for bar in bars)])]
    widest = max((text_width(plain_line(lane), _LABEL_SIZE) for lane in lanes), default=0.0)
    left = min(widest * 1.08, timeline.width * _LABELS) + _LABEL_GAP
    scale = elapsed_scale(last - first).between(left, timeline.width - _OVERHANG)
    pieces = [_piece(bar, _end(bar, timeline.now), first, scale) for bar in bars]
    rows = _rows_of_lanes(lanes, pieces, timeline.most_bars)
    parts, y = list[str](), 0.0
    for lane, lane_rows in zip(lanes, rows, strict=True):
        height = max(len(lane_rows), 1) * _ROW + _LANE_GAP
        parts.append(_lane_label(lane, y, left, timeline.width))
        parts += [
            _bar(piece, y + _LANE_GAP + i * _ROW)
            for i, row in enumerate(lane_rows)
            for piece in row
        ]
        y += height
    if not bars:
        y = max(y, 3 * _ROW)
        parts.append(no_data(timeline.width / 2, y / 2))
    axis = Axis()
    grid = horizontal_axis(scale, axis, 0, y + _LANE_GAP)
    return Drawing(
        width=timeline.width,
        height=y + _LANE_GAP + bottom_height(scale, axis),
        markup="".join([grid, *parts]),
    )


def _end(bar: TimelineBar, now: float) -> float:
    end = now if bar.end is None or not is_finite(bar.end) else bar.end
    return max(bar.start, end)


def _piece(bar: TimelineBar, end: float, first: float, scale: Scale) -> _Piece:
    left = scale.at(bar.start - first)
    word = bar.outcome or str(bar.status)
    lasts = duration_label(end - bar.start)
    return _Piece(
        lane=bar.lane,
        left=left,
        right=max(scale.at(end - first), left + _LEAST),
        is_open=bar.end is None,
        status=bar.status,
        word=word,
        label=bar.label,
        name=f"{bar.label}, {bar.lane}, {word}, {lasts}{' until now' if bar.end is None else ''}",
        href=bar.href,
    )


def _groups(pieces: Sequence[_Piece], cell: int) -> list[list[_Piece]]:
    """The pieces of a lane together that begin in one cell of pixels and end in one."""
    if not cell:
        return [[piece] for piece in pieces]
    groups: dict[tuple[str, float, float], list[_Piece]] = {}
    for piece in pieces:
        place = (piece.lane, piece.left // cell, piece.right // cell)
        groups.setdefault(place, []).append(piece)
    return [*groups.values()]


def _merge(pieces: Sequence[_Piece]) -> _Piece:
    if len(pieces) == 1:
        return pieces[0]
    status = most_urgent(Counter(piece.status for piece in pieces))
    urgency = [*DrawnStatus].index
    ordered = sorted(pieces, key=lambda piece: urgency(piece.status))
    counts = Counter(piece.word for piece in ordered)
    return replace(
        next(piece for piece in pieces if piece.status is status),
        left=min(piece.left for piece in pieces),
        right=max(piece.right for piece in pieces),
        is_open=any(piece.is_open for piece in pieces),
        label=f"{len(pieces):,} steps",
        name=f"{len(pieces):,} steps: {', '.join(f'{n:,} {word}' for word, n in counts.items())}",
    )


def _rows_of_lanes(
    lanes: Sequence[str], pieces: Sequence[_Piece], most: int
) -> list[list[list[_Piece]]]:
    """The rows of each lane, with as little merged as is needed for all to have room."""
    cell = 0
    while True:
        groups = _groups(pieces, cell)
        cell = 2 * cell or 1
        if len(groups) > max(most, len(lanes)):
            continue
        by_lane: dict[str, list[_Piece]] = {lane: [] for lane in lanes}
        for piece in map(_merge, groups):
            by_lane[piece.lane].append(piece)
        rows = [_rows(by_lane[lane]) for lane in lanes]
        # In the end, a cell is as wide as the drawing.
        if all(len(each) <= _MOST_ROWS for each in rows):
            return rows


def _rows(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """The pieces in rows in which none overlaps another, each in the first that has room."""
    rows: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda each: (each.left, each.right)):
        row = next((row for row in rows if row[-1].right <= piece.left + 0.5), None)
        if row is not None:
            row.append(piece)
            continue
        rows.append([piece])
        if len(rows) > _MOST_ROWS:
            break
    return rows


def _lane_label(lane: str, y: float, left: float, width: float) -> str:
    line = f'<path class="grid" d="M0 {number(y)}H{number(width)}"/>' if y else ""
    baseline = y + _LANE_GAP + _BAR / 2 + _LABEL_SIZE / 3
    return line + text(
        lane, 0, baseline, kind="label", size=_LABEL_SIZE, width=left - _LABEL_GAP + 0.5
    )


def _bar(piece: _Piece, y: float) -> str:
    width, bottom = piece.right - piece.left, number(y + _BAR)
    css = "bar solid" if piece.status in _SOLID else "bar"
    css = f"{css} dashed-bar" if piece.status in _DASHED else css
    end = number(piece.right)
    if piece.is_open:
        neck = number(max(piece.right - _POINT, piece.left))
        end = f"{neck}L{number(piece.right)} {number(y + _BAR / 2)}L{neck} {bottom}"
    else:
        end = f"{end}V{bottom}"
    parts = [
        f'<path class="{css}" d="M{number(piece.left)} {number(y)}H{end}H{number(piece.left)}z"/>'
    ]
    inverse = piece.status in _SOLID
    if width >= _GLYPH_ROOM:
        mark = glyph(piece.status, piece.left + 3, y + (_BAR - _GLYPH) / 2, _GLYPH)
        parts.append(mark.replace('"glyph"', '"glyph inverse"') if inverse else mark)
    room = width - _GLYPH_ROOM - 3 - (_POINT if piece.is_open else 0)
    if room >= min(_TEXT_ROOM, text_width(plain_line(piece.label), SMALL_SIZE)):
        parts.append(
            text(
                piece.label,
                piece.left + _GLYPH_ROOM + 1,
                y + _BAR / 2 + SMALL_SIZE / 3,
                kind="name inverse" if inverse else "name",
                size=SMALL_SIZE,
                width=room,
            )
        )
    return link("".join(parts), piece.href, label=piece.name, css=piece.status.css)
