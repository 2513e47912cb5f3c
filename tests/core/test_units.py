"""Durations and amounts of memory, as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.units import parse_bytes, parse_seconds


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        (" 2 h ", 7200),
        ("1d", 86400),
        ("0.5s", 0.5),
        (3, 3),
        (0.25, 0.25),
    ],
)
def test_lengths_of_time(written: Any, seconds: float) -> None:
    assert parse_seconds(written) == seconds


@pytest.mark.parametrize("written", [0, -1, "0s", "-5d"])
def test_what_is_no_length_is_told_to_be_more(written: Any) -> None:
    with pytest.raises(ValueError, match="is not a duration: it has to be more than 0"):
        parse_seconds(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [("500MB", 500e6), ("2GiB", 2**31), ("1.5 gb", 1.5e9), ("10b", 10), (7, 7), ("4kib", 4096)],
)
def test_amounts_of_memory(written: Any, size: float) -> None:
    assert parse_bytes(written) == size


NEITHER = [
    "",
    "10",
    10**400,
    "9" * 400 + "d",
    "9" * 400 + "TB",
    "ten m",
    "m",
    "10 parsecs",
    "-1s",
    "1e3s",
    0,
    -1,
    True,
    None,
    float("nan"),
]


@pytest.mark.parametrize("written", [*NEITHER, float("inf"), "0s", "2GB"])
def test_what_is_no_length_of_time(written: Any) -> None:
    with pytest.raises(
        ValueError, match=r"is not a duration(; write seconds, or text such as '90s'|: it has)"
    ):
        parse_seconds(written)


@pytest.mark.parametrize("written", [*NEITHER, float("inf"), "0.5b", "90s"])
def test_what_is_no_amount_of_memory(written: Any) -> None:
    with pytest.raises(
        ValueError, match="is not an amount of memory; write bytes, or text such as '500MB'"
    ):
        parse_bytes(written)
