from __future__ import annotations

import re
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.svg import SVG, checked_element, texts
from tidemill.drawing.calendar_map import CalendarMap, draw_calendar, heat_class, quantile_bounds
from tidemill.drawing.document import page_element
from tidemill.drawing.status import DrawnStatus

DAYS = st.dates(date(1999, 1, 1), date(2030, 12, 31))


@st.composite
def calendars(draw: st.DrawFn) -> CalendarMap:
    first = draw(DAYS)
    last = first + timedelta(draw(st.integers(0, 800)))
    near = st.dates(first - timedelta(3), last + timedelta(3))
    return CalendarMap(
        first=first,
        last=last,
        values=draw(st.dictionaries(near, st.floats(), max_size=20)),
        statuses=draw(st.dictionaries(near, st.sampled_from(DrawnStatus), max_size=5)),
        notes=draw(st.dictionaries(near, st.text(), max_size=5)),
        links=draw(st.dictionaries(near, st.just("/day"), max_size=5)),
    )


def drawn(calendar: CalendarMap) -> ElementTree.Element:
    return checked_element(page_element(draw_calendar(calendar), prefix="c", title="Days"))


def cells(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [path for path in root.iter(f"{SVG}path") if "day" in str(path.get("class")).split()]


def classes(calendar: CalendarMap) -> list[str]:
    return [str(cell.get("class")) for cell in cells(drawn(calendar))]


@given(calendars())
def test_each_day_has_a_cell_of_its_own(calendar: CalendarMap) -> None:
    drawing = draw_calendar(calendar)
    assert drawing == draw_calendar(calendar)
    places = [
        tuple(map(float, re.findall(r"[\d.]+", cell.get("d", ""))[:2]))
        for cell in cells(drawn(calendar))
    ]
    assert len(places) == len(set(places)) == (calendar.last - calendar.first).days + 1
    assert all(x + 12 <= drawing.width and y + 12 <= drawing.height for x, y in places)
    titles = [title.text or "" for title in drawn(calendar).iter(f"{SVG}title")]
    days = [calendar.first + timedelta(n) for n in range(len(places))]
    assert [title.partition(":")[0] for title in titles[1:]] == [str(day) for day in days]


@given(st.lists(st.floats(0.1, 1e9), min_size=1))
def test_more_is_never_weaker(values: list[float]) -> None:
    bounds = quantile_bounds(values)
    steps = [heat_class(value, bounds) for value in sorted(values)]
    assert steps == sorted(steps)
    assert set(steps) <= {1, 2, 3, 4, 5}


def test_classes_have_equally_many_days() -> None:
    bounds = quantile_bounds(range(1, 101))
    steps = [heat_class(value, bounds) for value in range(1, 101)]
    assert [steps.count(n) for n in range(6)] == [0, 20, 20, 20, 20, 20]


def test_a_day_without_value_is_not_a_day_with_zero() -> None:
    monday = date(2024, 1, 1)
    values = {monday: 0.0, monday + timedelta(2): 7.0, monday + timedelta(3): float("nan")}
    calendar = CalendarMap(first=monday, last=monday + timedelta(3), values=values)
    assert classes(calendar) == ["day heat-0", "day", "day heat-1", "day"]
    titles = [title.text for title in drawn(calendar).iter(f"{SVG}title")]
    assert titles[1:] == [
        "2024-01-01: 0",
        "2024-01-02: no value",
        "2024-01-03: 7",
        "2024-01-04: no value",
    ]


def test_a_status_has_its_glyph_and_a_link_its_name() -> None:
    day = date(2024, 5, 1)
    calendar = CalendarMap(
        first=day,
        last=day,
        statuses={day: DrawnStatus.FAILED},
        notes={day: "failed twice"},
        links={day: "/partitions/2024-05-01"},
    )
    root = drawn(calendar)
    (link,) = root.iter(f"{SVG}a")
    assert link.get("aria-label") == "2024-05-01: failed twice"
    assert [each.get("class") for each in link.iter(f"{SVG}path")] == ["day state failed", "glyph"]


def test_weeks_are_columns_and_years_are_below_each_other() -> None:
    root = drawn(CalendarMap(first=date(2023, 12, 25), last=date(2024, 3, 3)))
    assert texts(root, "heading") == ["2023", "2024"]
    assert texts(root, "tick")[:4] == ["Dec", "Mon", "Wed", "Fri"]
    assert [each for each in texts(root, "tick")[4:] if each not in {"Mon", "Wed", "Fri"}] == [
        "Jan",
        "Feb",
    ]
    columns = {re.findall(r"[\d.]+", cell.get("d", ""))[0] for cell in cells(root)[:7]}
    assert len(columns) == 1  # a week


def test_twenty_years_are_the_limit() -> None:
    first = date(2001, 1, 1)
    assert draw_calendar(CalendarMap(first=first, last=date(2020, 12, 31))).height < 3_000
    for last in (date(2021, 12, 31), date(2000, 12, 31)):
        with pytest.raises(ValueError, match="narrow the range"):
            draw_calendar(CalendarMap(first=first, last=last))
