"""Settings of alerts: channels, routes, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.operations.alert_settings import AlertRoute, AlertSettings, parse_alert_settings
from tidemill.operations.problem import ProblemSeverity

PLACE = "pyproject.toml: [tool.tidemill.alerts]"
CHANNELS = {"oncall": {"kind": "slack", "url": "ONCALL_URL"}}


def parse(**table: Any) -> AlertSettings:
    return parse_alert_settings(table, PLACE)


def test_nothing_is_needed() -> None:
    assert parse() == AlertSettings()
    assert (AlertSettings().repeat_s, AlertSettings().hold_s) == (14_400.0, 300.0)


def test_all_settings() -> None:
    found = parse(
        channels=CHANNELS,
        routes=[
            {"to": "oncall", "severity": "page"},
            {"to": ["oncall"], "stages": ["f*"], "owners": ["ops"], "kinds": ["stale*", "drift"]},
        ],
        runbook="https://wiki.example/{stage}", runbooks={"raw": "https://wiki.example/raw"},
        owners={"f*": "team-f"}, resolved=False, group="5s", repeat="1d", hold="1m", reopen=60,
        stuck="2h", most_per_hour=5, failures=2, disk_free="1GB",
    )  # fmt: skip
    assert [*found.channels] == ["oncall"]
    assert found.routes == (
        AlertRoute(to=("oncall",), severity=ProblemSeverity.PAGE),
        AlertRoute(to=("oncall",), stages=("f*",), owners=("ops",), kinds=("stale*", "drift")),
    )
    assert (found.runbook, found.runbooks["raw"]) == (
        "https://wiki.example/{stage}", "https://wiki.example/raw",
    )  # fmt: skip
    assert (found.group_s, found.repeat_s, found.hold_s, found.reopen_s, found.stuck_s) == (
        5.0, 86_400.0, 60.0, 60.0, 7_200.0,
    )  # fmt: skip
    assert (found.most_per_hour, found.failures, found.disk_free) == (5, 2, 10**9)
    assert (found.resolved, found.owners) == (False, {"f*": "team-f"})


def test_a_heartbeat() -> None:
    found = parse(heartbeat="HEARTBEAT_URL").heartbeat
    assert found is not None
    assert (found.name, found.address) == ("heartbeat", "HEARTBEAT_URL")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"heartbeat": "http://example.com/ping"}, "heartbeat = .* neither an https:// address"),
        ({"chanels": {}}, "did you mean 'channels'"),
        ({"channels": 5}, "channels = 5 is not a table"),
        ({"channels": {"a": 5}}, "channels.a = 5 is not a table"),
        ({"channels": {"a": {"kind": "slack"}}}, r"alerts\.channels\.a\] needs url"),
        ({"routes": {}}, "write each as"),
        ({"routes": [5]}, "write each as"),
        ({"routes": [{}]}, r"routes\[0\] needs to ="),
        ({"routes": [{"to": "a"}]}, "no channel 'a'"),
        ({"channels": CHANNELS, "routes": [{"to": "oncal"}]}, "did you mean 'oncall'"),
        ({"channels": CHANNELS, "routes": [{"to": "oncall", "severity": "high"}]}, "severity = 'high'"),
        ({"channels": CHANNELS, "routes": [{"to": "oncall", "kinds": "stale"}]}, "'stale' is none"),
        ({"channels": CHANNELS, "routes": [{"to": "oncall", "stages": 5}]}, "stages = 5 is not a list"),
        ({"channels": CHANNELS, "routes": [{"to": [5]}]}, r"to = \[5\] is not a list"),
        ({"channels": CHANNELS, "routes": [{"to": "oncall", "stage": "x"}]}, "stage: "),
        ({"runbook": "http://wiki.example/{stage}"}, "isn't an https:// address"),
        ({"runbook": "https://wiki.example/<x|y>"}, "isn't an https:// address"),
        ({"runbooks": 5}, "runbooks = 5 is not a table"),
        ({"runbooks": {"raw": "wiki"}}, "runbooks.raw = 'wiki' isn't"),
        ({"owners": 5}, "owners = 5 is not a table"),
        ({"owners": {"raw": 5}}, "raw = 5 is not text"),
        ({"resolved": "no"}, "resolved = 'no' is not true or false"),
        ({"group": "soon"}, "group: 'soon' is not a duration"),
        ({"repeat": 0}, "repeat: 0 is not a duration"),
        ({"failures": 0}, "failures = 0 is not a whole number"),
        ({"most_per_hour": True}, "most_per_hour = True is not a whole number"),
        ({"disk_free": "much"}, "disk_free: 'much' is not an amount"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(table: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(**table)


@pytest.mark.parametrize("name", ["", "\x1b[31m"])
def test_a_channel_has_a_name(name: str) -> None:
    table = {"channels": {name: {"kind": "command", "command": ["page"]}}}
    with pytest.raises(UsageError, match="is not a name"):
        parse_alert_settings(table, "[tool.tidemill.alerts]")
