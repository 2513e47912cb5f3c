"""Time zones by name."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tidemill.core.errors import UsageError
from tidemill.core.time_zone import time_zone


def test_a_zone_is_found_by_its_name() -> None:
    assert datetime(2026, 7, 1, tzinfo=time_zone("Europe/Berlin")).utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "a\0b", "."])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="not a time zone that this machine knows"):
        time_zone(name)
