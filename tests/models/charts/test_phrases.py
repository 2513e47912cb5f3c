from __future__ import annotations

import math

from tidemill.models.charts.phrases import (
    between,
    interval_phrase,
    percent,
    read_aloud,
    rows_left_out,
)


def test_phrases() -> None:
    assert [percent(level) for level in (0.95, 0.9, 0.995)] == ["95%", "90%", "99.5%"]
    assert interval_phrase(0.9, over_days=True) == "90% intervals over days"
    assert "taken as independent" in interval_phrase(0.9, over_days=False)
    assert rows_left_out(0) == ()
    assert rows_left_out(1)[0].startswith("1 row is left out")
    assert between(1.23456, 1, 2) == "1.235 (1 to 2)"
    assert between(1, None, None) == between(1, math.nan, math.nan) == "1"


def test_a_description_has_the_values_unless_there_are_too_many() -> None:
    assert read_aloud("Shown:", []) == "Shown:"
    assert read_aloud("Shown:", ["a", "b"]) == "Shown: a; b."
    assert read_aloud("Shown:", map(str, range(50))).endswith("39; and 10 values more.")
