"""Lists of prices as people and markets write them, and whatever else is in a file."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.time_zone import time_zone
from tidemill.offpeak.price_list import MOST_ENTRIES, PriceListError, curve_of_entries, parse_prices

BERLIN = time_zone("Europe/Berlin")
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC).timestamp()
HEADED = "start,price\n2026-01-15T12:00Z,5\n2026-01-15T13:00Z,-2.5\n"


@pytest.mark.parametrize(
    "text",
    [
        HEADED,
        # Without a header, in another order, with a mark of UTF-8, other columns, line ends and separators.
        "2026-01-15T12:00+00:00,5\n2026-01-15T14:00+01:00,-2.5",
        "2026-01-15T13:00Z,-2.5\n\n2026-01-15T12:00Z,5\n",
        "\ufeffstart;area;price\r\n2026-01-15T12:00Z;DE;5\r\n2026-01-15T13:00Z;DE;-2.5\r\n",
        "Time\tValue\n2026-01-15 12:00Z\t5\n2026-01-15 13:00Z\t-2.5",
        # In Berlin, without an offset.
        "2026-01-15T13:00,5\n2026-01-15T14:00,-2.5",
        # Duplicates that agree.
        "2026-01-15T12:00Z,5\n2026-01-15T13:00Z,-2.5\n2026-01-15T12:00Z,5.0",
        '[["2026-01-15T12:00Z", 5], ["2026-01-15T13:00Z", "-2.5"]]',
        '{"prices": [{"start": "2026-01-15T12:00Z", "price": 5}, {"start": 1768482000, "price": -2.5}]}',
    ],
)
def test_lists_are_read(text: str) -> None:
    curve = parse_prices(text, BERLIN)
    assert [(piece.start - NOON, piece.price) for piece in curve.pieces] == [(0, 5), (3_600, -2.5)]


@pytest.mark.parametrize("price", ["", "NaN", "n/a", "inf", "-"])
def test_a_price_that_isnt_known_is_a_gap(price: str) -> None:
    text = f"2026-01-15T12:00Z,5\n2026-01-15T13:00Z,{price}\n2026-01-15T14:00Z,5"
    curve = parse_prices(text, None)
    assert [piece.start - NOON for piece in curve.pieces] == [0, 7_200]
    assert parse_prices('[["2026-01-15T12:00Z", null]]', None).pieces == ()


def test_hours_that_clocks_show_twice_are_in_order() -> None:
    text = "\n".join(f"2026-10-25T0{hour}:00,{n}" for n, hour in enumerate((1, 2, 2, 3)))
    curve = parse_prices(text, BERLIN)
    assert [piece.end - piece.start for piece in curve.pieces] == [3_600] * 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-03-29T02:30,1", "clocks in Europe/Berlin never show '2026-03-29T02:30'"),
        ("start,euros\n2026-01-15T12:00Z,5", "no column 'price'; there are start, euros"),
        ("2026-01-15T12:00Z\n", "entry 1 has no price: '2026-01-15T12:00Z'"),
        ("2026-01-15T12:00Z,cheap", "entry 1: 'cheap' is not a price"),
        ("2026-01-15T25:00Z,1", "entry 1: '2026-01-15T25:00Z' is not a time such as"),
        (HEADED + "2026-01-15T12:00Z,6", "entry 3: there is another price for '2026-01-15T12:00Z'"),
        ("[1, 2", "it isn't JSON"),
        ("[" * 100_000, "it isn't JSON"),
        ("{}", "it has no list of prices"),
        ("[1]", "'1' is not [start, price]"),
        ("[[1e300, 1]]", "entry 1: 1e+300 is not a time"),
        ("[[true, 1]]", "entry 1: 'True' is not a time"),
        ("[[1768478400, true]]", "entry 1: 'True' is not a price"),
        ("0001-01-01T00:00+14:00,1", "entry 1"),
        ("9999-12-31T23:00-14:00,1", "entry 1"),
        (f'"{"x" * 99}1,2', "entry 1 has no price"),
        (json.dumps([[n, 1] for n in range(MOST_ENTRIES + 1)]), "more than 6,000 prices"),
    ],
)
def test_what_is_wrong_is_named(text: str, why: str) -> None:
    with pytest.raises(PriceListError) as caught:
        parse_prices(text, BERLIN)
    assert why in str(caught.value)


def test_local_times_need_a_zone() -> None:
    with pytest.raises(PriceListError, match="no offset from UTC; write one, such as"):
        parse_prices("2026-01-15T12:00,1", None)


def test_fields_may_be_huge() -> None:
    with pytest.raises(PriceListError, match="it isn't CSV: field larger"):
        parse_prices("x" * 200_000, None)


def test_an_empty_list_knows_no_price() -> None:
    assert parse_prices(" \n", None).pieces == ()


def test_functions_return_datetimes() -> None:
    moment = datetime.fromtimestamp(NOON, UTC)
    assert curve_of_entries([(moment, 1), (NOON + 60, 2.5)], None).at(NOON + 30) == 1


@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.lists(
                st.one_of(
                    st.text("0123456789-:TZ+.eE ", max_size=22),
                    st.datetimes().map(str),
                    st.floats().map(str),
                ),
                max_size=3,
            ).map(",".join),
            max_size=5,
        ).map("\n".join),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
            max_leaves=8,
        ).map(json.dumps),
    ),
    st.sampled_from((None, UTC, BERLIN)),
)
def test_garbage_is_read_or_refused(text: str, zone: datetime | None) -> None:
    with suppress(PriceListError):
        parse_prices(text, zone)  # type: ignore[arg-type]
