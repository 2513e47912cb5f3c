"""Windows: what they cover by definition, when two can share a partition, and how they are written."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rebuild import covered
from tests.support.worlds import moments, windows
from tidemill.core.partition import Grain, Span, partition_key
from tidemill.workflow.window import (
    All,
    Last,
    Window,
    all_partitions,
    last,
    may_be_empty,
    may_overlap,
    select_partitions,
    window_code,
)

grains = st.sampled_from(Grain)


@given(window=windows | st.just(All()), grain=grains, times=moments, data=st.data())
def test_select_is_its_definition(
    window: Window, grain: Grain, times: list[datetime], data: st.DataObject
) -> None:
    keys = sorted({partition_key(moment, grain) for moment in times})
    anchor = partition_key(data.draw(st.sampled_from(times or [datetime(2012, 2, 29)])), grain)
    if data.draw(st.booleans()):
        keys = [key for key in keys if key != anchor]  # it may end with what isn't there
    assert select_partitions(window, keys, grain, anchor) == covered(
        window, keys, str(grain), anchor
    )


@given(one=windows, other=windows, grain=grains, times=moments)
def test_windows_that_do_not_overlap_share_nothing(
    one: Last, other: Last, grain: Grain, times: list[datetime]
) -> None:
    keys = sorted({partition_key(moment, grain) for moment in times})
    for own in (other, one.before or other):
        assert may_overlap(one, own, grain) == may_overlap(own, one, grain)
        if keys and not may_overlap(one, own, grain):
            seen = (
                select_partitions(one, keys, grain, keys[-1]),
                select_partitions(own, keys, grain, keys[-1]),
            )
            assert not set(seen[0]) & set(seen[1])


@given(window=windows, grain=grains, times=moments)
def test_a_window_that_is_long_enough_holds_a_partition(
    window: Last, grain: Grain, times: list[datetime]
) -> None:
    alone = Last(length=window.length)
    keys = sorted({partition_key(moment, grain) for moment in times})
    if keys and not may_be_empty(alone, grain):
        assert keys[-1] in select_partitions(alone, keys, grain, keys[-1])


OVERLAPS = [
    (last("60d", before=last("7d")), last("7d"), False),
    (last("7d"), last("60d", before=last("7d")), False),
    (last("60d", before=last("8d")), last("7d"), False),
    (last("60d", before=last("6d")), last("7d"), True),
    (last("60d"), last("7d"), True),
    (all_partitions, last("7d"), True),
    (last("7d"), all_partitions, True),
    # Partitions are counted exactly against partitions.
    (last(60, before=last(8)), last(7), False),
    (last(60, before=last(6)), last(7), True),
    # Seven partitions may reach back longer than seven days, when days are missing.
    (last("60d", before=last("7d")), last(7), True),
    # Seven partitions are at least seven days.
    (last("60d", before=last(7)), last("7d"), False),
    (last("60d", before=last(6)), last("7d"), True),
    # A month is at least 28 days and at most 31.
    (last("60d", before=last("1mo")), last("28d"), False),
    (last("60d", before=last("1mo")), last("29d"), True),
    (last("60d", before=last("31d")), last("1mo"), False),
    (last("60d", before=last("30d")), last("1mo"), True),
    # Two windows that both end before something else.
    (last("1d", before=last("1d")), last("1d", before=last("2d")), False),
    (last("1d", before=last("3d", before=last("3d"))), last("7d"), True),
]


@pytest.mark.parametrize(("one", "other", "expected"), OVERLAPS)
def test_overlap(one: Window, other: Window, expected: bool) -> None:
    assert may_overlap(one, other, Grain.DAY) is expected


SHORT = [
    (last("23h"), Grain.DAY, True),
    (last("24h"), Grain.DAY, False),
    (last("6d"), Grain.WEEK, True),
    (last("30d"), Grain.MONTH, True),
    (last("31d"), Grain.MONTH, False),
    (last("1mo"), Grain.MONTH, False),
    (last(1), Grain.MONTH, False),
    (all_partitions, Grain.MONTH, False),
]


@pytest.mark.parametrize(("window", "grain", "expected"), SHORT)
def test_too_short(window: Window, grain: Grain, expected: bool) -> None:
    assert may_be_empty(window, grain) is expected


WORDS = [
    (all_partitions, "all", "tm.all"),
    (last(7), "7", "tm.last(7)"),
    (last("7d"), "7d", "tm.last('7d')"),
    (
        last("60d", before=last(7, before=last("1mo"))),
        "60d before the last 7 before the last 1mo",
        "tm.last('60d', before=tm.last(7, before=tm.last('1mo')))",
    ),
]


@pytest.mark.parametrize(("window", "text", "code"), WORDS)
def test_words(window: Window, text: str, code: str) -> None:
    assert (str(window), window_code(window)) == (text, code)


def test_last() -> None:
    assert last("36h").length == Span(count=36, unit="h")


@pytest.mark.parametrize(
    "length", [0, -1, True, False, 1.5, None, "", "7", "0d", "7 d", "1y", "-1d"]
)
def test_lengths_that_mean_nothing(length: object) -> None:
    with pytest.raises(ValueError, match=r"at least 1 partition|not a length of time"):
        last(length)  # type: ignore[arg-type]


def test_before_is_a_window() -> None:
    with pytest.raises(
        ValueError, match=r"before='7d' must itself be a window such as last\('7d'\)"
    ):
        last("60d", before="7d")  # type: ignore[arg-type]
