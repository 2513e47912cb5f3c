"""Ask a tracking server of MLflow by plain HTTP.

MLflow's own client isn't used: it takes 5 s and 196 MB to import, 1.3 s where its files are in memory, and
needs 21 packages as mlflow-skinny (all of MLflow takes 1.1 GB). A few methods of its REST API, which is the
same in 2.x and 3.x, are all that is needed.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Mapping
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tidemill.core.errors import RefusedError, SendError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload
from tidemill.core.printable import printable, shorten

_API, _FILES = "api/2.0/mlflow", "api/2.0/mlflow-artifacts/artifacts"
# The server is overloaded or restarts: it may answer the same request later.
_PASSING = (429, 500, 502, 503, 504)
_SCHEME = "mlflow-artifacts:"
_SHOWN = 300
_IDLE_S = 1.0
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a server asks for: a user and a password, or a token."""

    user: str = ""
    password: str = ""
    token: str = ""

    @property
    def header(self) -> str:
        """The value of the header `Authorization`; "" without credentials."""
        if self.token:
            return f"Bearer {self.token}"
        if self.user or self.password:
            return f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"
        return ""


class _Answer(dict[str, Any]):
    """An object in an answer; SendError for a field that it should have."""

    def __missing__(self, name: str) -> Any:
        raise SendError(f"the server doesn't answer as MLflow does: there is no {name!r}")


class RestClient:
    """Asks the server at `url` over one connection, which is opened again when it was closed.

    A request may wait `timeout_s` for each answer of the server. All requests together may take `within_s`
    seconds (None: however long it takes). No redirect is followed, and nothing is repeated: a request whose
    answer is lost may have been carried out.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        timeout_s: float = 10.0,
        within_s: float | None = None,
        agent: str = "tidemill",
    ) -> None:
        parts = urlsplit(url)
        # Its port is checked where the settings are read.
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        self.place = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._base = parts.path.rstrip("/")
        self._timeout_s, self._answered = timeout_s, 0.0
        self._until = None if within_s is None else time.monotonic() + within_s
        self._headers = {"User-Agent": agent}
        if header := (credentials or Credentials()).header:
            self._headers["Authorization"] = header

    def call(
        self, method: str, name: str, fields: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        path, body = f"{self._base}/{_API}/{name}", b""
        if method == "GET":
            path += f"?{urlencode(fields or {}, doseq=True)}"
        else:
            body = json.dumps(fields or {}, allow_nan=False).encode()
        return self._parsed(self._ask(method, path, body))

    def list_files(self, uri: str) -> Mapping[str, int | None]:
        path = f"{self._base}/{_FILES}?{urlencode({'path': self._path(uri)})}"
        found = self._parsed(self._ask("GET", path)).get("files", ())
        return {
            str(file["path"]): None if file.get("is_dir") else int(file.get("file_size") or 0)
            for file in found
        }

    def read_file(self, uri: str) -> bytes:
        return self._ask("GET", f"{self._base}/{_FILES}/{quote(self._path(uri))}")

    def write_file(self, uri: str, payload: Payload) -> None:
        path = f"{self._base}/{_FILES}/{quote(self._path(uri))}"
        self._ask("PUT", path, payload, "application/octet-stream")

    def _path(self, uri: str) -> str:
        """The path of a file of the server: its URI may have a host, which is its own."""
        if not uri.startswith(_SCHEME):
            raise RefusedError(
                f"{self.place} doesn't pass on what is at {uri}: files need a server with --serve-artifacts"
            )
        path = uri.removeprefix(_SCHEME)
        return (path[2:].partition("/")[2] if path.startswith("//") else path).strip("/")

    def close(self) -> None:
        self._connection.close()

    def _parsed(self, answer: bytes) -> Mapping[str, Any]:
        try:
            found = json.loads(answer, object_hook=_Answer)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise SendError(f"{self.place} doesn't answer as MLflow does: {_shown(answer)!r}")
        return found

    def _ask(
        self, method: str, path: str, body: Payload = b"", kind: str = "application/json"
    ) -> bytes:
        self._limit_time()
        headers = {**self._headers, "Content-Type": kind}
        try:
            self._connection.request(method, path, body, headers)
            reply = self._connection.getresponse()
            answer = self._read(reply)
        except SendError:
            self._connection.close()
            raise
        except TimeoutError:
            self._connection.close()
            raise SendError(f"{self.place} didn't answer in time") from None
        except (OSError, HTTPException) as error:
            self._connection.close()
            said = shorten(printable(str(error) or type(error).__name__), _SHOWN)
            raise SendError(f"{self.place} can't be reached, {said}") from None
        self._answered = time.monotonic()
        if 200 <= reply.status < 300:
            return answer
        raise self._error(reply, answer)

    def _read(self, reply: HTTPResponse) -> bytes:
        """The body of a reply, of which each piece comes in time and all within the time of all requests."""
        found, size = bytearray(), reply.length
        while size is None or len(found) < size:
            piece = reply.read1(_PIECE if size is None else min(_PIECE, size - len(found)))
            if not piece and size is not None:
                raise IncompleteRead(bytes(found), size - len(found))
            if not piece:
                break
            found += piece
            self._time_left()
        reply.close()
        return bytes(found)

    def _time_left(self) -> float:
        """How long the server may be waited for now; SendError if all requests took too long."""
        left = self._timeout_s
        if self._until is not None:
            left = min(left, self._until - time.monotonic())
            if left <= 0:
                raise SendError(f"{self.place} took too long")
        return left

    def _limit_time(self) -> None:
        self._connection.timeout = left = self._time_left()
        # The server may have closed a connection that is idle, which only a lost request would show.
        if time.monotonic() - self._answered > _IDLE_S:
            self._connection.close()
        if self._connection.sock is not None:
            self._connection.sock.settimeout(left)

    def _error(self, reply: HTTPResponse, answer: bytes) -> SendError:
        try:
            found = json.loads(answer)
        except ValueError:
            found = None
        known = found if isinstance(found, dict) else {}
        said = shorten(printable(str(known.get("message", ""))), _SHOWN) or _shown(answer)
        message = (
            f"{self.place} answered {reply.status} {reply.reason}{f': {said}' if said else ''}"
        )
        if reply.status in _PASSING:
            return SendError(message)
        return RefusedError(message, code=str(known.get("error_code", "")))


def _shown(answer: bytes) -> str:
    return shorten(printable(answer[:1_000].decode("utf-8", "replace").strip()), _SHOWN)
