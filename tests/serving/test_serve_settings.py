"""Settings of servers are read strictly; whoever can be reached by others needs tokens."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.serving.proxy_settings import ProxySettings
from tidemill.serving.serve_settings import (
    ServeSettings,
    parse_serve_settings,
    require_safe_place,
    with_options,
)

PLACE = "pyproject.toml: [tool.tidemill.serve]"


def test_every_setting_is_read() -> None:
    table: dict[str, Any] = {
        "host": "0.0.0.0",
        "port": 8443,
        "certificate": "tls/cert.pem",
        "key": "tls/key.pem",
        "key_password_env": "KEY_PASSWORD",
        "grpc": True,
        "allowed_hosts": ["ML.Example.com.", "10.0.0.5:8443", "::1"],
        "cors": ["https://App.example.com:443"],
        "require_tokens": True,
        "rate": 50,
        "burst": 100,
        "max_in_flight": 8,
        "max_connections": 10,
        "max_body": "1MB",
        "max_rows": 5,
        "header_timeout": "5s",
        "body_timeout": 7,
        "keep_alive": "1m",
        "drain": 1.5,
        "drain_delay": "5s",
        "workers": 4,
        "release": "2m",
        "access_log": "log/access.jsonl",
        "telemetry": True,
        "cached_answers": 100,
    }
    assert parse_serve_settings(table, PLACE) == ServeSettings(
        host="0.0.0.0",
        port=8443,
        certificate="tls/cert.pem",
        key="tls/key.pem",
        key_password_env="KEY_PASSWORD",
        grpc=True,
        allowed_hosts=("ml.example.com", "10.0.0.5:8443", "[::1]"),
        cors=("https://app.example.com",),
        require_tokens=True,
        rate=50.0,
        burst=100.0,
        max_in_flight=8,
        max_connections=10,
        max_body=1_000_000,
        max_rows=5,
        header_timeout=5.0,
        body_timeout=7.0,
        keep_alive=60.0,
        drain=1.5,
        drain_delay=5.0,
        workers=4,
        release=120.0,
        access_log="log/access.jsonl",
        telemetry=True,
        cached_answers=100,
    )
    behind_proxy = {
        "socket": "run/serve.sock",
        "socket_group": "www-data",
        "proxy": {"user_header": "X-User"},
    }
    assert parse_serve_settings(behind_proxy, PLACE) == ServeSettings(
        socket="run/serve.sock",
        socket_group="www-data",
        proxy=ProxySettings(user_header="X-User"),
    )
    assert {*table, *behind_proxy} == set(ServeSettings.__slots__)
    assert parse_serve_settings({}, PLACE) == ServeSettings()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"hosts": "x"}, "hosts: did you mean 'host'"),
        ({"host": ""}, "host = '' is not text"),
        ({"host": "localhost:80"}, "host = 'localhost:80' is not a host, such as 127.0.0.1"),
        ({"host": "http://x"}, "is not a host"),
        ({"port": 65536}, "port = 65536 is not a whole number from 0 to 65535"),
        ({"port": True}, "port = True is not a whole number"),
        ({"port": "80"}, "is not a whole number"),
        ({"certificate": "c.pem"}, "has a certificate without a key: TLS needs both"),
        ({"key": "k.pem"}, "has a key without a certificate"),
        ({"key": 3}, "key = 3 is not text"),
        ({"key_password_env": "P"}, "has a key_password_env without a key"),
        ({"socket": "s", "host": "127.0.0.1"}, "has a socket and a host: a server listens on one"),
        ({"socket": "s", "port": 8000}, "has a socket and a port"),
        ({"socket_group": "www-data"}, "has a socket_group without a socket"),
        (
            {"proxy": {}},
            "has a proxy that nothing tells from others who send X-Forwarded-User: let",
        ),
        ({"socket": "s", "proxy": {}, "require_tokens": True}, "has a proxy and require_tokens"),
        ({"allowed_hosts": "x"}, "allowed_hosts = 'x' is not a list"),
        ({"allowed_hosts": ["*.x.com"]}, r"holds '\*.x.com', which is not a host"),
        ({"allowed_hosts": [3]}, "holds 3, which is not a host"),
        ({"cors": ["*"]}, "would let every page call the server: name the origins"),
        ({"cors": ["app.example.com"]}, "holds 'app.example.com', which is not an origin"),
        ({"cors": [3]}, "holds 3, which is not an origin"),
        ({"require_tokens": 1}, "require_tokens = 1 is not true or false"),
        ({"rate": -1}, "rate = -1 is not a number of requests"),
        ({"rate": float("inf")}, "is not a number of requests"),
        ({"rate": 1e-9}, "is not a number of requests"),
        ({"rate": 1, "burst": 0.5}, "burst = 0.5 is not a number of requests from 1"),
        ({"burst": 5}, "has a burst without a rate"),
        ({"max_body": "much"}, "max_body = 'much' is not an amount of memory"),
        ({"max_body": True}, "max_body = True is not an amount of memory"),
        ({"drain": "soon"}, "drain = 'soon' is not a duration"),
        ({"drain": False}, "drain = False is not a duration"),
        ({"workers": 0}, "workers = 0 is not a whole number from 1 to 1024"),
    ],
)
def test_a_wrong_setting_is_named(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_serve_settings(table, PLACE)
    assert str(caught.value).startswith(PLACE)


@pytest.mark.parametrize(
    ("table", "exposed", "tokens"),
    [
        ({}, False, False),
        ({"host": "::1"}, False, False),
        ({"host": "[::1]"}, False, False),
        ({"host": "localhost", "allowed_hosts": ["127.0.0.1:9000"]}, False, False),
        ({"require_tokens": True}, False, True),
        ({"host": "0.0.0.0"}, True, True),
        ({"host": "::"}, True, True),
        ({"host": "10.0.0.1"}, True, True),
        # A proxy on this machine forwards from others.
        ({"allowed_hosts": ["ml.example.com"]}, True, True),
    ],
)
def test_who_can_be_reached_by_others_needs_authentication(
    table: dict[str, Any], exposed: bool, tokens: bool
) -> None:
    found = parse_serve_settings(table, PLACE)
    assert (found.is_exposed, found.needs_authentication) == (exposed, tokens)
    require_safe_place(found, 1)
    if tokens:
        with pytest.raises(UsageError, match="no token is valid: create one with `tidemill tokens"):
            require_safe_place(found, 0)
    else:
        require_safe_place(found, 0)


def test_the_place_that_others_reach_is_named() -> None:
    with pytest.raises(UsageError, match=r"^others can reach ml\.example\.com, and no token"):
        require_safe_place(ServeSettings(allowed_hosts=("localhost", "ml.example.com")), 0)
    with pytest.raises(UsageError, match=r"^require_tokens is set, and no token"):
        require_safe_place(ServeSettings(require_tokens=True), 0)


def test_options_are_read_like_settings() -> None:
    found = with_options(ServeSettings(port=1, workers=3), {"host": "[::1]", "port": 0})
    assert (found.host, found.port, found.workers) == ("::1", 0, 3)


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(UsageError, match=r"^--host 'ml:80' is not a host"):
        with_options(ServeSettings(), {"host": "ml:80"})
    for option in ({"host": "0.0.0.0"}, {"port": 0}):
        with pytest.raises(UsageError, match=r"^--(host|port) doesn't fit socket = 's'"):
            with_options(ServeSettings(socket="s"), option)


def test_a_proxy_is_told_from_others() -> None:
    trusted = {"allowed_hosts": ["ml.example.com"], "proxy": {"secret_env": "SECRET"}}
    found = parse_serve_settings(trusted, PLACE)
    assert found.needs_authentication
    require_safe_place(found, 0)
    by_socket = parse_serve_settings({"socket": "s", "proxy": {}}, PLACE)
    assert (by_socket.needs_authentication, by_socket.is_exposed) == (True, False)
    require_safe_place(by_socket, 0)
    # Settings that no file was read for are judged as well.
    with pytest.raises(UsageError, match=r"^the server has a proxy that nothing tells from others"):
        require_safe_place(ServeSettings(proxy=ProxySettings()), 1)


def test_a_fault_of_the_proxy_names_its_table() -> None:
    with pytest.raises(UsageError) as caught:
        parse_serve_settings({"proxy": {"user_heder": "X-User"}}, PLACE)
    place = "pyproject.toml: [tool.tidemill.serve.proxy]"
    assert str(caught.value) == f"{place} user_heder: did you mean 'user_header'?"


def test_tls_is_on_with_a_certificate() -> None:
    assert ServeSettings(certificate="c", key="k").uses_tls
    assert not ServeSettings().uses_tls


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (ServeSettings(port=8123), "http://127.0.0.1:8123"),
        (ServeSettings(host="::1", certificate="c.pem", key="k.pem"), "https://[::1]:8000"),
        (
            ServeSettings(host="0.0.0.0", allowed_hosts=("api.example.org",)),
            "http://api.example.org:8000",
        ),
    ],
)
def test_examples_send_requests_where_callers_reach_the_server(
    settings: ServeSettings, url: str
) -> None:
    assert settings.base_url == url
