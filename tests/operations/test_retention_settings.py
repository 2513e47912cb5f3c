"""Settings of retention, and how bad ones are refused."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.operations.retention_settings import parse_retention

DAY = 86_400.0
PLACE = "pyproject.toml: [tool.tidemill.retention]"


def parse(**table: Any) -> RetentionSettings:
    return parse_retention(table, PLACE)


def test_what_is_not_set_has_a_default() -> None:
    assert not RetentionSettings().is_declared
    found = parse(keep_last=2)
    assert found == RetentionSettings(keep_last=2, is_declared=True)
    assert (found.span("a"), found.last("a"), found.most_last) == (7 * DAY, 2, 2)
    assert found.least_span == 7 * DAY
    assert not found.is_held("a")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("36h", 1.5 * DAY),
        ("8w", 56 * DAY),
        ("3mo", 93 * DAY),
        ("400d", 400 * DAY),
        ("0s", 0.0),
        ("forever", None),
    ],
)
def test_lengths_of_time(text: str, seconds: float | None) -> None:
    assert parse(keep_for=text).keep_for == seconds
    # As it was called when rules only saw it.
    assert parse(keep=text).keep_for == seconds


def test_a_stage_differs_from_the_others() -> None:
    stages = {
        "raw": {"keep_for": "forever"},
        "brief": {"keep_for": "1h", "keep_last": 3},
        "kept": {"hold": True},
    }
    found = parse(grace="2h", stages=stages)
    assert (found.span("raw"), found.span("brief"), found.span("kept")) == (None, 3_600.0, 7 * DAY)
    assert (found.last("raw"), found.last("brief"), found.most_last) == (0, 3, 3)
    assert found.is_held("kept")
    assert not found.is_held("raw")
    # Readers may still hold what was superseded within the grace time.
    assert found.least_span == 7_200.0
    assert found.stages["raw"] == StageRetention(keeps_forever=True)
    assert parse(hold=True).is_held("any")
    assert parse(keep_for="forever").least_span is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, r"has no entry, such as keep_for"),
        ({"keep_fro": "1d"}, r"keep_fro: did you mean"),
        ({"keep_for": "soon"}, r"keep_for = 'soon' is not a length of time"),
        ({"keep_for": 7}, r"keep_for = 7 is not a length of time"),
        ({"logs": "-1d"}, r"logs = '-1d' is not a length of time"),
        ({"keep": "1d", "keep_for": "2d"}, r"keep and keep_for mean the same"),
        ({"keep_last": -1}, r"keep_last = -1 is not a number of versions"),
        ({"models": True}, r"models = True is not a number of versions"),
        ({"hold": "yes"}, r"hold = 'yes' is not true or false"),
        ({"grace": "forever"}, r"grace = \"forever\" would keep all"),
        ({"stages": 3}, r"stages = 3 is not a table"),
        ({"stages": {"a": 3}}, r"retention.stages.a\] = 3 is not a table"),
        ({"stages": {"a": {"logs": "1d"}}}, r"retention.stages.a\] logs"),
    ],
)
def test_bad_settings_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_retention(table, PLACE)
