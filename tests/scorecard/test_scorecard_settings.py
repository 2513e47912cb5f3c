"""The settings of the scorecard."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.scorecard.scorecard_settings import (
    ScorecardSettings,
    WeeklyTime,
    channel_faults,
    parse_scorecard_settings,
)

PLACE = "pyproject.toml: [tool.tidemill.scorecard]"


def test_the_settings() -> None:
    assert parse_scorecard_settings({}, PLACE) == ScorecardSettings()
    table = {
        "window": "7d",
        "deliver_within": "2d",
        "cost_per_1000": 1,
        "recover_within": "4h",
        "fresh": "99.5 %",
        "weekly": "Monday 8:05",
        "zone": "Asia/Tokyo",
        "channels": "team",
    }
    assert parse_scorecard_settings(table, PLACE) == ScorecardSettings(
        window_s=7 * 86_400.0,
        deliver_within=172_800.0,
        cost_per_1000=1.0,
        recover_within=14_400.0,
        fresh=0.995,
        weekly=WeeklyTime(weekday=0, hour=8, minute=5),
        zone="Asia/Tokyo",
        channels=("team",),
    )
    assert parse_scorecard_settings({"fresh": 0.9}, PLACE).fresh == 0.9
    assert parse_scorecard_settings({"cost_per_1000": 0}, PLACE).cost_per_1000 == 0.0
    assert str(WeeklyTime(weekday=6, hour=8, minute=5)) == "sun 08:05"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"fres": 1}, "fres: did you mean 'fresh'"),
        ({"window": "1h"}, "window = '1h' is not between 1 and 90 days"),
        ({"window": "91d"}, "is not between 1 and 90 days"),
        ({"deliver_within": "soon"}, "deliver_within: "),
        ({"recover_within": True}, "recover_within: "),
        ({"cost_per_1000": -1}, "cost_per_1000 = -1 is not an amount of money"),
        ({"cost_per_1000": "1"}, "cost_per_1000 = '1' is not an amount of money"),
        ({"cost_per_1000": float("nan")}, "is not an amount of money"),
        ({"fresh": "99"}, "fresh = '99' is not a share of time"),
        ({"fresh": 99}, "fresh = 99 is not a share of time"),
        ({"fresh": "0%"}, "fresh = '0%' is not a share of time"),
        ({"fresh": True}, "fresh = True is not a share of time"),
        ({"weekly": "08:00"}, "weekly = '08:00' is not a day and a time"),
        ({"weekly": 8}, "weekly = 8 is not a day and a time"),
        ({"weekly": "mon 24:00"}, "weekly = 'mon 24:00' is not a day and a time"),
        ({"weekly": "mo 08:00"}, "weekly = 'mo 08:00': did you mean 'mon'"),
        ({"zone": "Mars/Olympus"}, "zone = 'Mars/Olympus' is not a time zone"),
        ({"zone": 1}, "zone = 1 is not text"),
        ({"channels": [1]}, "channels = [1] is not a list of names"),
    ],
)
def test_faults(table: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_scorecard_settings(table, PLACE)
    assert str(caught.value).startswith(f"{PLACE} ")
    assert message in str(caught.value)


def test_channels_that_are_not_there() -> None:
    assert not list(channel_faults(["team"], {"team"}, PLACE))
    (near,) = channel_faults(["team", "tean"], {"team"}, PLACE)
    assert str(near).startswith(
        f"{PLACE}: channels: there is no channel 'tean' (did you mean 'team'"
    )
    (none,) = channel_faults(["team"], (), PLACE)
    assert str(none).endswith("(none is configured)")
