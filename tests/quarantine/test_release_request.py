"""A request to release rows names exactly them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE
from tidemill.quarantine.release_request import ReleaseRequest, parse_row_ranges, row_ranges

ROWS = st.frozensets(st.integers(0, 40), min_size=1, max_size=25).map(
    lambda rows: tuple(sorted(rows))
)


def request(
    rows: tuple[int, ...] = (1,), partition: str = "2024-03-01", fixed: str = ""
) -> ReleaseRequest:
    return ReleaseRequest(
        stage="raw",
        partition=partition,
        held=("object", "key"),
        rows=rows,
        reasons=(("x.max",),) * (max(rows, default=0) + 1),
        fixed=fixed,
    )


def test_rows_are_released_as_they_are_unless_they_were_corrected() -> None:
    assert request().fixed == ""


def test_numbers_in_short() -> None:
    assert row_ranges([0, 3, 4, 5, 9]) == "0,3-5,9"
    assert row_ranges(range(0, 40, 2)) == "0,2,4,6,8,10,12,14,..."


def test_people_read_which_rows_are_meant() -> None:
    assert request((0, 1, 4)).part == "2024-03-01 (rows 0-1,4)"
    assert request((0,), fixed="object").part == "2024-03-01 (corrected rows 0)"
    assert request((), partition=WHOLE).part == "(all rows)"
    many = request(tuple(range(0, 40, 2))).part
    assert many.startswith("2024-03-01 (rows 0,2,4,6,8,10,12,14,... of 20, ")


@given(ROWS, ROWS)
def test_other_rows_are_another_part(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    assert (request(one).part == request(other).part) == (one == other)


@given(ROWS)
def test_ranges_are_read_as_they_are_written(rows: tuple[int, ...]) -> None:
    assert parse_row_ranges(row_ranges(rows, most=len(rows))) == rows


def test_what_is_no_range() -> None:
    assert parse_row_ranges("") == ()
    assert parse_row_ranges(" 3-4, 0") == (0, 3, 4)
    for text in ("x", "7-3", "-1", "1,,2", "\u0663", "9" * 5_000):
        with pytest.raises(UsageError, match="neither a number nor a range"):
            parse_row_ranges(text)
    with pytest.raises(UsageError, match="more than 1,000,000 rows"):
        parse_row_ranges("0-1000000000")
