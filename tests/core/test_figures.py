"""Numbers, sizes and lengths of time as people read them."""

import pytest

from tidemill.core.figures import age, approximate_seconds, count, seconds, size


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e-9, "1 ms"),  # it isn't nothing
        (0.0214, "21 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.10 s"),
        (0.42, "0.42 s"),
        (0.994, "0.99 s"),
        (0.996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (200, "3 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (400_000, "111.1 h"),
    ],
)
def test_rough(number: float, text: str) -> None:
    assert approximate_seconds(number) == text


@pytest.mark.parametrize(("number", "text"), [(0, "-"), (7, "7"), (1234567, "1,234,567")])
def test_count(number: int, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "-"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),  # never "1000 kB"
        (3_200_000_000, "3.2 GB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_size(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.00 s"),
        (0.42, "0.42 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (119.4, "119.4 s"),
        (119.6, "2 min 0 s"),
        (3700.0, "61 min 40 s"),
    ],
)
def test_seconds(number: float, text: str) -> None:
    assert seconds(number) == text


def test_ages() -> None:
    assert [age(s) for s in (0.4, 90.0, 150.0, 9000.0, 400_000.0)] == [
        "0 s", "90 s", "2 min", "2 h", "4 d",
    ]  # fmt: skip
