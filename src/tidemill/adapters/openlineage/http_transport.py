"""Send events of lineage to a server by HTTP, as OpenLineage defines it: a POST for each event."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from tidemill.core.errors import SendError
from tidemill.core.printable import printable, shorten

# Seconds before each further try.
PAUSES: Sequence[float] = (0.1, 0.5)
# The server is overloaded or restarts: it may take the same event later.
_PASSING = (429, 500, 502, 503, 504)
_MOST_READ = 65_536
_SHOWN = 200


class HttpTransport:
    """Sends to `url` over one connection, which is opened again when the server closed it.

    A request may take `timeout_s` at each wait for the server. One that fails is repeated after each of the
    `pauses`; one that isn't answered in time isn't.
    """

    confirms = True

    def __init__(
        self,
        url: str,
        *,
        api_key: str = "",
        compress: bool = False,
        timeout_s: float = 5.0,
        agent: str = "tidemill",
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        parts = urlsplit(url)
        # Its port is checked where the settings are read.
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        self._place = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._compress = compress
        self._pauses = tuple(pauses)
        self._aborted = threading.Event()
        self._headers = {"Content-Type": "application/json", "User-Agent": agent}
        if compress:
            self._headers["Content-Encoding"] = "gzip"
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    def send(self, event: bytes) -> None:
        body = gzip.compress(event, mtime=0) if self._compress else event
        # A connection that was idle may be closed by now: that isn't a failure of the server.
        problem = self._post(body) if self._connection.sock is not None else "unsent"
        for pause in (0.0, *self._pauses) if problem else ():
            if self._aborted.wait(pause):
                problem = "wasn't waited for"
                break
            problem = self._post(body)
            if not problem:
                return
        if problem:
            raise SendError(f"{self._place} {problem}")

    def abort(self) -> None:
        self._aborted.set()
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def _post(self, body: bytes) -> str:
        """Send a request; what is wrong if it should be sent again, SendError if it shouldn't."""
        try:
            self._connection.request("POST", self._path, body, self._headers)
            reply = self._connection.getresponse()
            text = reply.read(_MOST_READ)
        except TimeoutError:
            self._connection.close()
            raise SendError(f"{self._place} didn't answer in time") from None
        except (OSError, HTTPException) as error:
            self._connection.close()
            said = shorten(printable(str(error) or type(error).__name__), _SHOWN)
            return f"can't be reached, {said}"
        if reply.will_close or not reply.isclosed():
            self._connection.close()
        if 200 <= reply.status < 300:
            return ""
        said = shorten(printable(text.decode("utf-8", "replace").strip()), _SHOWN)
        problem = f"answered {reply.status} {reply.reason}{f': {said}' if said else ''}"
        if reply.status in _PASSING:
            return problem
        raise SendError(f"{self._place} {problem}")
