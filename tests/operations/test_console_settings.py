"""The settings of the console."""

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.operations.console_settings import ConsoleSettings, parse_console_settings

PLACE = "[tool.tidemill.console]"


def test_what_is_left_out_has_a_default() -> None:
    assert parse_console_settings({}, PLACE) == ConsoleSettings()
    given = {
        "host": "::1",
        "port": 0,
        "hosts": ["Console.example.org."],
        "url": "https://Tidemill.example.org:443/",
        "session": "8h",
        "idle": 5,
        "up": False,
    }
    assert parse_console_settings(given, PLACE) == ConsoleSettings(
        host="::1",
        port=0,
        hosts=("console.example.org",),
        url="https://tidemill.example.org",
        session=28_800.0,
        idle=5.0,
        up=False,
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"ports": 1}, "ports: did you mean 'port'?"),
        ({"port": True}, "port = True is not a port, such as 8484"),
        ({"port": 65_536}, "port = 65536 is not a port, such as 8484"),
        ({"host": 7}, "host = 7 is not a host, such as 127.0.0.1"),
        ({"host": "a:1"}, "host = 'a:1' is not a host, such as 127.0.0.1"),
        ({"hosts": "a"}, "hosts = 'a' is not a list, such as [\"console.example.org\"]"),
        ({"hosts": [7]}, "hosts = 7 is not a host, such as 127.0.0.1"),
        *(
            (
                {"url": url},
                f"url = {url!r} is no address without a path, such as https://console.example.org",
            )
            for url in (7, "", "console.example.org", "ftp://a", "https://a/console", "https://b@a")
        ),
        ({"up": 1}, "up = 1 is not true or false"),
    ],
)
def test_others_are_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_console_settings(given, PLACE)
    assert str(caught.value) == f"{PLACE} {why}"


def test_times_are_positive() -> None:
    with pytest.raises(UsageError, match="session = "):
        parse_console_settings({"session": "soon"}, PLACE)
