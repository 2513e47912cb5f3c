"""Numbers of things read as people write them."""

from __future__ import annotations

import pytest

from tidemill.core.counts import are, listed, money_text, plural


def test_only_one_thing_is_singular() -> None:
    texts = [plural(number, "row") for number in (0, 1, 2, 12_345)]
    assert texts == ["0 rows", "1 row", "2 rows", "12,345 rows"]
    assert [plural(2, noun) for noun in ("delivery", "entry", "day", "memo")] == [
        *("2 deliveries", "2 entries", "2 days", "2 memos")
    ]


def test_the_verb_agrees_with_the_number() -> None:
    assert [are(number, "row") for number in (0, 1, 2)] == ["0 rows are", "1 row is", "2 rows are"]


def test_the_first_of_many_numbers_are_listed() -> None:
    assert listed([3, 5]) == "3, 5"
    assert listed(range(11)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1 more"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (1_234.5, "1,234.50 EUR"),
        (0.0, "0.00 EUR"),
        (0.01, "0.01 EUR"),
        (-2.5, "-2.50 EUR"),
        (0.0012345, "0.0012 EUR"),
        (0.00000012, "0.00000012 EUR"),
    ],
)
def test_money(amount: float, text: str) -> None:
    assert money_text(amount, "EUR") == text
