"""Read the `Host` and `Origin` of a request strictly: what two programs could read differently is refused."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from tidemill.core.lazy_dataclass import dataclass

# Letters, digits and hyphens; a label neither begins nor ends with a hyphen. Underscores occur in the
# names of containers.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]{2,45}\]|[^\[\]:]{1,254})(?::(?P<port>[0-9]{1,5}))?")
# What some clients read as an IPv4 address: 127.1, 0x7f000001, 017700000001.
_NUMERIC_LABEL = re.compile(r"0x[0-9a-f]*|[0-9]+")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@\\]+)")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HostName:
    """A host, lowercase and without the dot of the root, and its port; None without one.

    IPv6 addresses are in their short form, without brackets.
    """

    host: str
    port: int | None = None

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port is None else f"{shown}:{self.port}"


def parse_host(text: str) -> HostName | None:
    """Read `host`, `host:port` or `[IPv6]:port`; None for anything else."""
    found = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    if found is None:
        return None
    host, port = _normal_host(found["host"]), found["port"]
    if not host or (port is not None and not 0 < int(port) < 65_536):
        return None
    return HostName(host, None if port is None else int(port))


def parse_name(text: str) -> HostName | None:
    """The same for a setting, in which an IPv6 address needs no brackets."""
    bare = text.count(":") > 1 and not text.startswith("[")
    return parse_host(f"[{text}]" if bare else text)


def parse_origin(text: str) -> tuple[str, HostName] | None:
    """Read `scheme://host[:port]` as the scheme and the host; None for anything else, such as `null`.

    The port is None if it is the scheme's own.
    """
    found = _ORIGIN.fullmatch(text.lower())
    name = parse_host(found["authority"]) if found else None
    if found is None or name is None:
        return None
    scheme = found["scheme"]
    return scheme, HostName(name.host) if name.port == DEFAULT_PORTS[scheme] else name


def is_loopback(host: str) -> bool:
    """Whether a host, as `parse_host` returns it, is this machine and can't be reached from another."""
    if host == "localhost":
        return True
    try:
        return (IPv6Address(host) if ":" in host else IPv4Address(host)).is_loopback
    except AddressValueError:
        return False


def _normal_host(host: str) -> str:
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1]))
        except AddressValueError:
            return ""
    name = host.removesuffix(".")
    if not _NAME.fullmatch(name) or len(name) > 253:
        return ""
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        return _normal_ipv4(name)
    return name


def _normal_ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        return ""
