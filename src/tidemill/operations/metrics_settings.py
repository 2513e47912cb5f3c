"""Read from the settings how metrics are computed and where they are shown: `[tool.tidemill.metrics]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import time_zone

_KEYS = ("zone", "port", "host", "token", "telemetry")
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """`zone` is the time zone of days. `up` shows metrics at `host` and `port` (0: nowhere).

    `token` names the environment variable with the token that readers beyond this machine need. With
    `telemetry` runs are exported through OpenTelemetry.
    """

    zone: str = "UTC"
    port: int = 0
    host: str = "127.0.0.1"
    token: str = ""
    telemetry: bool = False


def parse_metrics_settings(table: Mapping[str, Any], place: str) -> MetricsSettings:
    """Read the table `metrics`; `place` names it in messages. UsageError names the entry and what fits."""
    for name in table:
        if name not in _KEYS:
            raise UsageError(f"{place} {name}: {did_you_mean(name, _KEYS)}")
    for name in ("zone", "host", "token"):
        if not isinstance(table.get(name, ""), str):
            raise UsageError(f"{place} {name} = {table[name]!r} is not text")
    telemetry = table.get("telemetry", False)
    if not isinstance(telemetry, bool):
        raise UsageError(f"{place} telemetry = {telemetry!r} is not true or false")
    port = table.get("port", 0)
    if type(port) is not int or not 0 <= port <= _LAST_PORT:
        raise UsageError(f"{place} port = {port!r} is not a port, such as 9464")
    zone = table.get("zone", "UTC")
    try:
        time_zone(zone)
    except UsageError as error:
        raise UsageError(f"{place} zone = {error}") from error
    return MetricsSettings(
        zone=zone,
        port=port,
        host=table.get("host", "127.0.0.1"),
        token=table.get("token", ""),
        telemetry=telemetry,
    )
