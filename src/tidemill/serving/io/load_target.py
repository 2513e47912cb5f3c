"""The endpoint that a load test asks: what it reads, whether it answers, and what its server uses."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.client_exchange import Received, error_of, unreachable
from tidemill.serving.io.load_connection import Address
from tidemill.serving.load_report import ServerUsage
from tidemill.serving.metrics_reader import server_usage

_TIMEOUT_S = 10.0
# A server adjusts its measured CPU times every 10 seconds.
_ADJUSTED_WITHIN_S = 11.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTarget:
    """An endpoint of the server at `url`; UsageError for what isn't a URL."""

    url: str
    endpoint: str
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = self._parts
        try:
            is_known = parts.scheme in ("http", "https") and bool(parts.hostname) and self._port > 0
        except ValueError:
            is_known = False
        if not is_known or parts.query:
            raise UsageError(f"--url {self.url}: it isn't like http://127.0.0.1:8000")

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def _base(self) -> str:
        return self._parts.path.rstrip("/")

    @property
    def _port(self) -> int:
        return self._parts.port or (443 if self._parts.scheme == "https" else 80)

    def address(self) -> Address:
        """Where it listens; the errors of `ask` if there is no such host."""
        host = self._parts.hostname or ""
        tls = ssl.create_default_context() if self._parts.scheme == "https" else None
        try:
            found = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            fault = unreachable(self.url, error)
            raise error_of(Received(status=0, fault=fault, now=0.0)) from error
        return Address(family=found[0], place=found[4], host=host, tls=tls)

    def request(self, body: bytes) -> bytes:
        """A whole HTTP request for predictions."""
        headers = {"host": self._parts.netloc.rpartition("@")[2], **self._headers(body)}
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"POST {self._base}{self._path} HTTP/1.1\r\n{''.join(lines)}\r\n"
        return head.encode() + body

    def try_request(self, body: bytes) -> None:
        """Ask once; a ServingError if the endpoint doesn't answer with predictions."""
        self._ask("POST", self._path, body)

    def input_types(self) -> dict[str, str]:
        """The columns that it reads, with their types in the Open Inference Protocol."""
        body = self._ask("GET", f"/v2/models/{quote(self.endpoint, safe='')}")
        try:
            inputs = msgspec.json.decode(body)["inputs"]
            return {each["name"]: each["datatype"] for each in inputs}
        except (msgspec.DecodeError, LookupError, TypeError) as error:
            raise UsageError(f"{self.url} isn't a server of Tidemill: {error!r}") from error

    def usage(self) -> ServerUsage | None:
        """The usage of the server until now; None if it doesn't report it."""
        reply = self._exchange("GET", "/metrics")
        return None if reply.status != 200 else server_usage(reply.body.decode(), self.endpoint)

    def usage_since(self, earlier: ServerUsage | None) -> ServerUsage | None:
        """The usage of the server since an earlier look.

        Waits until its counters of CPU time have the requests of that time: at most 11 seconds.
        """
        end, first = time.monotonic() + _ADJUSTED_WITHIN_S, self.usage()
        last = first
        while last is not None and first is not None and earlier is not None:
            # Each process adjusts its own part.
            is_adjusted = last.process_cpu_s > first.process_cpu_s and last.processes <= 1
            if is_adjusted or time.monotonic() > end:
                return last.since(earlier)
            time.sleep(_LOOK_EVERY_S)
            last = self.usage()
        return None

    @property
    def _path(self) -> str:
        return f"/predict/{quote(self.endpoint, safe='')}"

    def _headers(self, body: bytes | None) -> Mapping[str, str]:
        found = {"authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            found |= {"content-type": "application/json", "content-length": str(len(body))}
        return found

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        reply = self._exchange(method, path, body)
        if reply.status != 200:
            raise error_of(reply)
        return reply.body

    def _exchange(self, method: str, path: str, body: bytes | None = None) -> Received:
        host = self._parts.hostname or ""
        connection = (
            http.client.HTTPSConnection(host, self._port, timeout=_TIMEOUT_S)
            if self._parts.scheme == "https"
            else http.client.HTTPConnection(host, self._port, timeout=_TIMEOUT_S)
        )
        try:
            connection.request(method, self._base + path, body, dict(self._headers(body)))
            reply = connection.getresponse()
            return Received(status=reply.status, body=reply.read(), now=0.0)
        except (OSError, http.client.HTTPException) as error:
            fault = unreachable(self.url, str(error) or type(error).__name__)
            return Received(status=0, fault=fault, now=0.0)
        finally:
            connection.close()
