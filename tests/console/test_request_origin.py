"""Requests that weren't meant for the console, or that another site sends."""

import pytest

from tidemill.console.request_origin import AllowedHosts

LOCAL = AllowedHosts(names=frozenset({"127.0.0.1"}), loopback=True)
OPEN = AllowedHosts(names=frozenset({"10.0.0.7", "console.example.org"}), loopback=False)


@pytest.mark.parametrize(
    ("hosts", "host", "is_allowed"),
    [
        (LOCAL, "127.0.0.1:8484", True),
        (LOCAL, "localhost:8484", True),
        (LOCAL, "[::1]:8484", True),
        (LOCAL, "console.example.org", False),  # a name that somebody lets lead here
        (LOCAL, "127.0.0.1.nip.io", False),
        (LOCAL, "", False),
        (OPEN, "console.example.org", True),
        (OPEN, "CONSOLE.example.org.:443", True),
        (OPEN, "10.0.0.7:8484", True),
        (OPEN, "localhost:8484", False),
        (OPEN, "console.example.org@evil", False),
    ],
)
def test_only_its_own_hosts_lead_to_a_console(
    hosts: AllowedHosts, host: str, is_allowed: bool
) -> None:
    assert (hosts.fault("GET", [host], None, "") == "") == is_allowed


def test_a_request_names_one_host() -> None:
    assert LOCAL.fault("GET", [], None, "")
    assert LOCAL.fault("GET", ["localhost", "localhost"], None, "")


@pytest.mark.parametrize(
    ("host", "origin", "is_allowed"),
    [
        ("tidemill.example.org", "https://tidemill.example.org", True),
        ("127.0.0.1:8484", "https://tidemill.example.org", True),  # a proxy names the host anew
        ("127.0.0.1:8484", "http://127.0.0.1:8484", True),
        ("127.0.0.1:8484", "http://tidemill.example.org", False),  # another scheme is another site
        ("127.0.0.1:8484", "https://tidemill.example.org:8443", False),
        ("127.0.0.1:8484", "https://example.org", False),
        ("127.0.0.1:8484", "null", False),
        ("example.org", "https://tidemill.example.org", False),
    ],
)
def test_a_proxy_has_a_public_address(host: str, origin: str, is_allowed: bool) -> None:
    hosts = AllowedHosts(
        names=frozenset({"127.0.0.1", "tidemill.example.org"}),
        loopback=True,
        url="https://tidemill.example.org",
    )
    assert (hosts.fault("POST", [host], origin, "same-origin") == "") == is_allowed


@pytest.mark.parametrize(
    ("origin", "site", "is_allowed"),
    [
        (None, "", True),  # a program
        (None, "same-origin", True),
        ("http://localhost:8484", "same-origin", True),
        ("http://localhost", "", False),  # another port
        ("http://localhost:8485", "", False),
        ("http://127.0.0.1:8484", "", False),  # another host
        ("https://evil.example", "cross-site", False),
        ("null", "cross-site", False),
        (None, "cross-site", False),
        (None, "same-site", False),
        (None, "none", False),
    ],
)
def test_only_its_own_pages_change_something(
    origin: str | None, site: str, is_allowed: bool
) -> None:
    assert (LOCAL.fault("POST", ["localhost:8484"], origin, site) == "") == is_allowed
    # Whoever reads may come from anywhere: a link leads here.
    assert LOCAL.fault("GET", ["localhost:8484"], origin, site) == ""


def test_the_port_of_the_scheme_may_be_left_out() -> None:
    assert OPEN.fault("POST", ["console.example.org:443"], "https://console.example.org", "") == ""
    assert OPEN.fault("POST", ["console.example.org"], "https://console.example.org:443", "") == ""
