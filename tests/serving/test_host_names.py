"""Hosts and origins are read strictly, and one host has one form."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.host_names import (
    HostName,
    is_loopback,
    parse_host,
    parse_name,
    parse_origin,
)

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda n: n[-1].isalpha())
PORTS = st.none() | st.integers(1, 65_535)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("LocalHost.:8000", "localhost", 8000),
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("127.0.0.1.", "127.0.0.1", None),
        ("[::1]:8000", "::1", 8000),
        ("[0:0:0:0:0:0:0:1]", "::1", None),
        # Its short form differs between versions of Python.
        ("[::FFFF:127.0.0.1]", str(IPv6Address("::ffff:127.0.0.1")), None),
        ("my_service.ns.svc:80", "my_service.ns.svc", 80),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
    ],
)
def test_a_host_has_one_form(text: str, host: str, port: int | None) -> None:
    assert parse_host(text) == HostName(host, port)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "..",
            "a..b",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:080000",
            "a:8o",
            "a:-1",
            "a:+1",
            "a: 1",
        ),
        # What another program could read as another host.
        *(
            "user@localhost",
            "localhost@evil.example",
            "evil.example#localhost",
            "localhost/x",
            "a\\b",
        ),
        *(
            "localhost,evil.example",
            "localhost evil.example",
            " localhost",
            "localhost\t",
            "localhost\r\nX: y",
        ),
        *(
            "localhost%00.evil",
            "localhost\x00",
            "lo%63alhost",
            "localhost:80:80",
            "-a.example",
            "a-.example",
        ),
        # IPv4 as only some read it.
        *(
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "127.0.0.01",
            "1.2.3.4.5",
        ),
        *("256.1.1.1", "a.1"),
        # IPv6.
        *(
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[::1]x",
            "[::1]:",
            "[::1%25eth0]",
            "[fe80::1%eth0]",
            "[1]",
            "[::g]",
        ),
        *("[localhost]", "[v1.x]", "[:::1]", "[::1][::1]"),
        # Letters that some programs normalise to others.
        *("\uff4cocalhost", "localho\u017ft", "bücher.example", "a" * 64, ".".join(["a" * 50] * 6)),
    ],
)
def test_what_could_be_read_differently_is_refused(text: str) -> None:
    assert parse_host(text) is None


@given(NAMES, PORTS)
def test_names_in_any_case_and_with_the_dot_of_the_root(name: str, port: int | None) -> None:
    end = "" if port is None else f":{port}"
    assert parse_host(name + end) == HostName(name, port)
    assert parse_host(f"{name.upper()}.{end}") == HostName(name, port)


@given(st.ip_addresses(), PORTS)
def test_addresses(address: IPv4Address | IPv6Address, port: int | None) -> None:
    found = HostName(str(address), port)
    assert parse_host(str(found)) == found
    assert parse_name(str(address)) == HostName(str(address))
    assert is_loopback(found.host) == address.is_loopback
    if isinstance(address, IPv6Address):
        assert parse_host(f"[{address.exploded.upper()}]") == HostName(str(address))


@given(st.text(max_size=40) | st.text("[]:.%@/\\ 01afAFxX-_", max_size=20))
def test_whatever_is_accepted_is_harmless(text: str) -> None:
    """An accepted host, written out, is accepted again as itself, and has no character of another role."""
    found = parse_host(text)
    if found is not None:
        assert parse_host(str(found)) == found
        assert set(found.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.:")


@pytest.mark.parametrize(
    ("text", "scheme", "host"),
    [
        ("http://localhost:3000", "http", HostName("localhost", 3000)),
        ("HTTPS://Example.com", "https", HostName("example.com")),
        ("https://example.com:443", "https", HostName("example.com")),
        ("http://example.com:443", "http", HostName("example.com", 443)),
        ("http://[::1]:80", "http", HostName("::1")),
    ],
)
def test_origins(text: str, scheme: str, host: HostName) -> None:
    assert parse_origin(text) == (scheme, host)


@pytest.mark.parametrize(
    "text",
    ["null", "", "*", "file://", "https://", "https://a/", "https://a/b", "https://u@a", "https://a#b",
     "ftp://a", "https://a https://b", "//a", "a", "https://a?b", "https:/a", "https://a\\b", "https://a:0"],
)  # fmt: skip
def test_no_origins(text: str) -> None:
    assert parse_origin(text) is None


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.8.9.1", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("localhost.example", False), ("10.0.0.1", False), ("example.com", False)],
)  # fmt: skip
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) == local
