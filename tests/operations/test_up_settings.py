"""The settings of `up` are read, and what is wrong in them is said."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.operations.up_settings import UpSettings, parse_up_settings

PLACE = "pyproject.toml: [tool.tidemill.up]"


def test_nothing_has_to_be_set() -> None:
    assert parse_up_settings({}, PLACE) == UpSettings()


def test_every_setting_is_read() -> None:
    found = parse_up_settings(
        {
            "serve": False,
            "settle": 0.5,
            "max_wait": "1m",
            "idle": 0,
            "on_change": "plan",
            "max_catch_up": 5,
            "on_data": "schedule",
        },
        PLACE,
    )
    assert found == UpSettings(
        serve=False,
        settle=0.5,
        max_wait=60.0,
        idle=0.0,
        on_change="plan",
        max_catch_up=5,
        on_data="schedule",
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"setle": "1s"}, "setle"),
        ({"serve": "yes"}, "serve = 'yes' is not true or false"),
        ({"settle": "soon"}, "settle = 'soon' is not a duration"),
        ({"settle": True}, "settle = True is not a duration"),
        ({"poll": 0}, "poll = 0 is not a duration: it has to be more than 0"),
        ({"retry": -1}, "retry = -1 is not a duration"),
        ({"drain": float("nan")}, "drain = nan is not a duration"),
        ({"max_catch_up": 0}, "max_catch_up = 0 is not a whole number from 1"),
        ({"max_catch_up": True}, "max_catch_up = True is not a whole number from 1"),
        ({"on_change": 5}, "on_change = 5 is not text"),
        ({"on_data": "ask"}, "on_data = 'ask' is not one of 'run', 'schedule'"),
        ({"on_change": "ask"}, "on_change = 'ask' is not one of 'run', 'plan'"),
        ({"settle": "1m"}, "settle = 60 s is longer than max_wait = 10 s"),
        ({"retry": "2h"}, "retry = 7200 s is longer than retry_max = 1800 s"),
    ],
)
def test_a_bad_setting_is_named(table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        parse_up_settings(table, PLACE)
