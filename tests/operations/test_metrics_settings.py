"""The settings of metrics."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.operations.metrics_settings import MetricsSettings, parse_metrics_settings

PLACE = "pyproject.toml: [tool.tidemill.metrics]"


def test_the_settings() -> None:
    assert parse_metrics_settings({}, PLACE) == MetricsSettings()
    table = {
        "zone": "Asia/Tokyo",
        "port": 9464,
        "host": "::1",
        "token": "METRICS",
        "telemetry": True,
    }
    assert parse_metrics_settings(table, PLACE) == MetricsSettings(**table)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"zon": "UTC"}, "zon: did you mean 'zone'"),
        ({"zone": "Mars/Olympus"}, "zone = 'Mars/Olympus' is not a time zone"),
        ({"zone": 1}, "zone = 1 is not text"),
        ({"port": True}, "port = True is not a port"),
        ({"telemetry": "yes"}, "telemetry = 'yes' is not true or false"),
        ({"port": 70_000}, "port = 70000 is not a port"),
    ],
)
def test_faults(table: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_metrics_settings(table, PLACE)
    assert str(caught.value).startswith(f"{PLACE} ")
    assert message in str(caught.value)
