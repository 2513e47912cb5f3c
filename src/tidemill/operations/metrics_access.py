"""Decide what a request to the page of metrics gets."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.host_names import is_loopback, parse_host, parse_name

PAGE, HEALTH = "/metrics", "/healthz"
_METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsAccess:
    """Who may read: beyond this machine, callers need the `token`.

    UsageError for a host that isn't one, and for one beyond this machine without a token.
    """

    host: str
    token: str = ""

    def __post_init__(self) -> None:
        name = parse_name(self.host)
        if name is None or name.port is not None:
            raise UsageError(f"{self.host!r} is not a host, such as 127.0.0.1")
        if not is_loopback(name.host) and not self.token:
            raise UsageError(
                f"metrics at {self.host} could be read from other machines: name the environment variable "
                "that holds a token, [tool.tidemill.metrics] token, or use host = 127.0.0.1"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        name = parse_name(self.host)
        return name is not None and is_loopback(name.host)

    def status(self, method: str, target: str, hosts: Sequence[str], authorization: str) -> int:
        """The HTTP status that a request gets; `hosts` are the values of its Host header."""
        if len(hosts) != 1 or (name := parse_host(hosts[0])) is None:
            return 400
        # A page of another site can name any host that leads here.
        if self.is_local and not is_loopback(name.host):
            return 421
        if method not in _METHODS:
            return 405
        path = target.partition("?")[0]
        if path == HEALTH:
            return 200
        if self.token and not self._is_token(authorization):
            return 401
        return 200 if path == PAGE else 404

    def _is_token(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        same = hmac.compare_digest(given.strip().encode(), self.token.encode())
        return scheme.lower() == "bearer" and same
