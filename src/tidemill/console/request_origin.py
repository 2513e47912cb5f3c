"""Decide whether a request was sent to this console, and by one of its own pages."""

from __future__ import annotations

from collections.abc import Collection

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.host_names import DEFAULT_PORTS, is_loopback, parse_host, parse_origin

_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedHosts:
    """The hosts that a console is reached by: `names`, and this machine's own if it listens on `loopback`.

    Its pages may also be those of the public `url`, whatever a proxy makes of the host. Other names lead to
    this address only if somebody's name server says so, which is an attack.
    """

    names: frozenset[str]
    loopback: bool
    url: str = ""

    def fault(self, method: str, hosts: Collection[str], origin: str | None, site: str) -> str:
        """Why a request isn't answered: by its headers `Host`, `Origin` and `Sec-Fetch-Site`; "" if it is."""
        found = parse_host(next(iter(hosts))) if len(hosts) == 1 else None
        if found is None or not self._has(found.host):
            return (
                "the header Host names no host of this console; see [tool.tidemill.console] hosts"
            )
        if method in _SAFE or (origin is None and site in ("", "same-origin")):
            return ""
        sent = parse_origin(origin) if origin is not None else None
        if sent is None:
            return "the request was sent by another site"
        scheme, name = sent
        port = found.port if found.port != DEFAULT_PORTS[scheme] else None
        same = name.host == found.host and name.port == port
        return (
            "" if same or sent == parse_origin(self.url) else "the request was sent by another site"
        )

    def _has(self, host: str) -> bool:
        return host in self.names or (self.loopback and is_loopback(host))
