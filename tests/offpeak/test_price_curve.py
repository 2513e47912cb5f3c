"""Prices over time: what is known when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.offpeak.price_curve import PriceCurve, PricePiece, curve_from_starts

NAN = float("nan")


def spans(curve: PriceCurve) -> list[tuple[float, float, float]]:
    return [(piece.start, piece.end, piece.price) for piece in curve.pieces]


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ([], []),
        # A single price holds for an hour.
        ([100], [(100, 3_700)]),
        ([0, 60, 120], [(0, 60), (60, 120), (120, 180)]),
        # They may come in any order.
        ([120, 0, 60], [(0, 60), (60, 120), (120, 180)]),
        # What comes late leaves a gap.
        ([0, 60, 120, 300, 360], [(0, 60), (60, 120), (120, 180), (300, 360), (360, 420)]),
        ([0, 60, 120, 180, 400], [(0, 60), (60, 120), (120, 180), (180, 240), (400, 460)]),
        # Hours and quarters of an hour.
        ([0, 60, 120, 135, 150], [(0, 60), (60, 120), (120, 135), (135, 150), (150, 165)]),
    ],
)
def test_a_price_holds_as_long_as_those_beside_it(
    starts: list[float], expected: list[tuple[float, float]]
) -> None:
    curve = curve_from_starts((start, start / 10) for start in starts)
    assert spans(curve) == [(start, end, start / 10) for start, end in expected]


def test_an_entry_without_a_price_is_a_gap() -> None:
    curve = curve_from_starts([(0, 1.0), (60, None), (120, 3.0)])
    assert spans(curve) == [(0, 60, 1), (120, 180, 3)]
    assert [curve.at(moment) for moment in (-1, 0, 59, 60, 119, 120, 180)] == [
        *(None, 1, 1, None, None, 3, None)
    ]
    assert curve.mean(0, 60) == 1
    assert curve.mean(30, 90) is None
    assert curve.mean(130, 130) == 3
    assert curve.mean(60, 120) is None
    assert curve.mean(170, 190) is None
    assert [*curve.starts_in(0, 180)] == [60, 120]
    assert curve.knows_any(0, 1)
    assert not curve.knows_any(60, 120)
    assert curve.until == 180
    assert PriceCurve().until == float("-inf")


def test_two_prices_at_a_time_are_refused() -> None:
    with pytest.raises(ValueError, match="same time"):
        curve_from_starts([(0, 1.0), (0, 2.0)])


@pytest.mark.parametrize(
    "pieces", [((0, 60, 1), (30, 90, 1)), ((60, 60, 1),), ((0, 60, NAN),), ((0, NAN, 1),)]
)
def test_pieces_are_in_order(pieces: tuple[tuple[float, float, float], ...]) -> None:
    with pytest.raises(ValueError, match="isn't after"):
        PriceCurve(tuple(PricePiece(start=a, end=b, price=c) for a, b, c in pieces))


@given(
    st.lists(st.tuples(st.integers(1, 90), st.floats(-9, 9, width=16)), min_size=1, max_size=20),
    st.integers(0, 500),
    st.integers(1, 500),
)
def test_a_mean_is_that_of_its_seconds(
    steps: list[tuple[int, float]], start: int, length: int
) -> None:
    pieces, at = list[PricePiece](), 0
    for seconds, price in steps:
        pieces.append(PricePiece(start=at, end=at + seconds, price=price))
        at += seconds
    curve = PriceCurve(tuple(pieces))
    each = [curve.at(second) for second in range(start, start + length)]
    known = [price for price in each if price is not None]
    expected = None if len(known) < length else sum(known) / length
    assert curve.mean(start, start + length) == (
        None if expected is None else pytest.approx(expected, abs=1e-9)
    )
