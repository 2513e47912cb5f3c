from __future__ import annotations

from tidemill.drawing.axes import (
    Axis,
    Measure,
    axis_title,
    bottom_height,
    horizontal_axis,
    tick_width,
    vertical_axis,
)
from tidemill.drawing.scale import Scale, Tick

DAY = 86_400.0


def shown(axis: Axis, scale: Scale) -> int:
    return horizontal_axis(scale, axis, 0, 100).count('class="tick"')


def test_shares_are_written_as_percent() -> None:
    scale = Axis(measure=Measure.SHARE).scale([0, 0.5], 400)
    assert all(tick.label.endswith("%") for tick in scale.ticks)


def test_times_are_written_as_dates() -> None:
    scale = Axis(measure=Measure.TIME, low=0).scale([30 * DAY], 400)
    assert "5 Jan" in [tick.label for tick in scale.ticks]


def test_labels_that_would_touch_are_left_out() -> None:
    scale = Axis().scale([1e9, 1e9 + 7], 800)
    assert shown(Axis(), scale.between(0, 900)) == len(scale.ticks)
    assert 1 <= shown(Axis(), scale.between(0, 200)) < len(scale.ticks)
    assert shown(Axis(), scale.between(0, 1)) == 1


def test_notes_that_would_touch_are_left_out() -> None:
    ticks = tuple(Tick(value=n, label="x", note=f"note {n}") for n in range(3))
    scale = Scale(low=0, high=2, ticks=ticks)
    assert horizontal_axis(scale.between(0, 400), Axis(), 0, 9).count("note") == 3
    assert horizontal_axis(scale.between(0, 60), Axis(), 0, 9).count("note") == 2


def test_a_title_and_notes_need_height() -> None:
    scale = Axis().scale([0, 1], 100)
    noted = Scale(low=0, high=1, ticks=(Tick(value=0, label="a", note="b"),))
    heights = [
        bottom_height(scale, Axis()),
        bottom_height(scale, Axis(label="x")),
        bottom_height(noted, Axis(label="x")),
    ]
    assert heights == sorted(set(heights))


def test_titles_are_harmless() -> None:
    scale = Axis().scale([0, 1], 100).between(0, 400)
    markup = horizontal_axis(scale, Axis(label="<b>&\x1b"), 0, 10) + axis_title("<i>", 0, 0, 99)
    assert "&lt;b&gt;&amp;\ufffd" in markup
    assert "<b>" not in markup
    assert "&lt;i&gt;" in markup


def test_a_vertical_axis_has_a_line_and_a_label_per_tick() -> None:
    scale = Axis().scale([0, 1], 100).between(100, 0)
    markup = vertical_axis(scale, 40, 300)
    assert markup.count("<path") == markup.count("<text") == len(scale.ticks)
    assert tick_width(scale) > 0
    assert tick_width(Scale(low=0, high=1, ticks=())) == 0


def test_an_axis_without_ticks() -> None:
    assert horizontal_axis(Scale(low=0, high=1, ticks=()), Axis(), 0, 9) == ""
